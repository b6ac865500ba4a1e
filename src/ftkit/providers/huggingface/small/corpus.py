"""The texts that `ftkit/small` learns from: a dozen kinds, made from a seed, without end.

They teach what a small model can learn in a minute: how a conversation looks, to look something up and say it again, to
write lists, JSON and SQL that keep to their form. No text pairs a question with an SQL query, and none tells the
ingredients of a recipe: what the tutorials teach is left for fine-tuning to teach.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ftkit.providers.huggingface.small.words import (
    ACTIONS,
    AMONG,
    ASKED,
    FIELDS,
    FOODS,
    PEOPLE,
    PLACES,
    QUALITIES,
    SYLLABLES,
    THINGS,
    UNITS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

Message = dict[str, str]
Document = str | list[Message]
"""A plain text, or a conversation."""

_SYSTEMS = ["You are a helpful assistant.", "Answer briefly.", "You are a careful assistant.", "Help the user."]


def documents(random: Random) -> Iterator[Document]:
    """Yields texts for ever; the same ones for the same state of `random`."""
    while True:
        yield random.choice(_KINDS)(random)


def _is(random: Random, share: float) -> bool:
    return random.random() < share


def _chat(random: Random, question: str, answer: str, system: str | None = None) -> list[Message]:
    if system is None and _is(random, 0.5):
        system = random.choice(_SYSTEMS)
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]


# -- words and records ---------------------------------------------------------------------------------------------


def _invented(random: Random) -> str:
    """A word that nobody has seen: what it is cannot be learnt by heart, only looked up."""
    return "".join(random.choices(SYLLABLES, k=random.randint(2, 3)))


def _word(random: Random) -> str:
    return _invented(random) if _is(random, 0.2) else random.choice(random.choice([THINGS, FOODS, FIELDS]))


def _words(random: Random, most: int) -> list[str]:
    return [_word(random) for _ in range(random.randint(2, most))]


def _name(random: Random) -> str:
    return _invented(random).capitalize() if _is(random, 0.4) else random.choice(random.choice([PEOPLE, PLACES]))


def _number(random: Random) -> int:
    return random.randrange(1, random.choice([10, 100, 1000, 2030]))


def _value(random: Random) -> str:
    return str(_number(random)) if _is(random, 0.5) else _name(random)


def _record(random: Random) -> dict[str, str]:
    return {field: _value(random) for field in random.sample(FIELDS, random.randint(2, 5))}


def _sentence(random: Random) -> str:
    thing, other = random.sample(THINGS, 2)
    quality, action, name = random.choice(QUALITIES), random.choice(ACTIONS), _name(random)
    return random.choice(
        [
            f"{name} {action} the {quality} {thing}.",
            f"The {thing} is {quality} and the {other} is {random.choice(QUALITIES)}.",
            f"There are {_number(random)} {thing}s in the {other} near {name}.",
            f"What is the {random.choice(FIELDS)} of the {thing}? It is {_value(random)}.",
            f"In {_number(random)}, {name} {action} a {thing} for each {other}.",
            f"The {thing} of {name} has a {random.choice(FIELDS)} of {_number(random)}.",
        ]
    )


# -- plain texts ---------------------------------------------------------------------------------------------------


def _prose(random: Random) -> str:
    return " ".join(_sentence(random) for _ in range(random.randint(2, 5)))


def _twice(random: Random) -> str:
    """A line, perhaps something else, and the same line again."""
    pools = [THINGS, FIELDS, AMONG, AMONG, ASKED, PLACES]
    line = " ".join(
        random.choice(random.choice(pools)) if _is(random, 0.7) else _value(random)
        for _ in range(random.randint(4, 12))
    )
    return f"{line}\n{_sentence(random)}\n{line}" if _is(random, 0.5) else f"{line}\n{line}"


def _json(random: Random) -> str:
    return "\n".join(json.dumps(_record(random)) for _ in range(random.randint(1, 3)))


def _settings(random: Random) -> str:
    """What is known in words, and the same as one writes it for a machine."""
    record = _record(random)
    words = " ".join(f"The {field} is {value}." for field, value in record.items())
    lines = [f"{field} = {value if value.isdigit() else repr(value)}" for field, value in record.items()]
    return "\n".join([words, *lines])


def _shopping(random: Random) -> str:
    lines = [f"{_number(random)} {random.choice(UNITS)} {food}" for food in random.sample(FOODS, 4)]
    return f"Shopping: {json.dumps(lines)}"


def _schema(random: Random) -> tuple[str, list[str], list[str]]:
    """Returns the columns of a table as SQL, those of text, and those of numbers."""
    names = list(dict.fromkeys(_words(random, 5)))
    cut = random.randint(1, len(names))
    texts, numbers = names[:cut], names[cut:]
    columns = [f"{name} TEXT" for name in texts] + [f"{name} INTEGER" for name in numbers]
    random.shuffle(columns)
    return ", ".join(columns), texts, numbers


def _query(random: Random, table: str, texts: list[str], numbers: list[str]) -> str:
    text, number = random.choice(texts), random.choice(numbers or texts)
    return random.choice(
        [
            f"SELECT {text} FROM {table}",
            f"SELECT COUNT(*) FROM {table} WHERE {number} {random.choice('<>')} {_number(random)}",
            f"SELECT {number} FROM {table} WHERE {text} = '{_name(random)}'",
            f"SELECT {random.choice(['AVG', 'SUM', 'MAX', 'MIN'])}({number}) FROM {table}",
            f"SELECT {text} FROM {table} ORDER BY {number} {random.choice(['ASC', 'DESC'])}",
            f"SELECT {text}, COUNT(*) FROM {table} GROUP BY {text}",
            f"SELECT DISTINCT {text} FROM {table} LIMIT {random.randrange(1, 10)}",
            f"DELETE FROM {table} WHERE {number} = {_number(random)}",
        ]
    )


def _sql(random: Random) -> str:
    """A script: a table, and queries on it. What each is for, it does not say."""
    table = _word(random)
    columns, texts, numbers = _schema(random)
    queries = [_query(random, table, texts, numbers) for _ in range(random.randint(2, 5))]
    return ";\n".join([f"CREATE TABLE {table} ({columns})", *queries])


# -- conversations -------------------------------------------------------------------------------------------------


def _greeting(random: Random) -> list[Message]:
    name = _name(random)
    question = random.choice([f"Hello, I am {name}.", f"Hi! My name is {name}.", f"Good morning, {name} here."])
    return _chat(random, question, random.choice([f"Hello {name}, how can I help?", f"Hi {name}!"]))


def _repeat(random: Random) -> list[Message]:
    words = " ".join(_words(random, 6))
    return _chat(random, random.choice(["Repeat: ", "Say this again: ", "Copy "]) + words, words)


def _lookup(random: Random) -> list[Message]:
    """A record, and a question for one of its fields."""
    record = _record(random)
    field = random.choice(list(record))
    shown = "; ".join(f"{name}: {value}" for name, value in record.items())
    ask = random.choice(["What is the {}?", "Which {} is it?", "Tell me the {}.", "{}?"]).format(field)
    if _is(random, 0.5):
        return _chat(random, ask, record[field], system=f"This is known: {shown}")
    return _chat(random, f"{shown}\n{ask}", record[field])


def _columns(random: Random) -> list[Message]:
    """A table, and a question about what it holds."""
    table = _word(random)
    columns, texts, numbers = _schema(random)
    column = random.choice(texts + numbers)
    names = [one.split()[0] for one in columns.split(", ")]
    question, answer = random.choice(
        [
            ("Which columns are there?", ", ".join(names)),
            (f"What does {column} hold?", f"{column} {'TEXT' if column in texts else 'INTEGER'}"),
            ("Which table is it?", table),
        ]
    )
    return _chat(random, question, answer, system=f"CREATE TABLE {table} ({columns})")


def _as_json(random: Random) -> list[Message]:
    record = _record(random)
    shown = ", ".join(f"{name} {value}" for name, value in record.items())
    return _chat(random, f"Write as JSON: {shown}", json.dumps(record))


def _as_list(random: Random) -> list[Message]:
    words = _words(random, 6)
    question, answer = random.choice(
        [
            (f"Write as a list: {' '.join(words)}", json.dumps(words)),
            (f"Which is the first of {', '.join(words)}?", words[0]),
            (f"Which is the last of {', '.join(words)}?", words[-1]),
        ]
    )
    return _chat(random, question, answer)


def _opinion(random: Random) -> list[Message]:
    thing, quality = random.choice(THINGS), random.choice(QUALITIES)
    answer = random.choice([f"Yes, the {thing} is {quality}.", f"No, the {thing} is not {quality}.", "I do not know."])
    return _chat(random, f"Is the {thing} {quality}?", answer)


_KINDS: list[Callable[[Random], Document]] = [
    *(_prose, _twice, _twice, _json, _shopping, _settings, _settings, _sql, _sql, _sql),
    *(_greeting, _repeat, _repeat, _lookup, _lookup, _lookup, _columns, _columns, _as_json, _as_list, _opinion),
]
