"""Queries that models wrote, and whether they give what the wanted ones give."""

# ruff: noqa: S608 - queries are what it is about
# pyright: reportPrivateUsage=false
from __future__ import annotations

import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit import ConfigurationError
from ftkit.evaluate._sql_comparing import fits, tied
from ftkit.evaluate._sql_text import order_of, tables_in
from ftkit.evaluate.questions import Question
from ftkit.evaluate.scoring import name_of
from ftkit.evaluate.sql import ExecutionMatch
from ftkit.models import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "examples" / "data" / "text_to_sql.jsonl").read_text().splitlines()
]
SCHOOL = """\
CREATE TABLE student (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, born DATE, is_guest BOOLEAN);
CREATE TABLE course (code TEXT PRIMARY KEY, title TEXT, fee REAL CHECK (fee > 0))
CREATE TABLE takes (
    student_id INTEGER REFERENCES student (id), course TEXT, grade INT DEFAULT 3,
    PRIMARY KEY (student_id, course)
)"""
SINGER = "CREATE TABLE singer (name TEXT, country TEXT, age INTEGER)"
GROUPED, NAMED = "SELECT country FROM singer GROUP BY country", "SELECT name FROM singer WHERE "
BORN = "SELECT id FROM student WHERE born "
GIVEN = "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (1.0, 'y'), (2, 'z'), (NULL, 'x');"


@pytest.fixture(scope="module")
def match() -> ExecutionMatch:
    return ExecutionMatch()


def about(wanted: str, schema: str = SINGER, line: int = 7) -> Question:
    asked = f"Don't explain. Answer with one SQL query for this schema:\n{schema}"
    messages = (ChatMessage(role="system", content=asked), ChatMessage(role="user", content="What's (the answer?"))
    return Question(messages=messages, wanted=wanted, line=line)


def of_row(row: dict[str, str]) -> Question:
    return about(row["answer"], row["context"])


@pytest.mark.parametrize(
    ("wanted", "answer", "schema"),
    [
        ("SELECT name FROM singer WHERE age > 30", "select s.name from singer as s where 31 <= s.age", SINGER),
        ("SELECT COUNT(*) FROM singer", "SELECT COUNT(1) AS how_many FROM singer;", SINGER),
        ("SELECT name FROM singer", "SELECT name FROM singer ORDER BY age", SINGER),
        ("SELECT DISTINCT country FROM singer", "SELECT country FROM singer GROUP BY country", SINGER),
        ("SELECT AVG(age) FROM singer", "SELECT SUM(age) * 1.0 / COUNT(age) FROM singer", SINGER),
        ("SELECT name FROM singer WHERE country = 'Peru'", 'SELECT name FROM singer WHERE country = "Peru"', SINGER),
        (
            "SELECT name FROM singer WHERE country IN ('a', 'b')",
            "SELECT name FROM singer WHERE country='a' OR country='b'",
            SINGER,
        ),
        ("SELECT MAX(age) FROM singer", "SELECT age FROM singer ORDER BY age DESC LIMIT 1", SINGER),
        (
            "SELECT s.name FROM student s JOIN takes t ON s.id = t.student_id WHERE t.grade < 3",
            "SELECT name FROM takes, student WHERE student_id = id AND grade <= 2",
            SCHOOL,
        ),
        (
            "SELECT name FROM student WHERE id NOT IN (SELECT student_id FROM takes WHERE student_id IS NOT NULL)",
            "SELECT name FROM student s WHERE NOT EXISTS (SELECT * FROM takes WHERE student_id = s.id)",
            SCHOOL,
        ),
    ],
)
def test_another_way_to_ask_the_same_matches(match: ExecutionMatch, wanted: str, answer: str, schema: str) -> None:
    assert match(answer, about(wanted, schema)) == 1


@pytest.mark.parametrize(
    ("wanted", "answer", "schema"),
    [
        ("SELECT name FROM singer WHERE age > 30", "SELECT name FROM singer WHERE age >= 30", SINGER),
        ("SELECT name, age FROM singer", "SELECT age, name FROM singer", SINGER),
        ("SELECT name FROM singer", "SELECT name, name FROM singer", SINGER),
        ("SELECT COUNT(*) FROM singer", "SELECT COUNT(name) FROM singer", SINGER),
        ("SELECT COUNT(*) FROM student", "SELECT COUNT(*) FROM course", SCHOOL),
        ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer", SINGER),
        (GROUPED + " ORDER BY country", GROUPED, SINGER),
        ("SELECT id FROM student ORDER BY id", "SELECT id FROM student", SCHOOL),
        (GROUPED + " HAVING COUNT(*) > 4", GROUPED + " HAVING COUNT(*) > 3", SINGER),
        ("SELECT name FROM singer LIMIT 40", "SELECT name FROM singer LIMIT 41", SINGER),
        (NAMED + "country = 'Peru' AND age = 30", NAMED + "country = 'Peru'", SINGER),
        (NAMED + "country LIKE '%land%'", NAMED + "country LIKE '%land'", SINGER),
        (BORN + "> '2001-05-05'", BORN + ">= '2001-05-05'", SCHOOL),
        (
            "SELECT s.name, t.grade FROM student s JOIN takes t ON s.id = t.student_id",
            "SELECT s.name, t.grade FROM student s LEFT JOIN takes t ON s.id = t.student_id",
            SCHOOL,
        ),
        (
            "SELECT c.title FROM course c JOIN takes t ON t.course = c.code WHERE t.grade > 4 AND c.fee < 9.5",
            "SELECT c.title FROM course c JOIN takes t ON t.course = c.code WHERE t.grade > 4 OR c.fee < 9.5",
            SCHOOL,
        ),
        ("SELECT name FROM singer", "SELECT singer FROM name", SINGER),
        ("SELECT name FROM singer", "", SINGER),
        ("SELECT name FROM singer", "Here is the query: SELECT name FROM singer", SINGER),
    ],
)  # fmt: skip
def test_what_gives_other_rows_does_not_match(match: ExecutionMatch, wanted: str, answer: str, schema: str) -> None:
    assert match(wanted, about(wanted, schema)) == 1
    assert match(answer, about(wanted, schema)) == 0


def test_every_query_of_the_tutorial_matches_itself(match: ExecutionMatch) -> None:
    spelled = [(re.sub(r"\b(SELECT|FROM|WHERE)\b", lambda m: f"{m[0].lower()} ", row["answer"]), row) for row in ROWS]
    assert all(match(f"{answer} ; ", of_row(row)) == 1 for answer, row in spelled[::4])
    renamed = [
        (row["answer"].replace(" FROM ", " AS x FROM ", 1), row) for row in ROWS[1::4] if "ORDER" not in row["answer"]
    ]
    assert all(match(answer, of_row(row)) == 1 for answer, row in renamed)


def mutants(row: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yields queries that are wrong, each in one way."""
    query, kinds = row["answer"], dict(re.findall(r"(\w+) (TEXT|INTEGER)", row["context"]))
    named = [name for name in kinds if re.search(rf"\b{name}\b", query)]
    for one in named:
        for other in kinds.keys() - {one}:
            if kinds[other] == kinds[one]:
                yield "another column", re.sub(rf"\b{one}\b", other, query)
    for name in kinds.keys() - {*named}:  # one that is compared is not NULL
        yield "COUNT of a column", query.replace("COUNT(*)", f"COUNT({name})")
    yield "no WHERE", re.sub(r" WHERE .*", "", query)
    yield "no ORDER BY", re.sub(r" ORDER BY \w+ \w+", "", query)
    yield "no DISTINCT", query.replace("DISTINCT ", "")
    yield "no LIMIT", re.sub(r" LIMIT \d+", "", query)
    yield "no GROUP BY", re.sub(r" GROUP BY \w+", "", query)
    yield "the other order", re.sub(r"ASC|DESC", lambda m: {"ASC": "DESC", "DESC": "ASC"}[m[0]], query)
    yield "or equal", re.sub(r"([<>]) ", r"\1= ", query)
    yield "the other side", re.sub(r"[<>]", lambda m: {"<": ">", ">": "<"}[m[0]], query)
    yield "another number", re.sub(r"\d+", lambda m: str(int(m[0]) + 1), query)
    yield "another text", query.replace("= '", "= 'X")
    yield "a pattern", re.sub(r"= '(.*)'", r"LIKE '%\1%'", query)
    for name in ("AVG", "SUM", "MAX", "MIN"):
        yield "another aggregate", re.sub(r"AVG|SUM|MAX|MIN", name, query)


def test_wrong_queries_are_told_from_the_wanted_ones(match: ExecutionMatch) -> None:
    tried, missed = Counter[str](), Counter[str]()
    for row in ROWS[::7]:
        for query, kind in {query: kind for kind, query in mutants(row) if query != row["answer"]}.items():
            tried[kind] += 1
            missed[kind] += int(match(query, of_row(row)))
    assert len(tried) > 10
    assert sum(tried.values()) > 350
    assert sum(missed.values()) <= 0.02 * sum(tried.values()), missed


def test_rows_that_tie_may_come_in_any_order() -> None:
    match = ExecutionMatch(GIVEN)
    wanted = about("SELECT b FROM t ORDER BY a")
    assert match("SELECT b FROM t ORDER BY a, b", wanted) == match("SELECT b FROM t ORDER BY a, b DESC", wanted) == 1
    assert match("SELECT b FROM t ORDER BY b DESC", wanted) == 0
    first = about("SELECT b FROM t WHERE a > 0 ORDER BY a LIMIT 1")
    assert match("SELECT b FROM t WHERE a > 0 ORDER BY a, b DESC LIMIT 1", first) == 1
    assert match("SELECT b FROM t WHERE a > 0 ORDER BY a DESC LIMIT 1", first) == 0
    second = about("SELECT b FROM t WHERE a > 0 ORDER BY a LIMIT 1 OFFSET 1;")
    assert match("SELECT 'x'", second) == match("SELECT 'y'", second) == 1
    assert match("SELECT 'z'", second) == 0
    assert match("SELECT b FROM t ORDER BY a LIMIT 3", wanted) == 0
    some = about("SELECT b FROM t LIMIT 2")
    assert match("SELECT b FROM t ORDER BY b DESC LIMIT 2", some) == 1
    assert match("SELECT 'x' UNION ALL SELECT 'x' UNION ALL SELECT 'x'", some) == 0
    assert match("SELECT 'y' UNION ALL SELECT 'y'", some) == 0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=8),
    st.integers(0, 9),
    st.integers(0, 4),
    st.randoms(),
)
def test_any_order_of_ties_fits_and_no_other(
    rows: list[tuple[int, int]], few: int, offset: int, chance: Random
) -> None:
    up, down = sorted(rows), sorted(rows, key=lambda row: (row[0], -row[1]))
    groups = list(tied([row[1:] for row in up], [row[1:] for row in down]))
    shuffled = sorted(rows, key=lambda row: (row[0], chance.random()))[offset : offset + few]
    assert fits([row[1:] for row in shuffled], groups, offset)
    assert not fits([*[row[1:] for row in shuffled[:-1]], (9,)], groups, offset)


def test_rows_that_are_given_are_the_data() -> None:
    match = ExecutionMatch(lambda question: f"PRAGMA foreign_keys = OFF; BEGIN; {GIVEN} COMMIT; -- {question.line}")
    assert match("SELECT COUNT(*) - 1 FROM t", about("SELECT COUNT(a) FROM t")) == 1
    assert match("SELECT 1, 'x'", about("SELECT a, b FROM t WHERE b = 'x' AND a > 0")) == 1
    assert match("SELECT 0", about("SELECT COUNT(*) FROM t WHERE a = 77")) == 1
    assert match("SELECT b FROM t WHERE a = 78", about("SELECT b FROM t WHERE a = 77")) == 0


def test_where_nothing_is_found_the_texts_decide(match: ExecutionMatch) -> None:
    nothing = about("SELECT name FROM singer WHERE age = 3 AND country = 'it''s' AND 1 = 0")
    assert match("select  NAME\nfrom Singer -- none\nwhere AGE=3 and country = 'it''s' and 1=0 ;;", nothing) == 1
    assert match("SELECT name FROM singer WHERE 1 = 0", nothing) == 0
    assert match(nothing.wanted.replace("it''s", "IT''S"), nothing) == 0
    assert (
        match("SELECT COUNT(*) FROM singer WHERE age = 2 AND 1 = 0", about("SELECT COUNT(*) FROM singer WHERE 1 = 0"))
        == 0
    )


def test_a_row_that_is_no_good_is_named(match: ExecutionMatch) -> None:
    for wanted, schema, said in [
        ("SELECT nobody FROM singer", SINGER, "row 7: the wanted query does not run: no such column: nobody"),
        ("DELETE FROM singer", SINGER, "row 7: the wanted query does not run: not authorized"),
        ("SELECT 1", "Tables: singer.", "row 7: there is no CREATE TABLE statement"),
        ("SELECT 1", "CREATE TABLE x (a, a)", "row 7: the tables cannot be made: duplicate column name: a"),
    ]:
        with pytest.raises(ConfigurationError, match=re.escape(said)) as told:
            match(wanted, about(wanted, schema))
        assert told.value.hint
    with pytest.raises(ConfigurationError, match="row 7: the tables cannot be made: not authorized"):
        ExecutionMatch("ATTACH DATABASE '/tmp/x.db' AS x")("SELECT 1", about("SELECT 1"))
    for wrong in ({"databases": 0}, {"rows": 0}, {"rows": 10**6}, {"seconds": 0}):
        with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))} is a number"):
            ExecutionMatch(**wrong)  # type: ignore[arg-type]
    assert name_of(match) == "execution match"


NESTED = "WITH c0 AS (SELECT age FROM singer LIMIT 5)" + "".join(
    f", c{n} AS (SELECT 1 AS age FROM c{n - 1} x, c{n - 1} y LIMIT 5)" for n in range(1, 60)
)
ALL = ", ".join(f"singer s{n}" for n in range(9))
ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"
HOSTILE = {
    "long blob": "SELECT randomblob(1e9)",
    "zeros": "SELECT zeroblob(1000000000)",
    "long text": "SELECT printf('%.*c', 1000000000, 'x')",
    "doubled text": "WITH RECURSIVE r(n) AS (SELECT 'x' UNION ALL SELECT n || n FROM r) SELECT length(n) FROM r",
    "replaced text": "SELECT replace(replace(hex(printf('%90000d', 1)), '2', '0000000'), '0', '1111111')",
    "one long list": f"SELECT group_concat(s0.name || s1.name) FROM {ALL}",
    "endless rows": f"{ENDLESS} SELECT n FROM r",
    "endless count": f"{ENDLESS} SELECT COUNT(*) FROM r",
    "everything": f"SELECT s0.name FROM {ALL}",
    "everything, counted": f"SELECT COUNT(*) FROM {ALL}",
    "everything, sorted": f"SELECT printf('%9000d', random()) FROM {ALL} ORDER BY 1",
    "everything, once": f"SELECT DISTINCT s0.name || s1.name || s2.name || s3.name || random() FROM {ALL}",
    "what takes hours to prepare": f"{NESTED} SELECT age FROM c59",
    "deep": "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "wide": "SELECT " + "age, " * 3000 + "age FROM singer",
    "joined": "SELECT * FROM " + ", ".join(f"singer s{n}" for n in range(64)),
    "pattern": "SELECT printf('%90000d', 1) LIKE '" + "% " * 240 + "x'",
    "far too long": "SELECT name FROM singer " + " " * 10_000_000,
    "two statements": "SELECT name FROM singer; DROP TABLE singer",
    "drop": "DROP TABLE singer",
    "delete": "DELETE FROM singer RETURNING name",
    "insert": "INSERT INTO singer (name) VALUES ('x') RETURNING name",
    "table": "CREATE TABLE x AS SELECT name FROM singer",
    "virtual table": "CREATE VIRTUAL TABLE x USING fts5(name)",
    "pragma": "PRAGMA writable_schema = 1",
    "pragma function": "SELECT name FROM pragma_database_list",
    "transaction": "BEGIN",
    "attach": "ATTACH DATABASE '{file}' AS x",
    "vacuum": "VACUUM INTO '{file}'",
    "writes a file": "SELECT writefile('{file}', 'x')",
    "extension": "SELECT load_extension('{file}')",
    "tokenizer": "SELECT fts3_tokenizer('simple')",
    "null character": "SELECT name\0 FROM singer",
    "half of a pair": "SELECT '\ud800' FROM singer",
    "no UTF-8": "SELECT CAST(x'ff' AS TEXT)",
    "infinite": "SELECT 9e999, -9e999",
    "too large": "SELECT name FROM singer WHERE age > " + "9" * 400,
    "overflow": "SELECT SUM(9223372036854775807) FROM singer",
    "no statement": " ; -- nothing",
    "opened": "SELECT '" + "'" * 10_001,
    "brackets": "[" * 19_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_answers_do_no_harm(match: ExecutionMatch, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "written.db"
    start = time.monotonic()
    assert match(HOSTILE[kind].replace("{file}", str(file)), about("SELECT name FROM singer WHERE age < 30")) == 0
    assert time.monotonic() - start < 4  # a second, a second of grace, and what a busy machine takes
    assert not file.exists()
    assert match("SELECT name FROM singer WHERE 30 > age", about("SELECT name FROM singer WHERE age < 30")) == 1
    child = match._sandbox._child
    assert child is not None
    assert psutil.Process(child.pid).memory_info().rss < 200 * 2**20


def test_threads_may_share_one() -> None:
    match = ExecutionMatch(databases=4)

    def both(row: dict[str, str]) -> tuple[float, float]:
        return match(f"{row['answer']} LIMIT -1", of_row(row)), match("SELECT 1", of_row(row))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(both, ROWS[2:200:3]))
    plain = [row for row in ROWS[2:200:3] if "LIMIT" not in row["answer"]]
    assert sum(right for right, _ in found) == len(plain)
    assert not any(wrong for _, wrong in found)


def test_its_process_ends_with_it_and_one_that_was_ended_is_started_again() -> None:
    match = ExecutionMatch()
    assert match("SELECT 1", of_row(ROWS[0])) == 0
    child = match._sandbox._child
    assert child is not None
    child.kill()  # as the system does when memory runs out
    child.wait()
    assert match(ROWS[0]["answer"], of_row(ROWS[0])) == 1
    child = match._sandbox._child
    assert child is not None
    del match
    assert child.poll() is not None


def test_the_same_seed_makes_up_the_same_rows() -> None:
    question = about("SELECT name FROM singer WHERE age > 30")
    tables = ExecutionMatch()._tables(SINGER, question)
    first, same, other = (ExecutionMatch(seed=n)._all_made_up(tables, "SELECT 1", question) for n in (0, 0, 1))
    assert first == same != other
    assert len(first) == 8
    ages = [row[2] for database in first for row in database[0]["rows"]]
    assert {29, 30, 31, None} < {*ages}
    assert len(ages) >= 8 * 24


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("It's so: create table a (b TEXT DEFAULT ')', c); and CREATE TABLE d(e) is more", 2),
        ("CREATE TABLE [a b] (c) WITHOUT ROWID CREATE TEMP TABLE d (e)", 2),
        ("CREATE TABLE a (b", 0),
        ("CREATE TABLE a AS SELECT 1", 0),
        ("a created table (x)", 0),
    ],
)
def test_statements_are_found_in_prose(text: str, tables: int) -> None:
    assert tables_in(text).upper().count("CREATE ") == tables


def test_the_order_of_a_query_is_that_at_its_end() -> None:
    assert order_of("SELECT a FROM t ORDER BY b LIMIT 3, 4").offset == 3
    assert order_of("SELECT a FROM (SELECT a FROM t ORDER BY b LIMIT 2)") == (
        False,
        "SELECT a FROM (SELECT a FROM t ORDER BY b LIMIT 2)",
        0,
        False,
    )
    assert order_of("SELECT a FROM t ORDER BY b LIMIT 2 + 1").offset is None
    assert order_of("SELECT a, ROW_NUMBER() OVER (ORDER BY b) FROM t /* ORDER BY */;").orders is False
    assert (
        order_of("SELECT a FROM t ORDER BY 'limit' -- x\n;").with_ties(2, "ASC")
        == "SELECT a FROM t ORDER BY 'limit', 1 ASC, 2 ASC"
    )


def test_a_slow_query_is_stopped_without_a_new_process() -> None:
    match, question = ExecutionMatch(seconds=0.2), about("SELECT COUNT(*) FROM singer")
    assert match("SELECT 1", question) == 0
    child = match._sandbox._child
    start = time.monotonic()
    assert match(HOSTILE["endless count"], question) == 0
    assert time.monotonic() - start < 1
    assert match._sandbox._child is child
    with pytest.raises(ConfigurationError, match="row 7: the wanted query does not run: interrupted"):
        match("SELECT 1", about(HOSTILE["endless count"]))
