"""The message of a problem names the cause, and its advice fits the row."""

from __future__ import annotations

from typing import Any

import pytest
from dataset_files import ANY_KIND, chat

from ftkit.datasets.records import normal
from ftkit.datasets.rules import flaws
from ftkit.models import Severity

ANSWER = {"role": "assistant", "content": "a"}


def told(*messages: dict[str, Any], **rules: Any) -> list[tuple[str, str]]:
    found = normal({"messages": list(messages)})
    return [(flaw.message, flaw.fix) for flaw in flaws(found.kind, found.record, ANY_KIND.model_copy(update=rules))]


def test_blanks_of_a_role_are_seen() -> None:
    said = told(chat("q", "a")["messages"][0], {**ANSWER, "role": "assistant \n"})
    assert said == [("unknown role 'assistant \\n'.", "Use 'assistant', without the blanks.")]


def test_a_weight_that_is_text_is_called_so() -> None:
    assert told({**ANSWER, "weight": "1"})[0][0] == "a weight is 0 or 1, and this is the text '1'."
    assert told({**ANSWER, "weight": 2})[0][0] == "a weight is 0 or 1, and this is 2."


def test_the_advice_has_the_role_of_the_message() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    wanted = 'Write {"role": "assistant", "content": "..."}'
    assert told(call)[0][1] == f"{wanted}, or the calls as tool_calls, which an old function_call must become."
    assert told(call, tools=False)[0][1] == f"{wanted}."
    assert told({"role": "system"}, ANSWER)[0][1] == 'Write {"role": "system", "content": "..."}.'


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("https://x.io/a.gif", True),
        ("https://x.io/a.GIF?size=1", True),
        ("https://x.io/a.png", False),
        ("https://x.io/a.jpg", False),
        ("https://x.io/a?b=c.gif", False),
        ("https://x.io/a", False),
    ],
)
def test_an_address_that_ends_like_another_format_is_warned_of(address: str, *, warned: bool) -> None:
    part = {"type": "image_url", "image_url": {"url": address}}
    rules = ANY_KIND.model_copy(update={"image_formats": frozenset({"png", "jpeg"})})
    found = normal({"messages": [{"role": "user", "content": [part]}, ANSWER]})
    said = [(flaw.code, flaw.severity) for flaw in flaws(found.kind, found.record, rules)]
    assert said == [("bad-image", Severity.WARNING)] * warned
    assert list(flaws(found.kind, found.record, ANY_KIND)) == []
