"""migrate: what it says, what it asks, and how it ends. Real moves are in tests/migrate."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab_provider import VENDORS, ftkit, make
from talker import Person

from ftkit import Client
from ftkit.archive import export
from ftkit.cli._exits import Status
from ftkit.migrate import Move, Moved

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.testing import MemoryVendor


@pytest.fixture
def job(night: Client, vendor: MemoryVendor) -> str:
    made = night.fine_tune("base", "train.jsonl", validation="train.jsonl", wait=False, progress=False)
    vendor.advance(made.id, "succeeded")
    make(account="day")
    return f"night:{made.id}"


@pytest.fixture
def day_goes_by(job: str) -> Generator[None]:
    """Lets each job of the profile `day` come to its end."""
    del job
    over = threading.Event()

    def go_by() -> None:
        while not over.is_set():
            for each in list(VENDORS["day"].jobs.values()):
                if each.status != "succeeded":
                    VENDORS["day"].advance(each.id, "succeeded")
            time.sleep(0.01)

    thread = threading.Thread(target=go_by)
    thread.start()
    yield
    over.set()
    thread.join()


def test_a_dry_run_sends_nothing(job: str) -> None:
    done = ftkit("migrate", job, "--to", "day", "--model", "other", "--dry-run")
    assert (done.status, done.errors) == (0, "")
    assert "base -> lab: other" in done.output
    assert "not carried over: 2 things" in done.output
    told = ftkit("migrate", job, "--to", "day", "--model", "other", "--dry-run", "--json", "--n-epochs", "5")
    assert Move.model_validate_json(told.output).method.hyperparameters() == {"n_epochs": 5}
    assert VENDORS["day"].jobs == {}
    assert not Client("day").list_files().items


def test_nobody_is_there_to_be_asked(job: str) -> None:
    done = ftkit("migrate", job, "--to", "day", "--model", "other")
    assert done.status == Status.WRONG
    assert "nobody is there to be asked" in done.errors
    assert "--yes goes on" in done.errors
    assert VENDORS["day"].jobs == {}


@pytest.mark.usefixtures("day_goes_by")
def test_it_trains_and_compares(job: str) -> None:
    words = ("migrate", job, "--to", "day", "--model", "other", "--yes", "--limit", "2", "-o", "moved.md")
    done = ftkit(*words)
    assert done.status == 0, done.errors
    assert "Is the new model as good?" in done.output
    assert "To let it answer: ftkit deploy day:" in done.output
    assert "Is the new model as good?" in Path("moved.md").read_text()
    again = Moved.model_validate_json(ftkit(*words, "--json").output)
    assert [*VENDORS["day"].jobs] == [again.job.id]


@pytest.mark.usefixtures("day_goes_by")
def test_without_a_comparison(job: str) -> None:
    done = ftkit("migrate", job, "--to", "day", "--model", "other", "--yes", "--no-compare", "--json")
    assert json.loads(done.output)["evaluation"] is None


@pytest.mark.parametrize(
    ("words", "status", "word"),
    [
        (["night:job-none", "--to", "day"], 1, "job-none"),
        (["openia:job-none", "--to", "day"], 2, "openia"),
        (["--to", "nowhere"], 2, "nowhere"),
        (["--to", "day", "--metric", "nice"], 2, "there is no metric 'nice'"),
        (["--to", "day", "--archive", "nothing"], 2, "there is no folder 'nothing'"),
        (["--to", "day", "-o", "x.txt"], 2, "none of the endings"),
        (["--to", "day", "--set", "epochs=3"], 2, "epochs"),
    ],
)
def test_what_is_wrong(job: str, words: list[str], status: int, word: str) -> None:
    names = words if ":" in words[0] else [job, *words]
    done = ftkit("migrate", *names, "--model", "other", "--yes")
    assert (done.status, word in done.errors) == (status, True), done.errors
    assert VENDORS["day"].jobs == {}


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is POSIX")
@pytest.mark.parametrize("says", ["n", "Ctrl-C"])
def test_who_is_asked_may_say_no(job: str, night: Client, says: str) -> None:
    export(night, "archive", progress=False)
    words = ["migrate", job, "--archive", "archive", "--to", "memory", "--model", "other"]
    person = Person([sys.executable, "-m", "ftkit", *words], os.environ)
    person.sees("compared on: at most 100 rows of ")
    person.sees("Train it there?")
    if says == "n":
        person.types("n\r")
        person.sees("Nothing was sent.")
        assert person.status() == Status.NO
    else:
        person.stops()
        person.sees("Stopped.")
        assert person.status() == Status.INTERRUPTED
