"""How a command ends that cannot do what it was asked for: one error that says what is wrong, and a status."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from ftkit.cli._exits import Status, status_of
from ftkit.errors import FtkitError

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def told(*, as_json: bool = False) -> Generator[None]:
    """Ends the program with what is wrong on stderr, and the status that the error stands for.

    Args:
        as_json: Whether `--json` was asked for: the error is then a line of JSON (`as_document`).
    """
    try:
        yield
    except FtkitError as error:
        typer.echo(json.dumps(as_document(error)) if as_json else f"error: {whole(error)}", err=True)
        raise typer.Exit(status_of(error)) from error


@contextmanager
def taken_up_again(how: str = "A job that was made goes on; the same command again takes it up.") -> Generator[None]:
    """Ctrl-C is no error to be traced: it is said how to go on.

    Args:
        how: The sentence that says it.
    """
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Stopped. {how}", err=True)
        raise typer.Exit(Status.INTERRUPTED) from None


def whole(error: FtkitError) -> str:
    """Returns an error with its notes, which name what was done nevertheless."""
    return "\n".join([str(error), *(f"  {note}" for note in _notes(error))])


def as_document(error: FtkitError) -> dict[str, Any]:
    """Returns an error as programs read it: `{"error": {"type", "message", "hint", "notes", ...}}`."""
    known = {name: getattr(error, name, None) for name in ("provider", "request_id", "status_code", "key")}
    job = getattr(error, "job", None)
    told_of = {name: value for name, value in known.items() if value is not None}
    if job is not None:
        told_of["job"] = job.model_dump(mode="json")
    fields = {"type": type(error).__name__, "message": error.message, "hint": error.hint, "notes": _notes(error)}
    return {"error": {**fields, **told_of}}


def _notes(error: FtkitError) -> list[str]:
    return list(getattr(error, "__notes__", ()))
