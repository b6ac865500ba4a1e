"""Keys, and how they are kept out of all that is told.

A key is held as a `SecretStr`, which shows itself to nobody; what holds one is neither pickled nor copied. What others
tell (a service's error, the log of a trainer) may repeat a key, and passes through `masked` first. And a call that was
given a key leaves none behind in the frames of its traceback (`forgetful`).
"""

from __future__ import annotations

import base64
import binascii
import functools
import inspect
import json
import os
import re
import traceback
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, cast
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

from ftkit.errors import ConfigurationError, UnsupportedError
from ftkit.methods import names_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

P = ParamSpec("P")
T = TypeVar("T")

NAMES = "FTKIT_SECRETS"
"""Environment variable: names of others that hold secrets, though they are not called so."""

_HIDDEN = "***"
_SHORTEST = 8
"""What is shorter is no secret, and stands in many words."""
_USER_INFO = re.compile(r"(?<=://)[^/\s@\"'<>]+@")
_HEADERS = ("authorization", "proxy-authorization", "api-key", "x-api-key", "ocp-apim-subscription-key", "cookie")


class HoldsKey:
    """Base of what holds a key. It stays in its process: a pickle or a copy would carry the key away."""

    def __reduce_ex__(self, protocol: object, /) -> NoReturn:
        """Refuses.

        Raises:
            TypeError: Always.
        """
        del protocol
        raise TypeError(f"{type(self).__name__} holds a key, and is neither pickled nor copied: make it anew there")


def forgetting(*kinds: type[BaseException]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Returns a decorator: a call that fails in one of these ways keeps nothing of what it was given.

    A traceback that shows variables would show a key. The frames below are emptied as well, those of vendors among
    them. Whoever called it keeps theirs.
    """

    def decorate(call: Callable[P, T]) -> Callable[P, T]:
        if inspect.iscoroutinefunction(call):
            return cast("Callable[P, T]", _awaited(call, kinds))

        @functools.wraps(call)
        def forgets(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return call(*args, **kwargs)
            except kinds as error:
                forget(error)
                del args, kwargs
                raise

        return forgets

    return decorate


def _awaited(call: Callable[..., Any], kinds: tuple[type[BaseException], ...]) -> Callable[..., Any]:
    @functools.wraps(call)
    async def forgets(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the call takes and returns
        try:
            return await call(*args, **kwargs)
        except kinds as error:
            forget(error)
            del args, kwargs
            raise

    return forgets


def forgetful(call: Callable[P, T]) -> Callable[P, T]:
    """Lets a call that fails, in whatever way, keep nothing of what it was given: for those that are given keys."""
    return forgetting(BaseException)(call)


def forgets_mistakes(call: Callable[P, T]) -> Callable[P, T]:
    """Lets a call that was asked for nonsense keep nothing of what it was given: a key in the wrong place, say."""
    return forgetting(ConfigurationError, UnsupportedError)(call)


def forget(error: BaseException) -> None:
    """Empties the frames that an error, and those behind it, have gone through, as far as they have ended."""
    todo, seen = [error], set[int]()
    while todo:
        link = todo.pop()
        if id(link) not in seen:
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            todo += [behind for behind in (link.__cause__, link.__context__) if behind is not None]


def masked(text: str, secrets: Iterable[str]) -> str:
    """Returns a text without secrets, in whatever form, and without what stands before the host of an address."""
    for secret in secrets:
        for form in _forms(secret) if len(secret) >= _SHORTEST else ():
            text = text.replace(form, _HIDDEN)
    return _USER_INFO.sub(f"{_HIDDEN}@", text)


def url_shown(url: object) -> str:
    """Returns an address without the user and the password in it."""
    return split_address(str(url))[0]


def split_address(url: str) -> tuple[str, tuple[str, str] | None]:
    """Returns an address without its user and password, and those beside it, if there are any."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address, which somebody else says
        return _USER_INFO.sub("", url), None
    before, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = before.partition(":")
    return urlunsplit(parts._replace(netloc=place)), (unquote(user), unquote(password))


def borne_by(request: Any) -> Iterator[str]:  # noqa: ANN401 - a request of any package
    """Yields the secrets that a request bears in its headers and its address, whoever has put them there."""
    headers: Mapping[str, str] = request.headers
    for name in _HEADERS:
        value = headers.get(name)
        if value:
            yield value
            scheme, _, key = value.partition(" ")
            yield key
            if scheme.lower() == "basic":
                yield from _of_basic(key)
    yield from _in_address(str(request.url))


def surrounding() -> Iterator[str]:
    """Yields the secrets in the environment: of variables that are named so, and in addresses (of proxies, say)."""
    also = os.environ.get(NAMES, "").split(",")
    for name, value in os.environ.items():
        if name in also or names_secret(name):
            yield value
        yield from _in_address(value)


def _forms(secret: str) -> dict[str, None]:
    written = (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret), quote(secret, safe=""))
    return dict.fromkeys([*written, quote_plus(secret)])


def _of_basic(key: str) -> Iterator[str]:
    try:
        user, _, password = base64.b64decode(key).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    yield from (user, password)


def _in_address(text: str) -> Iterator[str]:
    pair = split_address(text)[1] if "@" in text and "://" in text else None
    if pair is not None:
        yield from pair
