"""What is asked in an evaluation, and what is wanted: held-out rows, each a question with its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from ftkit.datasets import normalise, read
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.methods import explain
from ftkit.models import ChatMessage, Noun, Problem

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    Rows = str | os.PathLike[str] | Iterable["Question | list[Any] | Mapping[str, Any]"]


class Question(Noun):
    """A held-out row.

    Attributes:
        messages: The conversation up to the answer, which is what the models are asked.
        wanted: The answer that is wanted.
        line: Line of the file, or place in the list, counted from 1.
    """

    messages: tuple[ChatMessage, ...]
    wanted: str
    line: int = 1

    @property
    def text(self) -> str:
        """The text of the whole conversation, message by message."""
        return "\n\n".join(each.content for each in self.messages if isinstance(each.content, str))


def questions_of(
    rows: Rows, *, columns: Mapping[str, str] | None = None, limit: int | None = None, lenient: bool = False
) -> tuple[Question, ...]:
    """Reads held-out rows: of a conversation, the last message is the answer, and what comes before it is asked.

    Args:
        rows: A data set, in any format that `ftkit.datasets.read` knows; or records, or conversations, in a list.
        columns: The file's own column names -> those of the record.
        limit: The most rows to take, from the beginning; None for all.
        lenient: Leave out the rows that cannot be asked, such as those that end with the call of a tool.

    Raises:
        DatasetError: A row cannot be read, or has no answer of text at its end; it holds all of them. Or there is none.
        ConfigurationError: `limit` is less than 1.
    """
    if limit is not None and limit < 1:
        raise ConfigurationError(f"limit is the most rows to ask, 1 or more (got {limit!r})")
    name, found, problems = _name(rows), list[Question](), list[Problem]()
    for line, record, problem in _records(rows, columns):
        if limit is not None and len(found) == limit:
            break
        try:
            question = record if isinstance(record, Question) else _question(record, line, problem)
        except DatasetError as error:
            problems += [each.model_copy(update={"source": name, "line": line}) for each in error.problems]
        else:
            found.append(question)
    if problems and not lenient:
        raise DatasetError(f"{name}: {len(problems)} of the rows cannot be asked", problems)
    if not found and not lenient:
        raise DatasetError(
            f"{name}: there is no row to ask", [Problem(code="empty", message="it is empty.", source=name)]
        )
    return tuple(found)


def _name(rows: Rows) -> str:
    return str(rows) if isinstance(rows, str) or hasattr(rows, "__fspath__") else "the rows"


def _records(rows: Rows, columns: Mapping[str, str] | None) -> Iterator[tuple[int, Any, Problem | None]]:
    if isinstance(rows, str) or hasattr(rows, "__fspath__"):
        for row in read(cast("str", rows), columns=columns):
            yield row.line, row.record, row.problem
        return
    for line, row in enumerate(cast("Iterable[Any]", rows), 1):
        yield line, {"messages": row} if isinstance(row, (list, tuple)) else row, None


def _question(raw: object, line: int, problem: Problem | None) -> Question:
    if raw is None:
        raise DatasetError("it cannot be read", [problem] if problem else [])
    if not isinstance(raw, Mapping):
        message = f"it is {type(raw).__name__}, and no record and no conversation."
        raise DatasetError(message, [Problem(code="no-record", message=message)])
    record = normalise(cast("Mapping[str, Any]", raw))
    messages, wanted = _parts(record)
    if not messages or not isinstance(wanted, str) or not wanted.strip():
        last: list[dict[str, Any]] = record.get("messages") or [{}]
        by = (
            ""
            if last[-1].get("role") in {None, "assistant"}
            else f" (its last message is of the role {last[-1]['role']!r})"
        )
        message = f"it has no answer of text by the assistant at its end, after something that is asked{by}."
        fix = "An evaluation asks what comes before the last message, and compares with that."
        raise DatasetError(message, [Problem(code="no-answer", message=message, fix=fix)])
    try:
        asked = tuple(ChatMessage.model_validate(_asked(each)) for each in messages)
    except ValidationError as error:
        message = explain(ChatMessage, error, "messages")
        raise DatasetError(message, [Problem(code="bad-message", message=message)]) from error
    return Question(messages=asked, wanted=wanted, line=line)


def _parts(record: Mapping[str, Any]) -> tuple[list[dict[str, Any]], object]:
    """Returns what is asked, and what is wanted, of a record in its canonical form."""
    if "completion" in record:
        return [{"role": "user", "content": record["prompt"]}], record["completion"]
    if "chosen" in record:
        chosen = record["chosen"]
        return [*record["prompt"], *chosen[:-1]], chosen[-1].get("content") if chosen else None
    messages: list[dict[str, Any]] = record.get("messages") or []
    answered = bool(messages) and messages[-1].get("role") == "assistant"
    return messages[:-1], messages[-1].get("content") if answered else None


def _asked(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "weight"}
