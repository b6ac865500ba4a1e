"""The data set and the Space."""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class HubError(Exception):
    """An answer that is none, with what AutoTrain's huggingface_hub hangs on it."""

    def __init__(self, answer: urllib.error.HTTPError) -> None:
        self.server_message = answer.headers["x-error-message"]
        super().__init__(f"{answer.code}: {self.server_message}")
        url = SimpleNamespace(url=answer.url)
        self.response = SimpleNamespace(status_code=answer.code, headers=answer.headers, request=url)


class Wire:
    """Makes requests."""

    def __init__(self, token: str) -> None:
        self._token = token

    def post(self, path: str, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(f"{os.environ['HF_ENDPOINT']}{path}", data, headers, method="POST")  # noqa: S310
        try:
            urllib.request.urlopen(request).read()  # noqa: S310
        except urllib.error.HTTPError as answer:
            raise HubError(answer) from answer

    def commit(self, repo: str, path: str, content: bytes) -> None:
        self.post(f"{repo}/preupload/main", {"files": [{"path": path, "sample": "", "size": len(content)}]})
        value = {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}
        lines = [{"key": "header", "value": {"summary": "", "description": ""}}, {"key": "file", "value": value}]
        self.post(f"{repo}/commit/main", "".join(json.dumps(line) + "\n" for line in lines).encode())


def llm_munge_data(params: Any, local: bool) -> Any:  # noqa: FBT001 - AutoTrain's own signature
    assert not local
    wire, name = Wire(params.token), f"autotrain-data-{params.project_name}"
    rows = (Path(params.data_path) / f"{params.train_split}.jsonl").read_bytes()
    try:
        wire.post(
            "/api/repos/create", {"name": name, "organization": params.username, "type": "dataset", "private": True}
        )
    except HubError as error:
        if error.response.status_code != 409:
            raise
    wire.commit(f"/api/datasets/{params.username}/{name}", "train.jsonl", rows)
    params.data_path = f"{params.username}/{name}"
    return params


class AutoTrainProject:
    """Makes a Space."""

    def __init__(self, params: Any, backend: str) -> None:
        self._params = params
        self._hardware = backend.removeprefix("spaces-")

    def create(self) -> None:
        params, wire = self._params, Wire(self._params.token)
        name = f"autotrain-{params.project_name}"
        space = f"/api/spaces/{params.username}/{name}"
        asked = {"name": name, "organization": params.username, "private": True, "type": "space", "sdk": "docker"}
        wire.post("/api/repos/create", {**asked, "hardware": self._hardware})
        secrets = {
            "HF_TOKEN": params.token,
            "AUTOTRAIN_USERNAME": params.username,
            "PROJECT_NAME": params.project_name,
            "TASK_ID": "9",
            "PARAMS": json.dumps(vars(params)),
            "DATA_PATH": params.data_path,
            "MODEL": params.model,
        }
        for key, value in secrets.items():
            wire.post(f"{space}/secrets", {"key": key, "value": value})
        wire.post(f"{space}/sleeptime", {"seconds": 604800})
        wire.post("/api/validate-yaml", {"content": "", "repoType": "space"})
        wire.commit(space, "README.md", b"---\nsdk: docker\n---\n")
        wire.commit(space, "Dockerfile", b"FROM scratch\n")
