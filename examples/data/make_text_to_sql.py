"""Makes text_to_sql.jsonl: questions, the table that each is about, and the query that answers it.

    python examples/data/make_text_to_sql.py

The same rows every time. Every query is run in SQLite against its table before it is written.
"""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

ROWS = 760
SEED = 20261123
TARGET = Path(__file__).parent / "text_to_sql.jsonl"

# table -> (columns of text with values that occur in them, columns of numbers)
TABLES: dict[str, tuple[dict[str, list[str]], list[str]]] = {
    "singer": ({"name": ["Ada", "Omar"], "country": ["France", "Peru"], "genre": ["folk", "jazz"]}, ["age", "albums"]),
    "concert": ({"venue": ["Arena", "Old Hall"], "city": ["Oslo", "Lima"]}, ["year", "tickets"]),
    "book": ({"title": ["Tides", "Winter"], "author": ["Sato", "Mora"], "language": ["Dutch", "Thai"]}, ["pages"]),
    "employee": ({"name": ["Ida", "Noah"], "department": ["Sales", "Legal"]}, ["salary", "age"]),
    "flight": ({"origin": ["Rome", "Cairo"], "airline": ["Blue Air", "Condor"]}, ["distance", "price"]),
    "hotel": ({"name": ["Lark", "Seaview"], "city": ["Porto", "Kyoto"]}, ["rooms", "stars", "price"]),
    "river": ({"name": ["Elbe", "Volta"], "country": ["Ghana", "Chile"]}, ["length", "depth"]),
    "mountain": ({"name": ["Kamet", "Aneto"], "range": ["Andes", "Alps"]}, ["height"]),
    "student": ({"name": ["Lena", "Hugo"], "major": ["Physics", "Law"]}, ["age", "credits", "grade"]),
    "course": ({"title": ["Algebra", "Logic"], "teacher": ["Rossi", "Kim"]}, ["hours", "seats"]),
    "movie": ({"title": ["Orbit", "Ember"], "director": ["Varga", "Lund"], "genre": ["drama", "comedy"]}, ["year"]),
    "player": ({"name": ["Ines", "Tomas"], "team": ["Foxes", "Rovers"], "position": ["guard", "wing"]}, ["points"]),
    "stadium": ({"name": ["North Park", "Bayside"], "city": ["Turin", "Leeds"]}, ["capacity", "opened"]),
    "ship": ({"name": ["Aurora", "Pelican"], "type": ["tanker", "ferry"]}, ["tonnage", "speed"]),
    "train": ({"station": ["Central", "Harbour"], "operator": ["Metro", "RailCo"]}, ["platforms", "delay"]),
    "museum": ({"name": ["Glass House", "Mint"], "city": ["Ghent", "Quito"]}, ["visitors", "founded"]),
    "painting": (
        {"title": ["Dunes", "The Well"], "artist": ["Okoye", "Blanc"], "style": ["cubist", "modern"]},
        ["year"],
    ),
    "restaurant": ({"name": ["Saffron", "Olive"], "cuisine": ["Greek", "Indian"]}, ["rating", "tables"]),
    "recipe": ({"title": ["Ratatouille", "Ramen"], "cuisine": ["French", "Japanese"]}, ["minutes", "servings"]),
    "customer": ({"name": ["Mira", "Paul"], "city": ["Bern", "Dakar"], "plan": ["basic", "gold"]}, ["balance"]),
    "product": (
        {"name": ["Lamp", "Kettle"], "brand": ["Norda", "Vexo"], "colour": ["red", "black"]},
        ["price", "stock"],
    ),
    "invoice": ({"client": ["Acorn", "Zephyr"], "status": ["open", "paid"]}, ["amount", "year"]),
    "car": ({"model": ["Civet", "Rover"], "maker": ["Tarn", "Oriel"]}, ["horsepower", "weight", "price"]),
    "phone": ({"model": ["P9", "Nova"], "maker": ["Lumo", "Kite"]}, ["memory", "price"]),
    "city": ({"name": ["Graz", "Tunis"], "country": ["Austria", "Tunisia"]}, ["population", "area"]),
    "school": ({"name": ["Hill", "Riverside"], "district": ["North", "East"]}, ["pupils", "classes"]),
    "doctor": ({"name": ["Frey", "Cole"], "field": ["surgery", "neurology"]}, ["patients", "age"]),
    "hospital": ({"name": ["St Anne", "Mercy"], "city": ["Lyon", "Perth"]}, ["beds", "wards"]),
    "farm": ({"owner": ["Brandt", "Silva"], "crop": ["wheat", "rice"]}, ["acres", "workers"]),
    "planet": ({"name": ["Kepler", "Proxima"], "star": ["Vega", "Sirius"]}, ["mass", "moons"]),
    "bridge": ({"name": ["Twin Arch", "Gate"], "river": ["Rhine", "Tagus"]}, ["length", "built"]),
    "festival": ({"name": ["Lantern", "Harvest"], "month": ["May", "October"]}, ["days", "guests"]),
    "song": ({"title": ["Echo", "Drift"], "artist": ["Lumen", "Halo"]}, ["seconds", "plays"]),
    "library": ({"name": ["Main", "Westgate"], "city": ["Delft", "Cork"]}, ["books", "desks"]),
    "race": ({"name": ["Coast Run", "Grand Loop"], "winner": ["Abebe", "Larsen"]}, ["laps", "year"]),
    "app": ({"name": ["Notely", "Pacer"], "category": ["health", "music"]}, ["downloads", "rating"]),
}


def plural(noun: str) -> str:
    """Returns the plural of a noun."""
    if noun.endswith("y"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "ch")) else "s")


def count_all(table: str, _: list[str], __: list[str], pick: random.Random) -> tuple[str, str]:
    """All rows of a table."""
    ask = pick.choice(["How many {} are there?", "Count the {}.", "What is the number of {}?"])
    return ask.format(plural(table)), f"SELECT COUNT(*) FROM {table}"


def count_above(table: str, _: list[str], numbers: list[str], pick: random.Random) -> tuple[str, str]:
    """The rows whose number is above or below a bound."""
    number, bound = pick.choice(numbers), pick.randrange(10, 990)
    word, sign = pick.choice([("above", ">"), ("below", "<")])
    ask = f"How many {plural(table)} have a {number} {word} {bound}?"
    return ask, f"SELECT COUNT(*) FROM {table} WHERE {number} {sign} {bound}"


def list_column(table: str, texts: list[str], numbers: list[str], pick: random.Random) -> tuple[str, str]:
    """One column."""
    column = pick.choice(texts + numbers)
    ask = pick.choice(["List the {} of all {}.", "Show the {} of every one of the {}."])
    return ask.format(column, plural(table)), f"SELECT {column} FROM {table}"


def find_by_text(table: str, texts: list[str], numbers: list[str], pick: random.Random) -> tuple[str, str]:
    """One column, where another has a value."""
    known = pick.choice(texts)
    wanted = pick.choice([c for c in texts + numbers if c != known])
    value = pick.choice(TABLES[table][0][known])
    ask = f"What is the {wanted} of the {table} whose {known} is {value}?"
    return ask, f"SELECT {wanted} FROM {table} WHERE {known} = '{value}'"


def aggregate(table: str, _: list[str], numbers: list[str], pick: random.Random) -> tuple[str, str]:
    """Average, sum, maximum or minimum."""
    number = pick.choice(numbers)
    words = {"average": "AVG", "total": "SUM", "highest": "MAX", "lowest": "MIN"}
    word = pick.choice(list(words))
    return f"What is the {word} {number} of the {plural(table)}?", f"SELECT {words[word]}({number}) FROM {table}"


def ordered(table: str, texts: list[str], numbers: list[str], pick: random.Random) -> tuple[str, str]:
    """One column in the order of another."""
    text, number = pick.choice(texts), pick.choice(numbers)
    word, order = pick.choice([("highest", "DESC"), ("lowest", "ASC")])
    ask = f"List the {text} of the {plural(table)} by {number}, {word} first."
    return ask, f"SELECT {text} FROM {table} ORDER BY {number} {order}"


def grouped(table: str, texts: list[str], _: list[str], pick: random.Random) -> tuple[str, str]:
    """How often each value occurs."""
    text = pick.choice(texts)
    ask = f"How many {plural(table)} are there for each {text}?"
    return ask, f"SELECT {text}, COUNT(*) FROM {table} GROUP BY {text}"


def distinct(table: str, texts: list[str], _: list[str], pick: random.Random) -> tuple[str, str]:
    """Each value once."""
    text = pick.choice(texts)
    return f"Which different values of {text} do the {plural(table)} have?", f"SELECT DISTINCT {text} FROM {table}"


def top(table: str, texts: list[str], numbers: list[str], pick: random.Random) -> tuple[str, str]:
    """The first few."""
    text, number, few = pick.choice(texts), pick.choice(numbers), pick.randrange(2, 10)
    ask = f"Give the {text} of the {few} {plural(table)} with the highest {number}."
    return ask, f"SELECT {text} FROM {table} ORDER BY {number} DESC LIMIT {few}"


QUESTIONS = [count_all, count_above, list_column, find_by_text, aggregate, ordered, grouped, distinct, top]


def make_row(pick: random.Random) -> dict[str, str]:
    """Makes a question about a table with some of its columns, in any order."""
    table = pick.choice(list(TABLES))
    all_texts, all_numbers = TABLES[table]
    texts = pick.sample(list(all_texts), pick.randint(1, len(all_texts)))
    numbers = pick.sample(all_numbers, pick.randint(1, len(all_numbers)))
    columns = [f"{name} TEXT" for name in texts] + [f"{name} INTEGER" for name in numbers]
    pick.shuffle(columns)
    question, answer = pick.choice(QUESTIONS)(table, texts, numbers, pick)
    return {"question": question, "context": f"CREATE TABLE {table} ({', '.join(columns)})", "answer": answer}


def check(row: dict[str, str]) -> None:
    """Runs the query against its table; sqlite3 raises if it cannot."""
    with sqlite3.connect(":memory:") as db:
        db.execute(row["context"])
        db.execute(row["answer"]).fetchall()


def main() -> None:
    """Writes the file. No question is asked twice, whatever the columns of its table."""
    pick = random.Random(SEED)
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < ROWS:
        row = make_row(pick)
        check(row)
        rows.setdefault(row["question"], row)
    TARGET.write_text("".join(json.dumps(row) + "\n" for row in rows.values()), encoding="utf-8")
    print(f"{len(rows)} rows in {TARGET.name}")


if __name__ == "__main__":
    main()
