"""The canary sees: a leak of each kind is planted, and seen where it is; and what is no leak is passed over."""

from __future__ import annotations

import base64
import functools
import json
import logging
import pickle
import sqlite3
import sys
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from canary_tools import tell
from pydantic import BaseModel, Field, SecretStr

from ftkit.testing import Canary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "planted-0f1e2d3c4b5a69788796%+/=a5b4c3d2e1f00f1e2d3c"
OURS = (__name__,)


def seen(plant: Callable[[Canary], object]) -> list[str]:
    """Plants a leak, and returns where it was seen, with the form."""
    with Canary([KEY], OURS) as canary:
        plant(canary)
    text = str([*canary.sightings, *canary.vendors])
    assert KEY not in text
    assert KEY[: len(KEY) // 2] not in text, "a sighting never repeats the secret"
    return [f"{where} ({form})" for where, form in canary.sightings]


# -- what is told ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ftkit", "huggingface_hub", "azure.core", "httpx2", "urllib3.connectionpool", "x.y"])
def test_what_is_logged_at_debug_by_whatever_logger(name: str) -> None:
    logger = logging.getLogger(name)
    before = (logger.level, logger.propagate, list(logger.handlers))
    [told] = seen(lambda _: logger.debug("Authorization: %s", KEY))
    assert told.startswith(f"log of {name} at DEBUG (test_canary_sees:")
    assert (logger.level, logger.propagate, logger.handlers) == before


def test_what_goes_along_with_a_log_and_a_logger_that_came_up_later_and_one_that_is_off() -> None:
    def later(canary: Canary) -> None:
        quiet = logging.getLogger("quiet")
        quiet.propagate, quiet.disabled = False, True
        quiet.addHandler(logging.NullHandler())
        canary.drives("later", lambda: quiet.debug("%s", KEY))

    log = logging.getLogger("ftkit")
    assert len(seen(lambda _: log.info("asked", extra={"fields": {"key": KEY}}))) == 1
    assert len(seen(lambda _: log.info("asked %s", {"key": [KEY]}))) == 1
    assert len(seen(later)) == 1

    def raised(_: Canary) -> None:
        try:
            raising(ValueError(KEY))()
        except ValueError:
            log.exception("it failed")

    assert len(seen(raised)) == 1


def test_what_is_printed_and_warned_of() -> None:
    out, err, show = sys.stdout, sys.stderr, warnings.showwarning
    assert seen(lambda _: sys.stdout.write(KEY)) == ["stdout (as it is)"]
    assert seen(lambda _: (sys.stdout.write(KEY[:9]), sys.stdout.write(KEY[9:]))) == ["stdout (as it is)"]
    assert seen(lambda _: sys.stderr.write(f"key={KEY}")) == ["stderr (as it is)"]
    assert (sys.stdout, sys.stderr, warnings.showwarning) == (out, err, show)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *_, **__: None
        assert seen(lambda _: warnings.warn(f"{KEY} is old", stacklevel=1)) == ["warning (as it is)"]


@pytest.mark.parametrize(
    ("written", "form"),
    [
        (KEY, "as it is"),
        (f"Basic {base64.b64encode(f'user:{KEY}'.encode()).decode()}", "base64"),
        (base64.urlsafe_b64encode(f"u:{KEY}!".encode()).decode(), "base64"),
        (f"https://user:{quote(KEY, safe='')}@host", "quoted for an address"),
        (json.dumps({"a": json.dumps(KEY)}), "as it is"),
        (KEY.encode().hex(), "hex"),
        (f"{KEY[: len(KEY) // 2]}...", "half of it"),
        (f"...{KEY[-len(KEY) // 2 :]}", "half of it"),
        (f"{KEY[:8]}***{KEY[-4:]}", None),
        (KEY[::-1], None),
    ],
)
def test_the_forms_of_a_secret(written: str, form: str | None, tmp_path: Path) -> None:
    assert seen(lambda _: sys.stdout.write(written)) == ([] if form is None else [f"stdout ({form})"])
    (tmp_path / "file").write_text(written)
    assert seen(lambda canary: canary.below(tmp_path)) == ([] if form is None else [f"file file ({form})"])


def test_a_key_with_quotes_in_it_is_known_when_it_is_escaped() -> None:
    odd = 'p"ass\\word\N{SNOWMAN} that is long'
    with Canary([odd]) as canary:
        sys.stdout.write(json.dumps(odd))
        sys.stdout.write(repr({"a": odd}))
    assert [form for _, form in canary.sightings] == ["escaped for JSON", "escaped for Python"]


def test_what_is_too_short_to_be_known_again_is_refused() -> None:
    for secrets in ([], ["short"], [KEY, "fifteen letters"]):
        with pytest.raises(ValueError, match="16 letters"):
            Canary(secrets)


# -- things ----------------------------------------------------------------------------------------------------------


class Shows:
    def __repr__(self) -> str:
        return f"Shows({KEY})"


class Says:
    def __str__(self) -> str:
        return KEY


class Holds:
    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)

    def method(self) -> None:
        """Does nothing, and holds its object."""


class Slots:
    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key = KEY


class CarriesAway:
    def __getstate__(self) -> dict[str, str]:
        return {"key": KEY}


class CarriesIntoCopies:
    shown = "nothing"

    def __repr__(self) -> str:
        return self.shown

    def __copy__(self) -> CarriesIntoCopies:
        other = CarriesIntoCopies()
        other.shown = KEY
        return other


class Dumps(BaseModel):
    key: str = Field(default=KEY, repr=False)


@dataclass
class Data:
    key: str = field(default=KEY, repr=False)


class Refuses:
    def __init__(self) -> None:
        self._key = SecretStr(KEY)
        self.ask = lambda: KEY

    def __reduce_ex__(self, protocol: object, /) -> str:
        raise TypeError(f"{protocol}: no")


class RefusesAndTells:
    def __reduce_ex__(self, protocol: object, /) -> str:
        raise TypeError(f"{protocol}: {KEY} is not pickled")


@pytest.mark.parametrize(
    ("thing", "where"),
    [
        (Shows(), "repr of it"),
        (Says(), "str of it"),
        (Holds(client=Holds(_key=KEY)), "it.client._key"),
        (Holds(headers={"api-key": KEY}), "it.headers['api-key']"),
        (Holds(seen={KEY: 1}), "key 0 of it.seen"),
        (Holds(many=[1, (2, {KEY})]), "it.many[1][1][0]"),
        (Holds(call=functools.partial(print, KEY)), "it.call.args[0]"),
        (Holds(call=functools.partial(print, key=KEY)), "it.call.keywords['key']"),
        (Holds(call=Holds(key=KEY).method), "it.call.__self__.key"),
        (Holds(body=KEY.encode()), "it.body"),
        (Slots(), "it._key"),
        (CarriesAway(), "pickle of it"),
        (CarriesIntoCopies(), "copy of it"),
        (Dumps(), "JSON of it"),
        (Dumps(), "dump of it"),
        (Data(), "it.key"),
        (Data(), "asdict of it"),
        (RefusesAndTells(), "refusal to pickle it"),
        ([Shows()], "repr of it[0]"),
    ],
)
def test_what_a_thing_shows_and_holds(thing: object, where: str) -> None:
    assert f"{where} (as it is)" in seen(lambda canary: canary.looks_at(thing, "it"))


def test_what_is_no_leak() -> None:
    assert seen(lambda canary: canary.looks_at(Refuses())) == []
    theirs = logging.LoggerAdapter(logging.getLogger("ftkit"), {"key": KEY})  # another package's, which is not shown
    assert [each for each in seen(lambda canary: canary.looks_at(Holds(client=theirs))) if "pickle" not in each] == []


# -- errors ----------------------------------------------------------------------------------------------------------


class OfOurs(Exception):  # noqa: N818 - it is planted
    def __init__(self, message: str = "", **held: object) -> None:
        super().__init__(message)
        self.__dict__.update(held)


def raising(error: BaseException, cause: BaseException | None = None) -> Callable[[], object]:
    def call() -> object:
        raise error from cause

    return call


def with_a_note() -> OfOurs:
    error = OfOurs()
    error.add_note(f"see {KEY}")
    return error


def holds_it_in_a_frame() -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    raise OfOurs(str(len(headers)))


def holds_data_in_a_frame() -> None:
    order = [Data()]
    raise OfOurs(str(len(order)))


def behind_another() -> None:
    try:
        holds_it_in_a_frame()
    except OfOurs:
        raise OfOurs from None


def a_vendors_frame() -> None:
    json.loads(f'["{KEY}"')


def what_only_rich_looks_into() -> None:
    orders = {"a": [Rich()]}
    raise OfOurs(str(len(orders)))


class Rich:
    def __repr__(self) -> str:
        return "Rich()"

    def __rich_repr__(self) -> Any:
        yield KEY


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (raising(OfOurs(f"no: {KEY}")), "str of error: OfOurs"),
        (raising(OfOurs(request=KEY)), "error: OfOurs.request"),
        (raising(OfOurs(request=Holds(key=KEY))), "error: OfOurs.request.key"),
        (raising(with_a_note()), "notes of error: OfOurs"),
        (raising(OfOurs(), ValueError(KEY)), "str of error: OfOurs, cause: ValueError"),
        (raising(ExceptionGroup("many", [OfOurs(KEY)])), "str of error: ExceptionGroup, one of: OfOurs"),
        (raising(KeyboardInterrupt(KEY)), "str of error: KeyboardInterrupt"),
        (holds_it_in_a_frame, "in holds_it_in_a_frame, variable 'headers', of error: OfOurs"),
        (behind_another, "in holds_it_in_a_frame, variable 'headers', of error: OfOurs, context: OfOurs"),
        (what_only_rich_looks_into, "in what_only_rich_looks_into, variable 'orders', of error: OfOurs"),
    ],
)
def test_what_an_error_tells(call: Callable[[], object], where: str) -> None:
    assert any(where in each for each in seen(lambda canary: canary.drives("", call)))


def test_frames_of_vendors_are_told_apart_and_those_of_the_caller_passed_over() -> None:
    with Canary([KEY], OURS) as canary:
        canary.drives("", a_vendors_frame)
    assert {where.partition(":")[0] for where, _ in canary.vendors} == {"frame json.decoder", "frame json"}
    with Canary([KEY], ("ftkit",)) as canary:
        canary.drives("", holds_it_in_a_frame)
    assert canary.sightings == [], "this module is no package of ftkit's, and so it is the caller's"


def test_what_is_driven_is_returned_and_counted() -> None:
    with Canary([KEY], OURS) as canary:
        assert canary.drives("well", lambda: 7) == 7
        error = canary.drives("badly", holds_it_in_a_frame)
        with pytest.raises(AssertionError, match="badly: frame test_canary_sees"):
            tell(canary, "none")
    assert isinstance(error, OfOurs)
    assert canary.paths == ["well", "badly"]


# -- files -----------------------------------------------------------------------------------------------------------


def test_files_their_names_their_links_and_where_they_may(tmp_path: Path) -> None:
    below = tmp_path / "folder"
    (below / "deep").mkdir(parents=True)
    (below / "large").write_bytes(b"x" * (2**20 - 7) + KEY.encode() + b"x" * 100)
    (below / "deep" / "token").write_text(KEY)
    (below / "deep" / "other").write_text("nothing")
    (below / KEY.replace("/", "")).touch()
    (below / "link").symlink_to(f"/nowhere/{KEY}")
    (below / "pickled").write_bytes(pickle.dumps([KEY]))
    told = seen(lambda canary: canary.below(below, besides=[below / "deep" / "token"]))
    assert [each for each in told if "name of" not in each] == [
        "file large (as it is)",
        "link file link (as it is)",
        "file pickled (as it is)",
    ]
    assert len(told) == 4


def test_a_write_ahead_log(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "ledger.sqlite3")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE t (x)")
    database.execute("INSERT INTO t VALUES (?)", (KEY,))
    database.commit()
    database.execute("DELETE FROM t")
    database.commit()
    told = seen(lambda canary: canary.below(tmp_path))
    database.close()
    assert "file ledger.sqlite3-wal (as it is)" in told
