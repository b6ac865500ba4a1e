"""What the checks of the kit are made of. A broken rule is an AssertionError that says the rule and what was seen."""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ftkit.errors import FtkitError, NotFoundError
from ftkit.provider import ABILITIES, Provider, settle_s_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ftkit.models import Noun, Page

T = TypeVar("T")

STRANGE_IDS: tuple[str, ...] = (
    "ftkit-no-such-thing",
    *("", " ", "\t\n"),
    *(".", "..", "../x", "../../x", "x/../../files", "a/./b", "/etc/passwd", "~", "~root"),
    *("%2e%2e", "%2e%2e%2fx", "..%2f..%2fx", "%252e%252e%252fx", "x%00", "..%5c", "..\\..\\x", "C:\\x", "\\\\x\\y"),
    *("a/b?c#d", "?limit=1", "#x", "x;y=1", "x&y", "${HOME}", "*", "{}", "-rf", "'; --"),
    *("nul\x00byte", "new\nline", "x\r\nX-Ftkit: y", "\x1b[2Jx", "\ud800"),
    *("CON", "nul.txt", "x.", "x "),
    "x" * 5000,
    *("sm\u00f8rrebr\u00f8d-\u2603", "\uff0e\uff0e\uff0fx", "\u2024\u2024\u2215x", "\u202efdp.x", "x\u200b"),
)
"""Ids that no vendor has given to anything."""

MOST_PAGES = 1000


class BrokenRuleError(AssertionError):
    """The provider does not keep a rule of the contract."""


def must(kept: object, rule: str) -> None:
    """Raises if a rule is not kept."""
    if not kept:
        raise BrokenRuleError(rule)


def error_of(call: Callable[[], object], what: str) -> FtkitError | None:
    """Calls, and returns the error that came, if it is one of ftkit's.

    Raises:
        BrokenRuleError: An exception that is not one of ftkit's came out.
    """
    try:
        call()
    except FtkitError as error:
        return error
    except Exception as error:
        rule = f"{what}: vendor exceptions leave only as ftkit.errors, and {type(error).__name__} came: {error}"
        raise BrokenRuleError(rule[:1000]) from error
    return None


def not_found(call: Callable[[], object], what: str) -> FtkitError:
    """Calls with an id that nothing has, and returns the NotFoundError."""
    error = error_of(call, what)
    if not isinstance(error, NotFoundError):
        said = "nothing was raised" if error is None else f"{type(error).__name__} came: {error}"
        raise BrokenRuleError(f"{what}: an id that the provider does not know is a NotFoundError; {said}"[:1000])
    return error


def round_trips(kind: type[Noun], noun: Noun) -> None:
    """Checks that a noun comes back from JSON as it was: that is how the ledger keeps it."""
    must(type(noun) is kind, f"{kind.__name__} was promised, and {type(noun).__name__} came")
    try:
        again = kind.model_validate_json(noun.model_dump_json())
    except Exception as error:
        raise BrokenRuleError(f"{kind.__name__} does not read back from its own JSON: {error}") from error
    must(again == noun, f"{kind.__name__} reads back from its own JSON as something else: {again!r} was {noun!r}")


def shows_none(secrets: Sequence[str], text: str, what: str) -> None:
    """Checks that a text holds no secret. The message does not repeat it."""
    must(not any(secret in text for secret in secrets), f"{what} shows a secret")


def told_by(error: BaseException) -> str:
    """Returns all that an error and its causes would print or log."""
    told: list[str] = []
    link: BaseException | None = error
    while link is not None and len(told) < MOST_PAGES:
        told.append(f"{link} {link!r} {vars(link)}")
        link = link.__cause__ or link.__context__
    return "\n".join(told)


def pages(ask: Callable[[str | None, int], Page[T]], limit: int) -> Iterator[T]:
    """Yields all items of a paged list, and checks that each page keeps to its limit and that there is an end."""
    after: str | None = None
    for _ in range(MOST_PAGES):
        page = ask(after, limit)
        must(len(page.items) <= limit, f"a page for limit={limit} has {len(page.items)} items")
        yield from page.items
        if page.next is None:
            return
        must(page.next != after, "a page's `next` is the cursor that led to it: the list has no end")
        after = page.next
    raise BrokenRuleError(f"the list has no end: {MOST_PAGES} pages were read")


def settled(provider: object, ask: Callable[[], T], good: Callable[[T], bool]) -> T:
    """Asks a list that may lag until the answer is good, or the time is up that the provider itself names."""
    patience = settle_s_of(provider)
    deadline = time.monotonic() + patience
    while True:
        late = time.monotonic() >= deadline
        answer = ask()
        if late or good(answer):
            return answer
        time.sleep(min(0.05, patience))


def new_key() -> str:
    """Returns a key in the form that the client uses, and that was never used."""
    return f"v1:{hashlib.sha256(uuid.uuid4().bytes).hexdigest()}"


def members(protocol: type) -> list[str]:
    """Returns the methods and attributes that a protocol asks for."""
    named = {**vars(protocol).get("__annotations__", {}), **vars(protocol)}
    return [name for name in named if not name.startswith("_")]


def halves(provider: object) -> list[str]:
    """Returns the abilities of which a provider has only a part: they would count as absent, in silence."""
    found: list[str] = []
    for ability in ABILITIES:
        has = [name for name in members(ability) if hasattr(provider, name)]
        lacks = [name for name in members(ability) if not hasattr(provider, name)]
        if has and lacks:
            found.append(f"{ability.__name__} (has {', '.join(has)}; lacks {', '.join(lacks)})")
    return found


def protocols_of(provider: object) -> list[type]:
    """Returns the protocols that a provider says it has."""
    return [Provider, *(ability for ability in ABILITIES if isinstance(provider, ability))]


def by_id(provider: object) -> dict[str, Callable[[str], Any]]:
    """Returns the methods of a provider that take one id and must know it, by name."""
    calls: dict[str, Callable[[str], Any]] = {}
    plain = ("get_job", "cancel_job", "pause_job", "resume_job", "list_checkpoints", "results")
    for name in (*plain, "get_file", "delete_file", "delete_model", "get_deployment"):
        if any(name in members(protocol) for protocol in protocols_of(provider)):
            calls[name] = cast("Callable[[str], Any]", getattr(provider, name))
    return calls
