"""The texts that `ftkit/small` learns from: made by the dozen kinds, from a seed, without end.

They teach what a small model can learn in a minute: how a conversation looks, to copy a word from where it stands, to
look something up, to write lists, JSON and SQL that keep to their form. No text pairs a question with an SQL query, and
none extracts ingredients: what the tutorials teach is left for fine-tuning to teach.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ftkit.providers.huggingface.small.words import (
    ACTIONS,
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
    from collections.abc import Iterator
    from random import Random

Message = dict[str, str]
Document = str | list[Message]
"""A plain text, or a conversation."""

_SYSTEMS = ["You are a helpful assistant.", "Answer briefly.", "You are a careful assistant.", "Help the user."]
_MOST_COPIED = 6


def documents(random: Random) -> Iterator[Document]:
    """Yields texts for ever; the same ones for the same state of `random`."""
    while True:
        yield random.choice(_KINDS)(random)


def _chat(random: Random, question: str, answer: str, system: str | None = None) -> list[Message]:
    if system is None and random.random() < 0.5:
        system = random.choice(_SYSTEMS)
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]


# -- words and records ---------------------------------------------------------------------------------------------


def _invented(random: Random) -> str:
    """A word that nobody has seen: copying it cannot be learnt by heart."""
    return "".join(random.choices(SYLLABLES, k=random.randint(2, 3)))


def _word(random: Random) -> str:
    return _invented(random) if random.random() < 0.4 else random.choice(random.choice([THINGS, FOODS, FIELDS]))


def _name(random: Random) -> str:
    return _invented(random).capitalize() if random.random() < 0.4 else random.choice(random.choice([PEOPLE, PLACES]))


def _value(random: Random) -> str:
    return str(random.randrange(1, 2000)) if random.random() < 0.5 else _name(random)


def _record(random: Random) -> dict[str, str]:
    return {field: _value(random) for field in random.sample(FIELDS, random.randint(2, 5))}


def _sentence(random: Random) -> str:
    thing, other = random.sample(THINGS, 2)
    shape = random.randrange(5)
    if shape == 0:
        return f"{_name(random)} {random.choice(ACTIONS)} the {random.choice(QUALITIES)} {thing}."
    if shape == 1:
        return f"The {thing} is {random.choice(QUALITIES)} and the {other} is {random.choice(QUALITIES)}."
    if shape == 2:
        return f"There are {random.randrange(2, 1000)} {thing}s in the {other} near {_name(random)}."
    if shape == 3:
        return f"What is the {random.choice(FIELDS)} of the {thing}? It is {_value(random)}."
    return f"In {random.randrange(1900, 2030)}, {_name(random)} {random.choice(ACTIONS)} a {thing} for each {other}."


# -- plain texts ---------------------------------------------------------------------------------------------------


def _prose(random: Random) -> str:
    return " ".join(_sentence(random) for _ in range(random.randint(2, 5)))


def _twice(random: Random) -> str:
    """The same line twice, with something in between: what copying is learnt from."""
    line = " ".join(_word(random) for _ in range(random.randint(3, 10)))
    return f"{line}\n{_sentence(random)}\n{line}" if random.random() < 0.5 else f"{line}\n{line}"


def _json_text(random: Random) -> str:
    return "\n".join(json.dumps(_record(random)) for _ in range(random.randint(1, 3)))


def _schema(random: Random) -> tuple[str, list[str], list[str]]:
    names = list(dict.fromkeys(_word(random) for _ in range(random.randint(2, 5))))
    cut = random.randint(1, len(names))
    texts, numbers = names[:cut], names[cut:]
    columns = [f"{name} TEXT" for name in texts] + [f"{name} INTEGER" for name in numbers]
    random.shuffle(columns)
    return ", ".join(columns), texts, numbers


def _sql(random: Random) -> str:
    """A script: a table and queries on it. What each is for, it does not say."""
    table = _word(random)
    columns, texts, numbers = _schema(random)
    lines = [f"CREATE TABLE {table} ({columns})"]
    for _ in range(random.randint(2, 5)):
        text, number = random.choice(texts), random.choice(numbers or texts)
        bound = random.randrange(1, 1000)
        lines.append(
            random.choice(
                [
                    f"SELECT {text} FROM {table}",
                    f"SELECT COUNT(*) FROM {table} WHERE {number} {random.choice('<>')} {bound}",
                    f"SELECT {number} FROM {table} WHERE {text} = '{_name(random)}'",
                    f"SELECT {random.choice(['AVG', 'SUM', 'MAX', 'MIN'])}({number}) FROM {table}",
                    f"SELECT {text} FROM {table} ORDER BY {number} {random.choice(['ASC', 'DESC'])}",
                    f"SELECT {text}, COUNT(*) FROM {table} GROUP BY {text}",
                    f"SELECT DISTINCT {text} FROM {table} LIMIT {random.randrange(1, 10)}",
                    f"DELETE FROM {table} WHERE {number} = {bound}",
                ]
            )
        )
    return ";\n".join(lines)


# -- conversations -------------------------------------------------------------------------------------------------


def _greeting(random: Random) -> list[Message]:
    name = _name(random)
    question = random.choice([f"Hello, I am {name}.", f"Hi! My name is {name}.", f"Good morning, {name} here."])
    return _chat(random, question, random.choice([f"Hello {name}, how can I help?", f"Hi {name}!"]))


def _repeat(random: Random) -> list[Message]:
    words = " ".join(_word(random) for _ in range(random.randint(1, _MOST_COPIED)))
    return _chat(random, random.choice(["Repeat: ", "Say this again: ", "Copy "]) + words, words)


def _lookup(random: Random) -> list[Message]:
    """A record, and a question for one of its fields."""
    record = _record(random)
    field = random.choice(list(record))
    shown = "; ".join(f"{name}: {value}" for name, value in record.items())
    ask = random.choice(["What is the {}?", "Which {} is it?", "Tell me the {}.", "{}?"]).format(field)
    if random.random() < 0.5:
        return _chat(random, ask, record[field], system=f"This is known: {shown}")
    return _chat(random, f"{shown}\n{ask}", record[field])


def _columns(random: Random) -> list[Message]:
    """A table, and a question about what it holds."""
    table = _word(random)
    columns, texts, numbers = _schema(random)
    system = f"CREATE TABLE {table} ({columns})"
    shape = random.randrange(3)
    if shape == 0:
        names = [column.split()[0] for column in columns.split(", ")]
        return _chat(random, "Which columns are there?", ", ".join(names), system=system)
    if shape == 1:
        column = random.choice(texts + numbers)
        kind = "TEXT" if column in texts else "INTEGER"
        return _chat(random, f"What does {column} hold?", f"{column} {kind}", system=system)
    return _chat(random, "Which table is it?", table, system=system)


def _as_json(random: Random) -> list[Message]:
    record = _record(random)
    shown = ", ".join(f"{name} {value}" for name, value in record.items())
    return _chat(random, f"Write as JSON: {shown}", json.dumps(record))


def _as_list(random: Random) -> list[Message]:
    words = [_word(random) for _ in range(random.randint(2, _MOST_COPIED))]
    shape = random.randrange(3)
    if shape == 0:
        return _chat(random, f"Write as a list: {' '.join(words)}", json.dumps(words))
    if shape == 1:
        return _chat(random, f"Which is the first of {', '.join(words)}?", words[0])
    return _chat(random, f"Which is the last of {', '.join(words)}?", words[-1])


def _shopping(random: Random) -> str:
    """What one needs to cook; a plain text."""
    lines = [f"{random.randrange(1, 9)} {random.choice(UNITS)} {food}" for food in random.sample(FOODS, 4)]
    return f"Shopping: {json.dumps(lines)}"


def _tone(random: Random) -> list[Message]:
    thing, quality = random.choice(THINGS), random.choice(QUALITIES)
    return _chat(random, f"Is the {thing} {quality}?", random.choice([f"Yes, the {thing} is {quality}.", "I do not know."]))


_KINDS = [
    _prose,
    _twice,
    _twice,
    _json_text,
    _sql,
    _sql,
    _sql,
    _greeting,
    _repeat,
    _repeat,
    _lookup,
    _lookup,
    _lookup,
    _columns,
    _columns,
    _as_json,
    _as_list,
    _shopping,
    _tone,
]
