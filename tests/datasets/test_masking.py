"""What is a person's or a key is not shown: not beside what was found, and not in a piece of a row that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ANY_KIND, chat, write_lines

from ftkit.datasets import check
from ftkit.datasets._personal import personal
from ftkit.datasets._values import excerpt
from ftkit.models import Problem

if TYPE_CHECKING:
    from pathlib import Path

AMAZON = "AKIA" + "IOSFODNN7QXAMPLE"
OPENAI = "sk-" + "proj-abcdefghijkl" * 3
KEYS = {
    "sk_live_": "4eC39HqLyjWDarjtT1zdp7dc",
    "rk_test_": "4eC39HqLyjWDarjtT1zdp7dc",
    "npm_": "a1B2" * 9,
    "SG.": "a" * 22 + "." + "b" * 43,
    "dop_v1_": "0f" * 32,
    "hooks.slack.com/services/": "T0000/B0000/" + "X" * 20,
    "AccountKey=": "aB3/" * 21 + "==",
    "aws_secret_access_key": " = " + "wJalrXUtn7" * 4,
    "sk-": "a1" * 20,
}


@pytest.mark.parametrize(("sign", "rest"), KEYS.items())
def test_keys_of_services_are_found(sign: str, rest: str) -> None:
    (found,) = personal(f"it is https://x/ {sign}{rest} here")
    assert (found.what, found.shown) == ("a key or a password", f"{sign}***")
    assert rest.strip(" =") not in excerpt(f"see {sign}{rest}")


@pytest.mark.parametrize(
    "text",
    [
        f"bob@acme.io  {AMAZON}",
        f"4111 1111 1111 1111 {AMAZON}",
        f"{AMAZON} DE89370400440532013000",
        f"{AMAZON} 078-05-1120 bob@acme.io",
        f"password={OPENAI} secret=hunter2hunter",
        f"aws {AMAZON} wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "see https://bob:hunter2hunter@acme.io/?token=abcdef",
    ],
)
def test_nothing_beside_a_key_is_shown(text: str) -> None:
    shown = " ".join(found.shown for found in personal(text)) + excerpt(text)
    for secret in ("bob", "4111 1111", "3704", "05-1120", "hunter2", "wJalr", "abcdef", AMAZON[4:]):
        assert secret not in shown


def test_of_a_short_name_nothing_is_shown() -> None:
    assert [found.shown for found in personal("a@b.co")] == ["***@b.co"]
    assert [found.shown for found in personal("eve@acme.io")] == ["e***@acme.io"]


def test_a_key_is_hidden_before_a_piece_is_cut(tmp_path: Path) -> None:
    cut = f'{{"messages":[{{"role":"user","content":"{OPENAI}"}}, oh'
    broken = f'{{"a":"\\n{OPENAI}","b":"\\nbob@acme.io 4111111111111111 +49 30 1234567 http://x.io/?q=hunter2"'
    rows: list[Any] = [
        cut,
        broken,
        {"messages": [OPENAI]},
        {"messages": [{"role": f"{' ' * 40}{OPENAI}", "content": "q"}]},
    ]
    rules = ANY_KIND.model_copy(update={"special_tokens": ("<|end|>",)})
    report = check(
        write_lines(tmp_path / "rows.jsonl", [chat("q", "a"), *rows, chat(f"{OPENAI} <|end|> {OPENAI}", "a")]), rules
    )
    assert {problem.line for problem in report.errors} == {2, 3, 4, 5, 6}
    assert report.problems[-1].excerpt == "*** <|end|> ***"
    for secret in ("proj-abc", "ghijkl", "bob", "411111", "1234567", "hunter2"):
        assert secret not in str(report)
        assert secret not in report.model_dump_json()


def test_no_part_of_a_problem_holds_a_key() -> None:
    problem = Problem(
        code="c",
        message=OPENAI,
        fix=f"not {OPENAI}",
        field=f"a.{OPENAI}",
        excerpt=f"-----BEGIN PRIVATE KEY-----\nMII{OPENAI}",
    )
    assert (problem.message, problem.fix, problem.field, problem.excerpt) == ("***", "not ***", "a.***", "***")
