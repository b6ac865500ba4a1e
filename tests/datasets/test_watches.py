from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ANY_KIND, Row, chat, write_lines

from ftkit.datasets import WARNINGS, check, watches_for
from ftkit.datasets._personal import personal
from ftkit.datasets._seen import Seen
from ftkit.errors import ConfigurationError
from ftkit.models import Report, Severity

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-" + "abcdefgh" * 4
ANSWER = "a whole answer"


def looked(tmp_path: Path, rows: list[Any], wanted: Any = "all", **options: Any) -> Report:
    path = write_lines(tmp_path / "rows.jsonl", rows)
    return check(path, ANY_KIND, watches=watches_for(wanted, **options))


def told(report: Report) -> list[tuple[str, int | None]]:
    return [(problem.code, problem.line) for problem in report.problems]


def pair(prompt: str, completion: str) -> Row:
    return {"prompt": prompt, "completion": completion}


def forms_of(text: str) -> list[Row]:
    """Returns a text, a message and a part of one that say it."""
    asked = {"role": "user", "content": [{"type": "text", "text": text}]}
    return [{"text": text}, chat(text, ANSWER), {"messages": [asked, {"role": "assistant", "content": ANSWER}]}]


def test_good_rows_are_not_warned_of(tmp_path: Path) -> None:
    rows = [chat(f"What is {n} + {n}?", f"It is {n + n}, as 2 times {n}.") for n in range(50)]
    assert told(looked(tmp_path, rows)) == []


@pytest.mark.parametrize(
    "text",
    [
        "write to bob@example.com or root@localhost.test",
        "clone git@github.com:me/it.git, version 1.2.3.4, +1 +2 = 3",
        "1234 5678 9012 3456 and 1700000000000 and 4111 1111 1111 1112",
        "DE00 3704 0044 0532 0130 00",
        "ISBN 978-3-16-148410-0, 2026-11-27 12:00:00, 000-12-3456",
        "an@ other @here a@b",
        "high_quality sk-short Bearer x Bearer $OPENAI_API_KEY npm_config_user_agent_of_mine",
        "image@2x.png and lodash@next.min.js",
    ],
)
def test_what_only_looks_like_personal_data_is_no_alarm(text: str) -> None:
    assert list(personal(text)) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("from bob.smith@acme.io, today", "an e-mail address"),
        ("card 4111 1111 1111 1111.", "a card number"),
        ("3782-822463-10005", "a card number"),
        ("to DE89 3704 0044 0532 0130 00", "a bank account (IBAN)"),
        ("GB82WEST12345698765432", "a bank account (IBAN)"),
        ("call +49 30 1234567", "a phone number"),
        ("call +1 (212) 555-0100", "a phone number"),
        ("no. 123-45-6789", "a social security number"),
        (f"use {KEY} for it", "a key or a password"),
        ("postgres://me:hunter22@db.acme.io/x", "a key or a password"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow", "a private key"),
    ],
)
def test_personal_data_is_found_and_not_shown(text: str, what: str, tmp_path: Path) -> None:
    (problem,) = looked(tmp_path, [chat("tell", f"well: {text}")]).problems
    assert (problem.code, problem.line, problem.field) == ("personal-data", 1, "messages[1].content")
    assert problem.severity is Severity.WARNING
    assert what in problem.message
    for secret in (KEY, "hunter22", "bob.smith", "1111 1111", "822463", "0044", "123456", "555", "MIIE"):
        assert secret not in str(problem)


def test_no_problem_of_any_sort_shows_a_key(tmp_path: Path) -> None:
    rows = [f"{{'key': '{KEY}'}}", {"messages": [{"role": KEY, "content": "q"}, {"role": "assistant", "content": "a"}]}]
    report = looked(tmp_path, [*rows, {"text": 4, "id": KEY}])
    assert len(report.errors) == 3
    assert KEY not in report.model_dump_json()


def test_very_short_answers_are_told_if_most_are_longer(tmp_path: Path) -> None:
    rows = [pair(f"q {n}", ANSWER + str(n)) for n in range(30)]
    report = looked(tmp_path, [*rows, pair("q", "ok"), chat("q", "no")][:31])
    assert [(p.code, p.line, p.field, p.excerpt) for p in report.problems] == [("short-answer", 31, "completion", "ok")]
    assert told(looked(tmp_path, [pair(f"q {n}", "ab"[n % 2]) for n in range(30)])) == []


def test_thousands_of_short_answers_are_all_counted(tmp_path: Path) -> None:
    report = looked(tmp_path, [pair(f"q {n}", "x" if n % 11 == 0 else ANSWER) for n in range(16_500)], "short-answers")
    assert sum(p.count for p in report.problems) == 1500


def test_roles_out_of_balance_are_told_of_the_whole(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be short."}
    rows = [chat(f"q {n}", ANSWER) for n in range(3)]
    rows[2]["messages"].insert(0, system)
    (problem,) = looked(tmp_path, rows).problems
    assert problem.code == "role-imbalance"
    assert "1 of 3 rows have a system message, and 2 not; line 3 is the first with one." in problem.message
    (little,) = looked(tmp_path, [chat("q" * 1000, "yes, it is")], "roles").problems
    assert "1.0% of all letters are learnt from" in little.message
    asked = {"role": "user", "content": "hello there"}
    (silent,) = looked(tmp_path, [{"messages": [asked, asked, *chat("q", ANSWER)["messages"]]}], "roles").problems
    assert "3 messages of users, and 1 answers" in silent.message


def test_calls_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    def call(name: str) -> Row:
        made = {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}
        return {"role": "assistant", "tool_calls": [made]}

    asked = {"role": "user", "content": "q"}
    result = {"role": "tool", "content": "2", "tool_call_id": "add"}
    tools = [{"type": "function", "function": {"name": "add"}}]
    good = [
        {"messages": [asked, call("add")], "tools": tools},
        {"messages": [asked, call("add"), result, {"role": "assistant", "content": ANSWER}], "tools": tools},
        {"messages": [asked, call("sub")]},
    ]
    assert told(looked(tmp_path, good, "tools")) == []
    bad = {"messages": [asked, call("sub"), asked, {"role": "assistant", "content": ANSWER}], "tools": tools}
    assert [(p.code, p.field) for p in looked(tmp_path, [bad], "tools").problems] == [
        ("unknown-tool", "messages[1].tool_calls[0].function.name"),
        ("unanswered-call", "messages[1].tool_calls[0]"),
    ]


# -- across rows -------------------------------------------------------------------------------------------------------


def test_repeated_rows_are_told_with_the_line_that_they_repeat(tmp_path: Path) -> None:
    near = chat("What  is it ?!", "\u00abA whole ANSWER\u00bb")
    rows = [chat("What is it?", ANSWER), chat("other", ANSWER), near, chat("What is it?", ANSWER)]
    assert told(looked(tmp_path, rows, ["duplicates"])) == [("duplicate", 4)]
    assert told(looked(tmp_path, rows, ["near-duplicates"])) == [("near-duplicate", 3), ("near-duplicate", 4)]
    report = looked(tmp_path, rows, ["duplicates", "near-duplicates"])
    assert told(report) == [("near-duplicate", 3), ("duplicate", 4)]
    assert "line 1" in report.problems[0].message
    assert "line 1" in report.problems[1].message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (chat("2 + 2?", ANSWER), chat("2 + 3?", ANSWER)),
        (chat("is it a?", "b"), chat("is it", "ab")),
        (chat("Is it?", ANSWER), chat("It is?", ANSWER)),
        ({"text": "\u4f60\u597d"}, {"text": "\u4f60\u4eec"}),
        *(
            pairs
            for one, other in [
                ("price 1.5", "price 15"),
                ("1 5", "15"),
                ("at 1. 5 of them", "at 1.5 of them"),
                ("5\u20133", "53"),
                ("-5", "5"),
                ("x - 3", "x 3"),
                ("3-x", "3x"),
                ("C++ ok", "C# ok"),
                ("5%", "5"),
                ("3!", "3"),
                ("!!!", "???"),
                ("a_b", "ab"),
            ]
            for pairs in zip(forms_of(one), forms_of(other), strict=True)
        ),
    ],
)
def test_rows_that_say_something_else_are_no_repetitions(first: Row, second: Row, tmp_path: Path) -> None:
    assert told(looked(tmp_path, [first, second], ["duplicates", "near-duplicates"])) == []
    valid = write_lines(tmp_path / "valid.jsonl", [second])
    assert told(looked(tmp_path, [first], "leakage", validation=valid)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2+2", "2 + 2?"),
        ("It is 4", "it is 4."),
        ("2 - 2", "2-2"),
        ("It costs 5, yes.", "\u201cit costs 5 yes\u201d"),
        ("An e-mail?", "an email"),
        ("\u00a1S\u00ed!", "s\u00ed"),
    ],
)
def test_rows_that_differ_in_marks_alone_are_near(one: str, other: str, tmp_path: Path) -> None:
    for rows in zip(forms_of(one), forms_of(other), strict=True):
        assert told(looked(tmp_path, list(rows), "near-duplicates")) == [("near-duplicate", 2)]


def test_rows_that_differ_in_more_than_their_texts_are_not_the_same(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "add"}}]
    rows = [chat("q", ANSWER), chat("q", ANSWER) | {"tools": tools}]
    assert told(looked(tmp_path, rows, "duplicates")) == []


def test_another_answer_to_the_same_prompt_is_told(tmp_path: Path) -> None:
    rows = [pair("q", "yes"), pair("q", "Yes."), pair("q", "no"), pair("Q", "no")]
    report = looked(tmp_path, rows, "contradictions")
    assert told(report) == [("contradiction", 3)]
    assert "line 1" in report.problems[0].message
    turns = [chat("q", "yes"), chat("q", "no")]
    for row in turns:
        row["messages"] += chat("sure?", row["messages"][1]["content"])["messages"]
    assert told(looked(tmp_path, turns, "contradictions")) == []  # what was said before differs


def test_a_preference_turned_round_is_told(tmp_path: Path) -> None:
    rows = [
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"prompt": "q", "chosen": "c", "rejected": "b"},
        {"prompt": "q", "chosen": "b", "rejected": "d"},
        {"prompt": "r", "chosen": "b", "rejected": "a"},
    ]
    assert told(looked(tmp_path, rows, "contradictions")) == [("contradiction", 3)]


def test_rows_of_the_validation_file_are_told(tmp_path: Path) -> None:
    valid = write_lines(tmp_path / "valid.jsonl", ["", chat("Q1", "A whole answer"), chat("q2", "another"), "{"])
    rows = [chat("q1?", ANSWER), chat("q2", ANSWER), chat("q3", ANSWER)]
    report = looked(tmp_path, rows, validation=valid)
    assert told(report) == [("leak", 1), ("leak", 2)]
    assert report.problems[0].message == "the row is in the validation file as well, on its line 2."
    assert report.problems[1].message == "the prompt is in the validation file as well, on its line 3."
    assert told(looked(tmp_path, rows, "default", validation=valid)) == [("leak", 1), ("leak", 2)]
    missing = looked(tmp_path, rows, validation=tmp_path / "no.jsonl")
    assert [p.code for p in missing.errors] == ["not-compared"]


def test_rows_of_the_validation_file_that_are_no_records_are_passed_over(tmp_path: Path) -> None:
    odd: list[Any] = [
        [],
        [1, None, "x"],
        [{"role": 1}],
        [[]],
        [{"role": "user", "name": "x"}],
        [{"content": "a", "name": "b"}],
    ]
    bad = [{"messages": messages} for messages in odd]
    valid = write_lines(tmp_path / "valid.jsonl", [*bad, chat("q", ANSWER)])
    assert told(looked(tmp_path, [chat("q", ANSWER)], "leakage", validation=valid)) == [("leak", 1)]
    (note,) = looked(
        tmp_path, [chat("q", ANSWER)], "leakage", validation=write_lines(tmp_path / "bad.jsonl", bad)
    ).problems
    assert (note.code, note.severity) == ("not-compared", Severity.NOTE)
    assert note.message == "the validation file could not be compared with these. Line 1: it is no good record."


def test_a_validation_file_of_another_kind_is_compared_where_it_can_be(tmp_path: Path) -> None:
    table = tmp_path / "valid.csv"
    table.write_text(f"prompt,completion\nQ,{ANSWER}\nr,b\n")
    assert told(looked(tmp_path, [chat("q", ANSWER), chat("p", "b")], validation=table)) == [("leak", 1)]
    with_system = {"messages": [{"role": "system", "content": "s"}, *chat("q", ANSWER)["messages"]]}
    mixed = write_lines(tmp_path / "mixed.jsonl", [chat("q", ANSWER), with_system, {"text": "t"}])
    leak, note = looked(tmp_path, [pair("q", ANSWER)], "leakage", validation=mixed).problems
    assert (leak.code, note.code, note.severity) == ("leak", "not-compared", Severity.NOTE)
    assert note.message.startswith(
        "2 rows of the validation file could not be compared with these. Line 2: chat cannot "
    )


def test_the_memory_has_a_bound_and_the_report_says_so(tmp_path: Path) -> None:
    rows = [pair(f"question {n % 60}", ANSWER) for n in range(120)]
    report = looked(tmp_path, rows, "duplicates", most_rows=50)
    assert [p.line for p in report.warnings] == [*range(61, 111)]
    (note,) = [p for p in report.problems if p.severity is Severity.NOTE]
    assert note.message == "duplicates: each row was compared with the first 50 different ones, and no others."


def test_a_table_of_rows_takes_what_it_says_and_finds_all() -> None:
    keys = [pow(3, n, 2**61 - 1) for n in range(1, 20_001)]
    tracemalloc.start()
    seen = Seen(15_000)
    assert [seen.first(key, line, line) for line, key in enumerate(keys, 1)] == [None] * len(keys)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 17 * 2**15
    assert [seen.find(key) for key in keys] == [*((n, n) for n in range(1, 15_001)), *[None] * 5000]
    assert (seen.kept, seen.left_out) == (15_000, 5_000)


def test_names_of_warnings() -> None:
    assert all(each.about for each in WARNINGS.values())
    assert watches_for("none") == watches_for([]) == ()
    assert len(watches_for("roles, tools")) == 1
    for odd in (None, 1, [None]):
        with pytest.raises(ConfigurationError, match="named by a text or a list of texts, and this is"):
            watches_for(odd)  # type: ignore[arg-type]  # that is the point
    for wrong in ("duplicate", ["roles", "x"], "roles,x"):
        with pytest.raises(ConfigurationError, match="there is no warning"):
            watches_for(wrong)
    with pytest.raises(ConfigurationError, match="a validation file is needed"):
        watches_for("leakage")


def test_warnings_are_given_for_every_kind(tmp_path: Path) -> None:
    item = {"messages": [{"role": "user", "content": "q bob@acme.io"}], "answer": "4"}
    rows = json.loads(json.dumps([item, {**item, "answer": "5"}]))
    rules = ANY_KIND.model_copy(update={"accepts": frozenset({"item"}), "needs_assistant": False})
    report = check(write_lines(tmp_path / "rows.jsonl", rows), rules, watches=watches_for("all"))
    assert told(report) == [("personal-data", 1), ("personal-data", 2), ("contradiction", 2)]
    assert told(looked(tmp_path, [{"text": "to bob@acme.io"}] * 2)) == [
        ("personal-data", 1),
        ("personal-data", 2),
        ("duplicate", 2),
    ]
