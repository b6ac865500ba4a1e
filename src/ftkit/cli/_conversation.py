"""A conversation with a deployed model, in a terminal."""

from __future__ import annotations

import importlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ftkit.cli._exits import Status
from ftkit.cli._told import whole
from ftkit.errors import ConfigurationError, FtkitError
from ftkit.models import ChatMessage

if TYPE_CHECKING:
    from ftkit.cli._asking import Asking

PROMPT = "> "
HELP = """\
/reset      forgets what was said, but for --system
/save FILE  adds the conversation to a file, as a row of training data
/quit       ends, and so does Ctrl-D
Ctrl-C      stops an answer; once more, it ends"""


class Conversation:
    """Reads messages, asks with all that was said before, and shows the answers, until it is ended.

    Args:
        asking: Who is asked.
        system: The system message.
    """

    def __init__(self, asking: Asking, system: str | None) -> None:
        self._asking = asking
        self._begin = [ChatMessage(role="system", content=system)] if system else []
        self._said = [*self._begin]
        self._stopped = False

    def run(self) -> None:
        """Talks until /quit or Ctrl-D.

        Raises:
            typer.Exit: Ctrl-C was pressed twice.
        """
        with suppress(ImportError):  # it is not there on Windows, where the console edits lines itself
            importlib.import_module("readline")  # which `input` takes up
        while True:
            try:
                line = input(PROMPT)
            except EOFError:
                typer.echo()
                return
            except KeyboardInterrupt:
                self._stop("(Ctrl-C once more ends; so do Ctrl-D and /quit)")
                continue
            self._stopped = False
            if line.strip() == "/quit":
                return
            self._take(line)

    def _take(self, line: str) -> None:
        """Does what a line says. What is wrong with it is told, and the conversation goes on."""
        try:
            word, _, rest = line.strip().partition(" ")
            if line.startswith("/") and word[1:].isalpha():
                self._obey(word, rest.strip())
            elif word:
                self._ask(ChatMessage(role="user", content=line))
        except FtkitError as error:
            typer.echo(f"error: {whole(error)}", err=True)
        except KeyboardInterrupt:
            self._stop("(stopped: question and answer are forgotten)")

    def _ask(self, question: ChatMessage) -> None:
        answer = self._asking.show([*self._said, question])
        self._said += [question, ChatMessage(role="assistant", content=answer)]

    def _obey(self, word: str, rest: str) -> None:
        if word == "/reset":
            self._said = [*self._begin]
            typer.echo("(forgotten)")
        elif word == "/save":
            self._save(rest)
        elif word == "/help":
            typer.echo(HELP)
        else:
            hint = "A space before it sends it as a message. The commands:\n" + HELP
            raise ConfigurationError(f"there is no command {word}.", hint=hint)

    def _save(self, name: str) -> None:
        """Adds the conversation to a file, which may hold others already.

        Raises:
            ConfigurationError: No file was named, nothing was said so far, or the file cannot be written.
        """
        if not name:
            raise ConfigurationError("no file was named.", hint="/save FILE")
        if self._said == self._begin:
            raise ConfigurationError("nothing was said so far.")
        path = Path(name).expanduser()
        row = {"messages": [message.model_dump(exclude_none=True) for message in self._said]}
        try:
            with path.open("a+b") as file:
                file.seek(0)
                gap = b"" if file.read()[-1:] in {b"", b"\n"} else b"\n"
                file.write(gap + json.dumps(row, ensure_ascii=False).encode(errors="backslashreplace") + b"\n")
        except OSError as error:
            raise ConfigurationError(f"'{path}' cannot be written: {error.strerror}") from error
        typer.echo(f"(added to {path}: {len(self._said)} messages)")

    def _stop(self, said: str) -> None:
        """Takes note of a Ctrl-C.

        Raises:
            typer.Exit: It is the second one.
        """
        typer.echo()
        if self._stopped:
            raise typer.Exit(Status.INTERRUPTED)
        self._stopped = True
        typer.echo(said)
