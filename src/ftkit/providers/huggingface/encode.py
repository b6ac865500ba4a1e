"""From a training record to tokens, and which of them are learnt from. Training and counting share it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from ftkit.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftkit.providers.huggingface.tokens import Span, Tokens

NOT_LEARNT = -100
"""The label of a token that is read and not learnt."""

TrainOn = Literal["assistant", "all"]
Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example.

    Attributes:
        input_ids: Its tokens.
        labels: The same, but `NOT_LEARNT` where nothing is learnt.
    """

    input_ids: list[int]
    labels: list[int]

    @property
    def learnt(self) -> int:
        """How many tokens are learnt from. Nothing foretells the first one, so it never is."""
        return sum(label != NOT_LEARNT for label in self.labels[1:])

    def cut(self, length: int) -> Encoded:
        """Returns its beginning."""
        return Encoded(self.input_ids[:length], self.labels[:length])


@dataclass(frozen=True, slots=True)
class Pair:
    """An example of what is preferred.

    Attributes:
        prompt_ids: What both answers follow.
        chosen_ids: The preferred answer.
        rejected_ids: The other one.
    """

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]

    def cut(self, length: int) -> Pair:
        """Returns its beginning: each answer ends where prompt and answer reach the length."""
        room = max(0, length - len(self.prompt_ids))
        return Pair(self.prompt_ids[:length], self.chosen_ids[:room], self.rejected_ids[:room])

    @property
    def tokens(self) -> int:
        """Tokens that are read: the prompt is read twice."""
        return 2 * len(self.prompt_ids) + self.learnt

    @property
    def learnt(self) -> int:
        """Tokens that are learnt from."""
        return len(self.chosen_ids) + len(self.rejected_ids)

    @property
    def longest(self) -> int:
        """Tokens of the longer of the two texts."""
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))


def encode(record: Mapping[str, Any], tokens: Tokens, train_on: TrainOn = "assistant") -> Encoded:
    """Encodes a record of conversation, prompt and completion, or text.

    Of a conversation, the assistant's messages are learnt, each with the token that ends it, unless its weight is 0;
    of prompt and completion, the completion and its end; of text, all.

    Args:
        record: A row of the training file.
        tokens: The model's tokenizer.
        train_on: "all" learns everything, whatever kind it is.

    Raises:
        ConfigurationError: The model has no chat template, or one in which the answers cannot be told apart.
        DatasetError: The record is of no kind that is known here, or the template refuses it.
    """
    if "messages" in record:
        messages, tools = normal(record["messages"]), _tools(record)
        whole = train_on == "all"
        text, spans = (_text(messages, tools, tokens), []) if whole else _conversation(messages, tools, tokens)
        ids, places = tokens.ids(text, special=False)
    elif "prompt" in record and "completion" in record:
        text, spans, is_plain = _completion(record, tokens)
        ids, places = tokens.ids(text, special=is_plain)
    elif "text" in record:
        text = _ended(record["text"], tokens)
        spans = [(0, len(text))]
        ids, places = tokens.ids(text, special=True)
    else:
        raise DatasetError(f"a record with the fields {', '.join(sorted(record)) or 'none'} cannot be learnt from")
    ids, places = _once_ended(ids, places, text)
    if train_on == "all":
        return Encoded(ids, list(ids))
    return Encoded(
        ids, [token if _in_any(place, spans) else NOT_LEARNT for token, place in zip(ids, places, strict=True)]
    )


def encode_pair(record: Mapping[str, Any], tokens: Tokens) -> Pair:
    """Encodes a record of preference: `prompt`, `chosen` and `rejected`, as text or messages; or OpenAI's form of it.

    Raises:
        ConfigurationError: As for `encode`.
        DatasetError: The record is of another kind.
    """
    prompt, chosen, rejected, tools = _preference(record)
    sides: list[tuple[list[int], int]] = []
    for answer in (chosen, rejected):
        text, (start, end), is_plain = _side(prompt, answer, tools, tokens)
        ids, places = tokens.ids(text[:end], special=is_plain)
        ids, places = _once_ended(ids, places, text[:end])
        first = next((n for n, place in enumerate(places) if place[1] > start), len(ids))
        sides.append((ids, first))
    (good, n_good), (bad, n_bad) = sides
    # Where the last letter of the prompt melts into a token with the first of an answer, that token is the answer's.
    shared = min(n_good, n_bad)
    return Pair(good[:shared], good[shared:], bad[shared:])


def normal(messages: Sequence[Mapping[str, Any]]) -> Messages:
    """Returns messages as chat templates expect them: plain text, and the arguments of calls as objects.

    The server of a tuned model does the same to the messages it is sent.
    """
    return [_normal(message) for message in messages]


def _normal(message: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in message.items() if value is not None and name != "weight"}
    content = message.get("content")
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        if any(part.get("type") != "text" for part in parts):
            raise DatasetError("only parts of type 'text' can be learnt from")
        content = "".join(part["text"] for part in parts)
    plain["content"] = content or ""
    if message.get("tool_calls"):
        plain["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    if message.get("weight") == 0:
        plain["weight"] = 0
    return plain


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(call.get("function") or {})
    if isinstance(function.get("arguments"), str):
        try:
            function["arguments"] = json.loads(function["arguments"])
        except ValueError as error:
            message = f"the arguments of the call of '{function.get('name')}' are no JSON: {error}"
            raise DatasetError(message) from error
    return {**call, "function": function}


def _tools(record: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    tools = record.get("tools")
    return json.loads(tools) if isinstance(tools, str) else tools or None


def _text(messages: Messages, tools: list[dict[str, Any]] | None, tokens: Tokens) -> str:
    return tokens.render(_shown(messages), tools)


def _shown(messages: Messages) -> Messages:
    """Messages as templates see them, which know no weight."""
    return [{name: value for name, value in message.items() if name != "weight"} for message in messages]


def _conversation(messages: Messages, tools: list[dict[str, Any]] | None, tokens: Tokens) -> tuple[str, list[Span]]:
    """Writes a conversation out, and finds the answers in it, by the template's own marks if it has any."""
    shown = _shown(messages)
    text, marked = tokens.render_marked(shown, tools)
    answers = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    spans = marked if len(marked) == len(answers) else _spans_by_prefix(shown, answers, text, tools, tokens)
    if spans is None:
        message = (
            f"the chat template of '{tokens.model}' writes a message differently once others follow it, and marks "
            "none of it as generated: which tokens are the assistant's cannot be told"
        )
        hint = "Put {% generation %} around the assistant's messages in its template, or set train_on='all'."
        raise ConfigurationError(message, hint=hint)
    learnt = [span for n, span in zip(answers, spans, strict=True) if messages[n].get("weight") != 0]
    return text, [_trimmed(span, text, tokens) for span in learnt]


def _spans_by_prefix(
    messages: Messages, answers: Sequence[int], text: str, tools: list[dict[str, Any]] | None, tokens: Tokens
) -> list[Span] | None:
    """Finds each answer between what is written without it and with it; None where that does not begin the whole."""
    spans: list[Span] = []
    for n in answers:
        try:
            before = tokens.render(messages[:n], tools, generation_prompt=True) if n else ""
            upto = tokens.render(messages[: n + 1], tools)
        except DatasetError:  # some templates refuse a conversation that is not whole
            return None
        if not (text.startswith(upto) and upto.startswith(before)):
            return None
        spans.append((len(before), len(upto)))
    return spans


def _trimmed(span: Span, text: str, tokens: Tokens) -> Span:
    """Ends an answer with the token that ends it: what a template writes after that is never generated."""
    start, end = span
    if not tokens.ends_with_eos(text[start:end]) and tokens.begins_with_eos(text[end:]):
        return start, end + len(tokens.eos)  # some templates mark an answer as generated, and not its end
    without = text[start:end].rstrip()
    return (start, start + len(without)) if tokens.ends_with_eos(without) else span


def _completion(record: Mapping[str, Any], tokens: Tokens) -> tuple[str, list[Span], bool]:
    text, span, is_plain = _side(record["prompt"], record["completion"], _tools(record), tokens)
    return text, [span], is_plain


def _side(
    prompt: str | Sequence[Mapping[str, Any]],
    answer: str | Sequence[Mapping[str, Any]] | Mapping[str, Any],
    tools: list[dict[str, Any]] | None,
    tokens: Tokens,
) -> tuple[str, Span, bool]:
    """Writes a prompt and what follows it. Returns the text, where in it that stands, and whether it is plain text."""
    if isinstance(prompt, str) and isinstance(answer, str):
        text = _ended(prompt + answer, tokens)
        return text, (len(prompt), len(text)), True
    question = normal([{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt)
    given = [{"role": "assistant", "content": answer}] if isinstance(answer, str) else answer
    reply = normal([cast("Mapping[str, Any]", given)] if not isinstance(given, list) else given)
    before = tokens.render(question, tools, generation_prompt=True)
    text = tokens.render([*question, *reply], tools)
    if not text.startswith(before):
        _, spans = tokens.render_marked([*question, *reply], tools)
        if not spans:
            message = f"the chat template of '{tokens.model}' writes a prompt differently once an answer follows it"
            hint = "Put {% generation %} around the assistant's messages in its template."
            raise ConfigurationError(message, hint=hint)
        before = text[: spans[-1][0]]
    return text, _trimmed((len(before), len(text)), text, tokens), False


def _preference(record: Mapping[str, Any]) -> tuple[Any, Any, Any, list[dict[str, Any]] | None]:
    if "chosen" in record and "rejected" in record and "prompt" in record:
        return record["prompt"], record["chosen"], record["rejected"], _tools(record)
    if "preferred_output" in record and "non_preferred_output" in record and "input" in record:
        question: Mapping[str, Any] = record["input"]
        return question["messages"], record["preferred_output"], record["non_preferred_output"], _tools(question)
    raise DatasetError(f"a record with the fields {', '.join(sorted(record)) or 'none'} states no preference")


def _ended(text: str, tokens: Tokens) -> str:
    return text if tokens.ends_with_eos(text) else text + tokens.eos


def _once_ended(ids: list[int], places: list[Span], text: str) -> tuple[list[int], list[Span]]:
    """Takes away a second end, which some tokenizers add of themselves to a text that has one."""
    twice = len(ids) > 1 and ids[-1] == ids[-2] and places[-1] == (0, 0) and places[-2][1] == len(text)
    return (ids[:-1], places[:-1]) if twice else (ids, places)


def _in_any(place: Span, spans: Sequence[Span]) -> bool:
    """Whether a token belongs to one of the spans: it does to the one in which it ends."""
    return any(start < place[1] <= end for start, end in spans)
