"""To ask a deployment, and to show the answer as it comes."""

from __future__ import annotations

import json
import sys
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from ftkit.client import Client
    from ftkit.models import ChatChunk, ChatMessage, ChatReply, Deployment


_OBEYED = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
"""Signs that turn the direction of writing, so that a text reads as another one."""


def for_terminal(text: str) -> str:
    """Returns the words of a model as a terminal may show them: in any script, and without what it would obey."""
    return "".join(
        ascii(sign)[1:-1] if sign in _OBEYED or (unicodedata.category(sign) == "Cc" and sign not in "\n\t") else sign
        for sign in text.replace("\r", "")
    )


@dataclass(frozen=True)
class Asking:
    """Asks one deployment.

    Attributes:
        client: The client of its account.
        deployment: The deployment.
        options: Fields of `ChatOptions`; None is the provider's default.
    """

    client: Client
    deployment: Deployment
    options: dict[str, Any]

    def reply(self, messages: Sequence[ChatMessage]) -> ChatReply:
        """Returns the whole answer."""
        return self.client.chat(self.deployment, messages, **self.options)

    def show(self, messages: Sequence[ChatMessage]) -> str:
        """Prints the answer as it comes, or at once where the provider cannot stream; and returns its text."""
        shown = _Shown()
        try:
            if "StreamsChat" in self.client.abilities:
                with _closed(self.client.stream_chat(self.deployment, messages, **self.options)) as chunks:
                    for chunk in chunks:
                        shown.add(chunk.text)
                        shown.finish_reason = chunk.finish_reason or shown.finish_reason
            else:
                reply = self.reply(messages)
                shown.add(reply.text)
                shown.finish_reason = reply.finish_reason
                shown.tool_calls = reply.tool_calls
        finally:
            shown.end_line()
        shown.tell_what_is_odd()
        return shown.text


@dataclass
class _Shown:
    """An answer, as far as it has come."""

    text: str = ""
    finish_reason: str | None = None
    tool_calls: Sequence[dict[str, Any]] = ()

    def add(self, piece: str) -> None:
        self.text += piece
        sys.stdout.write(for_terminal(piece) if sys.stdout.isatty() else piece)  # as it is: `echo` drops colours
        sys.stdout.flush()

    def end_line(self) -> None:
        if self.text and not self.text.endswith("\n"):
            typer.echo()

    def tell_what_is_odd(self) -> None:
        if self.finish_reason == "length":
            typer.echo("(cut off: the answer is as long as it may be; --max-tokens says how long)", err=True)
        for call in self.tool_calls:
            typer.echo(f"(calls a tool: {for_terminal(json.dumps(call, ensure_ascii=False))})", err=True)
        if not (self.text.strip() or self.tool_calls):
            typer.echo("(the answer is empty)", err=True)


@contextmanager
def _closed(chunks: Iterator[ChatChunk]) -> Generator[Iterator[ChatChunk]]:
    """Ends a stream that is broken off, so that the vendor writes on for nobody."""
    try:
        yield chunks
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
