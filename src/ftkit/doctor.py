"""Whether a job could be made with a name as it stands: looked at step by step, and nothing is spent.

What is asked of the provider only reads: whose account it is, and one job of its list. `ask=False` asks nothing at all.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ftkit.client import Client
from ftkit.errors import FtkitError
from ftkit.ledger import Ledger
from ftkit.models import Lifecycle, Noun, Problem, Severity
from ftkit.profiles import chosen_name, resolve_profile
from ftkit.provider import Examines, KnowsLifecycle, NamesRoles
from ftkit.registry import entries, package_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ftkit.profiles import Profile
    from ftkit.provider import Provider


class Finding(Noun):
    """One thing that was looked at.

    Attributes:
        what: What was looked at: "package", "options", "account", ...
        ok: Whether it is in order; None for what is worth knowing, or a warning.
        told: What was found.
        fix: How to mend it.
    """

    what: str
    ok: bool | None = True
    told: str
    fix: str | None = None

    def __str__(self) -> str:
        mark = {True: "ok", None: "note", False: "WRONG"}[self.ok]
        told = self.told.replace("\n", "\n    ")
        fix = f"\n    -> {self.fix}" if self.fix else ""
        return f"{mark:<5}  {self.what}: {told}{fix}"


def examine(name: str | None = None, *, ask: bool = True) -> Iterator[Finding]:
    """Yields what is found, step by step; it ends with the first thing without which the rest cannot be looked at.

    Args:
        name: Name of a provider or a profile; the default profile if None.
        ask: Whether the provider may be asked, by requests that only read.
    """
    with _step("name") as named:
        chosen = chosen_name(name)
        profile = resolve_profile(chosen, {})
        named.extend(_of_names(chosen, profile))
    yield from named
    if not named[-1].ok:
        return
    with _step("provider") as made:
        client = Client(chosen)
        told = f"it can be made, and speaks version {client.provider.contract} of the contract"
        made.append(Finding(what="provider", told=told))
    yield from made
    if not made[-1].ok:
        return
    yield from _of_ledger()
    yield from _of_models(client, profile, ask=ask)
    if ask:
        yield from _of_account(client)
        yield from _of_itself(client.provider)


@contextmanager
def _step(what: str) -> Generator[list[Finding]]:
    """Gathers what is found; an error of ftkit's is a finding as well."""
    found: list[Finding] = []
    try:
        yield found
    except FtkitError as error:
        found.append(Finding(what=what, ok=False, told=error.message, fix=error.hint))


def _of_names(chosen: str, profile: Profile) -> Iterator[Finding]:
    stands = f"profile '{chosen}' of the provider '{profile.provider}'"
    yield Finding(what="name", told=stands if chosen != profile.provider else f"provider '{chosen}'")
    for entry in entries():
        if entry.name == profile.provider:
            version = f" {entry.dist.version}" if entry.dist is not None else ""
            yield Finding(what="package", told=f"{package_of(entry)}{version} ({entry.value})")
    if profile.options:  # their names alone: a value may be a key
        yield Finding(what="options", told=f"from ftkit.toml or the environment: {', '.join(sorted(profile.options))}")


def _of_ledger() -> Iterator[Finding]:
    with _step("ledger") as found:
        ledger = Ledger()
        unclear = ledger.unclear_jobs()
        found.append(Finding(what="ledger", told=f"{ledger.path} can be read"))
        for entry in unclear:
            settled = f"ftkit jobs resolve '{entry.key}' -p {entry.provider} --job ID"
            fix = f"Look at the provider's own list of jobs, then: {settled} (or --none)."
            found.append(Finding(what="ledger", ok=None, told=f"the outcome of {entry.key} is not known", fix=fix))
    yield from found


def _of_models(client: Client, profile: Profile, *, ask: bool) -> Iterator[Finding]:
    provider = client.provider
    roles = {**(provider.model_roles if isinstance(provider, NamesRoles) else {}), **profile.models}
    for role, model in roles.items():
        known: Lifecycle | None = None
        if ask and isinstance(provider, KnowsLifecycle):
            with _step("model") as found:
                known = provider.lifecycle(model)
            yield from found
        told = f"'{role}' is {model}{f': {known}' if known else ''}"
        yield Finding(what="model", ok=None if known and known.training_ends else True, told=told)


def _of_account(client: Client) -> Iterator[Finding]:
    with _step("account") as found:
        found.append(Finding(what="account", told=client.provider.identity()))
    yield from found
    if found[0].ok:
        with _step("jobs") as found:
            jobs = client.list_jobs(limit=1)
            told = f"the newest is {jobs.items[0].id}, {jobs.items[0].status.value}" if jobs.items else "there are none"
            found.append(Finding(what="jobs", told=f"the list can be read: {told}"))
        yield from found


def _of_itself(provider: Provider) -> Iterator[Finding]:
    with _step("configuration") as found:
        if isinstance(provider, Examines):
            found.extend(map(_of_problem, provider.examine()))
    yield from found


def _of_problem(problem: Problem) -> Finding:
    ok = {Severity.ERROR: False, Severity.WARNING: None, Severity.NOTE: True}[problem.severity]
    return Finding(what=problem.field or "configuration", ok=ok, told=problem.message, fix=problem.fix)
