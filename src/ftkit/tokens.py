"""Exact counts of tokens for OpenAI's models, without asking anybody: the encodings come with the package `splintr-rs`.

    counter = counter_of("gpt-4o-mini-2024-07-18", Supervised())
    for tokens, learnt in counter.count(records):
        ...

A conversation is counted as OpenAI's cookbook does it (Chat_finetuning_data_prep.ipynb, read on 2026-11-27): 3 tokens a
message beside those of its role and its text, 1 for a name, and 3 for the start of the answer. For tools, pictures and
pairs of answers no rule is published: such rows are counted about right, and `is_about` tells which they are.

Why this package, and how it was checked against tiktoken: docs/decisions/0009-training-data.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from ftkit.errors import ConfigurationError, MissingExtraError, UnsupportedError
from ftkit.methods import Reinforcement
from ftkit.models import Problem, Severity, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from splintr import AnyTokenizer

    from ftkit.methods import Method
    from ftkit.models import RecordKind

    Count = Callable[[str], int]

_ENCODINGS = {
    "cl100k_base": ("gpt-4", "gpt-3.5", "gpt-35", "davinci-002", "babbage-002"),
    "o200k_base": ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-4o", "o1", "o3", "o4-mini"),
}
"""Families of models -> their encoding (tiktoken 0.14, model.py). As text, gpt-oss's o200k_harmony is o200k_base."""
_FAMILIES = {family: encoding for encoding, names in _ENCODINGS.items() for family in names}
_AZURE_TUNED = re.compile(r"\.ft-.*", re.DOTALL)

_A_MESSAGE, _A_NAME, _THE_REPLY = 3, 1, 3
_REMEMBERED, _LONGEST_REMEMBERED = 64, 65_536
"""How many texts are remembered of those that come again in every row (roles, system messages, tools), and how long."""
_BYTES_OF_A_TOKEN = 4
_MAY_BE_SPECIAL = "<|"


def base_of(model: str) -> str:
    """Returns the name of the model that a tuned one was made of; any other name as it is.

    Args:
        model: Such as "ft:gpt-4o-mini-2024-07-18:my-org:suffix:8xYz", or Azure's "gpt-4o-mini-2024-07-18.ft-01-word".
    """
    name = model.removeprefix("openai/")
    if name.startswith("ft:"):
        return name.split(":", 2)[1]
    return _AZURE_TUNED.sub("", name)


def family_of(model: str) -> str | None:
    """Returns the family that a model is taken to be of, by its name: the longest that fits, or None if none does."""
    base = base_of(model)
    fitting = [family for family in _FAMILIES if base == family or base.startswith(f"{family}-")]
    return max(fitting, key=len) if fitting else None


def encoding_of(model: str) -> str | None:
    """Returns the name of a model's encoding, which is that of its family, or None if it is not known."""
    family = family_of(model)
    return None if family is None else _FAMILIES[family]


def counter_of(model: str, method: Method) -> ChatCounter:
    """Returns what counts the records of a training file for a model.

    Raises:
        UnsupportedError: The encoding of the model is not known.
        MissingExtraError: The package that counts is not installed.
    """
    encoding = encoding_of(model)
    if encoding is None:
        known = ", ".join(sorted(name for names in _ENCODINGS.values() for name in names))
        message = f"ftkit cannot count the tokens of {model}: its encoding is not known"
        raise UnsupportedError(message, hint=f"It knows those of {known}.")
    _tokenizer(encoding)  # a package that is not there is told now, and not by the first record
    return ChatCounter(encoding, learns_answers=not isinstance(method, Reinforcement))


def prompt_tokens(model: str, prompt: str | Iterable[Mapping[str, Any]]) -> int:
    """Returns how many tokens a prompt is billed as.

    Args:
        model: The model.
        prompt: Its messages, or the text of its only one.

    Raises:
        UnsupportedError: The encoding of the model is not known.
        MissingExtraError: The package that counts is not installed.
        ConfigurationError: The prompt is empty, or its messages are none.
    """
    messages = messages_of(prompt)
    encoding = encoding_of(model)
    if encoding is None:
        raise UnsupportedError(f"ftkit cannot count the tokens of {model}: its encoding is not known")
    return next(ChatCounter(encoding).count([{"messages": messages}]))[0]


def messages_of(prompt: str | Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the messages of a prompt, each of which can be counted.

    Args:
        prompt: Its messages, or the text of its only one.

    Raises:
        ConfigurationError: It is empty, or a message is none.
    """
    messages: list[Mapping[str, Any]]
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if not messages or (isinstance(prompt, str) and not prompt.strip()):
        raise ConfigurationError("the prompt is empty.", hint="Give the whole prompt of a typical call.")
    for number, message in enumerate(messages):
        wrong = _wrong_in(message)
        if wrong is not None:
            hint = 'A message is such as {"role": "user", "content": "How far is the Moon?"}.'
            raise ConfigurationError(f"the prompt, messages[{number}]: {wrong}.", hint=hint)
    return messages


def _wrong_in(message: object) -> str | None:
    """Says why something is no message whose tokens can be counted; None if it is one."""
    if not isinstance(message, Mapping):
        return "it is no object with a role and a content"
    fields = cast("Mapping[str, object]", message)
    if not isinstance(fields.get("role"), str):
        return "it has no role that is a text"
    if not isinstance(fields.get("name", ""), str | None):
        return "its name is no text"
    content, calls = fields.get("content"), fields.get("tool_calls")
    if not (isinstance(content, str | None) or _all_objects(content)):
        return "its content is neither a text nor a list of parts"
    if content is None and not calls:
        return "it has no content"
    return None if calls is None or _all_objects(calls) else "its tool_calls are no list of calls"


def _all_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) for each in cast("list[object]", value))


@dataclass(frozen=True, slots=True)
class ChatCounter:
    """Counts conversations. It is plain data: it can be sent to another process, and each loads the encoding once.

    Attributes:
        encoding: "o200k_base" or "cl100k_base".
        learns_answers: Whether the answers of the assistant are learnt from. Where a model's own answers are graded,
            they are not there yet, and all tokens of a row stand for what it learns from.
    """

    encoding: str
    learns_answers: bool = True

    def count(self, records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
        """Yields (tokens, tokens learnt from) of each record, in order; one is read at a time.

        Args:
            records: Canonical records: conversations, preferences, or items.
        """
        rule = _Rule(text_counter(self.encoding))
        for record in records:
            tokens, learnt = rule.record(record)
            yield tokens, learnt if self.learns_answers else tokens

    def __call__(self, records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
        """Does what `count` does: so the counter itself is what `ftkit.datasets` counts with."""
        return self.count(records)

    def portable(self) -> tuple[str, dict[str, Any]]:
        """Returns what makes it in another process (`ftkit.datasets.watching.Portable`)."""
        return f"{__name__}:{type(self).__name__}", {
            "encoding": self.encoding,
            "learns_answers": self.learns_answers,
        }

    @staticmethod
    def is_about(record: Mapping[str, Any]) -> bool:
        """Whether OpenAI publishes no rule for some of a record, so that its count may be off by a little."""
        if record.get("tools") or "chosen" in record:
            return True
        return any(message.get("tool_calls") or _has_pictures(message) for message in record.get("messages", ()))


def text_counter(encoding: str) -> Count:
    """Returns a function that counts the tokens of a text as `len(tiktoken.encode(text, disallowed_special=()))`.

    Args:
        encoding: "o200k_base" or "cl100k_base".

    Raises:
        MissingExtraError: The package that counts is not installed.
    """
    tokenizer = _tokenizer(encoding)
    flat, ordinary = tokenizer.encode_flat, tokenizer.encode_ordinary

    def count(text: str) -> int:
        try:
            if _MAY_BE_SPECIAL in text:  # which `flat` would take for the one token that it is called
                return len(ordinary(text))
            return len(flat(text)) // _BYTES_OF_A_TOKEN
        except UnicodeEncodeError:  # half a letter, which tiktoken reads as the sign for what cannot be read
            return count(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))

    return count


@cache
def _tokenizer(encoding: str) -> AnyTokenizer:
    try:
        from splintr import Tokenizer
    except ImportError as error:
        raise MissingExtraError("Counting the tokens of OpenAI's models", "openai") from error
    return Tokenizer.from_pretrained(encoding)


@runtime_checkable
class GivesCounter(Protocol):
    """A provider that counts tokens with a `ChatCounter`, which can be sent to other processes."""

    def token_counter(self, model: str, method: Method) -> ChatCounter:
        """Returns what counts the records of a training file.

        Raises:
            UnsupportedError: It cannot count those of the model.
            MissingExtraError: The package that counts is not installed.
        """
        ...


class _Rule:
    """The rule by which conversations are counted.

    Args:
        count: Counts the tokens of a text.
    """

    def __init__(self, count: Count) -> None:
        self._count = count
        self._again = lru_cache(maxsize=_REMEMBERED)(count)

    def record(self, record: Mapping[str, Any]) -> tuple[int, int]:
        tokens = _THE_REPLY
        learnt = 0
        for field in ("messages", "prompt", "chosen", "rejected"):
            for message in record.get(field, ()):
                all_of_it, answer = self._message(message)
                tokens += all_of_it
                learnt += 0 if field == "prompt" else answer
        if record.get("tools"):
            tokens += self._repeated(_written(record["tools"]))
        return tokens, learnt

    def _message(self, message: Mapping[str, Any]) -> tuple[int, int]:
        """Returns the tokens of a message, and how many of them are learnt from."""
        role: str = message["role"]
        said = self._said(message.get("content"), comes_again=role in {"system", "developer"})
        if message.get("tool_calls"):
            said += sum(self._count(_written(call.get("function", call))) for call in message["tool_calls"])
        name: str | None = message.get("name")
        around = _A_MESSAGE + self._again(role) + (_A_NAME + self._again(name) if name else 0)
        return around + said, said if role == "assistant" and message.get("weight", 1) else 0

    def _said(self, content: str | list[dict[str, Any]] | None, *, comes_again: bool) -> int:
        if isinstance(content, str):
            return self._repeated(content) if comes_again else self._count(content)
        return sum(self._count(part["text"]) for part in content or () if isinstance(part.get("text"), str))

    def _repeated(self, text: str) -> int:
        return self._again(text) if len(text) <= _LONGEST_REMEMBERED else self._count(text)


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _has_pictures(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else []
    return any(part.get("type") != "text" for part in parts)


class AboutRows:
    """Watches for rows that are counted about right (a `Watch` of `ftkit.datasets`)."""

    def __init__(self) -> None:
        self._rows = 0
        self._pictures = 0

    def see(self, line: int, kind: RecordKind, record: Mapping[str, Any]) -> Iterable[Problem]:
        """Takes one record."""
        del line, kind
        self._rows += ChatCounter.is_about(record)
        self._pictures += any(_has_pictures(message) for message in record.get("messages", ()))
        return ()

    def portable(self) -> tuple[str, dict[str, Any]]:
        """Returns what makes it in another process."""
        return f"{__name__}:{type(self).__name__}", {}

    def told(self) -> dict[str, Any]:
        """Returns what was counted, for another process."""
        return {"rows": self._rows, "pictures": self._pictures}

    def take(self, told: Mapping[str, Any], lines: int) -> None:
        """Takes what another process counted."""
        del lines
        self._rows += told["rows"]
        self._pictures += told["pictures"]

    def end(self) -> Iterable[Problem]:
        """Says how many there were, if any."""
        if not self._rows:
            return
        message = f"the tokens of {counted(self._rows, 'row')} are counted about right: no rule is published for tools"
        message += ", pictures and pairs of answers."
        if self._pictures:
            message += f" The pictures in {counted(self._pictures, 'row')} are not counted at all."
        yield Problem(severity=Severity.NOTE, code="about-tokens", field="tokens", message=message, count=self._rows)
