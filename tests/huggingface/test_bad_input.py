"""Each wrong thing is one clear error, before anything is made; and nothing is left behind."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hf_tools import chat, client_of, left_in, run_python, write
from templates import THINKING

from ftkit import DPO, ORPO, Client, Supervised, retrying
from ftkit.errors import DatasetError, FtkitError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = [chat("a", "b")] * 10


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return client_of(tmp_path)


@pytest.fixture
def refused(client: Client, tmp_path: Path, model: Path) -> Callable[..., str]:
    """Asks for a job, which must be refused by an error of that kind; returns what it says."""

    def refuse(kind: type[FtkitError], content: str | None = None, **changes: Any) -> str:
        train = tmp_path / "train.jsonl"
        if content is None:
            write(train, GOOD)
        else:
            train.write_text(content, encoding="utf-8")
        asked: dict[str, Any] = {"model": str(model), "train": train, "progress": False, **changes}
        with pytest.raises(kind) as caught:
            client.fine_tune(**asked)
        assert left_in(tmp_path / "jobs") == []
        assert client.list_files().items == ()
        return str(caught.value)

    return refuse


def line(row: object) -> str:
    return json.dumps(row) + "\n"


def test_a_file_that_is_not_there(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "nowhere.jsonl" in refused(DatasetError, train=tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", ["empty"]),
        ("\n\n", ["there are 0 rows"]),
        (line(GOOD[0]) * 2 + "{broken\n" + line(GOOD[0]) * 9, ["train.jsonl:3"]),
        (line(GOOD[0]) * 9 + line({"messages": [{"role": "user", "content": "?"}]}), ["train.jsonl:10", "assistant"]),
        (
            line(GOOD[0]) * 9 + line({"messages": [{"role": "robot", "content": "x"}, *GOOD[0]["messages"]]}),
            ["train.jsonl:10", "unknown role 'robot'"],
        ),
        (line({"question": "a", "answer": "b"}) * 10, ["train.jsonl:1"]),
    ],
)
def test_data_that_is_wrong_is_told_by_its_line(refused: Callable[..., str], content: str, told: list[str]) -> None:
    said = refused(DatasetError, content)
    assert all(word in said for word in told), said


def test_a_validation_file_that_is_wrong_stops_it_as_well(refused: Callable[..., str], tmp_path: Path) -> None:
    bad = tmp_path / "valid.jsonl"
    bad.write_text("{broken\n")
    assert "valid.jsonl:1" in refused(DatasetError, validation=bad)


def test_a_row_that_the_template_refuses_is_told_by_its_line(
    refused: Callable[..., str], model: Path, tmp_path: Path
) -> None:
    strict = tmp_path / "strict"
    shutil.copytree(model, strict)
    (strict / "chat_template.jinja").write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ m.content }}<|im_end|>{% endfor %}"
    )
    system = {"messages": [{"role": "system", "content": "x"}, *GOOD[0]["messages"]]}
    said = refused(DatasetError, line(GOOD[0]) * 9 + line(system), model=str(strict))
    assert "train.jsonl:10" in said
    assert "no system" in said


def test_a_template_that_does_not_tell_the_answers_apart_can_be_learnt_whole(
    client: Client, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "thinking"
    shutil.copytree(model, folder)
    (folder / "chat_template.jinja").write_text(THINKING)
    two = {"messages": [*GOOD[0]["messages"], *GOOD[0]["messages"]]}
    train = write(tmp_path / "train.jsonl", [two] * 10)
    report = client.check(train, model=str(folder), provider_options={"train_on": "all"})
    assert report.ok
    assert report.tokens is not None
    assert report.tokens.total > 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": Supervised(learning_rate=1e-3, learning_rate_multiplier=2.0)}, "say two different things"),
        ({"method": ORPO()}, "no method 'orpo'"),
        ({"method": DPO(), "provider_options": {"packing": True}}, "DPO has no packing"),
        ({"provider_options": {"max_lenght": 3}}, "did you mean 'max_length'?"),
        ({"suffix": "no spaces"}, "cannot be a suffix"),
        ({"model": "/no/such/folder"}, "there is no folder '/no/such/folder'"),
        ({"model": "~nobody-of-that-name/x"}, "there is no folder"),
        ({"model": "no/such/model"}, "neither a folder nor a name on the Hub"),
        ({"model": "ftkit/large"}, "its one own model is 'ftkit/small'"),
    ],
)
def test_a_request_that_cannot_be_done(refused: Callable[..., str], changes: dict[str, Any], told: str) -> None:
    assert told in refused(UnsupportedError, **changes)


def test_data_of_another_kind_than_the_method_takes(refused: Callable[..., str]) -> None:
    assert "chat records are not accepted here" in refused(DatasetError, method=DPO())


def test_a_model_of_the_hub_that_is_not_in_the_cache_offline(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "ATTEMPTS", 1)
    said = refused(FtkitError, model="nobody/nothing-of-that-name")
    assert "is not in the Hub's cache on this machine" in said
    assert "ftkit/small" in said


FULL = """
import json, resource, sys
from pathlib import Path
from ftkit._preflight import request_of
from ftkit.errors import ProviderError
from ftkit.providers.huggingface import huggingface

train, jobs, model, limit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
provider = huggingface(jobs_folder=jobs)
file = provider.upload(train, "first")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for call in (lambda: provider.upload(train, "second"), lambda: provider.create_job(
    request_of(model=model, training_file=file), "k"
)):
    try:
        call()
    except ProviderError as error:
        print(json.dumps(str(error)))
"""


def test_a_disk_that_takes_no_more_leaves_nothing(model: Path, tmp_path: Path) -> None:
    # A limit on the size of files is what everyone can set; a disk that is full fails at the same places.
    train, jobs = write(tmp_path / "train.jsonl", [chat("a" * 100, "b" * 100)] * 40), tmp_path / "jobs"
    script = tmp_path / "full.py"
    script.write_text(FULL)
    upload, job = map(json.loads, run_python(script, train, jobs, model, 100).splitlines())
    assert f"'train.jsonl' could not be copied in {jobs / 'files'}" in upload
    assert f"the job could not be written in {jobs}" in job
    assert left_in(jobs) == []
    assert len(list((jobs / "files").iterdir())) == 2, "the first upload, and its note"


BARE = """
import sys
from importlib.machinery import PathFinder
class WithoutTorch:
    find_distributions = PathFinder.find_distributions
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name == "torch" else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutTorch
from ftkit import Client
from ftkit.errors import MissingExtraError
try:
    Client("huggingface")
except MissingExtraError as error:
    print(error)
"""


def test_a_missing_extra_is_told_with_the_line_that_installs_it(tmp_path: Path) -> None:
    script = tmp_path / "bare.py"
    script.write_text(BARE)
    told = run_python(script)
    assert told == "Local training needs packages that are not installed.\n  -> pip install 'ftkit[local]'\n"
    assert not (tmp_path / "ftkit-home" / "huggingface").exists()
