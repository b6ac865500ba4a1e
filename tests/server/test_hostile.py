"""Requests that nobody means well with: each is answered, with no 5xx and soon, and leaves nothing behind."""

from __future__ import annotations

import http.client
import json
import logging
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from live import MODEL, VERSION, until
from schemathesis import GenerationMode

from ftkit.server.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    import httpx2
    from live import Live

PATIENCE_S = 10.0
SILENCE_S = 0.3
LIMITS = Limits(silence_s=SILENCE_S, body_bytes=100_000, file_bytes=300_000, part_bytes=100_000)

HOME = re.compile(
    r"server/(files/file-\w{24}\.jsonl|parts/part_\w{24}|server\.sqlite3(-wal|-shm)?|ledger\.sqlite3(-wal|-shm)?|locks/\w+\.lock)"
)
"""All that a server's folder may hold. What comes in lies in incoming/ only while it comes in."""


@pytest.fixture
def hostile(start: Callable[..., Live], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Generator[Live]:
    """A server with small limits, which is looked at when the test is over."""
    server = start(limits=LIMITS, default_model="memory-small")
    yield server
    assert_well(server, tmp_path)
    # What the server cannot explain, it answers with 500, or not at all, and tells here.
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture
def client(hostile: Live) -> Generator[httpx2.Client]:
    with hostile.http() as http:
        http.timeout = PATIENCE_S
        yield http


def assert_well(server: Live, folder: Path) -> None:
    with server.http() as http:
        assert http.get("/healthz").status_code == 200
    until(lambda: not [*(folder / "server" / "incoming").iterdir()])
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    assert {path for path in found if not HOME.fullmatch(path)} == set()


def assert_answered(answer: httpx2.Response, *statuses: int) -> None:
    """It is an answer of ours, and if it is a refusal, it says what is wrong."""
    what = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}"
    assert answer.status_code < 500, what
    assert not statuses or answer.status_code in statuses, what
    assert answer.status_code < 400 or answer.json()["error"]["message"], what


def send_file(client: httpx2.Client, rows: bytes) -> str:
    sent = client.post("/v1/files", files={"file": ("tea.jsonl", rows)}, data={"purpose": "fine-tune"})
    return str(sent.json()["id"])


# -- random requests, from the server's own document -----------------------------------------------------------------

SAMPLE = 330
"""Bodies in the ordinary run: the same ones each time."""
ARM_VERSION = "2025-09-01"


class Attack:
    """Sends requests that fit the document, and others that do not.

    Ids by chance are never those of anything. So that it gets further, half of the requests name what is there.
    """

    def __init__(self, server: Live, known: Mapping[str, str]) -> None:
        self._server = server
        self._known = known
        self._session = requests.Session()
        self._session.trust_env = False
        self.sent = 0

    def run(self, operation: Any, most: int, *, chance: bool) -> None:
        plan = settings(
            max_examples=most,
            deadline=None,
            database=None,
            derandomize=not chance,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes(operation)))

        @plan
        @given(cases, st.booleans())
        def each(case: Any, is_known: bool) -> None:  # noqa: FBT001 - Hypothesis draws it
            self._send(case, is_known=is_known)

        each()

    def _send(self, case: Any, *, is_known: bool) -> None:
        if is_known:
            self._name_what_is_there(case)
        version = ARM_VERSION if case.path.startswith("/subscriptions") else VERSION
        case.query = {"api-version": version, **(case.query or {})}
        headers = {"Authorization": f"Bearer {self._server.key}"}
        answer = case.call(self._server.url, session=self._session, headers=headers, timeout=PATIENCE_S)
        self.sent += 1
        assert answer.status_code < 500, f"{case.as_curl_command()}\n{answer.status_code} {answer.text}"

    def _name_what_is_there(self, case: Any) -> None:
        case.path_parameters = {name: self._known.get(name, value) for name, value in case.path_parameters.items()}
        if isinstance(case.body, dict) and case.media_type == "application/json":
            known = {name: value for name, value in self._known.items() if name in case.body}
            case.body = {**case.body, **known}


def modes(operation: Any) -> Iterator[GenerationMode]:
    yield GenerationMode.POSITIVE
    if [*operation.body, *operation.query]:  # where nothing can be wrong, it would look for that for long
        yield GenerationMode.NEGATIVE


@pytest.fixture
def known(client: httpx2.Client, rows: bytes) -> dict[str, str]:
    """Parameters of paths, and fields of bodies, with values that are there."""
    file = send_file(client, rows)
    job = client.post("/v1/fine_tuning/jobs", json={"model": MODEL, "training_file": file}).json()["id"]
    until(lambda: client.get(f"/v1/fine_tuning/jobs/{job}").json()["status"] == "succeeded")
    upload = {"filename": "a.jsonl", "purpose": "fine-tune", "bytes": 50_000_000, "mime_type": "text/jsonl"}
    return {
        "file_id": file,
        "training_file": file,
        "fine_tuning_job_id": job,
        "upload_id": client.post("/v1/uploads", json=upload).json()["id"],
        "model": client.get(f"/v1/fine_tuning/jobs/{job}").json()["fine_tuned_model"],
    }


@pytest.mark.parametrize("most", [SAMPLE, pytest.param(10_000, marks=pytest.mark.full)])
def test_random_bodies(hostile: Live, client: httpx2.Client, known: dict[str, str], most: int) -> None:
    attack = Attack(hostile, known)
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [operation for operation in operations if [*operation.body]]
    for operation in operations:
        attack.run(operation, most // len(operations) + 1, chance=most > SAMPLE)
    assert attack.sent >= most


@pytest.mark.parametrize("most", [130, pytest.param(4_000, marks=pytest.mark.full)])
def test_random_requests_without_a_body(hostile: Live, client: httpx2.Client, known: dict[str, str], most: int) -> None:
    # What is deleted is not there for the others: ids by chance will do.
    attack = Attack(hostile, {name: value for name, value in known.items() if name not in {"file_id", "model"}})
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [operation for operation in operations if not [*operation.body]]
    for operation in operations:
        attack.run(operation, most // len(operations) + 1, chance=most > 130)
    assert attack.sent >= most / 2, "some have only one form"


# -- JSON ------------------------------------------------------------------------------------------------------------

WRONG: tuple[object, ...] = (
    *(None, True, 0, -1, 1.5, 10**30, -(10**30), 1e308, "", "auto", "\0", "\U0001d54f" * 500, "x" * 5000),
    *([], {}, [[]], [None] * 100, {"": {}}, [{"a": 1}], {"type": "supervised"}, {"\0": "\0"}),
)
LINES = {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1.0}
JOB = {
    "model": MODEL,
    "training_file": "file-none",
    "validation_file": "file-none",
    "method": {"type": "supervised", "supervised": {"hyperparameters": LINES}},
    "hyperparameters": LINES,
    "suffix": "tea",
    "seed": 1,
    "metadata": {"a": "b"},
    "integrations": [],
    "trainingType": "Standard",
}
CALLED = [{"id": "call", "type": "function", "function": {"name": "brew", "arguments": "{}"}}]
CHAT = {
    "model": MODEL,
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "?"}], "name": "a"},
        {"role": "assistant", "content": None, "tool_calls": CALLED},
        {"role": "tool", "content": "!", "tool_call_id": "call"},
    ],
    "stream": False,
    "stream_options": {"include_usage": True},
    "temperature": 1,
    "top_p": 1,
    "max_tokens": 1,
    "max_completion_tokens": 1,
    "seed": 1,
    "stop": ["a"],
    "tools": [{"type": "function", "function": {"name": "brew"}}],
    "n": 1,
    "logprobs": False,
    "user": "a",
}
UPLOAD = {
    "filename": "a",
    "purpose": "fine-tune",
    "bytes": 1,
    "mime_type": "a",
    "expires_after": {"anchor": "created_at", "seconds": 3600},
}
DEPLOYMENT = {
    "sku": {"name": "Standard", "capacity": 1},
    "properties": {"model": {"format": "OpenAI", "name": MODEL, "version": "1"}},
    "tags": {"a": "b"},
}
ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"
ROUTES: Mapping[str, tuple[str, str, Any]] = {
    "job": ("POST", "/v1/fine_tuning/jobs", JOB),
    "job of azure": ("POST", f"/openai/fine_tuning/jobs?api-version={VERSION}", JOB),
    "chat": ("POST", "/v1/chat/completions", CHAT),
    "upload": ("POST", "/v1/uploads", UPLOAD),
    "complete": ("POST", "/v1/uploads/upload_none/complete", {"part_ids": ["part_none"], "md5": "0" * 32}),
    "deployment": ("PUT", f"{ACCOUNT}/deployments/teas?api-version={ARM_VERSION}", DEPLOYMENT),
}


def each_wrong(body: Any) -> Iterator[Any]:
    """Yields a body again and again: with each field, at any depth, replaced by each wrong value, and left out."""
    yield from WRONG
    for place in body if isinstance(body, dict) else range(len(body)) if isinstance(body, list) else ():
        rest = [(name, body[name]) for name in body if name != place] if isinstance(body, dict) else None
        if rest is not None:
            yield dict(rest)
        for other in each_wrong(body[place]):
            changed = body.copy()
            changed[place] = other
            yield changed


JSON_TYPE = {"content-type": "application/json"}


def test_wrong_types_in_every_field(client: httpx2.Client) -> None:
    for method, path, body in ROUTES.values():
        assert_answered(client.request(method, path, json=body))
        for wrong in each_wrong(body):
            assert_answered(client.request(method, path, content=json.dumps(wrong), headers=JSON_TYPE))


NO_JSON = {
    "empty": b"",
    "null": b"null",
    "number": b"1",
    "text": b'"{}"',
    "list": b"[]",
    "cut": b'{"model": "a',
    "rest": b"{} {}",
    "not a number": b'{"model": NaN}',
    "infinite": b'{"seed": -Infinity}',
    "too large a float": b'{"seed": 1e400}',
    "too many digits": b'{"seed": ' + b"9" * 9_000 + b"}",
    "half of a pair": b'{"model": "\\ud800"}',
    "half of a pair in a name": b'{"\\udfff": 1}',
    "byte order mark": b'\xef\xbb\xbf{"model": "a"}',
    "utf-16": '{"model": "a"}'.encode("utf-16"),
    "latin-1": b'{"model": "\xe9"}',
    "surrogate in utf-8": b'{"model": "\xed\xa0\x80"}',
    "zero byte": b'{"model": "\0"}',
    "comment": b'{"model": "a" /* b */}',
    "single quotes": b"{'model': 'a'}",
    "deep lists": b"[" * 90_000,
    "deep objects": b'{"a":' * 15_000,
    "deep and whole": b'{"metadata":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "twice": b'{"model": "a", "model": 1}',
    "form": b"model=a&training_file=b",
}


def test_bodies_that_are_no_json(client: httpx2.Client) -> None:
    for method, path, _ in ROUTES.values():
        for name, body in NO_JSON.items():
            answer = client.request(method, path, content=body, headers=JSON_TYPE)
            assert answer.status_code == 400, f"{name}: {answer.text}"
            assert_answered(answer)


def test_what_is_no_json_is_told(client: httpx2.Client) -> None:
    answer = client.post("/v1/uploads", content=b"{'a'}", headers={"content-type": "application/json"})
    assert "not valid JSON" in answer.json()["error"]["message"]


def test_content_types_that_are_not_of_json(client: httpx2.Client) -> None:
    for method, path, body in ROUTES.values():
        content = json.dumps(body)
        for kind in ("text/plain", "application/x-www-form-urlencoded", FORM, "", "/", "a"):
            assert_answered(client.request(method, path, content=content, headers={"content-type": kind}), 400)
        for kind in ("application/json; charset=klingon", "application/a+json", "APPLICATION/JSON;;;=;"):
            assert_answered(client.request(method, path, content=content, headers={"content-type": kind}))


def test_nothing_bounds_how_a_filter_is_written_but_we_do(client: httpx2.Client) -> None:
    jobs = "/v1/fine_tuning/jobs"
    assert_answered(client.get(jobs, params={f"metadata[{n}]": "a" for n in range(16)}), 200)
    assert_answered(client.get(jobs, params={f"metadata[{n}]": "a" for n in range(2_000)}), 400)  # SQLite takes 1000
    for query in ("metadata[]=", "metadata[%00]=%00", "metadata[a]]]=b", "metadata=1", "metadata[%ff]=%ff", "[]&&==;"):
        assert_answered(client.get(f"{jobs}?{query}"), 200)
    for query in ("limit=0", "limit=1e9", "limit=" + "9" * 5_000, "limit=%00", "after=%00", "after=" + "a" * 9_000):
        assert_answered(client.get(f"{jobs}?{query}"), 400)


# -- multipart -------------------------------------------------------------------------------------------------------

FORM = "multipart/form-data; boundary=x"
PURPOSE = b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n{}\n\r\n'
END = b"--x--\r\n"
GOOD_FORM = PURPOSE + FILE % (b"file", b"a.jsonl") + END

NO_FORM = {
    "no boundary": ("multipart/form-data", GOOD_FORM),
    "empty boundary": ("multipart/form-data; boundary=", GOOD_FORM),
    "endless boundary": ("multipart/form-data; boundary=" + "x" * 9_000, GOOD_FORM),
    "another boundary": ("multipart/form-data; boundary=y", GOOD_FORM),
    "odd boundary": ('multipart/form-data; boundary="\\"; boundary=x', GOOD_FORM),
    "another kind": ("multipart/mixed; boundary=x", GOOD_FORM),
    "json": ("application/json", GOOD_FORM),
    "urlencoded": ("application/x-www-form-urlencoded", b"purpose=fine-tune&file=a"),
    "empty": (FORM, b""),
    "only its end": (FORM, END),
    "rubbish": (FORM, b"\xff" * 1_000),
    "no headers": (FORM, b"--x\r\n\r\na\r\n" + END),
    "a header without a name": (FORM, b"--x\r\n: a\r\n\r\na\r\n" + END),
    "a header that is none": (FORM, b"--x\r\nContent-Disposition\r\n\r\na\r\n" + END),
    "no name": (FORM, PURPOSE + b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n" + END),
    "a huge header": (FORM, b"--x\r\nA: " + b"a" * 90_000 + b"\r\n\r\na\r\n" + END),
    "many headers": (FORM, b"--x\r\n" + b"A: a\r\n" * 9_000 + b"\r\na\r\n" + END),
    "a header that does not end": (FORM, b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 90_000),
    "many fields": (FORM, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 4_000 + END),
    "a large field": (FORM, PURPOSE.replace(b"fine-tune", b"a" * 90_000) + FILE % (b"file", b"a") + END),
    "two files": (FORM, PURPOSE + FILE % (b"file", b"a") + FILE % (b"file", b"b") + END),
    "two files by other names": (FORM, PURPOSE + FILE % (b"a", b"a") + FILE % (b"file", b"b") + END),
    "no file": (FORM, PURPOSE + END),
    "a file without a name": (FORM, PURPOSE + FILE % (b"file", b"") + END),
    "a file that is a field": (FORM, PURPOSE + PURPOSE.replace(b"purpose", b"file") + END),
    "a purpose that is a file": (FORM, FILE % (b"purpose", b"a") + END),
    "no purpose": (FORM, FILE % (b"file", b"a") + END),
    "a wrong purpose": (FORM, GOOD_FORM.replace(b"fine-tune", b"fine-tune-results")),
    "a purpose of no text": (FORM, GOOD_FORM.replace(b"fine-tune", b"\xff\0")),
    "a wrong age": (FORM, PURPOSE.replace(b"purpose", b"expires_after[seconds]") + GOOD_FORM),
}


def test_forms_that_are_none(client: httpx2.Client, known: dict[str, str]) -> None:
    part = f"/v1/uploads/{known['upload_id']}/parts"
    for name, (kind, body) in NO_FORM.items():
        for path in ("/v1/files", f"/openai/files?api-version={VERSION}", part):
            answer = client.post(path, content=body, headers={"content-type": kind})
            is_large = path == part and len(body) > LIMITS.part_bytes
            assert answer.status_code == (413 if is_large else 400), f"{name}: {answer.text}"
            assert_answered(answer)
    assert_answered(client.post("/v1/uploads/upload_none/parts", files={"data": b"a"}), 404)


def test_forms_in_charsets_of_their_own(client: httpx2.Client) -> None:
    body = GOOD_FORM.replace(b"a.jsonl", b"\xff\xfe\\ud800.jsonl")
    for charset in (
        "klingon",
        "utf-16",
        "utf-7",
        "\\",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "hex",
        "mbcs",
    ):
        assert_answered(client.post("/v1/files", content=body, headers={"content-type": f"{FORM}; charset={charset}"}))
    for name in (b"filename*=utf-8''%ff%00", b"filename*=klingon''a", b"filename*=undefined''a", b"filename*0=a"):
        other = GOOD_FORM.replace(b'filename="a.jsonl"', name)
        assert_answered(client.post("/v1/files", content=other, headers={"content-type": FORM}))


# -- names that are paths --------------------------------------------------------------------------------------------

TRICKS = (
    *("../../../../tmp/evil", "..\\..\\evil", "/etc/passwd", "/", "\\", "C:\\evil", "//evil/a", "a/../../evil"),
    *(".", "..", "...", "~", "~root", "%2e%2e%2fevil", "..%00", "a\0b", "\0", "a\nb", "a\rb: c", "-rf", "CON", " "),
    *("file-" + "a" * 24 + "/../../server.sqlite3", "server.sqlite3", "../server.sqlite3", "a" * 300, "a" * 3_000),
    *(
        "файл.jsonl",
        "\U0001d54f" * 200,
        "e\u0301",
        "\u202elnosj",
        "\uffff",
        "'; DROP TABLE records;--",
        "${HOME}",
        "{}",
        "*",
    ),
)


def raw_form(name: str) -> bytes:
    """A form as it stands: no client writes a name down as it is."""
    return GOOD_FORM.replace(b"a.jsonl", name.encode())


def assert_plain(name: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f/\\]", name)
    assert 0 < len(name) <= 255
    assert name not in {".", ".."}


def test_file_names_that_are_paths(client: httpx2.Client) -> None:
    for name in TRICKS:
        sent = client.post("/v1/files", content=raw_form(name), headers={"content-type": FORM})
        asked = client.post("/v1/uploads", json={**UPLOAD, "filename": name})
        for answer in (sent, asked):
            assert_answered(answer, 200, 400)
            if answer.status_code == 200:
                assert_plain(answer.json()["filename"])
        if sent.status_code == 200:
            assert client.get(f"/v1/files/{sent.json()['id']}/content").content == b"{}\n"


def as_it_stands(server: Live, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Asks for a path that no client would send as it is."""
    place = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=PATIENCE_S)
    headers = {"api-key": server.key, "content-type": "application/json", "connection": "close"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


ONE = {
    "GET": ("/v1/files/{}", "/v1/files/{}/content", "/v1/fine_tuning/jobs/{}", "/v1/fine_tuning/jobs/{}/events"),
    "DELETE": ("/v1/files/{}", "/v1/models/{}", f"/openai/fine_tuning/jobs/{{}}?api-version={VERSION}"),
    "POST": ("/v1/uploads/{}/cancel", "/v1/fine_tuning/jobs/{}/cancel"),
    "PUT": (f"{ACCOUNT}/deployments/{{}}?api-version={ARM_VERSION}",),
}


def spelt(trick: str) -> Iterator[str]:
    """The ways to write a name into a path: all escaped, twice escaped, with its slashes, with its dots."""
    yield quote(trick, safe="")
    yield quote(quote(trick, safe=""), safe="")
    yield quote(trick)
    yield quote(trick, safe="").replace(".", "%2e")


@pytest.mark.parametrize("method", ONE)
def test_ids_that_are_paths(hostile: Live, method: str) -> None:
    for path in ONE[method]:
        for trick in TRICKS:
            for word in spelt(trick):
                status, body = as_it_stands(hostile, method, path.format(word), b"{}" if method == "PUT" else b"")
                assert 400 <= status < 500, f"{method} {path} {trick!r}: {status} {body[:200]!r}"


def test_deployments_that_are_paths(hostile: Live) -> None:
    chat = json.dumps({"messages": CHAT["messages"]}).encode()
    body = json.dumps(DEPLOYMENT).encode()
    for trick in TRICKS:
        word = quote(trick, safe="")
        path = f"/openai/deployments/{word}/chat/completions?api-version={VERSION}"
        assert as_it_stands(hostile, "POST", path, chat)[0] == 404, trick
        made, _ = as_it_stands(hostile, "PUT", f"{ACCOUNT}/deployments/{word}?api-version={ARM_VERSION}", body)
        assert made in ({201} if trick in {"CON", "server.sqlite3"} else {400, 404, 405}), trick


def test_accounts_that_are_paths(hostile: Live) -> None:
    for trick in TRICKS:
        word = quote(trick, safe="")
        account = f"/subscriptions/{word}/resourceGroups/{word}/providers/Microsoft.CognitiveServices/accounts/{word}"
        results = f"/subscriptions/{word}/providers/Microsoft.CognitiveServices/locations/local/operationResults/{word}"
        for path in (f"{account}/deployments", f"{account}/deployments/teas", results):
            for version in (ARM_VERSION, word):
                status, body = as_it_stands(hostile, "GET", f"{path}?api-version={version}")
                assert status < 500, f"{trick!r}: {body[:200]!r}"
    body = json.dumps(DEPLOYMENT).encode()
    path = f"/subscriptions/{quote('é%0d%0aa: b', safe='')}{ACCOUNT.removeprefix('/subscriptions/s')}/deployments/tea"
    assert as_it_stands(hostile, "PUT", f"{path}?api-version={ARM_VERSION}", body)[0] == 201


def test_names_in_bodies_that_are_paths(client: httpx2.Client, known: dict[str, str]) -> None:
    for trick in TRICKS:
        for job in ({"model": trick, "training_file": known["file_id"]}, {"model": MODEL, "training_file": trick}):
            assert_answered(
                client.post("/v1/fine_tuning/jobs", json=job), *((200, 400) if job["model"] == trick else (400,))
            )
        assert_answered(
            client.post("/v1/fine_tuning/jobs", json={**job, "suffix": trick, "validation_file": trick}), 400
        )
        assert_answered(client.post("/v1/chat/completions", json={**CHAT, "model": trick}))
        ids = {"part_ids": [trick]}
        assert_answered(client.post(f"/v1/uploads/{known['upload_id']}/complete", json=ids), 400, 404)


def test_suffixes_that_are_paths_make_plain_names(client: httpx2.Client, known: dict[str, str]) -> None:
    job = {"model": MODEL, "training_file": known["file_id"]}
    for trick in (each for each in TRICKS if len(each) <= 64):
        made = client.post("/v1/fine_tuning/jobs", json={**job, "suffix": trick})
        assert_answered(made, 200)
        assert client.post(f"/v1/fine_tuning/jobs/{made.json()['id']}/cancel").status_code in {200, 400}


# -- headers and the wire --------------------------------------------------------------------------------------------


class Sent(NamedTuple):
    """What is sent, byte by byte, and which answers are right; None is a connection that is closed."""

    data: bytes
    statuses: set[int | None]


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, "Host: localhost", "Authorization: Bearer KEY", *headers, "", ""]).encode("latin-1")


JSON = "Content-Type: application/json"
MANY = "POST /v1/fine_tuning/jobs HTTP/1.1"
LINE = "GET /v1/files HTTP/1.1"
SENT_FILE = "POST /v1/files HTTP/1.1"
LAST = "Connection: close"
CHUNKS = "Transfer-Encoding: chunked"
LARGE = b"2710\r\n" + b" " * 10_000 + b"\r\n"

WIRE: Mapping[str, Sent] = {
    "no http": Sent(b"\x16\x03\x01\x00\xa5\x01\r\n\r\n", {400}),
    "no host": Sent(b"GET /v1/files HTTP/1.1\r\n\r\n", {400}),
    "an odd host": Sent(head(LINE, LAST).replace(b"localhost", b"["), {200}),
    "an odd host that is written back": Sent(
        head(
            f"POST /openai/files?api-version={VERSION} HTTP/1.1",
            f"Content-Type: {FORM}",
            f"Content-Length: {len(GOOD_FORM)}",
            LAST,
        ).replace(b"localhost", b"[\xff")
        + GOOD_FORM,
        {201},
    ),
    "a huge path": Sent(head(f"GET /{'a' * 60_000} HTTP/1.1", LAST), {404}),
    "a huge header": Sent(head(LINE, f"A: {'a' * 200_000}"), {400, 431, None}),
    "many headers": Sent(head(LINE, *["A: a"] * 20_000, LAST), {200, 400, 431, None}),
    "a header of no text": Sent(head(LINE, "A: \xff\xfe", LAST), {200}),
    "a header with a zero byte": Sent(head(LINE, "A: \0"), {400}),
    "another address": Sent(head("GET http://evil/v1/files HTTP/1.1", LAST), {404}),
    "another protocol": Sent(
        head(LINE, "Upgrade: websocket", "Connection: Upgrade, close", "Sec-WebSocket-Version: 13"), {200}
    ),
    "a path of no text": Sent(head("GET /v1/files/%ff%fe%00%0a HTTP/1.1", LAST), {404}),
    "a query of no text": Sent(head("GET /v1/files?purpose=%ff%00&order=asc HTTP/1.1", LAST), {200}),
    "length: a lie, too long": Sent(head(MANY, JSON, "Content-Length: 10") + b"{}", {408}),
    "length: a lie, too short": Sent(head(MANY, JSON, "Content-Length: 2", LAST) + b"{}{}{}{}", {400}),
    "length: none": Sent(head(MANY, JSON, LAST) + b"{}", {400}),
    "length: no number": Sent(head(MANY, JSON, "Content-Length: many") + b"{}", {400}),
    "length: negative": Sent(head(MANY, JSON, "Content-Length: -1") + b"{}", {400}),
    "length: astronomic": Sent(head(MANY, JSON, f"Content-Length: {'9' * 5_000}") + b"{}", {400}),
    "length: two": Sent(head(MANY, JSON, "Content-Length: 2", "Content-Length: 3") + b"{}", {400}),
    "length: and chunks": Sent(head(MANY, JSON, "Content-Length: 9", CHUNKS, LAST) + b"2\r\n{}\r\n0\r\n\r\n", {400}),
    "length: over the limit": Sent(head(MANY, JSON, "Content-Length: 100001") + b" " * 100_001, {413}),
    "length: over the limit, and nothing comes": Sent(head(MANY, JSON, "Content-Length: 100001"), {413}),
    "length: of a file, over the limit": Sent(
        head(SENT_FILE, f"Content-Type: {FORM}", "Content-Length: 900000") + b"a" * 900_000, {413}
    ),
    "chunks: over the limit": Sent(head(MANY, JSON, CHUNKS, LAST) + LARGE * 11 + b"0\r\n\r\n", {413}),
    "chunks: over the limit, and no end": Sent(head(MANY, JSON, CHUNKS) + LARGE * 11, {413}),
    "chunks: of a file, over the limit": Sent(
        head(SENT_FILE, f"Content-Type: {FORM}", CHUNKS) + LARGE * 40, {400, 413}
    ),
    "chunks: no number": Sent(head(MANY, JSON, CHUNKS) + b"many\r\n{}", {400}),
    "chunks: astronomic": Sent(head(MANY, JSON, CHUNKS) + b"f" * 100 + b"\r\n{}", {400}),
    "chunks: half of one": Sent(head(MANY, JSON, CHUNKS) + b"2\r\n{", {408}),
    "chunks: another coding": Sent(head(MANY, JSON, "Transfer-Encoding: gzip") + b"{}", {400, 501}),
    "a body that stops": Sent(
        head(SENT_FILE, f"Content-Type: {FORM}", "Content-Length: 5000") + PURPOSE + (FILE % (b"file", b"a"))[:-3],
        {408},
    ),
    "a body that never begins": Sent(head(SENT_FILE, f"Content-Type: {FORM}", "Content-Length: 5000"), {408}),
    "a boundary of no text": Sent(
        head(SENT_FILE, "Content-Type: multipart/form-data; boundary=\xff", "Content-Length: 5", LAST) + b"--\xff\r\n",
        {400},
    ),
    "a key: none": Sent(head(LINE, LAST).replace(b"Authorization", b"A"), {401}),
    "a key: of no text": Sent(head(LINE, LAST).replace(b"Bearer KEY", b"Bearer \xff\xfe"), {401}),
    "a key: empty": Sent(head(LINE, LAST).replace(b"Bearer KEY", b"Bearer "), {401}),
    "a key: another scheme": Sent(head(LINE, LAST).replace(b"Bearer", b"Basic"), {401}),
    "a key: huge": Sent(head(LINE, LAST).replace(b"KEY", b"a" * 30_000), {401}),
    "a key: and one more": Sent(head(LINE, LAST).replace(b"KEY", b"KEY, Bearer KEY"), {401}),
    "a key: wrong as api-key": Sent(head(LINE, "api-key: '; --", LAST), {401}),
    "a key: wrong, with a large body": Sent(
        head(MANY, JSON, "Content-Length: 90000").replace(b"KEY", b"none") + b" " * 90_000, {401}
    ),
    "a key: wrong, with a body that stops": Sent(
        head(MANY, JSON, "Content-Length: 90000").replace(b"KEY", b"none") + b" " * 9, {401}
    ),
    "repeated: of no text": Sent(head(MANY, JSON, "Idempotency-Key: \xff", "Content-Length: 2", LAST) + b"{}", {400}),
    "repeated: empty": Sent(head(MANY, JSON, "Idempotency-Key: ", "Content-Length: 2", LAST) + b"{}", {400}),
    "repeated: huge": Sent(
        head(MANY, JSON, f"Idempotency-Key: {'a' * 9_000}", "Content-Length: 2", LAST) + b"{}", {400}
    ),
    "no such method": Sent(head("BREW /v1/files HTTP/1.1", LAST), {405}),
    "one that is not for this": Sent(head("TRACE /v1/files HTTP/1.1", LAST), {405}),
    "two at once": Sent(head(LINE) + head(LINE, LAST), {200}),
}


def say(server: Live, data: bytes) -> int | None:
    """Sends bytes, and returns the status of the first answer; the server must end the connection by itself."""
    place = urlsplit(server.url)
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=PATIENCE_S) as connection:
        heard = b""
        try:
            connection.sendall(data.replace(b"KEY", server.key.encode()))
            while piece := connection.recv(65_536):
                heard += piece
        except ConnectionError:
            pass  # cut in the middle of what we send: what was heard counts
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", heard)
    return int(match[1]) if match else None


def test_what_comes_over_the_wire(hostile: Live) -> None:
    with ThreadPoolExecutor(8) as talkers:
        heard = dict(zip(WIRE, talkers.map(lambda sent: say(hostile, sent.data), WIRE.values()), strict=True))
    assert {case: status for case, status in heard.items() if status not in WIRE[case].statuses} == {}


def test_who_goes_away_in_the_middle_leaves_nothing(hostile: Live) -> None:
    place = urlsplit(hostile.url)
    for path in ("/v1/files", "/v1/fine_tuning/jobs", "/v1/nowhere"):
        sent = head(f"POST {path} HTTP/1.1", f"Content-Type: {FORM}", "Content-Length: 200000") + PURPOSE + FILE
        sent = sent.replace(b"KEY", hostile.key.encode())
        for cut in range(0, len(sent), 40):
            with socket.create_connection((str(place.hostname), place.port or 0), timeout=PATIENCE_S) as connection:
                connection.sendall(sent[:cut])


@pytest.mark.parametrize(("key", "status"), [("KEY", b"413"), ("none", b"401")])
def test_who_is_refused_while_sending_hears_why(hostile: Live, key: str, status: bytes) -> None:
    # Most clients look for an answer when all is sent. If the connection were closed on what they send, the answer
    # would be lost with it, and they would try again.
    place = urlsplit(hostile.url)
    sent = head(SENT_FILE, f"Content-Type: {FORM}", "Content-Length: 2000000").replace(b"KEY", key.encode())
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=PATIENCE_S) as connection:
        connection.sendall(sent.replace(b"KEY", hostile.key.encode()))
        assert connection.recv(1, socket.MSG_PEEK), "it has answered"
        for _ in range(20):
            connection.sendall(b"a" * 100_000)
        heard = b""
        while piece := connection.recv(65_536):
            heard += piece
    assert heard.startswith(b"HTTP/1.1 " + status)
    assert heard.endswith(b"}")


def test_parts_of_a_file_that_cannot_be_had(client: httpx2.Client, known: dict[str, str]) -> None:
    path = f"/v1/files/{known['file_id']}/content"
    many = "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 8_000, 2))
    for part in ("bytes=0-0", "bytes=9999999-", "bytes=9-1", "bytes=-0", "bytes=a-b", "bytes", "", "lines=1-2", many):
        answer = client.get(path, headers={"Range": part})
        assert answer.status_code in {200, 206, 400, 416}, part


def test_without_keys_hosts_and_origins_that_are_none_are_refused(start: Callable[..., Live]) -> None:
    server = start(auth=False)
    request = head(LINE, LAST)
    for host in (b"[", b"[::1", b"evil", b"localhost@evil", b"127.0.0.1.evil", b"\xff", b"::1]"):
        assert say(server, request.replace(b"localhost", host)) in {400, 403}, host
    for origin in ("null", "http://[", "http://evil", "file://", "\xff", "//", "http://localhost.evil"):
        assert say(server, head(LINE, f"Origin: {origin}", LAST)) == 403, origin
    assert say(server, request) == 200
