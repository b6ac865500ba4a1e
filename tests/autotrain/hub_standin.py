"""A stand-in for the Hub, on loopback: repositories, Spaces and their logs, as far as AutoTrain and ftkit ask for them.

Both versions of huggingface_hub talk to it: the current one in our process, and the one of January 2025 in AutoTrain's
environment. It never takes two creates for one: each is counted. What it does not know, or what holds a field that
those packages do not send, it refuses, and keeps in `strange`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from hubs.uploads import Uploads
from hubs.wire import HANG, HANG_S, RESET, TOKEN, USER, Answer, Fault, error, missing, ok, only, prefix, stamp

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HANG", "HANG_S", "RESET", "TOKEN", "USER", "Fault", "HubStandIn", "Repo", "error"]

PRICES = {"cpu-basic": (0.0, "hour"), "t4-small": (0.0066667, "minute"), "t4-medium": (0.6, "hour")}


@dataclass
class Repo:
    """A repository, and what a Space has besides."""

    kind: str
    name: str
    asked: dict[str, Any]
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    stage: str = "NO_APP_FILE"
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    sleep_s: int | None = None
    logs: dict[str, list[str]] = field(default_factory=lambda: {"run": [], "build": []})
    discussions: list[tuple[str, datetime]] = field(default_factory=list[tuple[str, datetime]])

    def shown(self) -> dict[str, Any]:
        shown = {"id": self.name, "private": True, "createdAt": stamp(self.created_at), "sha": "0" * 40}
        return {**shown, "runtime": self.runtime()} if self.kind == "space" else shown

    def runtime(self) -> dict[str, Any]:
        hardware = {"current": None, "requested": self.asked.get("hardware")}
        return {"stage": self.stage, "hardware": hardware, "gcTimeout": self.sleep_s, "replicas": {"requested": 1}}


class HubStandIn(Uploads):
    """The Hub of one user.

    Attributes:
        repos: All repositories, by kind and name.
        creates: How often a Space was asked for.
        page_size: Spaces on a page.
    """

    fields: ClassVar[dict[str, set[str]]] = {
        "create": {"name", "organization", "type", "private", "visibility", "sdk", "hardware"},
        "secrets": {"key", "value"},
        "sleeptime": {"seconds"},
        "preupload": {"files"},
        "validate-yaml": {"content", "repoType"},
        "delete": {"name", "organization", "type"},
    }

    def __init__(self) -> None:
        super().__init__()
        self.repos: dict[tuple[str, str], Repo] = {}
        self.creates = 0
        self.page_size = 100

    # -- levers --------------------------------------------------------------------------------------------------

    def space(self, project: str) -> Repo:
        return self.repos["space", f"{USER}/autotrain-{project}"]

    def spaces(self) -> list[Repo]:
        return [repo for (kind, _), repo in self.repos.items() if kind == "space"]

    def dataset(self, project: str) -> Repo:
        return self.repos["dataset", f"{USER}/autotrain-data-{project}"]

    def set_stage(self, project: str, stage: str) -> None:
        space = self.space(project)
        space.stage = stage
        if stage == "NO_APP_FILE":
            space.created_at -= timedelta(hours=1)

    def end(self, project: str, *, succeeded: bool, says_so: bool = True) -> None:
        """Ends a training as AutoTrain does: weights if it succeeded, a discussion, and a pause."""
        space = self.space(project)
        name = f"{USER}/{project}"
        model = self.repos.setdefault(("model", name), Repo("model", name, {}))
        model.files["runs/events.out.tfevents"] = b"tensorboard"
        if succeeded:
            model.files |= {"config.json": b"{}", "model.safetensors": b"weights"}
        title = "finished successfully ✅" if succeeded else "failed ❌"
        if says_so:
            space.discussions.append((f"Your training has {title}", datetime.now(UTC)))
        space.stage = "PAUSED"

    # -- the wire ------------------------------------------------------------------------------------------------

    def hang(self) -> None:
        time.sleep(HANG_S)

    def _routes(self) -> dict[str, Callable[..., Answer]]:
        repo = r"/api/(model|dataset|space)s/([^/]+/[^/]+)"
        return {
            **super()._routes(),
            "GET /api/spaces/hardware": self._hardware,
            "GET /api/spaces": self._list,
            "POST /api/repos/create": self._create,
            "DELETE /api/repos/delete": self._delete,
            rf"GET {repo}": self._info,
            rf"GET {repo}/tree/main": self._tree,
            rf"GET {repo}/discussions": self._discussions,
            rf"GET {repo}/runtime": self._runtime,
            rf"GET {repo}/logs/(run|build)": self._logs,
            rf"POST {repo}/preupload/main": self._preupload,
            rf"POST {repo}/commit/main": self._commit,
            rf"POST {repo}/secrets": self._secrets,
            rf"POST {repo}/sleeptime": self._sleeptime,
            rf"POST {repo}/pause": self._pause,
            r"(?:GET|HEAD) /(?:(dataset|space)s/)?([^/]+/[^/]+)/resolve/\w+/(.+)": self._file,
        }

    def _what(self, route: str, body: bytes) -> str:
        if route != "POST create":
            return route
        kind = json.loads(body).get("type") or "model"
        self.creates += kind == "space"
        return f"{route} {kind}"

    def _generic(self, path: str) -> str:
        return generic(path)

    def _takes(self, kind: str, name: str) -> bool:
        return (kind, name) in self.repos

    def _repo(self, kind: str | None, name: str) -> Repo | None:
        return self.repos.get((kind or "model", name))

    # -- repositories --------------------------------------------------------------------------------------------

    def _create(self) -> Answer:
        asked = self._fields("create")
        kind, name = asked.get("type") or "model", f"{asked.get('organization') or USER}/{asked['name']}"
        if asked.get("organization") not in {None, USER}:
            return error(403, f'You don\'t have the rights to create a {kind} under the namespace "{name}"')
        url = f"{self.url}/{prefix(kind)}{name}"
        if (kind, name) in self.repos:
            status, told, headers = error(409, f"You already created this {kind} repo")
            return status, {**told, "url": url}, headers
        if not asked.get("private") and asked.get("visibility") != "private":
            self.strange.append(f"{name} is public")
        self.repos[kind, name] = Repo(kind, name, asked)
        return ok({"url": url, "name": name, "id": uuid.uuid4().hex})

    def _delete(self) -> Answer:
        asked = self._fields("delete")
        gone = self.repos.pop((asked.get("type") or "model", f"{asked['organization']}/{asked['name']}"), None)
        return ok({}) if gone else missing()

    def _info(self, kind: str, name: str) -> Answer:
        repo = self._repo(kind, name)
        return ok(only(repo.shown(), self._query)) if repo else missing()

    def _tree(self, kind: str, name: str) -> Answer:
        repo = self._repo(kind, name)
        if repo is None:
            return missing()
        deep = self._query.get("recursive") in (["True"], ["true"])
        shown = {path if deep else path.partition("/")[0]: content for path, content in repo.files.items()}
        types = {path: "file" if path in repo.files else "directory" for path in shown}
        return ok([{"type": types[p], "path": p, "oid": oid(c), "size": len(c)} for p, c in shown.items()])

    def _preupload(self, kind: str, name: str) -> Answer:
        if self._repo(kind, name) is None:
            return missing()
        files = self._fields("preupload")["files"]
        modes = [{"path": f["path"], "shouldIgnore": False, "uploadMode": mode(f["path"])} for f in files]
        return ok({"files": modes})

    def _commit(self, kind: str, name: str) -> Answer:
        repo = self._repo(kind, name)
        if repo is None:
            return missing()
        for line in self._body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                repo.files[value["path"]] = self._blobs[value["oid"]]
            elif item["key"] == "deletedFile":
                repo.files.pop(value["path"])
            elif item["key"] != "header":
                self.strange.append(f"commit: {item['key']}")
        if kind == "space" and "Dockerfile" in repo.files and repo.stage == "NO_APP_FILE":
            repo.stage = "BUILDING"
        made = uuid.uuid4().hex
        return ok({"success": True, "commitOid": made, "commitUrl": f"{self.url}/{prefix(kind)}{name}/commit/{made}"})

    def _file(self, kind: str | None, name: str, path: str) -> Answer:
        repo = self._repo(kind, name)
        if repo is None or path not in repo.files:
            return error(404, "Entry not found", "EntryNotFound")
        content = repo.files[path]
        return 200, content, {"etag": f'"{oid(content)}"', "x-repo-commit": "0" * 40}

    # -- Spaces --------------------------------------------------------------------------------------------------

    def _list(self) -> Answer:
        author, search = self._query["author"][0], self._query["search"][0]
        found = [s for s in self.spaces() if s.name.startswith(f"{author}/") and search in s.name]
        return self._page([only(space.shown(), self._query) for space in found], "/api/spaces", self.page_size)

    def _hardware(self) -> Answer:
        shown = {"prettyName": "", "cpu": "2 vCPU", "ram": "16 GB", "accelerator": None}
        return ok(
            [
                {**shown, "name": name, "unitCostUSD": cost, "unitCostMicroUSD": int(cost * 1e6), "unitLabel": unit}
                for name, (cost, unit) in PRICES.items()
            ]
        )

    def _runtime(self, kind: str, name: str) -> Answer:
        space = self._repo(kind, name)
        return ok(space.runtime()) if space else missing()

    def _secrets(self, kind: str, name: str) -> Answer:
        space, sent = self._repo(kind, name), self._fields("secrets")
        if space is None:
            return missing()
        space.secrets[sent["key"]] = sent["value"]
        return ok({})

    def _sleeptime(self, kind: str, name: str) -> Answer:
        space = self._repo(kind, name)
        if space is None:
            return missing()
        space.sleep_s = self._fields("sleeptime")["seconds"]
        return ok(space.runtime())

    def _pause(self, kind: str, name: str) -> Answer:
        space = self._repo(kind, name)
        if space is None:
            return missing()
        space.stage = "PAUSED"
        return ok(space.runtime())

    def _logs(self, kind: str, name: str, which: str) -> Answer:
        space = self._repo(kind, name)
        if space is None:
            return missing()
        events = [{"data": f"{line}\n", "timestamp": stamp(datetime.now(UTC))} for line in space.logs[which]]
        stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data:\n\n"
        return 200, stream.encode(), {"content-type": "text/event-stream"}

    def _discussions(self, kind: str, name: str) -> Answer:
        repo = self._repo(kind, name)
        if repo is None:
            return missing()
        shown = [
            {
                "num": number,
                "title": title,
                "author": {"name": USER},
                "createdAt": stamp(at),
                "status": "open",
                "repo": {"name": name, "type": kind},
                "isPullRequest": False,
            }
            for number, (title, at) in enumerate(repo.discussions, start=1)
        ]
        return ok({"count": len(shown), "start": 0, "discussions": shown})


def generic(path: str) -> str:
    named = re.sub(r"^/api/(model|dataset|space)s/(?!hardware$)[^/]+/[^/]+", r"/api/\1s/{id}", path)
    named = re.sub(r"^/((?:dataset|space)s/)?[^/]+/[^/]+(\.git|/resolve)", r"/\1{id}\2", named)
    return re.sub(r"^/lfs/.*", "/lfs/{oid}", named)


def mode(path: str) -> str:
    return "lfs" if path.endswith((".parquet", ".safetensors")) else "regular"


def oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
