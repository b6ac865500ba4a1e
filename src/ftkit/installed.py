"""Which providers are installed, from which package, what each can do, and what it still needs.

To know that, each is made, which sends nothing. One that is broken is told, and disturbs no other.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError, CredentialsError, FtkitError, MissingExtraError
from ftkit.models import Noun
from ftkit.profiles import profile_names, resolve_profile
from ftkit.provider import ABILITIES
from ftkit.registry import (
    brought_twice,
    call_factory,
    check_contract,
    entries,
    load_factory,
    package_of,
    unreadable,
)
from ftkit.testing.table import Capabilities, abilities_table, capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.metadata import EntryPoint

WIDTH = 100


class ProviderState(StrEnum):
    """Whether a provider can be used.

    READY: it can be made. NEEDS: it still needs something, such as a key. BROKEN: only another package helps.
    """

    READY = "ready"
    NEEDS = "needs"
    BROKEN = "broken"


@dataclass(frozen=True)
class Made:
    """What came of making a provider.

    Attributes:
        provider: The provider; where it could not be made, its class, which tells what it can do as well; else None.
        state: Whether it can be used.
        error: Why it cannot.
    """

    provider: object = None
    state: ProviderState = ProviderState.READY
    error: FtkitError | None = None


class InstalledProvider(Noun):
    """A provider that a package brings.

    Attributes:
        name: Its name, as in `Client("name")`.
        package: The package that brings it.
        version: The version of that package; None if its metadata has none.
        entry: Where its factory is: "module:name".
        state: Whether it can be used.
        told: What it needs, or what is wrong with it; None if it is ready.
        fix: How to mend that.
        methods: The fine-tuning methods that it has; empty while it cannot be known.
        abilities: The optional abilities that it has; likewise.
        profiles: The profiles that stand for it.
    """

    name: str
    package: str
    version: str | None
    entry: str
    state: ProviderState
    told: str | None = None
    fix: str | None = None
    methods: tuple[str, ...] = ()
    abilities: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


class Installed(Noun):
    """What is installed.

    Attributes:
        providers: The providers, by name; one that two packages bring is there twice, and BROKEN.
        unreadable: Packages whose metadata cannot be read, so that nobody knows what they bring.
    """

    providers: tuple[InstalledProvider, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether none is broken, and all could be looked at. One that needs something is not broken."""
        return not self.unreadable and all(each.state is not ProviderState.BROKEN for each in self.providers)


def installed() -> Installed:
    """Looks at all providers that are installed. Sends nothing, and raises nothing that is a provider's fault."""
    found = entries()
    return Installed(providers=tuple(_looked_at(entry, found) for entry in found), unreadable=unreadable())


def made(entry: EntryPoint) -> Made:
    """Makes the provider of an entry point, with the options of its profile and of the environment."""
    try:
        factory = load_factory(entry)
    except FtkitError as error:
        return Made(state=_state_of(error, ProviderState.BROKEN), error=error)
    try:
        candidate = call_factory(entry, factory, options_of(entry.name))
    except FtkitError as error:
        broke_down = error.__cause__ is not None
        state = _state_of(error, ProviderState.BROKEN if broke_down else ProviderState.NEEDS)
        return Made(factory if isinstance(factory, type) else None, state, error)
    try:
        return Made(check_contract(candidate, entry.name, package_of(entry)))
    except ConfigurationError as error:
        return Made(state=ProviderState.BROKEN, error=error)


def options_of(provider: str) -> dict[str, Any]:
    """Returns the options that a provider is made with where its name alone is given."""
    profile = resolve_profile(provider, {})
    return profile.options if profile.provider == provider else {}  # a profile may bear a provider's name


def _profiles_of(provider: str) -> tuple[str, ...]:
    try:
        return profile_names(provider)
    except ConfigurationError:  # which whoever makes the provider is told as well
        return ()


def _state_of(error: FtkitError, otherwise: ProviderState) -> ProviderState:
    return ProviderState.NEEDS if isinstance(error, MissingExtraError | CredentialsError) else otherwise


def _looked_at(entry: EntryPoint, found: Sequence[EntryPoint]) -> InstalledProvider:
    twins = [other for other in found if other.name == entry.name]
    twice = brought_twice(entry.name, twins) if len(twins) > 1 else None
    was = Made(state=ProviderState.BROKEN, error=twice) if twice else made(entry)
    can = capabilities(was.provider) if was.provider is not None else Capabilities(entry.name)
    return InstalledProvider(
        name=entry.name,
        package=package_of(entry),
        version=entry.dist.version if entry.dist is not None else None,
        entry=entry.value,
        state=was.state,
        told=was.error.message if was.error is not None else None,
        fix=was.error.hint if was.error is not None else None,
        methods=tuple(sorted(can.methods)),
        abilities=tuple(sorted(can.abilities)),
        profiles=_profiles_of(entry.name),
    )


def render(found: Installed, *, width: int = WIDTH) -> str:
    """Returns what is installed as text for people: a paragraph for each provider."""
    return "\n\n".join("\n".join(_paragraph(each, width)) for each in found.providers) or "none is installed"


def table(found: Installed) -> str:
    """Returns a Markdown table of what each can do; one of which nothing can be known has no column."""
    known = [each for each in found.providers if each.methods]
    return abilities_table(
        Capabilities(each.name, frozenset(each.methods), frozenset(each.abilities)) for each in known
    )


def _paragraph(each: InstalledProvider, width: int) -> Iterator[str]:
    yield f"{each.name}  ({each.package}{f' {each.version}' if each.version else ''})  {each.state.value}"
    can = ", ".join(what for ability, what in ABILITIES.items() if ability.__name__ in each.abilities)
    facts = {
        each.state.value: " -> ".join(filter(None, (each.told, each.fix))),
        "methods": ", ".join(each.methods),
        "can": can,
        "profiles": ", ".join(each.profiles),
    }
    for what, told in facts.items():
        if told:
            lines = textwrap.wrap(f"{what}: {told}", width - 2, subsequent_indent="  ", break_on_hyphens=False)
            yield from (f"  {line}" for line in lines)
