"""`ExecutionMatch`: whether a query that a model wrote gives what the wanted query gives."""

from __future__ import annotations

import threading
from random import Random
from typing import TYPE_CHECKING, Any

from ftkit.datasets._values import printable
from ftkit.errors import ConfigurationError
from ftkit.evaluate._sql_comparing import as_rows, fits, same_rows, tied
from ftkit.evaluate._sql_process import QueryError, Sandbox
from ftkit.evaluate._sql_rows import Column, rows_of
from ftkit.evaluate._sql_text import (
    LONGEST,
    MOST_ROWS,
    Hints,
    Order,
    hints_of,
    normal,
    order_of,
    orders_anywhere,
    tables_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftkit.evaluate._sql_comparing import Row
    from ftkit.evaluate.questions import Question

_MOST_DATABASES = 100
_MOST_KEPT = 500


class ExecutionMatch:
    """A scorer of text-to-SQL: 1 if the answer gives the rows of the wanted query, in SQLite, in every database.

    The databases are made up from the CREATE TABLE statements that the question holds, with values that both queries
    ask for and their neighbours: the same ones for the same question and answer. Names of columns do not matter; the
    order of columns does, and the order of rows where the wanted query has an ORDER BY (rows that tie may come in any
    order). Where the wanted query finds nothing in any database, the texts are compared.

    An answer is one query that only reads. It runs in a process of its own, which may not write files, nor take much
    memory. What is no such query, takes too long or gives more than 10,000 rows scores 0.

    Args:
        schema: The SQL that makes the tables, or what returns it for a question; None for the CREATE TABLE statements
            in the question's own text. If there are rows in those tables, they are all the data there is.
        databases: How many databases are made up.
        rows: How many rows each of their tables has, at least.
        seconds: How long a query may take, in all databases together.
        seed: Seed of what is made up.

    Raises:
        ConfigurationError: One of the numbers makes no sense. When called: there are no tables, or the wanted query
            does not run; it names the row.
    """

    name = "execution match"

    def __init__(
        self,
        schema: str | Callable[[Question], str] | None = None,
        *,
        databases: int = 8,
        rows: int = 24,
        seconds: float = 1.0,
        seed: int = 0,
    ) -> None:
        for what, value, most in (("databases", databases, _MOST_DATABASES), ("rows", rows, MOST_ROWS)):
            if not 1 <= value <= most:
                raise ConfigurationError(f"{what} is a number from 1 to {most} (got {value!r})")
        if not seconds > 0:
            raise ConfigurationError(f"seconds is a number above 0 (got {seconds!r})")
        self._schema = schema
        self._databases, self._rows, self._seconds, self._seed = databases, rows, seconds, seed
        self._sandbox = Sandbox()
        self._known: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def __call__(self, answer: str, question: Question, /) -> float:
        """Returns 1 or 0."""
        if normal(answer) == normal(question.wanted):
            answer = question.wanted  # whether the row itself is any good is still to be seen
        with self._lock:
            return float(self._is_right(answer, question))

    def _is_right(self, answer: str, question: Question) -> bool:
        script = self._script(question)
        tables = self._tables(script, question)
        self._fill(script, tables, answer, question)
        wanted = self._wanted(question.wanted, question)
        is_given = any(table["has_rows"] for table in tables)
        if not _tells(wanted, is_given=is_given) or answer == question.wanted:
            return normal(answer) == normal(question.wanted)
        try:
            given = self._run(answer)
        except QueryError:
            return False
        return self._compare(given, wanted, answer, question)

    def _script(self, question: Question) -> str:
        if isinstance(self._schema, str):
            return self._schema
        script = tables_in(question.text) if self._schema is None else self._schema(question)
        if not script.strip():
            message = f"row {question.line}: there is no CREATE TABLE statement in what is asked"
            raise ConfigurationError(message, hint="Say what the tables are: ExecutionMatch(schema=...).")
        return script

    def _tables(self, script: str, question: Question) -> list[dict[str, Any]]:
        if script not in self._known:
            try:
                tables = self._sandbox.describe(script)
            except QueryError as error:
                raise _no_tables(question, error) from error
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[script] = tables
        return self._known[script]

    def _fill(self, script: str, tables: list[dict[str, Any]], answer: str, question: Question) -> None:
        """Makes the databases; where rows were given, there is one, with those."""
        if any(table["has_rows"] for table in tables):
            made: list[list[dict[str, Any]]] = [[]]
        else:
            made = self._all_made_up(tables, answer, question)
        try:
            self._sandbox.fill(script, made)
        except QueryError as error:
            raise _no_tables(question, error) from error

    def _all_made_up(self, tables: list[dict[str, Any]], answer: str, question: Question) -> list[list[dict[str, Any]]]:
        names = {each["name"].lower() for table in tables for each in (table, *table["columns"])}
        hints = hints_of([printable(text[:LONGEST]) for text in (question.wanted, answer)], names)
        return [self._made_up(tables, hints, n) for n in range(self._databases)]

    def _made_up(self, tables: list[dict[str, Any]], hints: Hints, n: int) -> list[dict[str, Any]]:
        pick = Random(f"{self._seed} {n}")  # noqa: S311 - it is to be the same every time
        made: list[dict[str, Any]] = []
        for table in tables:
            columns = [Column(**each) for each in table["columns"]]
            least = max(self._rows, hints.rows)
            # tables of different sizes, or one could be counted for another
            count = pick.randint(least, least + least // 2)
            rows = rows_of(columns, hints, count, pick, few=n % 2 == 0)
            made.append({"name": table["name"], "columns": [each.name for each in columns], "rows": rows})
        return made

    def _run(self, query: str) -> list[list[Row]]:
        if len(query) > LONGEST:
            raise QueryError(f"it has more than {LONGEST:,} characters")
        return [as_rows(found) for found in self._sandbox.run(query, self._seconds)]

    def _wanted(self, query: str, question: Question) -> list[list[Row]]:
        try:
            return self._run(query)
        except QueryError as error:
            message = f"row {question.line}: the wanted query does not run: {error}"
            hint = "Mend the row; or say what the tables are: ExecutionMatch(schema=...)."
            raise ConfigurationError(message, hint=hint) from error

    def _compare(self, given: list[list[Row]], wanted: list[list[Row]], answer: str, question: Question) -> bool:
        order = order_of(question.wanted)
        if not order.orders and not order.is_cut:
            return all(map(same_rows, given, wanted))
        if order.orders and not orders_anywhere(answer):
            # what comes in no order may come in any: that SQLite goes through a table from its start is chance
            for n, rows in enumerate(given):
                Random(f"{self._seed} {n}").shuffle(rows)  # noqa: S311
        if given == wanted:
            return True
        if any(len(one) != len(other) for one, other in zip(given, wanted, strict=True)):
            return False
        return self._fits_ties(given, wanted, order)

    def _fits_ties(self, given: list[list[Row]], wanted: list[list[Row]], order: Order) -> bool:
        columns = next((len(row) for rows in wanted for row in rows), 0)
        if order.offset is None:  # what it leaves out cannot be told
            return False
        try:
            if not order.orders:
                groups = [[rows] for rows in self._run(order.uncut)]
            else:
                up, down = (self._run(order.with_ties(columns, way)) for way in ("ASC", "DESC"))
                groups = [list(tied(*both)) for both in zip(up, down, strict=True)]
        except QueryError:  # only without its LIMIT is it too long
            return False
        return all(fits(rows, each, order.offset) for rows, each in zip(given, groups, strict=True))


def _no_tables(question: Question, error: QueryError) -> ConfigurationError:
    message = f"row {question.line}: the tables cannot be made: {error}"
    return ConfigurationError(message, hint="They are made in SQLite, by its own SQL.")


def _tells(results: list[list[Row]], *, is_given: bool) -> bool:
    """Whether there is anything to compare. In data that is made up, a count of 0 means that nothing was found."""
    if is_given:
        return any(results)
    return any(cell not in {None, 0} for rows in results for row in rows for cell in row)
