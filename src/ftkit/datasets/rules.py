"""What can be wrong with one canonical record, and how to mend it."""

from __future__ import annotations

import json
import os.path
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit.datasets import _pictures
from ftkit.datasets._strict_json import StrictJSON
from ftkit.datasets._values import around, excerpt, is_list, is_object, quoted, type_name
from ftkit.datasets.records import At, Record
from ftkit.methods import near
from ftkit.models import DatasetRules, RecordKind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHER_NAMES = {
    "ai": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "chatgpt": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "human": "user",
    "customer": "user",
    "prompter": "user",
    "function": "tool",
    "ipython": "tool",
    "observation": "tool",
    "developer": "system",
    "system": "developer",
}
"""What other formats call the roles."""

_LONGEST_ROLE = 100  # characters in which a known role is looked for

_ONE_ANSWER = "Add a message with the role 'assistant': that is what is learnt."


class Flaw(NamedTuple):
    """One thing that is wrong with a record: a Problem without its file and line."""

    code: str
    at: At
    message: str
    fix: str
    severity: Severity = Severity.ERROR
    excerpt: str | None = None


def flaws(kind: RecordKind, record: Record, rules: DatasetRules) -> Iterator[Flaw]:
    """Yields everything that is wrong with a canonical record."""
    if kind is RecordKind.CHAT:
        return _chat(record, rules)
    if kind is RecordKind.ITEM:
        return _item(record, rules)
    if kind is RecordKind.PREFERENCE:
        return _preference(record, rules)
    if kind is RecordKind.PROMPT_COMPLETION:
        return _prompt_completion(record, rules)
    return _text(record, rules)


def _prompt_completion(record: Record, rules: DatasetRules) -> Iterator[Flaw]:
    for field in ("prompt", "completion"):
        yield from _is_text(record, field, rules)
    if isinstance(record["completion"], str) and not record["completion"].strip():
        yield Flaw("empty-completion", At("completion"), "the completion is empty.", "Write what is to be learnt.")


def _text(record: Record, rules: DatasetRules) -> Iterator[Flaw]:
    yield from _is_text(record, "text", rules)
    if isinstance(record["text"], str) and not record["text"].strip():
        yield Flaw("empty-text", At("text"), "the text is empty.", "Write some, or leave the row out.")


def _is_text(record: Record, field: str, rules: DatasetRules) -> Iterator[Flaw]:
    value = record[field]
    if isinstance(value, str):
        yield from _special_tokens(At(field), value, rules)
    else:
        yield Flaw("not-text", At(field), f"this is {type_name(value)}.", "Write text.", excerpt=excerpt(value))


def _chat(record: Record, rules: DatasetRules) -> Iterator[Flaw]:
    messages: list[Any] = record["messages"]
    yield from _tools(record, rules)
    if not messages:
        yield Flaw("empty-messages", At("messages"), "there are no messages.", "Write some, or leave the row out.")
        return
    yield from _conversation("messages", messages, rules, set())
    yield from _too_many_pictures("messages", messages, rules)
    if rules.needs_assistant and _roles_are_known(messages, rules):
        yield from _something_to_learn(messages)


def _item(record: Record, rules: DatasetRules) -> Iterator[Flaw]:
    yield from _chat(record, rules)
    last: object = record["messages"][-1] if record["messages"] else None
    if is_object(last) and last.get("role") in rules.roles and last.get("role") != "user":
        where = At("messages", len(record["messages"]) - 1, "role")
        message = "the last message is not the user's, and there is nothing to answer."
        yield Flaw("last-not-user", where, message, "Leave out what follows the question; put the answer beside it.")
    for field in sorted(rules.item_fields - record.keys()):
        wrong = f"the grader reads item.{field}, which the row has not."
        fix = f"Add '{field}'{near(field, record.keys() - {'messages', 'tools'})}"
        yield Flaw("missing-item-field", At(field), wrong, fix if fix.endswith("?") else f"{fix}.")


def _preference(record: Record, rules: DatasetRules) -> Iterator[Flaw]:
    calls: set[str] = set()
    yield from _tools(record, rules)
    if not record["prompt"]:
        yield Flaw("empty-messages", At("prompt"), "there are no messages.", "Write what is answered.")
    yield from _conversation("prompt", record["prompt"], rules, calls)
    for field in ("chosen", "rejected"):
        messages: list[Any] = record[field]
        yield from _conversation(field, messages, rules, {*calls})
        if not messages or all(is_object(message) and _is_empty(message) for message in messages):
            where = At(field, 0, "content") if messages else At(field)
            yield Flaw(f"empty-{field}", where, f"the {field} answer is empty.", "Write an answer.")
        elif _roles_are_known(messages, rules) and not _answers(messages):
            yield Flaw("no-assistant", At(field), "there is no message of the assistant.", _ONE_ANSWER)
        yield from _only_answers(field, messages, rules)
        yield from _too_many_pictures(field, [*record["prompt"], *messages], rules)
    if record["chosen"] and _unweighted(record["chosen"]) == _unweighted(record["rejected"]):
        message = "the chosen and the rejected answer are the same."
        yield Flaw("same-answers", At("rejected"), message, "Leave the row out: there is nothing to prefer.")


def _only_answers(field: str, messages: list[Any], rules: DatasetRules) -> Iterator[Flaw]:
    """Yields what is odd in an answer. OpenAI's schema has only messages of the assistant there."""
    for index, message in enumerate(messages):
        if not is_object(message):
            continue
        role: object = message.get("role")
        weight: object = message.get("weight")
        if role == "assistant" and not isinstance(weight, bool) and weight == 0 and rules.weights:
            wrong = "weight 0 is not honoured in a preference: the answer would be learnt all the same."
            yield Flaw("weight-not-accepted", At(field, index, "weight"), wrong, "Leave the weight out, or the row.")
        elif role in ("user", "system", "developer") and role in rules.roles and _answers(messages):
            wrong = "in an answer stands a message that is none: it would be learnt, too."
            fix = "Put into the prompt what comes before the answer, and leave out what comes after it."
            yield Flaw("not-an-answer", At(field, index, "role"), wrong, fix, Severity.WARNING)


def _unweighted(messages: list[Any]) -> list[Any]:
    return [{k: v for k, v in m.items() if k != "weight"} if is_object(m) else m for m in messages]


def _answers(messages: list[Any]) -> list[dict[str, Any]]:
    return [message for message in messages if is_object(message) and message.get("role") == "assistant"]


def _is_empty(message: dict[str, Any]) -> bool:
    content: object = message.get("content")
    parts: object = [content] if isinstance(content, str) else content
    return is_list(parts) and bool(parts) and not message.get("tool_calls") and not any(map(_says_something, parts))


def _says_something(part: object) -> bool:
    text: object = part.get("text") if is_object(part) and part.get("type") == "text" else part
    return not isinstance(text, str) or bool(text.strip())


def _roles_are_known(messages: list[Any], rules: DatasetRules) -> bool:
    """Whether every role can be told, so that the lack of an assistant is no mere slip of the pen."""
    return all(
        is_object(message) and isinstance(message.get("role"), str) and message["role"] in rules.roles
        for message in messages
    )


def _something_to_learn(messages: list[Any]) -> Iterator[Flaw]:
    answers = _answers(messages)
    if not answers:
        yield Flaw("no-assistant", At("messages"), "there is no message of the assistant.", _ONE_ANSWER)
    elif all(answer.get("weight") == 0 for answer in answers):
        message = "every message of the assistant has weight 0, so that nothing is learnt."
        yield Flaw("all-weights-zero", At("messages"), message, "Give at least one of them weight 1.")
    elif messages[-1].get("role") != "assistant":
        message = "what comes after the last message of the assistant is not learnt from."
        fix = "End with the answer of the assistant, or leave the rest out."
        yield Flaw("last-not-assistant", At("messages", len(messages) - 1, "role"), message, fix, Severity.WARNING)


# -- one message -------------------------------------------------------------------------------------------------------


def _conversation(field: str, messages: list[Any], rules: DatasetRules, calls: set[str]) -> Iterator[Flaw]:
    """Yields what is wrong with messages; `calls` are the ids of tool calls so far, and grows."""
    for index, message in enumerate(messages):
        at = At(field, index)
        if not is_object(message):
            wrong = f"a message is an object, and this is {type_name(message)}."
            yield Flaw("not-a-message", at, wrong, _MESSAGE, excerpt=excerpt(message))
            continue
        yield from _role(at, message, rules)
        yield from _content(at, message, rules)
        if "weight" in message:
            yield from _weight(at, message, rules)
        if "name" in message and not isinstance(message["name"], str):
            yield Flaw("bad-name", at._replace(rest="name"), "a name is text.", "Write text, or leave it out.")
        yield from _calls(at, message, rules, calls)


_MESSAGE = 'Write {"role": "user", "content": "..."}.'


def _message_of(role: object, rules: DatasetRules) -> str:
    """Returns how to write a message of a role."""
    if not isinstance(role, str) or role not in rules.roles:
        return _MESSAGE
    wanted = f'Write {{"role": "{role}", "content": "..."}}'
    if role == "assistant" and rules.tools:  # a field of a name that is no longer used is not in the record any more
        return f"{wanted}, or the calls as tool_calls, which an old function_call must become."
    return f"{wanted}."


def _role(at: At, message: dict[str, Any], rules: DatasetRules) -> Iterator[Flaw]:
    at = at._replace(rest="role")
    role: object = message.get("role")
    if role is None:
        yield Flaw("missing-role", at, "the message has no role.", _MESSAGE)
    elif not isinstance(role, str):
        yield Flaw("unknown-role", at, f"a role is text, and this is {type_name(role)}.", _MESSAGE)
    elif role not in rules.roles:
        yield Flaw("unknown-role", at, f"unknown role {quoted(role)}.", _use_role(role, rules))


def _use_role(role: str, rules: DatasetRules) -> str:
    if role.strip() in rules.roles:
        return f"Use '{role.strip()}', without the blanks."
    other = role_meant(role, rules)
    guess = f"'{other}'" if other else near(_word(role), rules.roles).removeprefix("; did you mean ").rstrip("?")
    return f"Use {guess or 'one of ' + ', '.join(sorted(rules.roles))}."


def role_meant(role: str, rules: DatasetRules) -> str | None:
    """Returns the role that an unknown word stands for: another spelling, or what other formats call it."""
    word = _word(role)
    other = word if word in rules.roles else _OTHER_NAMES.get(word)
    return other if other in rules.roles else None


def _word(role: str) -> str:
    return role[:_LONGEST_ROLE].strip().lower()


def _content(at: At, message: dict[str, Any], rules: DatasetRules) -> Iterator[Flaw]:
    at = at._replace(rest="content")
    content: object = message.get("content")
    if content is None:
        if not message.get("tool_calls"):
            wrong = "the message has neither content nor tool calls."
            yield Flaw("missing-content", at, wrong, _message_of(message.get("role"), rules))
    elif message.get("role") == "assistant" and message.get("weight") != 0 and _is_empty(message):
        wrong = "the assistant says nothing, and that is what is learnt."
        yield Flaw("empty-answer", at, wrong, "Write the answer, or leave the row out.", Severity.WARNING)
    elif isinstance(content, str):
        yield from _special_tokens(at, content, rules)
    elif is_list(content) and content:
        for index, part in enumerate(content):
            yield from _part(at._replace(rest=f"content[{index}]"), part, message.get("role"), rules)
    else:
        wrong = (
            "the list of parts is empty." if is_list(content) else f"content is text, and this is {type_name(content)}."
        )
        yield Flaw("bad-content", at, wrong, "Write text, or a list of parts.", excerpt=excerpt(content))


def _part(at: At, part: object, role: object, rules: DatasetRules) -> Iterator[Flaw]:
    """Yields what is wrong with a part of a message: a text or a picture."""
    text: object = part.get("text") if is_object(part) and part.get("type") == "text" else None
    address = _pictures.address_of(part)
    if isinstance(text, str):
        yield from _special_tokens(at._replace(rest=f"{at.rest}.text"), text, rules)
    elif address is not None:
        place = at._replace(rest=f"{at.rest}.image_url.url")
        for code, wrong, fix in _pictures.faults(address, role, rules):
            yield Flaw(code, place, wrong, fix, excerpt=excerpt(address))
        yield from _ending(place, address, rules)
    else:
        fix = 'Write {"type": "text", "text": "..."} or {"type": "image_url", "image_url": {"url": "..."}}.'
        yield Flaw("bad-content", at, "this is no part of a message.", fix, excerpt=excerpt(part))


def _ending(at: At, address: str, rules: DatasetRules) -> Iterator[Flaw]:
    """Yields that an address ends as if its picture were not accepted. Nobody knows before it is fetched."""
    formats = rules.image_formats
    if not rules.images or formats is None:
        return
    found = _ENDING.match(address)
    if found is not None and found[1].lower() not in formats:
        wrong = f"by its address, the picture is of the format '{found[1].lower()}', which is not accepted."
        fix = f"Use {', '.join(sorted(formats))}."
        yield Flaw("bad-image", at, wrong, fix, Severity.WARNING, excerpt(address))


_ENDING = re.compile(
    r"https?://[^?#]+\.(gif|bmp|tiff?|svg|avif|heic|ico|psd|pdf)(?:[?#].*)?\Z", re.IGNORECASE | re.DOTALL
)


def _too_many_pictures(field: str, messages: list[Any], rules: DatasetRules) -> Iterator[Flaw]:
    if rules.max_images is None:
        return
    number = _pictures.number_in(messages)
    if number > rules.max_images:
        wrong = f"the example has {number} pictures, and at most {rules.max_images} are accepted."
        yield Flaw("too-many-images", At(field), wrong, "Leave some out, or make two examples of it.")


def _special_tokens(at: At, text: str, rules: DatasetRules) -> Iterator[Flaw]:
    """Yields that a text holds what the tokenizer takes for something else than text."""
    if not rules.special_tokens:
        return
    found = _any_of(rules.special_tokens).search(text)
    if found is None:
        return
    token = found.group()
    wrong = f"the text holds the special token {token}, of which the whole job would fail."
    fix = "Leave it out, or write it otherwise, such as with a space in it."
    yield Flaw("special-token", at, wrong, fix, excerpt=around(text, *found.span()))


@cache
def _any_of(tokens: tuple[str, ...]) -> re.Pattern[str]:
    """Returns what finds any of some texts. What all begin with stands before the choice, which makes it quick."""
    start = os.path.commonprefix(tokens)  # noqa: RUF071 - letter by letter is what is wanted
    rest = sorted((token.removeprefix(start) for token in tokens), key=len, reverse=True)
    return re.compile(f"{re.escape(start)}(?:{'|'.join(map(re.escape, rest))})")


def _weight(at: At, message: dict[str, Any], rules: DatasetRules) -> Iterator[Flaw]:
    at = at._replace(rest="weight")
    weight: object = message["weight"]
    if isinstance(weight, bool) or weight not in (0, 1):
        shown = f"the text {quoted(weight)}" if isinstance(weight, str) else excerpt(weight)
        yield Flaw("bad-weight", at, f"a weight is 0 or 1, and this is {shown}.", "Write 0 or 1.")
    elif message.get("role") != "assistant":
        yield Flaw("bad-weight", at, "only the assistant's messages have a weight.", "Leave it out.")
    elif weight == 0 and not rules.weights:
        wrong = "weight 0 is not honoured here: the message would be learnt all the same."
        yield Flaw("weight-not-accepted", at, wrong, "Leave the weight out, or the row.")


# -- tools -------------------------------------------------------------------------------------------------------------


def _tools(record: Record, rules: DatasetRules) -> Iterator[Flaw]:
    if "parallel_tool_calls" in record and not isinstance(record["parallel_tool_calls"], bool):
        yield Flaw("bad-tools", At("parallel_tool_calls"), "this is true or false.", "Write one of them.")
    if "tools" not in record:
        return
    tools: object = record["tools"]
    if not rules.tools:
        yield Flaw("tools-not-accepted", At("tools"), "tools are not accepted here.", "Leave the row out.")
    elif not is_list(tools):
        wrong = f"tools are a list, and this is {type_name(tools)}."
        yield Flaw("bad-tools", At("tools"), wrong, _TOOL, excerpt=excerpt(tools))
    else:
        for index, tool in enumerate(tools):
            if not _has_function_name(tool):
                yield Flaw(
                    "bad-tools", At("tools", index), "the tool has no function.name.", _TOOL, excerpt=excerpt(tool)
                )


_TOOL = 'Write [{"type": "function", "function": {"name": "...", "parameters": {...}}}].'


def _has_function_name(tool: object) -> bool:
    function: object = tool.get("function") if is_object(tool) else None
    return is_object(function) and isinstance(function.get("name"), str) and bool(function["name"])


def _calls(at: At, message: dict[str, Any], rules: DatasetRules, calls: set[str]) -> Iterator[Flaw]:
    role: object = message.get("role")
    if role == "tool" and "tool" in rules.roles:
        answered: object = message.get("tool_call_id")
        if not isinstance(answered, str) or answered not in calls:
            shown = (
                "no tool_call_id" if answered is None else f"the tool_call_id {excerpt(answered)}, which no call has"
            )
            fix = "Give it the id of a call in an earlier message."
            yield Flaw("unmatched-tool-call", at._replace(rest="tool_call_id"), f"the message has {shown}.", fix)
    if "tool_calls" not in message:
        return
    at = at._replace(rest="tool_calls")
    made: object = message["tool_calls"]
    if not rules.tools:
        yield Flaw("tools-not-accepted", at, "tool calls are not accepted here.", "Leave the row out.")
    elif role != "assistant":
        yield Flaw("bad-tool-call", at, "only the assistant calls tools.", "Leave it out.")
    elif not is_list(made) or not made:
        yield Flaw("bad-tool-call", at, "tool_calls is a list of calls.", _CALL, excerpt=excerpt(made))
    else:
        for index, call in enumerate(made):
            yield from _call(at._replace(rest=f"tool_calls[{index}]"), call, rules)
            if is_object(call) and isinstance(call.get("id"), str):
                calls.add(call["id"])


_CALL = 'Write [{"id": "...", "type": "function", "function": {"name": "...", "arguments": "{...}"}}].'


def _call(at: At, call: object, rules: DatasetRules) -> Iterator[Flaw]:
    if not is_object(call) or not _has_function_name(call):
        place = at._replace(rest=f"{at.rest}.function.name")
        yield Flaw("bad-tool-call", place, "the call names no function.", _CALL, excerpt=excerpt(call))
        return
    arguments: object = call["function"].get("arguments")
    place = at._replace(rest=f"{at.rest}.function.arguments")
    if isinstance(arguments, str):
        yield from _special_tokens(place, arguments, rules)
    if not isinstance(arguments, str) or not _is_json_object(arguments):
        wrong = "the arguments are not text that holds a JSON object."
        shown = None if arguments is None else excerpt(arguments)
        yield Flaw("bad-tool-call", place, wrong, "Write them with json.dumps.", excerpt=shown)


def _is_json_object(text: str) -> bool:
    try:
        decoded = StrictJSON().whole(text)
    except json.JSONDecodeError:
        return False
    return is_object(decoded.value) and decoded.flaw is None
