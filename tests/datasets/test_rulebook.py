from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ANY_KIND, Row, chat, write_lines

from ftkit.datasets import RuleBook, built_in, check
from ftkit.datasets.rulebook import built_in_providers
from ftkit.errors import ConfigurationError
from ftkit.methods import Method, Reinforcement, Supervised
from ftkit.models import DatasetRules, RecordKind
from ftkit.providers._openai_wire.limits import rules_of

if TYPE_CHECKING:
    from pathlib import Path

PNG = "data:image/png;base64,"


def test_a_plug_in_states_its_rules_in_a_few_lines() -> None:
    book = RuleBook(
        {"layout": "chat", "accepts": ["chat"], "min_rows": 20, "source": "its guide", "as_of": "2026-11-23"},
        {"model": "tiny-*", "max_tokens": 4096, "source": "its list of models", "as_of": date(2026, 1, 2)},
    )
    tiny, big = book.rules(Supervised(), "tiny-2"), book.rules("supervised", "big")
    assert (tiny.min_rows, tiny.max_tokens, tiny.accepts) == (20, 4096, frozenset({RecordKind.CHAT}))
    assert (tiny.source, tiny.as_of) == ("its guide; its list of models", date(2026, 1, 2))
    assert (big.max_tokens, big.source, big.as_of) == (None, "its guide", date(2026, 11, 23))
    assert book.rules("dpo", "tiny-2", max_tokens=7).max_tokens == 7


def test_a_later_row_wins_field_by_field() -> None:
    book = RuleBook.from_toml("""
        [[rules]]
        layout = "chat"
        accepts = ["chat"]
        roles = ["user", "assistant"]
        max_tokens = 10
        [[rules]]
        method = ["dpo", "orpo"]
        accepts = ["preference"]
        layout = "openai-preference"
        [[rules]]
        model = ["a-*", "b"]
        method = "dpo"
        max_tokens = 20
    """)
    rules = {(m, n): book.rules(m, n) for m in ("dpo", "supervised") for n in ("a-1", "b", "c")}
    assert [rules[key].max_tokens for key in rules] == [20, 20, 10, 10, 10, 10]
    assert rules["dpo", "a-1"].layout == "openai-preference"
    assert rules["dpo", "a-1"].roles == {"user", "assistant"}
    assert rules["supervised", "a-1"].layout == "chat"


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[[rules]]\nlayuot = "chat"', "row 1: there is no rule 'layuot'; did you mean 'layout'?"),
        ("[[rules]]\nmin_rows = 1\n[[rules]]\nmin_rows = -1", r"row 2: DatasetRules.min_rows: .* \(got -1\)"),
        ('[[rules]]\nlayout = "chat"\naccepts = ["chats"]', "accepts"),
        ("[[rules]]\nmodel = []\nmin_rows = 1", "model is a text or a list of texts"),
        ("[[rules]]\nmodel = [1]\nmin_rows = 1", "model is a text or a list of texts"),
        ('[[rules]]\nmodel = "x"', "the row says nothing"),
        ("[[rule]]\nmin_rows = 1", "unknown 'rule'; did you mean 'rules'"),
        ("", "there are no rules"),
        ("[[rules]", "wrong TOML"),
    ],
)
def test_a_table_that_makes_no_sense_is_one_clear_error(toml: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        RuleBook.from_toml(toml)


def test_what_the_table_does_not_tell_is_an_error_and_no_guess() -> None:
    with pytest.raises(ConfigurationError, match="nothing is told of the method 'orpo'"):
        built_in("openai").rules("orpo", "gpt-4.1")
    with pytest.raises(ConfigurationError, match="provider 'opena'; did you mean 'openai'"):
        built_in("opena")


def test_every_row_of_ftkit_itself_names_its_document_and_its_date() -> None:
    assert built_in_providers() == {"openai", "azure", "huggingface", "autotrain"}
    for name in built_in_providers():
        for row in built_in(name)._rows:  # pyright: ignore[reportPrivateUsage] - a test looks inside
            assert row.fields.get("source")
            assert row.fields.get("as_of")


@pytest.mark.parametrize(
    ("provider", "method", "model", "expected"),
    [
        ("openai", "supervised", "gpt-4.1-nano-2025-04-14", (65_536, "truncated", 10, 8 * 10**9, True)),
        ("openai", "dpo", "gpt-3.5-turbo-0613", (4_096, "truncated", 10, 8 * 10**9, False)),
        ("openai", "reinforcement", "o4-mini", (None, "refused", 10, 8 * 10**9, True)),
        ("azure", "supervised", "gpt-4.1-nano", (32_768, "refused", 10, 512 * 10**6, False)),
        ("azure", "supervised", "gpt-4o-mini-2024-07-18", (64_536, "refused", 10, 512 * 10**6, False)),
        ("azure", "supervised", "gpt-4o-2024-08-06", (65_536, "refused", 10, 512 * 10**6, True)),
        ("autotrain", "orpo", "any", (None, "refused", 1, None, False)),
        ("huggingface", "supervised", "any", (None, "truncated", 1, None, False)),
    ],
)
def test_the_rules_of_the_built_in_providers(provider: str, method: str, model: str, expected: tuple[Any, ...]) -> None:
    found = built_in(provider).rules(method, model)
    assert (found.max_tokens, found.too_long, found.min_rows, found.max_bytes, found.images) == expected


def test_a_tuned_model_has_the_rules_of_what_it_came_from() -> None:
    assert rules_of("openai", Supervised(), "ft:gpt-4o-mini-2024-07-18:me::8xYz").max_tokens == 65_536


def test_rules_of_older_versions_are_still_read() -> None:
    old = '{"layout": "chat", "accepts": ["chat"], "min_rows": 10, "source": "a guide, 2026-11-23"}'
    assert DatasetRules.model_validate_json(old).min_rows == 10


# -- the rules that came with the table --------------------------------------------------------------------------------


def codes(row: Row, tmp_path: Path, **fields: Any) -> list[tuple[str, str | None]]:
    rules = ANY_KIND.model_copy(update=fields)
    return [(p.code, p.field) for p in check(write_lines(tmp_path / "rows.jsonl", [row]), rules).errors]


TOKENS = ("<|endoftext|>", "<|fim_suffix|>")
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": "<|endoftext|>"}'}}
CALLED = "messages[1].tool_calls[0].function.arguments"
PART = {"type": "text", "text": "<|fim_suffix|>"}
ASKED, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (chat("so <|endoftext|>"), "messages[0].content"),
        ({"messages": [{"role": "user", "content": [PART]}, ANSWER]}, "messages[0].content[0].text"),
        ({"messages": [ASKED, {"role": "assistant", "tool_calls": [CALL]}]}, CALLED),
        ({"prompt": "q", "completion": "<|endoftext|>"}, "completion"),
        ({"text": "a <|endoftext|> b"}, "text"),
        ({"prompt": "q", "chosen": "a<|endoftext|>", "rejected": "b"}, "chosen"),
    ],
)
def test_a_special_token_in_any_text_is_an_error_at_its_place(row: Row, field: str, tmp_path: Path) -> None:
    assert codes(row, tmp_path, special_tokens=TOKENS) == [("special-token", field)]
    assert codes(row, tmp_path) == []


def test_a_special_token_behind_an_escape_is_found(tmp_path: Path) -> None:
    line = '{"text": "a \\u003c\\u007cendoftext|> b"}'
    found = check(write_lines(tmp_path / "rows.jsonl", [line]), ANY_KIND.model_copy(update={"special_tokens": TOKENS}))
    assert [(p.code, p.excerpt) for p in found.errors] == [("special-token", "a <|endoftext|> b")]


def picture(url: str, role: str = "user", times: int = 1) -> Row:
    part = {"type": "image_url", "image_url": {"url": url}}
    first, last = ({"role": r, "content": [part] * times if r == role else "x"} for r in ("user", "assistant"))
    return {"messages": [first, last]}


@pytest.mark.parametrize(
    ("row", "fields", "expected"),
    [
        (picture("https://a.b/c.png"), {"images": False}, ["images-not-accepted"]),
        (picture("https://a.b/c.png"), {"image_formats": frozenset({"png"})}, []),
        (picture(PNG + "AAAA"), {"image_formats": frozenset({"png"})}, []),
        (picture("data:image/JPG;base64,AAAA"), {"image_formats": frozenset({"jpeg"})}, []),
        (picture("data:image/gif;base64,AAAA"), {"image_formats": frozenset({"png"})}, ["bad-image"]),
        (picture(PNG), {"image_formats": frozenset({"png"})}, ["bad-image"]),
        (picture("cat.png"), {"image_formats": frozenset({"png"})}, ["bad-image"]),
        (picture("cat.png"), {}, []),
        (picture("https://a.b/c", "assistant"), {"image_roles": frozenset({"user"})}, ["image-in-wrong-role"]),
        (picture(PNG + "AAAAAAAA"), {"max_image_bytes": 6}, []),
        (picture(PNG + "AAAAAAAA"), {"max_image_bytes": 5}, ["image-too-big"]),
        (picture("https://a.b/c", times=3), {"max_images": 2}, ["too-many-images"]),
        (picture("https://a.b/c", times=2), {"max_images": 2}, []),
    ],
)
def test_pictures_keep_the_rules(row: Row, fields: dict[str, Any], expected: list[str], tmp_path: Path) -> None:
    assert [code for code, _ in codes(row, tmp_path, **fields)] == expected


def test_what_a_grader_reads_must_be_in_every_item(tmp_path: Path) -> None:
    grader = {"type": "string_check", "input": "{{ sample.output_text }}", "reference": "{{item.answer}}", "name": "g"}
    method: Method = Reinforcement(grader={"type": "multi", "graders": {"a": grader}, "calculate_output": "a"})
    rules = rules_of("openai", method, "o4-mini").model_copy(update={"min_rows": 1})
    rows = [{"messages": [{"role": "user", "content": "q"}], name: "4"} for name in ("answer", "anwser")]
    (problem,) = check(write_lines(tmp_path / "rows.jsonl", rows), rules).problems
    assert (problem.code, problem.line, problem.field) == ("missing-item-field", 2, "answer")
    assert problem.fix == "Add 'answer'; did you mean 'anwser'?"
