"""Deployments, with the ledger behind them: nothing that costs by the hour is forgotten."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ftkit.errors import FtkitError, NotFoundError, ProviderUnavailableError, UnclearOutcomeError
from ftkit.ledger import DeploymentEntry, State
from ftkit.models import Checkpoint, Deployment, DeploymentStatus, FineTuningJob
from ftkit.retrying import read

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ftkit.ledger import Ledger
    from ftkit.provider import Deploys

Target = FineTuningJob | Checkpoint | str
_GONE = {DeploymentStatus.DELETED, DeploymentStatus.DELETING}


def source_of(target: Target) -> str:
    """Returns what a deployment serves, as one word: id of a job or checkpoint, or name of a model."""
    return target if isinstance(target, str) else target.id


class Deployer:
    """Makes and ends deployments of one account.

    Args:
        provider: A provider that can deploy.
        name: Its name.
        identity: The account.
        ledger: The ledger.
    """

    def __init__(self, provider: Deploys, name: str, identity: str, ledger: Ledger) -> None:
        self._provider = provider
        self._name = name
        self._identity = identity
        self._ledger = ledger

    def deploy(
        self,
        target: Target,
        name: str,
        ttl_s: float | None,
        options: Mapping[str, Any],
        *,
        temporary: bool = False,
    ) -> Deployment:
        """Deploys under a name, once. The intent is in the ledger before the request."""
        with self._ledger.lock(self._key(name)):
            return self._deploy(target, name, ttl_s, options, temporary=temporary)

    @contextmanager
    def deployed(
        self, target: Target, name: str, ttl_s: float | None, options: Mapping[str, Any]
    ) -> Generator[Deployment]:
        """Deploys for the time of a `with` block; what stood there before, or is held by another, stays."""
        holder = uuid.uuid4().hex
        with self._ledger.lock(self._key(name)):
            self._ledger.hold(self._identity, name, holder)
            try:
                deployment = self._deploy(target, name, ttl_s, options, temporary=not self._stays(name))
            except BaseException:
                self._ledger.release(self._identity, name, holder)
                raise
        try:
            yield deployment
        finally:
            with self._ledger.lock(self._key(name)):
                self._ledger.release(self._identity, name, holder)
                self._delete_if_unused(name)

    def list_all(self) -> list[Deployment]:
        """Lists the account's deployments, with what the ledger adds: when they were made, when they are due."""
        known = {entry.name: entry for entry in self._ledger.deployments(self._identity)}
        return [self._complete(d, known.get(d.name)) for d in read(self._provider.list_deployments)]

    def get(self, name: str) -> Deployment:
        """Reads one deployment."""
        return self._complete(read(self._provider.get_deployment, name), self._entry(name))

    def delete(self, name: str) -> None:
        """Deletes a deployment, and forgets it once it is gone."""
        with self._ledger.lock(self._key(name)):
            self._delete(name)

    def reap(self) -> list[str]:
        """Deletes what is past its time to live, and what was temporary and is held by nobody any more."""
        now = datetime.now(UTC)
        reaped: list[str] = []
        for entry in self._ledger.deployments(self._identity):
            with self._ledger.lock(self._key(entry.name)):
                overdue = entry.expires_at is not None and entry.expires_at <= now
                if overdue or (entry.temporary and not self._ledger.holders(self._identity, entry.name)):
                    self._delete(entry.name)
                    reaped.append(entry.name)
        return reaped

    def _deploy(
        self, target: Target, name: str, ttl_s: float | None, options: Mapping[str, Any], *, temporary: bool
    ) -> Deployment:
        now = datetime.now(UTC)
        expires = now + timedelta(seconds=ttl_s) if ttl_s is not None else None
        source = source_of(target)
        entry = DeploymentEntry(self._identity, name, self._name, source, State.INTENDED, temporary, now, expires)
        before = self._entry(name)
        self._ledger.intend_deployment(entry if before is None else entry._replace(intended_at=before.intended_at))
        try:
            deployment = self._provider.deploy(target, name, options)
        except (ProviderUnavailableError, UnclearOutcomeError):
            found = self._look(name)
            if found is None:
                raise  # the intent stays in the ledger, so that `reap` and a second try find what may come up late
            deployment = found
        except FtkitError:
            if before is None:
                self._ledger.forget_deployment(self._identity, name)
            else:
                self._ledger.intend_deployment(before)
            raise
        self._ledger.record_deployment(deployment, self._identity)
        return self._complete(deployment, entry)

    def _look(self, name: str) -> Deployment | None:
        try:
            return read(self._provider.get_deployment, name)
        except NotFoundError:
            return None

    def _stays(self, name: str) -> bool:
        """Whether a deployment of that name stands that is not a temporary one of ours."""
        entry = self._entry(name)
        if entry is not None and entry.temporary:
            return False
        found = self._look(name)
        return found is not None and found.status not in _GONE

    def _delete_if_unused(self, name: str) -> None:
        entry = self._entry(name)
        if entry is not None and entry.temporary and not self._ledger.holders(self._identity, name):
            self._delete(name)

    def _delete(self, name: str) -> None:
        read(self._provider.delete_deployment, name)  # deleting twice is harmless, so it may be tried again
        self._ledger.forget_deployment(self._identity, name)

    def _entry(self, name: str) -> DeploymentEntry | None:
        return next((e for e in self._ledger.deployments(self._identity) if e.name == name), None)

    def _complete(self, deployment: Deployment, entry: DeploymentEntry | None) -> Deployment:
        update: dict[str, object] = {"identity": deployment.identity or self._identity}
        if entry is not None:
            update["created_at"] = deployment.created_at or entry.intended_at
            update["expires_at"] = deployment.expires_at or entry.expires_at
        return deployment.model_copy(update=update)

    def _key(self, name: str) -> str:
        return f"deployment:{self._identity}:{name}"
