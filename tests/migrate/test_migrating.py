"""Moves from one provider to another, with models that answer by a rule; real ones are in test_real_moves.py."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from oracle import Oracle, rows, write

from ftkit import (
    Client,
    ConfigurationError,
    ConflictError,
    DatasetError,
    JobStatus,
    NotFoundError,
    Problem,
    Supervised,
    UnsupportedError,
)
from ftkit.archive import Archive, export
from ftkit.archive.answering import record_answers
from ftkit.evaluate import Finding
from ftkit.migrate import Comparison, Move, Moved, migrate, plan
from ftkit.migrate.times import in_words, likely
from ftkit.models import DPO, ORPO

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit import FineTuningJob, JobRequest


class Narrow(Oracle):
    """Knows epochs and no other hyperparameter, no suffix, and no message longer than twelve letters."""

    def problems(self, request: JobRequest) -> list[Problem]:
        found = super().problems(request)
        if isinstance(request.method, Supervised):
            extra = request.method.hyperparameters().keys() - {"n_epochs"}
            found += [
                Problem(code="unknown", field=f"method.{name}", message="it is not known.") for name in sorted(extra)
            ]
        if request.suffix:
            found.append(Problem(code="unknown", field="suffix", message="names are its own."))
        return found


class Old:
    """An account with a tuned model that is to be left."""

    def __init__(self, folder: Path, records: list[dict[str, Any]] | None = None, **settings: Any) -> None:
        self.oracle = Oracle(name="old")
        self.client = Client(self.oracle)
        self.folder = folder
        train = write(folder / "old-train.jsonl", records or rows(*range(20)))
        validation = write(folder / "old-validation.jsonl", rows(*range(100, 130)))
        settings = {"method": Supervised(n_epochs=2, learning_rate_multiplier=1.8), "suffix": "numbers", **settings}
        self.job = self.wait(self.client.fine_tune("gpt", train, validation=validation, wait=False, **settings))

    def wait(self, job: FineTuningJob) -> FineTuningJob:
        return self.client.wait(job, poll_s=0.01, progress=False)


@pytest.fixture
def old(tmp_path: Path) -> Old:
    return Old(tmp_path)


def moved(old: Old, new: Oracle, source: Any = None, **more: Any) -> Moved:
    given: dict[str, Any] = {"model": "open", "folder": old.folder / "move", "progress": False, **more}
    return migrate(source or old.client, old.job.id, Client(new), **given)


class TestPlan:
    def test_what_is_carried_over_and_what_is_lost(self, old: Old, tmp_path: Path) -> None:
        new = Narrow()
        found = plan(old.client, old.job.id, Client(new), model="open", folder=tmp_path / "move")
        assert found.method == Supervised(n_epochs=2)
        assert (found.suffix, found.model) == (None, "open")
        assert [(each.field, each.severity.value) for each in found.lost] == [
            ("method.learning_rate_multiplier", "error"),
            ("suffix", "error"),
            ("fine_tuned_model", "note"),
            ("provider_options", "note"),
        ]
        assert new.vendor.jobs == {}
        assert not Client(new).list_files().items, "nothing was sent"
        fetched = (tmp_path / "move" / "train.jsonl").read_text().splitlines()
        assert [*map(json.loads, fetched)] == rows(*range(20))
        assert "not carried over: 4 things" in str(found)
        assert "  suffix: names are its own." in str(found)
        assert Move.model_validate_json(found.model_dump_json()) == found

    def test_a_hyperparameter_can_be_asked_for(self, old: Old, tmp_path: Path) -> None:
        client = Client(Oracle())
        found = plan(
            old.client, old.job, client, model="open", folder=tmp_path / "move", hyperparameters={"n_epochs": 5}
        )
        assert found.method == Supervised(n_epochs=5, learning_rate_multiplier=1.8)
        other = plan(old.client, old.job, client, model="open", folder=tmp_path / "move", method=Supervised(n_epochs=1))
        assert other.method == Supervised(n_epochs=1)

    def test_a_method_that_is_not_there(self, tmp_path: Path) -> None:
        pairs = [
            {
                "input": {"messages": [{"role": "user", "content": f"{n}?"}]},
                "preferred_output": [{"role": "assistant", "content": "a"}],
                "non_preferred_output": [{"role": "assistant", "content": "b"}],
            }
            for n in range(12)
        ]
        old = Old(tmp_path)
        train = write(tmp_path / "pairs.jsonl", pairs)
        job = old.wait(old.client.fine_tune("gpt", train, method=DPO(), wait=False))
        new = Client(Oracle(methods=frozenset({Supervised, ORPO})))
        with pytest.raises(UnsupportedError, match=r"there is no 'dpo' here\. There is: orpo, supervised"):
            plan(old.client, job, new, model="open", folder=tmp_path / "move")

    def test_a_job_that_came_to_nothing(self, old: Old, tmp_path: Path) -> None:
        again = old.client.fine_tune("gpt", tmp_path / "old-train.jsonl", key="again", wait=False)
        old.client.cancel_job(again)
        with pytest.raises(ConflictError, match="is cancelled, and no model has come of it"):
            plan(old.client, again.id, Client(Oracle()), model="open", folder=tmp_path / "move")

    def test_a_file_that_is_gone_can_be_given(self, old: Old, tmp_path: Path) -> None:
        assert old.job.training_file is not None
        old.client.delete_file(old.job.training_file)
        with pytest.raises(NotFoundError) as raised:
            moved(old, Oracle())
        assert "--train" in str(raised.value.hint)
        assert moved(old, Oracle(), train=tmp_path / "old-train.jsonl").job.status is JobStatus.SUCCEEDED

    def test_the_folder_of_another_move(self, old: Old, tmp_path: Path) -> None:
        moved(old, Oracle(), comparison=None)
        other = Old(tmp_path, rows(*range(30)))
        with pytest.raises(ConfigurationError, match="is the folder of another move, that of"):
            moved(other, Oracle())

    def test_how_long_it_may_take(self, tmp_path: Path) -> None:
        began = datetime(2026, 11, 1, tzinfo=UTC)

        class Timed(Oracle):
            def _job(self, job: Any) -> FineTuningJob:
                times = {"started_at": began, "finished_at": began + timedelta(seconds=50)}
                return super()._job(job).model_copy(update={**times, "trained_tokens": 5000})

        client = Client(Timed())
        assert str(likely(client, "open", None)).startswith("not known: its tokens could not be counted")
        assert str(likely(client, "open", 10)).startswith("not known: no job of open has ended in this account")
        file = client.upload(write(tmp_path / "train.jsonl", rows(*range(20))), model="open")
        client.wait(client.create_job(model="open", training_file=file), poll_s=0.01, progress=False)
        assert (
            str(likely(client, "open", 60_000)) == "about 10.0 min: at 100 tokens a second, as in 1 job of open before"
        )
        assert [in_words(each) for each in (12, 90, 7200)] == ["12 s", "1.5 min", "2.0 h"]


class TestMove:
    def test_the_new_model_is_held_against_the_old(self, old: Old) -> None:
        found = moved(old, Oracle())
        assert found.job.provider == "memory"
        assert found.evaluation is not None
        assert [each.name for each in found.evaluation.standings] == ["old", "new, untuned", "new"]
        assert found.evaluation["old"].account == old.client.identity()
        verdict = found.evaluation.verdict
        assert verdict is not None
        assert (verdict.question, verdict.rival) == ("Is the new model as good?", "old")
        assert verdict.finding is Finding.UNPROVEN  # 30 equal answers do not prove it is within five points
        assert moved(old, Oracle(), folder=old.folder / "2", comparison=Comparison(as_good=-0.2)).evaluation is not None

    def test_one_that_learns_nothing_is_not_as_good(self, old: Old) -> None:
        found = moved(old, Oracle(learns=False)).evaluation
        assert found is not None
        assert found.verdict is not None
        assert found.verdict.finding is Finding.NO

    def test_the_same_move_again_costs_nothing(self, old: Old) -> None:
        new = Oracle()
        first, asked = moved(old, new), len(new.asked) + len(old.oracle.asked)
        again = moved(old, new)
        assert again.job.id == first.job.id
        assert again.evaluation == first.evaluation
        assert (len(new.vendor.jobs), len(new.asked) + len(old.oracle.asked)) == (1, asked)

    def test_rows_that_are_refused(self, tmp_path: Path) -> None:
        tools = json.loads('[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]')
        broken: list[dict[str, Any]] = [*rows(*range(20)), {"messages": rows(1)[0]["messages"], "tools": tools}]

        class Plain(Oracle):
            def rules(self, method: Any, model: str) -> Any:
                return super().rules(method, model).model_copy(update={"tools": False})

        new, other = Plain(), Old(tmp_path, broken)
        with pytest.raises(DatasetError, match="refuses 1 row of the old data; nothing was sent"):
            moved(other, new)
        assert not Client(new).list_files().items
        found = moved(other, new, drop_errors=True)
        assert [each.line for each in found.move.lost if each.code == "dropped"] == [21]
        assert "  train.jsonl, line 21: the row is left out: " in str(found.move)
        assert found.job.status is JobStatus.SUCCEEDED

    def test_nothing_is_sent_before_it_is_agreed_to(self, old: Old) -> None:
        new = Oracle()

        def no(move: Move) -> None:
            raise ConfigurationError(f"not {move.model}")

        with pytest.raises(ConfigurationError, match="not open"):
            moved(old, new, confirm=no)
        assert (new.vendor.jobs, Client(new).list_files().items) == ({}, ())

    def test_rows_that_were_trained_on_are_told(self, old: Old) -> None:
        found = moved(old, Oracle(), comparison=Comparison(rows=rows(3, 4, 200))).evaluation
        assert found is not None
        assert found.seen == 2

    def test_rows_that_cannot_be_asked_are_told_before_it_trains(self, old: Old) -> None:
        new = Oracle()
        with pytest.raises(DatasetError, match="1 of the rows cannot be asked"):
            moved(old, new, comparison=Comparison(rows=[[{"role": "user", "content": "No answer?"}]]))
        with pytest.raises(DatasetError, match="nowhere"):
            moved(old, new, comparison=Comparison(rows=old.folder / "nowhere.jsonl"))
        assert (new.vendor.jobs, Client(new).list_files().items) == ({}, ())

    def test_no_rows_to_compare_on(self, tmp_path: Path) -> None:
        old = Old(tmp_path)
        job = old.wait(old.client.fine_tune("gpt", tmp_path / "old-train.jsonl", wait=False))
        found = migrate(old.client, job, Client(Oracle()), model="open", folder=tmp_path / "m", progress=False)
        assert found.evaluation is None
        assert "had no validation file" in str(found)
        named = migrate(
            old.client,
            job,
            Client(Oracle()),
            model="open",
            folder=tmp_path / "m",
            progress=False,
            comparison=Comparison(rows=rows(200, 201)),
        )
        assert named.evaluation is not None


class TestGone:
    def test_the_old_model_is_gone_and_the_job_is_not(self, old: Old) -> None:
        def gone(messages: Any, tuned: Any) -> Exception:
            del messages, tuned
            return NotFoundError("the model was shut down", provider="old")

        old.oracle.refuses = gone
        found = moved(old, Oracle())
        assert found.not_compared is not None
        assert "cannot be asked any more: old: the model was shut down" in found.not_compared
        assert found.evaluation is not None
        assert [each.name for each in found.evaluation.standings] == ["new, untuned", "new"]
        assert found.evaluation.verdict is not None
        assert found.evaluation.verdict.finding is Finding.YES

    def test_from_an_archive_with_its_answers(self, old: Old, tmp_path: Path) -> None:
        export(old.client, tmp_path / "archive", progress=False)
        told = record_answers(old.client, tmp_path / "archive")
        assert [str(each) for each in told] == [f"{old.job.id}: 30 answers recorded"]
        asked = len(old.oracle.asked)
        assert record_answers(old.client, tmp_path / "archive")[0].answers == 30
        assert len(old.oracle.asked) == asked
        found = moved(old, Oracle(), Archive(tmp_path / "archive"))
        assert len(old.oracle.asked) == asked
        assert found.evaluation is not None
        assert found.evaluation["old"].scores["exact match"].mean == 1
        assert found.not_compared is None

    def test_from_an_archive_without_answers(self, old: Old, tmp_path: Path) -> None:
        export(old.client, tmp_path / "archive", progress=False)
        found = moved(old, Oracle(), Archive(tmp_path / "archive"))
        assert "none of its answers to these rows were recorded" in str(found)
        assert found.evaluation is not None
        assert [each.name for each in found.evaluation.standings] == ["new, untuned", "new"]

    def test_from_an_archive_with_some_of_its_answers(self, old: Old, tmp_path: Path) -> None:
        export(old.client, tmp_path / "archive", progress=False)
        record_answers(old.client, tmp_path / "archive", limit=12, max_tokens=9)
        for path in (tmp_path / "archive").rglob("*"):
            path.chmod(0o500 if path.is_dir() else 0o400)
        found = moved(old, Oracle(), Archive(tmp_path / "archive"))
        assert "has answered 12 of these 30 rows: only those are compared" in str(found)
        assert found.evaluation is not None
        assert found.evaluation["old"].asked == 12
        assert "Beware: old was asked with max_tokens 9, temperature 0.0, and not with temperature 0.0." in str(found)

    def test_other_rows_can_be_asked_before_it_is_gone(self, old: Old, tmp_path: Path) -> None:
        export(old.client, tmp_path / "archive", progress=False)
        told = record_answers(old.client, tmp_path / "archive", rows=rows(50, 51, 52))
        assert [(each.answers, each.asked) for each in told] == [(3, 3)]
        again = record_answers(old.client, tmp_path / "archive", rows=rows(50, 51, 52, 53))
        assert str(again[0]) == f"{old.job.id}: 4 answers recorded (3 there already)"
        found = moved(old, Oracle(), Archive(tmp_path / "archive"), comparison=Comparison(rows=rows(50, 51, 52, 53)))
        assert found.not_compared is None
        assert found.evaluation is not None
        assert found.evaluation["old"].scores["exact match"].mean == 1

    def test_answers_of_what_cannot_be_asked(self, old: Old, tmp_path: Path) -> None:
        again = old.client.fine_tune("gpt", tmp_path / "old-train.jsonl", key="again", wait=False)
        old.client.cancel_job(again)
        alone = old.wait(old.client.fine_tune("gpt", tmp_path / "old-train.jsonl", key="alone", wait=False))
        export(old.client, tmp_path / "archive", progress=False)
        told = {each.job_id: each.why for each in record_answers(old.client, tmp_path / "archive", limit=2)}
        lacking = "it has no validation file: name rows to ask, rows=... (--test FILE)"
        assert told == {again.id: "it is cancelled", alone.id: lacking, old.job.id: None}
