"""What costs by the hour, in all accounts that this machine's ledger knows: who can be asked, and what stands there.

The ledger knows an account by its identity, and not how to open it: that is in a profile, in the environment, or
nowhere in this process. So each account is looked for among the profiles of its provider, and the provider's own name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ftkit.client import Client
from ftkit.deploying import is_due, unseen
from ftkit.errors import FtkitError, UnknownProviderError
from ftkit.ledger import Ledger
from ftkit.profiles import default_name, profile_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ftkit.ledger import DeploymentEntry
    from ftkit.models import Deployment

NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Found:
    """What was found in all accounts.

    Attributes:
        deployments: All deployments; those of an account that could not be asked, as the ledger has them.
        troubles: What could not be asked, and why, by account.
        asked: The accounts that could be asked.
        names: The name of the profile or provider that each account was opened by, also of those that did not answer.
        is_whole: Whether the account that was named could be asked, where one was.
    """

    deployments: list[Deployment] = field(default_factory=list["Deployment"])
    troubles: dict[str, FtkitError] = field(default_factory=dict[str, FtkitError])
    asked: list[str] = field(default_factory=list[str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    is_whole: bool = True


@dataclass(frozen=True)
class Reaped:
    """What came of reaping.

    Attributes:
        names: What was deleted (or would be), by account.
        troubles: Why something that is due was not deleted, by account.
    """

    names: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    troubles: dict[str, FtkitError] = field(default_factory=dict[str, FtkitError])


class Upkeep:
    """All accounts of a ledger.

    Args:
        ledger: The ledger; the user's own if None.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger if ledger is not None else Ledger()

    def deployments(self, provider: str | None = None) -> Found:
        """Lists what stands in the account of a provider or profile, and in all accounts that the ledger knows.

        Args:
            provider: Its name; None for the profile's `default` or FTKIT_PROFILE, if there is one.

        Raises:
            UnknownProviderError: Neither a provider nor a profile has that name.
        """
        found, accounts = Found(), self._entries()
        name = provider or default_name()
        if name is not None:
            try:
                client = Client(name, ledger=self._ledger)
                identity = client.identity()
            except UnknownProviderError:
                raise
            except FtkitError as error:
                found.troubles[name] = error
            else:
                self._ask(identity, lambda: (name, client), accounts.pop(identity, []), found)
        found = replace(found, is_whole=not found.troubles)
        for identity, entries in accounts.items():
            self._ask(identity, partial(self._opened, entries[0]), entries, found)
        return found

    def reap(self, provider: str | None = None, *, dry_run: bool = False) -> Reaped:
        """Deletes what is past its time to live, and what a dead process left: in one account, or in all of them.

        Args:
            provider: Name of a provider or profile; None for all accounts that the ledger knows.
            dry_run: Only name what would be deleted.

        Raises:
            FtkitError: The account that was named cannot be opened.
        """
        reaped = Reaped()
        for identity, client in self._to_reap(provider, reaped.troubles):
            try:
                reaped.names[identity] = client.reap(dry_run=dry_run)
            except FtkitError as error:
                reaped.troubles[identity] = error
        return reaped

    def _to_reap(self, provider: str | None, troubles: dict[str, FtkitError]) -> Iterator[tuple[str, Client]]:
        if provider is not None:
            client = Client(provider, ledger=self._ledger)
            yield client.identity(), client
            return
        for identity, entries in self._entries().items():
            try:
                yield identity, self._opened(entries[0])[1]
            except FtkitError as error:
                due = [entry.name for entry in entries if is_due(entry, self._ledger)]
                if due:
                    error.add_note(f"Not deleted: {', '.join(due)}.")
                    troubles[identity] = error

    @staticmethod
    def _ask(
        identity: str, opened: Callable[[], tuple[str, Client]], entries: list[DeploymentEntry], found: Found
    ) -> None:
        """Adds what stands in an account; what the ledger knows of it, where it cannot be asked."""
        try:
            name, client = opened()
            found.names[identity] = name
            found.deployments.extend(client.list_deployments())
            found.asked.append(identity)
        except FtkitError as error:
            found.troubles[identity] = error
            found.deployments.extend(unseen(entry, NOT_ASKED, error.message) for entry in entries)

    def _entries(self) -> dict[str, list[DeploymentEntry]]:
        found: dict[str, list[DeploymentEntry]] = {}
        for entry in self._ledger.deployments():
            found.setdefault(entry.identity, []).append(entry)
        return found

    def _opened(self, entry: DeploymentEntry) -> tuple[str, Client]:
        """Opens the account of a deployment, and returns the name that leads there as well.

        Raises:
            FtkitError: None of the names that may lead there does.
        """
        reasons: list[str] = []
        for name in dict.fromkeys([*profile_names(entry.provider), entry.provider]):
            try:
                client = Client(name, ledger=self._ledger)
                identity = client.identity()
            except FtkitError as error:
                reasons.append(f"Client('{name}'): {error.message}")
            else:
                if identity == entry.identity:
                    return name, client
                reasons.append(f"Client('{name}') is the account {identity}")
        message = f"nothing here leads to the account {entry.identity} ({'; '.join(reasons)})"
        hint = f"Name it in a profile of ftkit.toml, or set its options: FTKIT_{entry.provider.upper()}_<OPTION>=..."
        raise FtkitError(message, hint=hint)
