"""Rows are told so that each is found, layouts of others are told by their name, and a report hides nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ANY_KIND, CHAT, chat, write_lines

from ftkit import reports
from ftkit.datasets import (
    LAYOUTS,
    Layout,
    RuleBook,
    Shape,
    check,
    convert,
    read,
    register_layout,
    transcribe,
    watches_for,
)
from ftkit.datasets._shapes import LossError
from ftkit.datasets.records import At
from ftkit.datasets.records import Record as Row
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import DatasetRules, Estimate, Lifecycle, Problem, RecordKind, Report, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXTS = frozenset({RecordKind.TEXT})
MINE = DatasetRules(layout="mine", accepts=TEXTS)


# -- rows --------------------------------------------------------------------------------------------------------------


def test_elements_on_one_line_are_told_by_their_number(tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    source.write_text(json.dumps([chat("a"), chat("b"), chat("a"), {"messages": []}, 7]))
    found = check(source, ANY_KIND, watches=watches_for("duplicates"))
    assert [(p.line, p.message) for p in found.problems][:3] == [
        (1, "element 3 of the array: the row is the same as that of element 1."),
        (1, "element 4 of the array: there are no messages."),
        (1, "element 5 of the array: a row is an object, and this is a number."),
    ]
    with pytest.raises(DatasetError) as caught:
        transcribe(source, tmp_path / "b.jsonl", to="alpaca")
    assert {p.message.partition(":")[0] for p in caught.value.problems} == {f"element {n} of the array" for n in (4, 5)}
    source.write_text(json.dumps([chat("a"), 7], indent=1))
    assert "of the array" not in str(check(source, ANY_KIND))


def test_where_json_is_wrong_is_the_same_for_all_who_read_it(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", ['{"text": "a"'])
    (said,) = check(source, ANY_KIND).errors
    (row,) = read(source)
    assert row.problem == said
    assert "at column 13." in said.message


@pytest.mark.parametrize(
    ("name", "content", "rows", "says", "fix"),
    [
        ("a.json", '{"data": [{"text": "a"}, {"text": "b"}], "v": 1}', 2, "after the array", "nothing else"),
        ("a.json", '{"v": 1, "data": [{"text": "a"}]}', 1, "no field", "If 'data' holds the rows, write just that"),
        ("a.json", '{\n"v": 1,\n"data": [{"text": "a"}]\n}', 1, "first key holds no array", "an array of objects"),
        ("a.jsonl", "null\n", 1, "this is null", "Write an object in its place."),
        ("a.jsonl", '{"text": "a"}\r{"text": "b"}\r', 1, "lines end with CR only", "tr "),
        ("a.jsonl", '{"text": "a\tb"}\n', 1, "wrong JSON: Invalid control character at column 12.", "json.dumps does"),
    ],
)
def test_one_error_says_what_is_wrong_with_a_file_and_how_to_mend_it(
    name: str, content: str, rows: int, says: str, fix: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content.encode())
    report = check(tmp_path / name, ANY_KIND)
    (problem,) = report.errors
    assert report.rows == rows
    assert says in problem.message
    assert fix in str(problem.fix)


def test_a_kind_is_named_by_its_text_as_well() -> None:
    assert convert({"prompt": "2 + 2?", "completion": "4"}, "chat") == chat()
    with pytest.raises(ConfigurationError, match="no kind of record 'chta'; did you mean 'chat'"):
        convert(chat(), "chta")


# -- layouts of others -------------------------------------------------------------------------------------------------


def body(raw: Mapping[str, Any]) -> Row:
    return {"text": raw["body"]}


def as_body(record: Mapping[str, Any]) -> Row:
    return {"body": record["text"]}


def nothing(_: Mapping[str, Any]) -> Any:
    return None


def broken(given: Mapping[str, Any]) -> Any:
    return given["boddy"]


def loses(_: Mapping[str, Any]) -> Row:
    raise LossError(At("text"), "its text.", "Write less.")


BODY = Shape(RecordKind.TEXT, ("body",), body)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    ("reads", "says"),
    [
        (replace(BODY, canonical=broken), "KeyError: 'boddy'"),
        (replace(BODY, canonical=nothing), "its Shape returns null, and no record"),
        (replace(BODY, canonical=dict), "its Shape returns a text record without 'text'"),
        (replace(BODY, fits=broken), "KeyError: 'boddy'"),
    ],
)
def test_a_form_that_stumbles_over_a_row_is_a_problem_of_that_row(reads: Shape, says: str, tmp_path: Path) -> None:
    register_layout(Layout("mine", TEXTS, as_body, reads))
    source = write_lines(tmp_path / "a.jsonl", [{"text": "a"}, {"body": "b"}])
    with pytest.raises(DatasetError) as caught:
        transcribe(source, tmp_path / "b.jsonl", to="text")
    for problems in (check(source, ANY_KIND).errors, caught.value.problems):
        (problem,) = problems
        assert problem.line == 2
        assert problem.message == f"the layout 'mine' cannot read this row: {says}."


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    ("row", "says"),
    [
        (broken, "the layout 'mine' cannot write this row: KeyError: 'boddy'."),
        (nothing, "the layout 'mine' cannot write this row: it returns null, and no object."),
        (loses, "'mine' would lose its text."),
    ],
)
def test_a_layout_that_stumbles_over_a_row_is_a_problem_of_that_row(row: Any, says: str, tmp_path: Path) -> None:
    register_layout(Layout("mine", TEXTS, row, BODY))
    source = write_lines(tmp_path / "a.jsonl", [{"text": "a"}])
    with pytest.raises(DatasetError) as caught:
        transcribe(source, tmp_path / "b.jsonl", to="mine")
    for problems in (check(source, MINE).errors, caught.value.problems):
        (problem,) = problems
        assert (problem.line, problem.message) == (1, says)
        assert row is not loses or (problem.field, problem.fix) == ("text", "Write less.")


@pytest.mark.usefixtures("forgotten")
def test_a_problem_names_the_file_s_own_field(tmp_path: Path) -> None:
    register_layout(Layout("mine", TEXTS, as_body, BODY))
    (problem,) = check(write_lines(tmp_path / "a.jsonl", [{"body": ""}]), ANY_KIND).errors
    assert problem.field == "body"


@pytest.mark.usefixtures("forgotten")
def test_a_layout_that_could_not_be_used_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'Bad Name!' is no name of a layout"):
        register_layout(Layout("Bad Name!", TEXTS, dict))
    for kind, needs in ((RecordKind.TEXT, ("messages",)), (RecordKind.CHAT, ("messages", "x")), (RecordKind.TEXT, ())):
        with pytest.raises(ConfigurationError, match="which are known already: rows with"):
            register_layout(Layout("mine", frozenset({kind}), dict, Shape(kind, needs, dict)))
    assert "mine" not in LAYOUTS
    with pytest.raises(ConfigurationError, match="the rules: there is no layout 'chatt'; did you mean 'chat'"):
        RuleBook({"layout": "chatt", "accepts": ["chat"]}).rules("supervised", "m")


# -- reports -----------------------------------------------------------------------------------------------------------


def test_advice_that_differs_is_shown_and_each_line_is_named_once() -> None:
    same = [Problem(code="a", message=f"wrong {n}.", fix="Do this.", line=n) for n in (1, 2, 3, 4, 25, 25, 25)]
    other = [Problem(code="a", message="odd.", fix=fix, line=30) for fix in ("Do that.", "Do those.")]
    said = reports.render(Report(source="x", problems=(*same, *other)))
    for fix in ("Do this.", "Do that.", "Do those."):
        assert f"-> {fix}" in said
    assert "and 6 more, on lines 2, 3, 4, 25\n" in said
    assert "--json" in said


def test_a_mend_is_offered_where_it_may_help_with_the_name_of_the_file(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a b.jsonl", [{"messages": []}])
    assert "--fix" not in reports.render(check(source, CHAT))
    source = write_lines(tmp_path / "a b.jsonl", ["{", "{'text': 'a'}"])
    assert f"\n  ftkit check '{source}' --fix mended.jsonl" in reports.render(check(source, CHAT))


def test_a_model_that_takes_no_jobs_any_more_is_not_just_ready() -> None:
    past = Lifecycle(model="m", training_ends=date(2020, 1, 5), source="its page")
    assert reports.render(Report(source="x", lifecycle=past)).startswith("x: the data is ready, but the model may")
    assert reports.render(Report(source="x")).startswith("x: ready\n")


def test_prices_and_dates_are_told_once() -> None:
    dates = Lifecycle(model="m", training_ends=date(2027, 1, 5), note="for all", source="its page")
    ending = Problem(severity=Severity.WARNING, code="ending", message="the end is near.", field="model")
    report = Report(source="x", estimate=Estimate(source="nobody says"), lifecycle=dates)
    assert "  price     unknown: nobody says" in reports.render(report)
    assert "its page" in reports.render(report)
    told = reports.render(report.model_copy(update={"problems": (ending,)}))
    assert "can be trained until 2027-01-05" in told
    assert "its page" not in told
    assert "for all" not in told
