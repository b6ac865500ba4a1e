"""`ftkit check`: what a user types, and what comes of it. No account, no network."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ftkit import checkup, reports
from ftkit.checkup import Whose
from ftkit.cli import app
from ftkit.models import Problem, Report, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

VARIABLES = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "OPENAI_BASE_URL", "FTKIT_PROFILE")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(question: str, answer: str, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": question}, {"role": "assistant", "content": answer}]}


def write(path: Path, *rows: object) -> str:
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in rows))
    return path.name


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["check", *words])


def test_a_good_file_is_ready_and_the_status_is_0(folder: Path) -> None:
    found = run(write(folder / "a.jsonl", row("q", "a whole answer")))
    assert found.exit_code == 0
    assert found.stdout == "a.jsonl: ready\n\n  rows      1 of chat\n  found     nothing\n"


def test_a_bad_file_is_told_in_groups_within_80_columns(folder: Path) -> None:
    rows = [row("q", "a whole answer"), *[row("q", "an answer", "bott")] * 2000, "{'messages': []}"]
    found = run(write(folder / "a.jsonl", *rows))
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 50
    assert "  found     2,001 errors" in lines
    start = lines.index("  unknown-role: 2,000 times")
    assert lines[start + 1 : start + 3] == ["    line 2  messages[0].role", "      unknown role 'bott'."]
    assert "    and 1,997 more, on lines 5, 6, 7, 8, 9, ..." in lines
    assert lines[-1] == "  ftkit check a.jsonl --fix mended.jsonl"


def test_errors_warnings_and_notes_are_apart() -> None:
    problems = [
        Problem(code="a", message="first."),
        Problem(severity=Severity.NOTE, code="c", message="third."),
        Problem(severity=Severity.WARNING, code="b", message="second.", count=7),
        Problem(severity=Severity.WARNING, code="b", message="and 12,345 more like these: b.", count=12_345),
    ]
    said = reports.render(Report(source="x", problems=tuple(problems)))
    assert said.index("ERRORS") < said.index("first.") < said.index("WARNINGS") < said.index("second.")
    assert said.index("second.") < said.index("NOTES") < said.index("third.")
    assert "1 error, 12,346 warnings, 1 note" in said
    assert "and 12,345 more" in said


def test_the_report_as_json_is_the_report(folder: Path) -> None:
    name = write(folder / "a.jsonl", row("q", "a whole answer"), "{")
    found = run(name, "--json")
    assert found.exit_code == 1
    assert Report.model_validate_json(found.stdout) == checkup.examine(name)


MINI = ("--provider", "openai", "--model", "gpt-4o-mini-2024-07-18")
PROMPTS = {
    "empty.txt": " \n",
    "cut.json": '[{"role": "user", "content": "a',
    "number.json": '[{"role": "user", "content": 1}]',
    "other.json": '{"prompt": "a"}',
    "train.jsonl": '{"messages": []}\n{"messages": []}\n',
}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--provider", "opnai", "--model", "x"], "did you mean 'openai'"),
        (["--provider", "openai"], "no model"),
        (["--prompt", "a.jsonl"], "Name --provider and --model"),
        (["--calls-per-day", "9"], "--prompt FILE"),
        (["--provider", "openai", "--model", "m", "--prompt", "no.txt"], "no.txt"),
        (["--model", "x"], "no provider"),
        (["--method", "dop"], "unknown fine-tuning method 'dop'; did you mean 'dpo'"),
        (["--warnings", "duplicate"], "did you mean 'duplicates'"),
        (["--columns", "a"], "'a' names no column"),
        (["--columns", "a=promt"], "did you mean 'prompt'"),
        (["--drop", "errors"], "--fix"),
        (["--n-epochs", "3"], "Name --provider and --model"),
        (["--option", "x=1"], "Name --provider and --model"),
        (["--option", "x", *MINI], "'x' names no option"),
        ([*MINI, "--prompt", "empty.txt"], "'empty.txt': the prompt is empty"),
        ([*MINI, "--prompt", "cut.json"], "begins like JSON, and is none"),
        ([*MINI, "--prompt", "number.json"], "messages[0]: its content"),
        ([*MINI, "--prompt", "other.json"], "holds no messages"),
        ([*MINI, "--prompt", "train.jsonl"], "several lines of JSON, as training data"),
        (["--fix", "a.jsonl"], "is the data set itself"),
        (["--fix", "b.jsonl", "--drop", "error"], "did you mean 'errors'"),
    ],
)
def test_wrong_arguments_have_the_status_2_and_one_clear_error(words: list[str], says: str, folder: Path) -> None:
    for name, text in PROMPTS.items():
        (folder / name).write_text(text)
    found = run(write(folder / "a.jsonl", row("q", "a whole answer")), *words)
    assert found.exit_code == 2
    assert found.stderr.startswith("error: ")
    assert says in found.stderr
    assert found.stdout == ""


@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-4.1-mini"), ("azure", "gpt-4o-mini-2024-07-18")])
def test_without_an_account_nothing_is_asked_and_the_rules_are_the_provider_s(
    provider: str, model: str, folder: Path
) -> None:
    rows = [row(f"q {n}", "a whole <|endoftext|>" if n == 3 else "an answer") for n in range(10)]
    found = run(write(folder / "a.jsonl", *rows), "--provider", provider, "--model", model, "--json")
    report = Report.model_validate_json(found.stdout)
    assert [(p.code, p.line) for p in report.errors] == [("special-token", 4)]
    assert [p.code for p in report.problems if p.severity is Severity.NOTE] == ["no-account"]
    assert "not-asked" not in {p.code for p in report.problems}  # nobody tried to
    assert not (folder / "home").exists()


def test_without_the_vendor_s_package_the_table_is_enough(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    for name in [
        name for name in sys.modules if name.startswith(("ftkit.providers.openai", "ftkit.providers._openai"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    rows = [row(f"q {n}", "an answer") for n in range(9)]
    report = checkup.examine(write(folder / "a.jsonl", *rows), Whose("openai", "gpt-4.1-mini"))
    assert [(p.code, p.severity) for p in report.problems] == [
        ("too-few-rows", Severity.ERROR),
        ("no-account", Severity.NOTE),
    ]


def test_the_method_decides_which_records_are_taken(folder: Path) -> None:
    name = write(folder / "a.jsonl", row("q", "a whole answer"))
    assert run(name, "--method", "supervised").exit_code == 0
    assert "kind-not-accepted" in run(name, "--method", "dpo").stdout
    assert (
        run(write(folder / "b.jsonl", {"prompt": "q", "chosen": "a", "rejected": "b"}), "--method", "dpo").exit_code
        == 0
    )


def test_warnings_are_chosen_by_name_and_are_no_errors(folder: Path) -> None:
    name = write(folder / "a.jsonl", *[row("to bob@acme.io", "a whole answer")] * 2)
    valid = write(folder / "valid.jsonl", row("to bob@acme.io", "a whole answer"))
    codes = {
        words: {p["code"] for p in json.loads(run(name, *words, "--json").stdout)["problems"]}
        for words in [(), ("--warnings", "none"), ("--warnings", "all"), ("--warnings", "duplicates,roles")]
    }
    assert [*codes.values()] == [{"personal-data"}, set(), {"personal-data", "duplicate"}, {"duplicate"}]
    found = run(name, "--validation", valid)
    assert found.exit_code == 0
    assert "the row is in the validation file as well" in found.stdout


def test_the_validation_file_is_looked_over_too(folder: Path) -> None:
    name = write(folder / "a.jsonl", row("q", "a whole answer"))
    bad = write(folder / "bad.jsonl", row("other", "a whole answer", "bott"))
    for words in [(), ("--fix", "b.jsonl"), ("--provider", "huggingface", "--model", "ftkit/small")]:
        found = run(name, "--validation", bad, *words)
        assert found.exit_code == 1, words
        assert "validation file: unknown role 'bott'" in found.stdout
    assert checkup.examine(name, validation=bad).errors[0].source == bad


def test_epochs_and_options_are_the_provider_s(folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    (home / "prices.toml").write_text('[[prices]]\nprovider = "azure"\ntier = "globalSTANDARD"\ntraining = 1000\n')
    name = write(folder / "a.jsonl", *[row(f"q {n}", "a whole answer") for n in range(12)])
    words = (name, "--provider", "azure", "--model", "gpt-4o-mini", "--n-epochs", "2", "--json")
    report = Report.model_validate_json(run(*words, "--option", "training_type=GlobalStandard").stdout)
    assert report.estimate is not None
    assert report.tokens is not None
    assert (report.estimate.n_epochs, report.estimate.assumes) == (2, ())
    assert report.estimate.cost == 2 * report.tokens.total / Decimal(1000)
    assert "no option 'depth'" in run(*words[:-1], "--option", "depth=1").stdout


def test_a_mended_copy_is_written_and_told(folder: Path) -> None:
    name = write(folder / "a.jsonl", row("to bob@acme.io", "a whole answer", "human"), "", {"x": 1})
    found = run(name, "--fix", "b.jsonl")
    assert found.exit_code == 1
    assert "b.jsonl: 2 of 2 rows, 2 changes" in found.stdout
    assert "the role 'human' is now 'user'." in found.stdout
    assert "personal-data" in found.stdout
    again = run(name, "--fix", "b.jsonl", "--drop", "errors", "--json")
    assert again.exit_code == 0
    assert (json.loads(again.stdout)["written"], run("b.jsonl").exit_code) == (1, 0)


def test_columns_are_mapped(folder: Path) -> None:
    name = write(folder / "a.jsonl", {"question": "q", "answer": "a whole answer"})
    assert run(name, "--columns", "question=prompt", "--columns", "answer=completion").exit_code == 0


LONG = "Name the ingredients, and nothing else. " * 60


@pytest.mark.parametrize("prompt", [LONG, json.dumps([{"role": "system", "content": LONG}])], ids=["text", "messages"])
def test_whether_the_training_pays_is_told_where_the_prompt_of_today_is_named(prompt: str, folder: Path) -> None:
    (folder / "today.txt").write_text(prompt)
    source = write(folder / "a.jsonl", *[row(f"question {n}", f"a whole answer {n}") for n in range(20)])
    words = (source, "--provider", "openai", "--model", "gpt-4o-mini-2024-07-18", "--prompt", "today.txt")
    found = run(*words)
    assert found.exit_code == 0, found.stdout
    assert "  worth it  it pays after " in found.stdout
    report = Report.model_validate_json(run(*words, "--json").stdout)
    assert report.break_even is not None
    assert report.break_even.pays
    cached = Report.model_validate_json(run(*words, "--json", "--cached", "1").stdout).break_even
    assert cached is not None
    assert cached.untuned_call is not None
    assert report.break_even.untuned_call is not None
    assert cached.untuned_call < report.break_even.untuned_call


def test_where_no_price_is_known_whether_it_pays_is_not_known(folder: Path) -> None:
    (folder / "today.txt").write_text(LONG)
    source = write(folder / "a.jsonl", *[row(f"question {n}", f"a whole answer {n}") for n in range(20)])
    found = run(source, "--provider", "azure", "--model", "gpt-4o-mini-2024-07-18", "--prompt", "today.txt")
    assert "not known" in found.stdout.partition("worth it")[2].partition("model")[0]
