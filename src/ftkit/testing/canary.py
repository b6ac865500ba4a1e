"""A canary: secrets that are known, and a watch over everything that a program tells.

    key = "sk-canary-" + secrets.token_urlsafe(32)
    with Canary([key]) as canary:
        client = canary.drives("made", Client, "mine", api_key=key)
        canary.drives("a job that is not there", client.get_job, "no-such-job")
        canary.below(state_folder)
    assert canary.sightings == []

What is logged (at DEBUG, by whatever logger), printed or warned of in the block is looked at as it comes. What a call
returns, or raises, is looked at as far as anybody can see it: `repr` and `vars`, JSON and pickle; and of an error its
causes, its notes, and the local variables of each frame of its traceback. A sighting tells where, and never what.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
import os
import pickle
import sys
import sysconfig
import traceback
import types
import warnings
from collections import deque
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Self, TypeVar, cast

from pydantic import BaseModel

from ftkit.testing._spotting import Spotter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

P = ParamSpec("P")
T = TypeVar("T")

LOGGERS = ("huggingface_hub", "openai", "httpx2", "httpcore2", "httpx", "httpcore", "urllib3", "azure", "filelock")
"""Loggers that are listened to themselves: some of these hand nothing on to the root."""
_PIECE, _KEPT = 2**20, 2**12
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_LIMIT = 100_000


class Sighting(NamedTuple):
    """A secret was seen.

    Attributes:
        where: Where.
        form: In which form.
    """

    where: str
    form: str


class Canary:
    """Watches for secrets, from the beginning of a `with` block to its end.

    Args:
        secrets: What nobody may see.
        ours: The packages whose objects are looked into, and whose frames may show nothing. Of the objects of all
            other packages, only `repr` is looked at: a vendor's client has to hold its key.

    Attributes:
        sightings: Where a secret was seen, each place once.
        vendors: Likewise, in frames of other packages, as far as they are behind an error.
        paths: What was driven, by name.
    """

    def __init__(self, secrets: Sequence[str], ours: Sequence[str] = ("ftkit",)) -> None:
        self._spotter = Spotter(secrets)
        self._ours = frozenset(ours)
        self.sightings: list[Sighting] = []
        self.vendors: list[Sighting] = []
        self.paths: list[str] = []
        self._path = ""
        self._ears = _Ears(self)

    def __repr__(self) -> str:
        return f"Canary({len(self.sightings)} sightings)"

    def __enter__(self) -> Self:
        self._ears.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._ears.close()

    def drives(self, path: str, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T | BaseException:
        """Calls, looks at what is returned or raised, and returns it.

        Args:
            path: What it is called in the report.
            call: What is called. To see a stream, it has to read it to its end.
            args: What it is called with.
            kwargs: Likewise, by name.
        """
        self._path = path
        self.paths.append(path)
        self._ears.open()  # a package that was loaded since the last time has brought its own loggers
        try:
            found = call(*args, **kwargs)
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - it is returned
            self.told_by(error)
            return error
        self.looks_at(found)
        return found

    # -- looking -------------------------------------------------------------------------------------------------

    def hears(self, text: str, where: str, *, among: list[Sighting] | None = None) -> bool:
        """Looks at a text, and returns whether there was a secret in it."""
        form = self._spotter.in_text(text)
        if form is not None:
            self._saw(form, where, among)
        return form is not None

    def looks_at(self, thing: object, where: str = "what was returned") -> None:
        """Looks at a thing, and into it as far as it is ours: attributes, containers, JSON, pickle, copies."""
        seen: dict[int, object] = {}
        todo = deque([(where, thing)])
        while todo and len(seen) < _LIMIT:
            place, each = todo.popleft()
            if id(each) in seen or each is self:
                continue
            seen[id(each)] = each  # kept, or another one might get its id
            if isinstance(each, BaseException):
                self.told_by(each, place)
                continue
            self._glance(each, place)
            todo.extend(self._parts(each, place))
            if each is thing or self._is_ours(each):
                self._takes_away(each, place)

    def told_by(self, error: BaseException, where: str = "error") -> None:
        """Looks at all that an error and its causes would print or log, and at the frames that they went through."""
        todo, seen = [(where, error)], set[int]()
        while todo:
            place, each = todo.pop()
            if id(each) in seen:
                continue
            seen.add(id(each))
            place = f"{place}: {type(each).__name__}"
            self.hears("\n".join(getattr(each, "__notes__", ())), f"notes of {place}")
            self._glance(each, place)
            for name, part in (("args", each.args), *vars(each).items()):
                self.looks_at(part, f"{place}.{name}")
            self._takes_away(each, place)
            self._looks_at_frames(each, place)
            below = [("cause", each.__cause__), ("context", each.__context__)]
            below += [("one of", inner) for inner in getattr(each, "exceptions", ())]
            todo += [(f"{place}, {how}", link) for how, link in below if link is not None]

    def below(self, folder: Path, besides: Collection[Path] = ()) -> None:
        """Looks at the names and the bytes of all files below a folder, but for those that may hold a secret."""
        for path in sorted(folder.rglob("*")):
            place = f"file {path.relative_to(folder)}"
            self.hears(path.name, f"name of {place}")
            if path.is_symlink():
                self.hears(os.readlink(path), f"link {place}")  # noqa: PTH115 - as it is written
            elif path.is_file() and path not in besides:
                self._reads(path, place)

    # -- inside --------------------------------------------------------------------------------------------------

    def _saw(self, form: str, where: str, among: list[Sighting] | None = None) -> None:
        """Writes a sighting down. What it is called may hold a secret itself."""
        sighting = Sighting(self._spotter.masked(f"{self._path}: {where}" if self._path else where), form)
        among = self.sightings if among is None else among
        if sighting not in among:
            among.append(sighting)

    def _glance(self, thing: object, place: str) -> None:
        """Looks at a thing from without."""
        if isinstance(thing, str):
            self.hears(thing, place)
        elif isinstance(thing, bytes | bytearray):
            form = self._spotter.in_bytes(bytes(thing))
            if form is not None:
                self._saw(form, place)
        else:
            for show in (repr, str):
                self.hears(_shown(show, thing), f"{show.__name__} of {place}")

    def _parts(self, thing: object, place: str) -> Iterator[tuple[str, object]]:
        """Yields what a container, or a thing of ours, is made of."""
        if isinstance(thing, Mapping):
            for n, (key, value) in enumerate(list(cast("Mapping[object, object]", thing).items())):
                yield f"key {n} of {place}", key
                yield f"{place}[{key!r}]", value
        elif isinstance(thing, list | tuple | set | frozenset | deque):
            for n, item in enumerate(list(cast("Collection[object]", thing))):
                yield f"{place}[{n}]", item
        yield from ((f"{place}.{name}", value) for name, value in self._held(thing))

    def _held(self, thing: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401 - whatever it is
        """Yields what a function carries along, and the attributes of a thing of ours."""
        if isinstance(thing, functools.partial):
            yield from ((name, getattr(cast("Any", thing), name)) for name in ("func", "args", "keywords"))
        elif isinstance(thing, types.MethodType):
            yield "__self__", thing.__self__
        elif self._is_ours(thing):
            yield from _attributes(thing)

    def _is_ours(self, thing: object) -> bool:
        return type(thing).__module__.partition(".")[0] in self._ours

    def _takes_away(self, thing: object, place: str) -> None:
        """Sees that what leaves the process, as JSON or as a pickle, holds nothing. To refuse is as good."""
        if isinstance(thing, BaseModel):
            self.hears(_shown(lambda model: model.model_dump_json(), thing), f"JSON of {place}")
            self.hears(_shown(lambda model: str(model.model_dump()), thing), f"dump of {place}")
        if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
            self.hears(_shown(lambda each: str(dataclasses.asdict(each)), thing), f"asdict of {place}")
        try:
            pickled = pickle.dumps(thing)
        except Exception as error:  # noqa: BLE001 - it refuses; whatever it raises, it may tell no secret
            self.hears(str(error), f"refusal to pickle {place}")
        else:
            self._glance(pickled, f"pickle of {place}")
        self.hears(_shown(lambda each: repr(copy.copy(each)), thing), f"copy of {place}")

    def _looks_at_frames(self, error: BaseException, place: str) -> None:
        """Looks at the local variables of each frame, as a traceback that shows them does, and as rich's does."""
        for frame, line in traceback.walk_tb(error.__traceback__):
            module = str(frame.f_globals.get("__name__"))
            ours = module.partition(".")[0] in self._ours
            if module == __name__ or (not ours and not frame.f_code.co_filename.startswith(_LIBRARIES)):
                continue  # the caller's own, who has the secret anyway
            for name, value in frame.f_locals.items():
                where = f"frame {module}:{line} in {frame.f_code.co_name}, variable {name!r}, of {place}"
                for show in (repr, _rich):
                    self.hears(_shown(show, value), where, among=self.sightings if ours else self.vendors)

    def _reads(self, path: Path, place: str) -> None:
        with path.open("rb") as file:
            rest = b""
            while piece := file.read(_PIECE):
                form = self._spotter.in_bytes(rest + piece)
                if form is not None:
                    self._saw(form, place)
                    return
                rest = (rest + piece)[-self._spotter.longest :]


class _Ears:
    """Listens to logs, warnings and what is printed, while it is open.

    Args:
        canary: Who is told.
    """

    def __init__(self, canary: Canary) -> None:
        self._canary = canary
        self._handler = _Handler(canary)
        self._before: dict[logging.Logger, tuple[int, bool]] = {}
        self._rest: Callable[[], object] | None = None

    def open(self) -> None:
        """Begins to listen, or listens to what has come up since as well."""
        known = logging.root.manager.loggerDict
        named = [logging.getLogger(name) for name in LOGGERS]
        for logger in {logging.root, *named, *(each for each in known.values() if isinstance(each, logging.Logger))}:
            if logger not in self._before:
                self._before[logger] = (logger.level, logger.disabled)
                # One that hands nothing on, and shows it nowhere, is off; to uvicorn, a handler would switch it on.
                if logger in {logging.root, *named} or (logger.handlers and not logger.propagate):
                    logger.addHandler(self._handler)
            if logger.level != logging.DEBUG or logger.disabled:
                logger.setLevel(logging.DEBUG)
                logger.disabled = False
        if self._rest is None:
            self._rest = self._take_the_rest()

    def close(self) -> None:
        """Leaves everything as it was."""
        for logger, (level, disabled) in self._before.items():
            logger.removeHandler(self._handler)
            logger.setLevel(level)
            logger.disabled = disabled
        self._before.clear()
        if self._rest is not None:
            self._rest()
            self._rest = None

    def _take_the_rest(self) -> Callable[[], object]:
        """Takes the places of what prints and warns, and returns what puts those back."""
        out, err, show, off = sys.stdout, sys.stderr, warnings.showwarning, logging.root.manager.disable

        def warned(message: Warning | str, *args: Any, **kwargs: Any) -> None:
            self._canary.hears(f"{message} {args} {kwargs}", "warning")
            show(message, *args, **kwargs)

        def put_back() -> None:
            sys.stdout, sys.stderr, warnings.showwarning = out, err, show
            logging.disable(off)

        sys.stdout = cast("TextIO", _Heard(out, self._canary, "stdout"))
        sys.stderr = cast("TextIO", _Heard(err, self._canary, "stderr"))
        warnings.showwarning = warned
        logging.disable(logging.NOTSET)
        return put_back


class _Handler(logging.Handler):
    """Looks at records: at the message, and at all that was logged with it."""

    def __init__(self, canary: Canary) -> None:
        super().__init__()
        self._canary = canary
        self._last: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Looks at a record, once: it comes by each logger above its own, too."""
        if record is not self._last:
            self._last = record
            where = f"log of {record.name} at {record.levelname} ({record.module}:{record.lineno})"
            self._canary.hears(f"{self.format(record)}\n{vars(record)}", where)


class _Heard:
    """A stream that is looked at, and written to as before."""

    def __init__(self, stream: TextIO, canary: Canary, name: str) -> None:
        self._stream = stream
        self._canary = canary
        self._name = name
        self._end = ""

    def write(self, text: str) -> int:
        """Writes, and looks at it together with what came just before."""
        whole = self._end + text
        self._end = "" if self._canary.hears(whole, self._name) else whole[-_KEPT:]
        return self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _attributes(thing: object) -> Iterator[tuple[str, object]]:
    """Yields the attributes that a thing holds, in its `__dict__` and in its slots."""
    held: dict[str, object] = dict(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        slots: str | Collection[str] = vars(kind).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if name != "__dict__" and hasattr(thing, name):
                held[name] = getattr(thing, name)
    yield from held.items()


def _shown(show: Callable[[Any], str], thing: object) -> str:
    """Shows a thing; where that fails, what the failure says is what is shown."""
    try:
        return show(thing)
    except Exception as error:  # noqa: BLE001 - of a thing that is half made, say
        return str(error)


def _rich(thing: object) -> str:
    """Shows a thing as rich's tracebacks do: it looks into containers and dataclasses itself."""
    try:
        from rich.pretty import pretty_repr
    except ImportError:
        return repr(thing)
    return pretty_repr(thing, max_width=10_000)
