"""A provider whose models know something: the base model by rote, a tuned one what stood in its training file."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from ftkit import ChatReply
from ftkit.models import ChatUsage
from ftkit.testing import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ftkit import ChatMessage, ChatOptions, Deployment


def rows(*numbers: int) -> list[dict[str, Any]]:
    """Returns conversations on what follows a number."""
    return [
        {"messages": [{"role": "user", "content": f"After {n}?"}, {"role": "assistant", "content": str(n + 1)}]}
        for n in numbers
    ]


def write(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def allows(messages: Sequence[ChatMessage], tuned: bool) -> None:  # noqa: FBT001 - called by place
    """Refuses nothing."""
    del messages, tuned


class Oracle(MemoryProvider):
    """Answers the question for which it knows an answer, and shrugs at all others.

    Args:
        by_rote: What the base model knows.
        learns: Whether training teaches anything: all questions of the form `rows` makes, or nothing new.
    """

    def __init__(self, by_rote: Mapping[str, str] | None = None, *, learns: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.by_rote = dict(by_rote or {})
        self.learns = learns
        self.refuses: Callable[[Sequence[ChatMessage], bool], Exception | None] = allows
        self.asked: list[tuple[bool, Sequence[ChatMessage], ChatOptions]] = []
        self.most_at_once = 0
        self.takes_s = 0.0
        self._now = 0
        self._lock = threading.Lock()

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Answers."""
        tuned = ":" in deployment.model
        with self._lock:
            self.asked.append((tuned, messages, options))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            time.sleep(self.takes_s)
            error = self.refuses(messages, tuned)
            if error is not None:
                raise error
            text = self._answer(str(messages[-1].content), tuned=tuned)
        finally:
            with self._lock:
                self._now -= 1
        usage = ChatUsage(prompt_tokens=10 * len(messages), completion_tokens=3)
        return ChatReply(text=text, model=deployment.model, finish_reason="stop", usage=usage)

    def _answer(self, asked: str, *, tuned: bool) -> str:
        if tuned and self.learns:
            return str(int(asked.removeprefix("After ").rstrip("?")) + 1)
        return self.by_rote.get(asked, "no idea")
