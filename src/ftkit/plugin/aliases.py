"""Deployments where there is nothing to deploy: a tuned model can be asked as it is, and a name for it is ours."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ftkit.errors import ConflictError, NotFoundError
from ftkit.home import state_folder
from ftkit.models import Deployment, DeploymentStatus
from ftkit.plugin.asked import model_of, no_options
from ftkit.plugin.disk import disk_errors, landing

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from ftkit.models import Checkpoint, FineTuningJob

_WAIT_S = 60.0
_MOST_SHOWN = 80


class NamesModels:
    """Base of a provider whose tuned models answer as they are. It gives them names, by account, on this machine.

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
        note = {"model": str(options.get(self.asked_as or "", model)), "source": source}
        with self._aliases() as known:
            told = known.setdefault(name, {**note, "made": datetime.now(UTC).isoformat()})
        if {**note, "made": told["made"]} != told:
            message = f"the name '{name}' stands for {told['model']}, of {told['source']}"
            raise ConflictError(message, provider=self.name, hint="Choose another name, or delete that one first.")
        return self.get_deployment(name)

    def get_deployment(self, name: str) -> Deployment:
        """Returns what a name stands for.

        Raises:
            NotFoundError: It stands for nothing.
        """
        found = next((each for each in self.list_deployments() if each.name == name), None)
        if found is None:
            raise NotFoundError(f"there is no deployment {name[:_MOST_SHOWN]!r}", provider=self.name)
        return found

    def list_deployments(self) -> list[Deployment]:
        """Lists the names that were given on this machine."""
        with self._aliases() as known:
            return [
                Deployment(
                    name=name,
                    provider=self.name,
                    identity=self.identity(),
                    status=DeploymentStatus.RUNNING,
                    model=told["model"],
                    source=told["source"],
                    created_at=datetime.fromisoformat(told["made"]),
                )
                for name, told in sorted(known.items())
            ]

    def delete_deployment(self, name: str) -> None:
        """Forgets a name. What it stands for stays."""
        with self._aliases() as known:
            known.pop(name, None)

    @contextmanager
    def _aliases(self) -> Generator[dict[str, dict[str, str]]]:
        """Yields the names of the account to be looked at or changed; no other process changes them meanwhile."""
        folder, account = state_folder() / self.name, self.identity()
        with disk_errors(self.name, "the names of models could not be kept", folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(folder / "aliases.lock", timeout=_WAIT_S):
                all_known = _read(folder / "aliases.json")
                before = json.dumps(all_known)
                yield all_known.setdefault(account, {})
                after = json.dumps(all_known)
                if after != before:
                    with landing(folder / "aliases.json") as file:
                        file.write(after.encode())


def _read(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    try:
        known: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return known
