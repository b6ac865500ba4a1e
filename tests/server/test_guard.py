"""Who may ask, and how much."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import httpx2
import openai as sdk
import pytest
from live import MODEL, Live, until

from ftkit.errors import ConflictError, NotFoundError
from ftkit.server.logs import FIELDS, JsonLines
from ftkit.server.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import OpenAI


def test_without_a_key_only_the_health_is_told(server: Live) -> None:
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        assert client.get("/healthz").json()["status"] == "ok"
        for path in ("/v1/models", "/openai/v1/models", "/openai/models?api-version=2024-10-21", "/openapi.json", "/x"):
            answer = client.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"]["message"]


def test_the_key_is_taken_as_bearer_and_as_api_key(server: Live) -> None:
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        for headers in ({"Authorization": f"Bearer {server.key}"}, {"api-key": server.key}):
            assert client.get("/v1/models", headers=headers).status_code == 200
        for headers in (
            {"Authorization": server.key},
            {"Authorization": f"Basic {server.key}"},
            {"Authorization": f"Bearer {server.key}x"},
            {"api-key": ""},
        ):
            assert client.get("/v1/models", headers=headers).status_code == 401


def test_keys_have_names_and_are_revoked_at_once(server: Live) -> None:
    keys = server.office.keys
    second = keys.create("laptop")
    with pytest.raises(ConflictError, match="laptop"):
        keys.create("laptop")
    client = server.openai()
    client.api_key = second
    assert list(client.models.list())
    keys.revoke("laptop")
    with pytest.raises(sdk.AuthenticationError, match="Incorrect API key"):
        client.models.list()
    with pytest.raises(NotFoundError, match="laptop"):
        keys.revoke("laptop")
    client.close()


def test_keys_are_on_disk_as_hashes_only(server: Live) -> None:
    secret = server.key.encode()
    for path in server.office.settings.home.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path


def test_without_keys_a_page_of_a_stranger_is_not_answered(start: Callable[..., Live]) -> None:
    server = start(auth=False)
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        assert client.get("/v1/models").status_code == 200
        assert client.get("/v1/models", headers={"Origin": "http://localhost:3000"}).status_code == 200
        assert client.get("/v1/models", headers={"Origin": "https://example.com"}).status_code == 403
        assert client.get("/v1/models", headers={"Origin": "null"}).status_code == 403
        assert client.get("/v1/models", headers={"Host": "rebound.example.com"}).status_code == 403


def test_what_is_too_large_is_refused_before_it_is_read(start: Callable[..., Live]) -> None:
    server = start(limits=Limits(file_bytes=1000, body_bytes=500, line_bytes=300, files=2))
    with server.openai() as client:
        for size in (100_000, 2_000_000):
            with pytest.raises(sdk.APIStatusError) as refused:
                client.files.create(file=("a.jsonl", b"x\n" * (size // 2)), purpose="fine-tune")
            assert refused.value.status_code == 413
        with pytest.raises(sdk.BadRequestError, match="longer than 300 bytes"):
            client.files.create(file=("a.jsonl", b"x" * 301), purpose="fine-tune")
        with pytest.raises(sdk.APIStatusError) as refused:
            client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x" * 600}])
        assert refused.value.status_code == 413
        for _ in range(2):
            client.files.create(file=("a.jsonl", b"x" * 300 + b"\n" + b"x" * 300), purpose="fine-tune")
        with pytest.raises(sdk.BadRequestError, match="2 files already"):
            client.files.create(file=("a.jsonl", b"x"), purpose="fine-tune")


def test_every_answer_says_who_gave_it(server: Live) -> None:
    with server.http() as client:
        installation = client.get("/healthz").json()["installation"]
        for path in ("/v1/models", "/v1/files/none", "/nowhere"):
            answer = client.get(path)
            assert answer.headers["x-ftkit-installation"] == installation
            assert answer.headers["x-request-id"].startswith("req_")


def test_the_log_holds_no_key_no_query_and_no_data(
    server: Live, openai: OpenAI, rows: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "ftkit.server"):
        openai.files.create(file=("secret-name.jsonl", rows.replace(b"3?", b"hush")), purpose="fine-tune")
        openai.fine_tuning.jobs.list(metadata={"who": "whisper"})
        openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hush"}])
        until(
            lambda: sum(record.name == "ftkit.server.access" for record in caplog.records) == 3
        )  # a line is written when its answer is out
    lines = [vars(record)[FIELDS] for record in caplog.records if record.name == "ftkit.server.access"]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("POST", "/v1/files", 200),
        ("GET", "/v1/fine_tuning/jobs", 200),
        ("POST", "/v1/chat/completions", 200),
    ]
    assert lines[0]["key"] == "test-0"
    assert lines[0]["bytes_in"] > len(rows)
    written = "\n".join(JsonLines().format(record) for record in caplog.records)
    assert all(json.loads(line)["time"] for line in written.splitlines())
    for word in ("hush", "whisper", "secret-name", server.key):
        assert word not in written
