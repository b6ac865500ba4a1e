"""Deployments where there is nothing to deploy: a tuned model can be asked as it is, and a name for it is ours."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from ftkit.errors import ConflictError, NotFoundError
from ftkit.models import Deployment, DeploymentStatus

if TYPE_CHECKING:
    from ftkit.providers._notes import Notes


class Aliases:
    """The names of one account on this machine.

    Args:
        provider: Name of the provider.
        identity: The account.
        notes: Where they are written down.
    """

    def __init__(self, provider: str, identity: str, notes: Notes) -> None:
        self._provider = provider
        self._identity = identity
        self._notes = notes

    def put(self, name: str, model: str, source: str) -> Deployment:
        """Gives a model a name; the same again is the same.

        Raises:
            ConflictError: The name stands for another model.
        """
        with self._notes.change() as notes:
            mine = notes.setdefault(self._identity, {})
            known = mine.setdefault(name, {"model": model, "source": source, "made": datetime.now(UTC).isoformat()})
        if known["model"] != model:
            message = f"the name '{name}' stands for {known['model']}"
            raise ConflictError(message, provider=self._provider, hint="Choose another name, or delete that one first.")
        return self.get(name)

    def get(self, name: str) -> Deployment:
        """Returns what a name stands for.

        Raises:
            NotFoundError: It stands for nothing.
        """
        found = next((each for each in self.all() if each.name == name), None)
        if found is None:
            raise NotFoundError(f"there is no deployment '{name[:80]}'", provider=self._provider)
        return found

    def all(self) -> list[Deployment]:
        """Returns all of them, by name."""
        return [
            Deployment(
                name=name,
                provider=self._provider,
                identity=self._identity,
                status=DeploymentStatus.RUNNING,
                model=note["model"],
                source=note["source"],
                created_at=datetime.fromisoformat(note["made"]),
                price_per_hour=Decimal(0),  # it is a name, and no machine waits behind it
            )
            for name, note in sorted(self._notes.read().get(self._identity, {}).items())
        ]

    def delete(self, name: str) -> None:
        """Forgets a name. The model stays."""
        with self._notes.change() as notes:
            notes.get(self._identity, {}).pop(name, None)
