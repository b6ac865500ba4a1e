"""Deployments where there is nothing to deploy: a tuned model can be asked as it is, and a name for it is ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConflictError, NotFoundError
from ftkit.home import state_folder
from ftkit.models import Deployment, DeploymentStatus
from ftkit.plugin.asked import model_of, no_options
from ftkit.plugin.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ftkit.models import Checkpoint, FineTuningJob


class Aliases:
    """The names of one account on this machine.

    Args:
        provider: Name of the provider.
        identity: The account.
        price_per_hour: What it costs that a model can be asked, asked or not; None if that is unknown.
    """

    def __init__(self, provider: str, identity: str, price_per_hour: Decimal | None = None) -> None:
        self._provider = provider
        self._identity = identity
        self._price_per_hour = price_per_hour
        self._notes = Notes(state_folder() / provider / "deployments.json", provider)

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
                price_per_hour=self._price_per_hour,
            )
            for name, note in sorted(self._notes.read().get(self._identity, {}).items())
        ]

    def delete(self, name: str) -> None:
        """Forgets a name. The model stays."""
        with self._notes.change() as notes:
            notes.get(self._identity, {}).pop(name, None)


class NamesModels:
    """Base of a provider whose tuned models answer as they are: it gives them names, by account, on this machine.

    Attributes:
        name: Name of the provider.
        asked_as: Name of the option of a deployment that says what is asked in place of the model; None if there is
            no such option.
    """

    name: str
    asked_as: str | None = None

    def identity(self) -> str:
        """Returns the account: the provider has this."""
        raise NotImplementedError

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Gives a model a name, and returns at once; the same again is the same.

        Raises:
            ConflictError: The name stands for another model.
        """
        no_options(options, () if self.asked_as is None else (self.asked_as,))
        model, source = model_of(target, self.name)
        return self._aliases().put(name, str(options.get(self.asked_as or "", model)), source)

    def get_deployment(self, name: str) -> Deployment:
        """Returns what a name stands for.

        Raises:
            NotFoundError: It stands for nothing.
        """
        return self._aliases().get(name)

    def list_deployments(self) -> list[Deployment]:
        """Lists the names that were given on this machine."""
        return self._aliases().all()

    def delete_deployment(self, name: str) -> None:
        """Forgets a name. What it stands for stays."""
        self._aliases().delete(name)

    def _aliases(self) -> Aliases:
        return Aliases(self.name, self.identity())
