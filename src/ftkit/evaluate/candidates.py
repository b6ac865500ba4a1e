"""Who is asked: a model behind a client, or answers that it gave before; with or without examples in its prompt."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftkit.deploying import source_of
from ftkit.errors import ConfigurationError
from ftkit.evaluate.questions import questions_of
from ftkit.models import ChatMessage, Checkpoint, Deployment, FineTuningJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftkit.client import Client
    from ftkit.evaluate.questions import Question, Rows

_SYSTEM = frozenset({"system", "developer"})


@dataclass(frozen=True)
class Candidate:
    """A model that is asked.

    Attributes:
        name: What it is called in the tables.
        target: A job, a checkpoint, the name of a model, or a role, which is deployed for as long as it is asked; or a
            deployment, which is asked as it stands.
        client: The client of its provider; None if all its answers are recorded.
        examples: Questions with their answers, which stand before each question.
    """

    name: str
    target: FineTuningJob | Checkpoint | Deployment | str
    client: Client | None = field(default=None, repr=False)
    examples: tuple[Question, ...] = field(default=(), repr=False)

    @property
    def model(self) -> str:
        """What is asked: the id of a job or a checkpoint, what a deployment serves, or the name of a model."""
        if isinstance(self.target, Deployment):
            return self.target.source or self.target.model or self.target.name
        if isinstance(self.target, str) and self.client is not None:
            return self.client.resolve_model(self.target)
        return source_of(self.target)

    @property
    def account(self) -> str:
        """The account that it is asked in (see `Provider.identity`)."""
        known = None if isinstance(self.target, (str, Checkpoint)) else self.target.identity
        if known is not None:
            return known
        if self.client is None:
            message = f"'{self.name}' does not say whose model it is"
            raise ConfigurationError(message, hint="Give it a client, or the job as its provider told it.")
        return self.client.identity()


def few_shot(
    rows: Rows, shots: int = 3, *, columns: Mapping[str, str] | None = None, seed: int = 0
) -> tuple[Question, ...]:
    """Draws examples for a prompt: the baseline that a tuned model has to beat.

    OpenAI's guide on fine-tuning says to try prompting first, with examples in the prompt, and so does its lesson on
    when to fine-tune; the examples stand for what the tuned model learnt.

    Args:
        rows: Rows to draw from: those of the training file, and not those that are asked.
        shots: How many.
        columns: The file's own column names -> those of the record.
        seed: Seed of the draw; the same seed draws the same rows.

    Raises:
        ConfigurationError: There are fewer rows than that, or `shots` is less than 1.
        DatasetError: A row has no answer of text at its end.
    """
    found = questions_of(rows, columns=columns)
    if not 1 <= shots <= len(found):
        raise ConfigurationError(f"shots is how many of the {len(found)} rows stand in the prompt (got {shots!r})")
    return tuple(random.Random(seed).sample(found, shots))  # noqa: S311 - it hides nothing


def prompt_of(question: Question, examples: Sequence[Question]) -> list[ChatMessage]:
    """Returns what is sent: the question, with examples before it.

    Where all begin with the same system message, that stands once, at the top. Where they differ (each has a schema of
    its own, say), each stands in its first user message, since many models take one system message, or none.
    """
    if not examples:
        return [*question.messages]
    heads = {_head(each) for each in (*examples, question)}
    if len(heads) == 1:
        system = [each for each in question.messages[:1] if each.role in _SYSTEM]
        shown = [message for each in examples for message in (*_body(each), _answer(each))]
        return [*system, *shown, *_body(question)]
    shown = [message for each in examples for message in (*_in_one(each), _answer(each))]
    return [*shown, *_in_one(question)]


def _head(question: Question) -> str | None:
    first = question.messages[0]
    return str(first.content) if first.role in _SYSTEM else None


def _body(question: Question) -> tuple[ChatMessage, ...]:
    return question.messages[1:] if question.messages[0].role in _SYSTEM else question.messages


def _in_one(question: Question) -> tuple[ChatMessage, ...]:
    """Returns the messages with the system message in the first one of the user."""
    head, body = _head(question), _body(question)
    if head is None or not body or not isinstance(body[0].content, str):
        return body if head is None else question.messages
    return (body[0].model_copy(update={"content": f"{head}\n\n{body[0].content}"}), *body[1:])


def _answer(question: Question) -> ChatMessage:
    return ChatMessage(role="assistant", content=question.wanted)
