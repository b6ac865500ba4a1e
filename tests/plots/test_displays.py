"""What a notebook shows of nouns, read back from the HTML."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, TypeAdapter

from ftkit import (
    DPO,
    ChatReply,
    Checkpoint,
    Client,
    Deployment,
    DeploymentStatus,
    Estimate,
    FineTuningJob,
    JobRequest,
    JobStatus,
    LoRA,
    Metrics,
    Page,
    Problem,
    RecordKind,
    Reinforcement,
    Report,
    Results,
    Severity,
    Supervised,
    TrainingFile,
    models,
)
from ftkit.models import DatasetRules, Lifecycle, Noun
from ftkit.testing import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVIL = "<script>alert('x')</script>\"&"
VOID = {"br", "path", "line", "polyline"}


class Reader(HTMLParser):
    """Reads the rows of tables, and all text; refuses tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def read(noun: Any) -> Reader:
    return Reader(noun._repr_html_())


def cells(noun: Any) -> dict[str, str]:
    return {row[0]: row[1] for row in read(noun).rows if len(row) == 2}


def job(**more: Any) -> FineTuningJob:
    return FineTuningJob(**{"id": "j", "provider": "p", "status": JobStatus.RUNNING, "model": "m", **more})


def measured(count: int) -> Results:
    return Results(
        Metrics(step=n, train_loss=1 / n, full_valid_loss=2 / n if n % 50 == 0 else None) for n in range(1, count + 1)
    )


# -- any noun ----------------------------------------------------------------------------------------------------------


def test_a_job_shows_the_fields_that_are_set() -> None:
    seen = cells(
        job(
            method=Supervised(n_epochs=3, lora=LoRA(r=8)),
            created_at=datetime(2026, 11, 24, 12, 0, 5, tzinfo=UTC),
            trained_tokens=1234567,
            seed=1234567,
        )
    )
    assert list(seen)[:9] == ["id", "provider", "status", "model", "method", "n_epochs", "lora", "r", "seed"]
    assert seen["status"] == "\N{BLACK CIRCLE} running"
    assert seen["created_at"] == "2026-11-24 12:00:05 UTC"
    assert (seen["trained_tokens"], seen["seed"]) == ("1,234,567", "1234567")
    assert (seen["n_epochs"], seen["r"]) == ("3", "8")
    assert seen["method"].startswith("supervised")
    assert not {"suffix", "error", "metadata", "interrupted"} & {*seen}


def test_times_are_shown_in_utc() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=timezone(timedelta(hours=2)))
    changed = job().model_copy(update={"created_at": noon})  # which checks nothing
    assert cells(changed)["created_at"] == "2026-11-24 10:00:00 UTC"


def test_false_is_shown_where_it_says_something() -> None:
    seen = cells(DatasetRules(layout="l", accepts=frozenset({RecordKind.CHAT}), weights=False))
    assert (seen["weights"], seen["accepts"]) == ("no", "chat")


def test_money_has_its_currency_beside_it() -> None:
    standing = {"name": "d", "provider": "p", "status": DeploymentStatus.RUNNING, "model": "m"}
    seen = cells(Deployment(**standing, price_per_hour=Decimal("1.70"), currency="EUR"))
    assert seen["price_per_hour"] == "1.70 EUR"
    assert "currency" not in {*seen, *cells(Deployment(**standing))}


def test_a_page_is_a_table_with_a_row_each() -> None:
    page = Page[FineTuningJob](items=(job(), job(id="k", method=DPO(beta=0.5))), next="k")
    rows = [row for row in read(page).rows if len(row) == 5]
    assert [row[0] for row in rows] == ["id", "j", "k"]
    assert [row[4] for row in rows] == ["method", "", "dpo (beta 0.5)"]


def every_noun() -> Iterator[BaseModel]:
    """Yields an example of each noun, with evil words wherever it takes words."""
    for kind in [kind for kind in vars(models).values() if isinstance(kind, type) and issubclass(kind, Noun)]:
        if kind not in {Noun, Page}:
            yield kind.model_validate(example(kind))
    yield Page[Checkpoint](items=(Checkpoint(id=EVIL, job_id="j", step=1, model=EVIL),))


def example(kind: type[BaseModel]) -> dict[str, Any]:
    """Returns values for a noun: evil words for every field that takes words."""
    values: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        allowed = str(field.annotation)
        if allowed in {"<class 'str'>", "str | None"} and name != "currency":
            values[name] = EVIL
    needed = {
        "status": "unknown", "step": 1, "training_file": {"id": EVIL, "provider": EVIL}, "accepts": ["chat"],
        "created_at": "2026-11-24T12:00:00", "asked_at": "2026-11-24T12:00:00", "state": "made", "same": False,
        "pays": False, "min": 1, "max": 1, "mean": 1.5, "median": 1.0, "p5": 1.0, "p95": 1.0, "total": 1, "trained": 1,
        "longest": 1, "prompt_tokens": 1, "completion_tokens": 1, "kind": "chat",
    }  # fmt: skip
    kinds = {"Asked": "job", "Kept": "file"}
    fields = {name: value for name, value in needed.items() if name in kind.model_fields and name not in values}
    fields |= {"kind": kinds[kind.__name__]} if kind.__name__ in kinds else {}
    return values | fields


@pytest.mark.parametrize("noun", [pytest.param(noun, id=type(noun).__name__) for noun in every_noun()])
def test_words_of_others_are_text(noun: BaseModel) -> None:
    seen = read(noun)
    assert "script" not in seen.tags
    holds = any(value == EVIL for _, value in noun) or "training_file" in type(noun).model_fields
    assert not holds or EVIL in "".join(seen.words)


def test_every_noun_is_tried() -> None:
    assert len([*every_noun()]) > 20


def test_a_metadata_label_is_text() -> None:
    assert EVIL in "".join(read(job(metadata={EVIL: EVIL})).words)


def test_no_secret_is_shown() -> None:
    secret, other = "hush-hush", "sk-" + "a1" * 20
    options = {
        "api_key": secret,
        "deep": [{"hubToken": secret, "url": f"https://me:{secret}@host/"}],
        "credentials": {"user": secret},
        "words": f"the key is {other}",
    }
    request = JobRequest(
        model="m",
        training_file=TrainingFile(id="f", provider="p"),
        method=Reinforcement(grader={"type": "python", "secret": secret}),
        provider_options=options,
        metadata={"password": secret},
    )
    for shown in (request, Page[JobRequest](items=(request,)), ChatReply(text=f"it is {other}", model="m")):
        html = shown._repr_html_()
        assert secret not in html
        assert other not in html
        assert "***" in html


def test_long_words_are_cut_and_that_is_said() -> None:
    words = "".join(read(ChatReply(text="a" * 50_000, model="m")).words)
    assert len(words) < 3000
    assert "and 48,000 more letters" in words


# -- reports -----------------------------------------------------------------------------------------------------------


def problems(count: int, code: str, **more: Any) -> tuple[Problem, ...]:
    return tuple(
        Problem(code=code, message=f"wrong {n}", line=n, source="t.jsonl", **more) for n in range(1, count + 1)
    )


def test_a_report_tells_its_facts_and_its_problems_by_sort() -> None:
    report = Report(
        source="t.jsonl",
        kind=RecordKind.CHAT,
        rows=1204,
        problems=(
            *problems(1, "rare", excerpt=EVIL),
            *problems(7, "often", fix="Mend it."),
            Problem(code="odd", message="hm", severity=Severity.WARNING),
        ),
        estimate=Estimate(cost=Decimal("12.50"), source="the list"),
        lifecycle=Lifecycle(model="m", training_ends=date(2999, 1, 1)),
    )
    seen = read(report)
    words = "".join(seen.words)
    assert "t.jsonl: \N{BLACK CIRCLE} not ready" in words
    facts = cells(report)
    assert facts["rows"] == "1,204 of chat"
    assert facts["price"] == "12.50 USD: the list"
    assert "2999-01-01" in facts["model"]
    assert words.index("8 errors") < words.index("often 7 times") < words.index("rare") < words.index("1 warning")
    assert words.count("Mend it.") == 1
    assert "and 2 more, on lines 6, 7" in words
    assert EVIL in words


def test_a_report_says_ready_in_the_words_of_the_text() -> None:
    ready = Report(source="t", rows=1)
    over = ready.model_copy(update={"lifecycle": Lifecycle(model="m", training_ends=date(2020, 1, 1))})
    assert "\N{BLACK CIRCLE} ready" in "".join(read(ready).words)
    assert "the model may take no jobs any more" in "".join(read(over).words)


def test_a_report_shows_at_most_a_hundred_problems() -> None:
    many = tuple(problem for n in range(40) for problem in problems(10, f"sort-{n}"))
    seen = read(Report(source="t.jsonl", rows=1, problems=many))
    assert len([row for row in seen.rows if row[-1].startswith("wrong")]) == 100
    words = "".join(seen.words)
    assert "400 errors" in words
    assert "and 200 more problems of other sorts" in words


def test_a_problem_of_the_other_file_says_so() -> None:
    other = Problem(code="c", message="m", line=3, source="valid.jsonl")
    assert ["file", "line", "what"] in read(Report(source="t.jsonl", problems=(other,))).rows
    assert ["line", "what"] in read(Report(source="valid.jsonl", problems=(other,))).rows


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_results_are_a_list() -> None:
    results = measured(3)
    assert results == list(results)
    assert isinstance(results[1:], Results)
    assert results[1:] == list(results)[1:]
    assert results[-1].step == 3
    assert repr(results) == repr(list(results))
    assert copy.deepcopy(results) == pickle.loads(pickle.dumps(results)) == results  # noqa: S301 - our own
    adapter = TypeAdapter(list[Metrics])
    assert adapter.validate_json(adapter.dump_json(results)) == results


def test_a_client_gives_results() -> None:
    class Measured(MemoryProvider):
        def results(self, job_id: str) -> list[Metrics]:
            del job_id
            return [*measured(2)]

    results = Client(Measured()).results("j")
    assert type(results) is Results
    assert results == measured(2)


def test_results_are_a_table_of_what_was_measured() -> None:
    rows = Results([Metrics(step=1, train_loss=2.0), Metrics(step=1000, valid_loss=0.5, extra={EVIL: 7.25})])
    head, *body = read(rows).rows
    assert head == ["step", "train_loss", "valid_loss", EVIL]
    assert body == [["1", "2", "", ""], ["1,000", "", "0.5", "7.25"]]


def test_long_results_are_thinned_and_that_is_said() -> None:
    seen = read(measured(10_000))
    steps = [int(row[0].replace(",", "")) for row in seen.rows[1:]]
    assert (len(steps), steps[0], steps[-1]) == (20, 1, 10_000)
    assert steps == sorted(set(steps))
    assert max(b - a for a, b in itertools.pairwise(steps)) < 2 * 10_000 / 19
    assert "20 of 10,000 rows" in "".join(seen.words)
    assert all(row[2] for row in seen.rows[2:])  # rows with validation are preferred
    assert len(read(measured(20)).rows) == 21
    assert "rows:" not in "".join(read(measured(20)).words)


def places(html: str) -> list[list[tuple[float, float]]]:
    lines = re.findall(r'<polyline points="([^"]+)"', html)
    return [[(float(x), float(y)) for x, y in (place.split(",") for place in line.split())] for line in lines]


def test_the_drawing_shows_the_losses() -> None:
    rows = Results(Metrics(step=n, train_loss=loss, valid_loss=4.0) for n, loss in ((1, 4.0), (2, 2.0), (3, 0.0)))
    html = rows._repr_html_()
    training, validation = places(html)
    assert [x for x, _ in training] == [x for x, _ in validation]
    assert training[1] == (pytest.approx((training[0][0] + training[2][0]) / 2), (training[0][1] + training[2][1]) / 2)
    assert {y for _, y in validation} == {training[0][1]}
    assert training[0][1] < training[2][1]  # downwards, as the loss goes
    assert "stroke-dasharray" in html.split("<polyline")[2]
    colors = set(re.findall(r'(?:stroke|fill)="([^"]+)"', html))
    assert colors == {"currentColor", "none"}


def test_a_drawing_of_odd_numbers() -> None:
    odd = Results(Metrics(step=n, train_loss=x) for n, x in enumerate((float("nan"), 1e308, -1e308, float("inf"))))
    assert len(places(odd._repr_html_())[0]) == 2
    assert "nan" not in str(places(odd._repr_html_()))
    for none in (Results(), Results([Metrics(step=1, train_loss=1.0)]), Results([Metrics(step=0, learning_rate=1.0)])):
        assert "<svg" not in none._repr_html_()
    assert "nothing was measured so far" in "".join(read(Results()).words)
    assert places(Results(Metrics(step=5, train_loss=0.0) for _ in range(2))._repr_html_())


# -- a real notebook ---------------------------------------------------------------------------------------------------

CELLS = [
    """
from ftkit import Client, Metrics, Results
from ftkit.plots import Run, figure
client = Client("memory")
job = client.fine_tune("any-model", "train.jsonl", progress=False)
job
""",
    'client.check("train.jsonl", model="any-model")',
    "rows = Results([Metrics(step=1, train_loss=2.0), Metrics(step=2, train_loss=1.0)])\nrows",
    'figure(Run("a", rows))',
]

RUN = """
import json, sys, nbformat
from nbclient import NotebookClient
cells = [nbformat.v4.new_code_cell(source) for source in json.loads(sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print(json.dumps([cell.outputs for cell in notebook.cells]))
"""


def test_a_notebook_shows_it_all(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    (tmp_path / "train.jsonl").write_text((json.dumps({"messages": turns}) + "\n") * 12)
    command = [sys.executable, "-c", RUN, json.dumps(CELLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    shown, report, results, drawn = (outputs[-1]["data"] for outputs in json.loads(done.stdout.splitlines()[-1]))
    assert "succeeded" in "".join(Reader(shown["text/html"]).words)
    assert "train.jsonl:" in "".join(Reader(report["text/html"]).words)
    assert "<svg" in results["text/html"]
    assert drawn["image/png"].startswith("iVBOR")
