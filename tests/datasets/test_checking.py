from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ANY_KIND, CHAT, OF_KIND, PREFERENCE, Row, chat, write_csv, write_lines, write_parquet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftkit.datasets import check
from ftkit.errors import ConfigurationError, DatasetError, FtkitError
from ftkit.models import DatasetRules, RecordKind, Report, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}
CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
CALLED = "messages[1].tool_calls[0].function"
CALLS = {"role": "assistant", "tool_calls": [CALL]}
BLANK = [{"type": "text", "text": " "}]
RESULT = {"role": "tool", "content": "2", "tool_call_id": "c"}


def m(*messages: Any, **more: Any) -> Row:
    return {"messages": [*messages], **more}


def calls(*made: Any) -> Row:
    return m(USER, {"role": "assistant", "tool_calls": [*made]})


def pref(**fields: Any) -> Row:
    return {"prompt": "q", "chosen": "good", "rejected": "bad", **fields}


def plain(**fields: Any) -> DatasetRules:
    return ANY_KIND.model_copy(update=fields)


ERRORS: list[tuple[str, Row, str, str]] = [
    ("no messages", m(), "empty-messages", "messages"),
    ("no message", m("hi", ANSWER), "not-a-message", "messages[0]"),
    ("no role", m({"content": "q"}, ANSWER), "missing-role", "messages[0].role"),
    ("unknown role", m({"role": "bot", "content": "q"}, ANSWER), "unknown-role", "messages[0].role"),
    ("role is a list", m({"role": [], "content": "q"}, ANSWER), "unknown-role", "messages[0].role"),
    ("no content", m({"role": "user"}, ANSWER), "missing-content", "messages[0].content"),
    ("null content", m({"role": "user", "content": None}, ANSWER), "missing-content", "messages[0].content"),
    ("a number", m({"role": "user", "content": 4}, ANSWER), "bad-content", "messages[0].content"),
    ("no parts", m({"role": "user", "content": []}, ANSWER), "bad-content", "messages[0].content"),
    ("a bare part", m({"role": "user", "content": ["a"]}, ANSWER), "bad-content", "messages[0].content[0]"),
    ("audio", m({"role": "user", "content": [{"type": "audio"}]}, ANSWER), "bad-content", "messages[0].content[0]"),
    (
        "no url",
        m({"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, ANSWER),
        "bad-content",
        "messages[0].content[0]",
    ),
    ("no assistant", m(USER), "no-assistant", "messages"),
    ("weight 2", m(USER, {**ANSWER, "weight": 2}), "bad-weight", "messages[1].weight"),
    ("weight true", m(USER, {**ANSWER, "weight": True}), "bad-weight", "messages[1].weight"),
    ("weight text", m(USER, {**ANSWER, "weight": "1"}), "bad-weight", "messages[1].weight"),
    ("weight list", m(USER, {**ANSWER, "weight": [1]}), "bad-weight", "messages[1].weight"),
    ("user's weight", m({**USER, "weight": 1}, ANSWER), "bad-weight", "messages[0].weight"),
    ("all weights 0", m(USER, {**ANSWER, "weight": 0}), "all-weights-zero", "messages"),
    ("name", m({**USER, "name": 4}, ANSWER), "bad-name", "messages[0].name"),
    ("tools are text", m(USER, ANSWER, tools="add"), "bad-tools", "tools"),
    ("a tool without a name", m(USER, ANSWER, tools=[{"function": {}}]), "bad-tools", "tools[0]"),
    ("parallel", m(USER, ANSWER, parallel_tool_calls="yes"), "bad-tools", "parallel_tool_calls"),
    ("calls are no list", m(USER, {**ANSWER, "tool_calls": "add"}), "bad-tool-call", "messages[1].tool_calls"),
    ("no calls", m(USER, {**ANSWER, "tool_calls": []}), "bad-tool-call", "messages[1].tool_calls"),
    ("user calls", m({**USER, "tool_calls": [CALL]}, ANSWER), "bad-tool-call", "messages[0].tool_calls"),
    ("no name", calls({"function": {"arguments": "{}"}}), "bad-tool-call", CALLED + ".name"),
    ("no function", calls(CALL, "add"), "bad-tool-call", "messages[1].tool_calls[1].function.name"),
    ("no arguments", calls({"function": {"name": "a"}}), "bad-tool-call", CALLED + ".arguments"),
    ("no text", calls({"function": {"name": "a", "arguments": {}}}), "bad-tool-call", CALLED + ".arguments"),
    ("no JSON", calls({"function": {"name": "a", "arguments": "x"}}), "bad-tool-call", CALLED + ".arguments"),
    ("NaN", calls({"function": {"name": "a", "arguments": '{"x": NaN}'}}), "bad-tool-call", CALLED + ".arguments"),
    (
        "no id",
        m(USER, CALLS, {"role": "tool", "content": "2"}, ANSWER),
        "unmatched-tool-call",
        "messages[2].tool_call_id",
    ),
    ("id of no call", m(USER, RESULT, CALLS, ANSWER), "unmatched-tool-call", "messages[1].tool_call_id"),
    (
        "id is a list",
        m(USER, CALLS, {**RESULT, "tool_call_id": []}, ANSWER),
        "unmatched-tool-call",
        "messages[2].tool_call_id",
    ),
    ("empty completion", {"prompt": "q", "completion": " "}, "empty-completion", "completion"),
    ("completion is a number", {"prompt": "q", "completion": 4}, "not-text", "completion"),
    ("prompt is an object", {"prompt": {}, "completion": "a"}, "not-text", "prompt"),
    ("empty text", {"text": "\n"}, "empty-text", "text"),
    ("text is a number", {"text": 4}, "not-text", "text"),
    ("empty chosen", pref(chosen=""), "empty-chosen", "chosen"),
    ("no chosen", pref(chosen=[]), "empty-chosen", "chosen"),
    ("empty message", pref(rejected=[{**ANSWER, "content": ""}]), "empty-rejected", "rejected[0].content"),
    ("empty part", pref(chosen=[{**ANSWER, "content": BLANK}]), "empty-chosen", "chosen[0].content"),
    ("same", pref(rejected="good"), "same-answers", "rejected"),
    ("same but for a weight", pref(chosen=[ANSWER], rejected=[{**ANSWER, "weight": 1}]), "same-answers", "rejected"),
    ("weight 0", pref(chosen=[{**ANSWER, "weight": 0}]), "weight-not-accepted", "chosen[0].weight"),
    ("user answers", pref(chosen=[USER]), "no-assistant", "chosen"),
    ("no prompt messages", pref(prompt=[]), "empty-messages", "prompt"),
    ("role in an answer", pref(chosen=[{"role": "gpt", "content": "a"}]), "unknown-role", "chosen[0].role"),
    ("no kind", {"question": "q"}, "unknown-kind", ""),
]


@pytest.mark.parametrize(("row", "code", "field"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS])
def test_a_bad_row_has_exactly_one_error_at_its_place(row: Row, code: str, field: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", ["", row])
    report = check(path, ANY_KIND)
    assert [(p.code, p.line, p.field or "", p.source) for p in report.errors] == [(code, 2, field, str(path))]
    assert report.errors[0].fix
    assert not report.ok


WARNINGS: list[tuple[str, Row, str, str | None]] = [
    ("last is the user", m(USER, ANSWER, USER), "last-not-assistant", "messages[2].role"),
    ("empty answer", m(USER, {**ANSWER, "content": ""}), "empty-answer", "messages[1].content"),
    ("empty part", m(USER, {**ANSWER, "content": BLANK}), "empty-answer", "messages[1].content"),
    ("user after the answer", pref(chosen=[ANSWER, USER]), "not-an-answer", "chosen[1].role"),
    ("user before the answer", pref(rejected=[USER, ANSWER]), "not-an-answer", "rejected[0].role"),
    ("other columns", {"text": "a", "id": 1}, "ignored-columns", None),
    ("other fields", m({**USER, "refusal": "x"}, ANSWER), "ignored-columns", None),
]


@pytest.mark.parametrize(("row", "code", "field"), [case[1:] for case in WARNINGS], ids=[case[0] for case in WARNINGS])
def test_an_odd_row_is_a_warning_and_passes(row: Row, code: str, field: str | None, tmp_path: Path) -> None:
    report = check(write_lines(tmp_path / "rows.jsonl", [row]), ANY_KIND)
    assert [(p.severity, p.code, p.field) for p in report.problems] == [(Severity.WARNING, code, field)]
    assert report.ok


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_good_rows_have_no_problems(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(OF_KIND)))
    rows = data.draw(st.lists(OF_KIND[kind], min_size=1, max_size=3))
    report = check(write_lines(tmp_path / "rows.jsonl", rows), ANY_KIND)
    assert report == Report(source=str(tmp_path / "rows.jsonl"), kind=kind, rows=len(rows))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "weight",
                    "name",
                    "tool_calls",
                    "tool_call_id",
                    "id",
                    "function",
                    "arguments",
                    "type",
                    "text",
                    "image_url",
                    "url",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NAMES = (
    "messages tools parallel_tool_calls prompt completion chosen rejected text input preferred_output "
    "non_preferred_output"
)


@given(st.lists(st.dictionaries(st.sampled_from(NAMES.split()), JSON, max_size=5), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_no_row_however_odd_breaks_the_check(tmp_path: Path, rows: list[Row]) -> None:
    report = check(write_lines(tmp_path / "rows.jsonl", rows), plain(max_bytes=10**6))
    assert report.rows == len(rows)
    assert all(
        problem.field or problem.code in {"unknown-kind", "mixed-kinds", "ignored-columns"}
        for problem in report.problems
    )


def test_the_printed_line_says_where_what_and_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "train.jsonl", [chat(), m(USER, {"role": "bot", "content": "a"}), "{'a': 1}"])
    monkeypatch.chdir(tmp_path)
    first, second = check("train.jsonl", CHAT).problems
    assert str(first) == "error: train.jsonl:2 messages[1].role: unknown role 'bot'. Use 'assistant'."
    assert str(second) == (
        "error: train.jsonl:3: wrong JSON: Expecting property name enclosed in double quotes at column 2. "
        "[{'a': 1}] JSON has double quotes; write each row with json.dumps."
    )


@pytest.mark.parametrize(
    ("role", "fix"),
    [
        ("gpt", "Use 'assistant'."),
        ("Human", "Use 'user'."),
        ("User", "Use 'user'."),
        ("asistant", "Use 'assistant'."),
        ("function", "Use 'tool'."),
        ("x", "Use one of assistant, developer, system, tool, user."),
    ],
)
def test_an_unknown_role_is_told_what_it_may_mean(role: str, fix: str, tmp_path: Path) -> None:
    report = check(write_lines(tmp_path / "rows.jsonl", [m({"role": role, "content": "q"}, ANSWER)]), CHAT)
    assert [problem.fix for problem in report.problems] == [fix]


def test_a_role_that_the_provider_does_not_know_is_told_its_nearest(tmp_path: Path) -> None:
    rules = plain(roles=frozenset({"system", "user", "assistant"}))
    path = write_lines(tmp_path / "rows.jsonl", [m({"role": "developer", "content": "q"}, ANSWER)])
    assert [problem.fix for problem in check(path, rules).errors] == ["Use 'system'."]


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [chat(), "{", m({"role": "bot"}), m(USER), {"text": "a"}, {"x": 1}, m()]
    report = check(write_lines(tmp_path / "rows.jsonl", rows), plain(min_rows=10))
    assert [(p.line, p.code) for p in report.problems] == [
        (2, "bad-json"),
        (3, "unknown-role"),
        (3, "missing-content"),
        (4, "no-assistant"),
        (5, "mixed-kinds"),
        (6, "unknown-kind"),
        (7, "empty-messages"),
        (None, "too-few-rows"),
    ]
    assert (report.rows, report.kind) == (7, RecordKind.CHAT)


def test_the_same_bad_rows_have_the_same_problems_in_every_format(tmp_path: Path) -> None:
    rows = [chat(), m(USER, {"role": "bot", "content": "a"}), m(USER)]
    found = [
        [(p.code, p.field) for p in check(write(tmp_path / name, rows), CHAT).problems]
        for write, name in ((write_lines, "a.jsonl"), (write_csv, "a.csv"), (write_parquet, "a.parquet"))
    ]
    assert found == [[("unknown-role", "messages[1].role"), ("no-assistant", "messages")]] * 3


def test_a_kind_that_is_not_accepted_is_told_once_with_those_that_are(tmp_path: Path) -> None:
    report = check(write_lines(tmp_path / "rows.jsonl", [{"text": "a"}, {"text": "b"}, {"text": ""}]), CHAT)
    assert [(p.code, p.line) for p in report.errors] == [("kind-not-accepted", 1), ("empty-text", 3)]
    assert report.errors[0].fix == "Accepted: chat."


def test_a_kind_that_can_be_converted_is_a_note(tmp_path: Path) -> None:
    report = check(write_lines(tmp_path / "rows.jsonl", [{"prompt": "q", "completion": "a"}] * 2), CHAT)
    assert [(p.severity, p.code) for p in report.problems] == [(Severity.NOTE, "converted")]
    assert (report.ok, report.kind) == (True, RecordKind.PROMPT_COMPLETION)


def test_a_row_that_cannot_be_converted_is_an_error_at_its_line(tmp_path: Path) -> None:
    rules = plain(accepts=frozenset({RecordKind.PROMPT_COMPLETION}))
    report = check(write_lines(tmp_path / "rows.jsonl", [chat(), m(USER, ANSWER, USER, ANSWER)]), rules)
    assert [(p.code, p.line) for p in report.errors] == [("lossy-conversion", 2)]


def test_a_row_of_two_kinds_is_read_as_the_accepted_one(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [{**pref(), **chat()}])
    assert check(path, CHAT).kind is RecordKind.CHAT
    assert check(path, PREFERENCE).kind is RecordKind.PREFERENCE


@pytest.mark.parametrize(
    ("rules", "row", "code"),
    [
        (plain(tools=False), m(USER, ANSWER, tools=[{"function": {"name": "a"}}]), "tools-not-accepted"),
        (plain(tools=False), m(USER, CALLS), "tools-not-accepted"),
        (plain(weights=False), m(USER, {**ANSWER, "weight": 0}, USER, ANSWER), "weight-not-accepted"),
        (plain(max_bytes=10), chat(), "file-too-big"),
        (plain(min_rows=2), chat(), "too-few-rows"),
    ],
)
def test_what_only_this_provider_refuses_is_an_error(rules: DatasetRules, row: Row, code: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [row])
    assert [problem.code for problem in check(path, rules).errors] == [code]
    assert check(path, ANY_KIND).ok


def test_a_weight_of_1_passes_where_weights_are_not_honoured(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [m(USER, {**ANSWER, "weight": 1})])
    assert check(path, plain(weights=False)).problems == ()


def test_no_answer_is_needed_where_a_grader_gives_the_score(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [m(USER)])
    assert check(path, plain(needs_assistant=False)).problems == ()


def test_the_size_that_counts_is_that_of_the_file_to_be_sent(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [" " * 1000 + '{"text": "a"}'])
    assert check(path, plain(max_bytes=13)).ok
    assert not check(path, plain(max_bytes=12)).ok


def test_ignored_columns_are_one_warning_with_their_names_and_rows(tmp_path: Path) -> None:
    rows = [{"text": "a", "id": 1}, {"text": "b"}, {"text": "c", "id": 2, "url": "x"}]
    (warning,) = check(write_lines(tmp_path / "rows.jsonl", rows), ANY_KIND).problems
    assert (warning.code, warning.count, warning.line) == ("ignored-columns", 2, None)
    assert "'id', 'url'" in warning.message


def test_a_thousand_problems_of_a_sort_are_kept_and_the_rest_counted(tmp_path: Path) -> None:
    report = check(write_lines(tmp_path / "rows.jsonl", [{"text": ""}] * 2500 + ["{"]), ANY_KIND)
    kept = [p for p in report.problems if p.line is not None]
    (rest,) = [p for p in report.problems if p.line is None]
    assert [p.code for p in kept] == ["empty-text"] * 1000 + ["bad-json"]
    assert (rest.code, rest.count, rest.severity) == ("empty-text", 1500, Severity.ERROR)


def test_a_file_that_is_not_there_is_a_problem_of_the_report(tmp_path: Path) -> None:
    report = check(tmp_path / "no.jsonl", ANY_KIND)
    assert (report.ok, report.rows, report.kind) == (False, 0, None)
    assert [problem.code for problem in report.problems] == ["missing-file"]


def test_a_file_without_rows_has_too_few(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[]")
    report = check(tmp_path / "rows.json", plain(min_rows=0))
    assert [problem.code for problem in report.errors] == ["too-few-rows"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (plain(layout="openai-preferences"), "did you mean 'openai-preference'"),
        (plain(layout="chat", accepts=frozenset({RecordKind.TEXT})), "cannot hold"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: DatasetRules, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=says):
        check(write_lines(tmp_path / "rows.jsonl", [chat()]), rules)


# -- tokens ------------------------------------------------------------------------------------------------------------


def letters(records: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    """Counts a letter as a token; upper-case ones are learnt from."""
    for record in records:
        yield len(record["text"]), sum(letter.isupper() for letter in record["text"])


def texts(tmp_path: Path, *words: str) -> Path:
    return write_lines(tmp_path / "rows.jsonl", [{"text": word} for word in words])


def test_tokens_are_summed(tmp_path: Path) -> None:
    report = check(texts(tmp_path, "aB", "CDEf"), ANY_KIND, count_tokens=letters)
    assert report.tokens is not None
    told = report.tokens.model_dump(include={"total", "trained", "longest", "mean", "capped"})
    assert told == {"total": 6, "trained": 4, "longest": 4, "mean": 3.0, "capped": 6}
    assert report.problems == ()


def test_a_counter_may_work_in_batches_and_lines_still_fit(tmp_path: Path) -> None:
    def all_at_once(records: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
        yield from list(letters(records))

    path = texts(tmp_path, "A", "", "b", "C", "d")
    for count in (letters, all_at_once):
        report = check(path, ANY_KIND, count_tokens=count)
        assert [(p.line, p.code) for p in report.errors] == [
            (2, "empty-text"),
            (3, "nothing-to-learn"),
            (5, "nothing-to-learn"),
        ]


def test_tokens_are_counted_on_what_the_training_gets(tmp_path: Path) -> None:
    seen: list[Any] = []

    def remember(records: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
        for record in records:
            seen.append(record)
            yield 1, 1

    check(write_lines(tmp_path / "rows.jsonl", [{"prompt": "2 + 2?", "completion": "4"}]), CHAT, count_tokens=remember)
    assert seen == [chat()]


@pytest.mark.parametrize(
    ("too_long", "words", "severity", "says"),
    [
        (
            "dropped",
            ["AA", "AAAA", "AAAAA"],
            Severity.WARNING,
            "2 of 3 rows are longer than 3 tokens and would be dropped: lines 2, 3; the longest is",
        ),
        (
            "truncated",
            ["AA", "AAAA"],
            Severity.WARNING,
            "1 of 2 rows are longer than 3 tokens and would be truncated: lines 2;",
        ),
        ("truncated", ["AAAA"], Severity.WARNING, "1 of 1 rows"),
        ("refused", ["AA", "AAAA"], Severity.ERROR, "1 of 2 rows are longer than 3 tokens and are refused"),
        ("dropped", ["AAAA"] * 9, Severity.ERROR, "so that none is left: lines 1, 2, 3, 4, 5 and 4 more;"),
    ],
)
def test_rows_that_are_too_long_are_one_problem(
    too_long: str, words: list[str], severity: Severity, says: str, tmp_path: Path
) -> None:
    report = check(texts(tmp_path, *words), plain(max_tokens=3, too_long=too_long), count_tokens=letters)
    (problem,) = report.problems
    assert (problem.code, problem.severity) == ("too-long", severity)
    assert problem.count == sum(len(word) > 3 for word in words)
    assert says in problem.message


def test_a_row_of_just_the_longest_length_is_not_too_long(tmp_path: Path) -> None:
    assert check(texts(tmp_path, "AAA"), plain(max_tokens=3), count_tokens=letters).problems == ()


def test_a_row_that_only_the_counter_refuses_is_an_error_at_its_line(tmp_path: Path) -> None:
    def refuses(records: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
        for record in records:
            if record["text"] == "B":
                raise DatasetError("only A can be learnt from.")
            yield 1, 1

    def all_at_once(records: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
        yield from list(refuses(records))

    path = texts(tmp_path, "A", "", "B", "A", "")
    found = [(p.line, p.code) for p in check(path, ANY_KIND, count_tokens=refuses).errors]
    assert found == [(2, "empty-text"), (3, "cannot-be-learnt"), (5, "empty-text")]
    whole = check(path, ANY_KIND, count_tokens=all_at_once).errors[-1]
    assert (whole.line, whole.message) == (None, "in one of the lines 1 to 3: only A can be learnt from.")


@pytest.mark.parametrize("answers", [1, 3])
def test_a_counter_that_answers_too_little_or_too_much_is_found_out(answers: int, tmp_path: Path) -> None:
    def wrong(records: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
        list(records)
        yield from [(1, 1)] * answers

    with pytest.raises(FtkitError, match="token counter"):
        check(texts(tmp_path, "A", "B"), ANY_KIND, count_tokens=wrong)


def test_checking_takes_no_more_memory_for_a_longer_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = write_lines(tmp_path / f"{rows}.jsonl", (chat(f"{i} " + "x" * 500, "y") for i in range(rows)))
        check(path, CHAT)
        tracemalloc.start()
        report = check(path, CHAT, count_tokens=lambda records: ((9, 1) for _ in records))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert report.tokens is not None
        assert report.tokens.total == 9 * rows
        return most

    assert peak(8000) < peak(500) + 100_000 < 1_000_000
