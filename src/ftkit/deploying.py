"""Deployments, with the ledger behind them: nothing that costs by the hour is forgotten."""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    FtkitError,
    LedgerError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    UnclearOutcomeError,
)
from ftkit.keys import deployment_name
from ftkit.ledger import DeploymentEntry, State
from ftkit.models import Checkpoint, Deployment, DeploymentStatus, FineTuningJob, Kept
from ftkit.retrying import read

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping

    from ftkit.ledger import Ledger
    from ftkit.provider import Deploys

logger = logging.getLogger("ftkit")

Target = FineTuningJob | Checkpoint | str
_BUSY_S = 5.0
"""How long `reap` waits for a deployment that somebody is busy with, in seconds, before it leaves it for next time."""
_COMES_UP_S = 3600.0
"""How long a deployment may take until it stands, in seconds; what takes longer is returned as it is."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 10.0
_LATE = timedelta(hours=1)
"""How long after an unclear end a deployment may come up late."""


def source_of(target: object) -> str:
    """Returns what a deployment serves, as one word: id of a job or checkpoint, or name of a model.

    Raises:
        ConfigurationError: It is none of them.
    """
    if not isinstance(target, Target) or not target:
        message = f"{target!r} is no job, no checkpoint and no name of a model"
        raise ConfigurationError(message)
    return target if isinstance(target, str) else target.id


def is_due(entry: DeploymentEntry, ledger: Ledger) -> bool:
    """Whether a deployment is past its time to live, or was temporary and is held by nobody any more."""
    overdue = entry.expires_at is not None and entry.expires_at <= datetime.now(UTC)
    return overdue or (entry.temporary and not ledger.holders(entry.identity, entry.name))


def unseen(entry: DeploymentEntry, word: str, error: str | None = None) -> Deployment:
    """Returns what the ledger alone knows of a deployment, with a word on why it is no more than that."""
    return Deployment(
        name=entry.name,
        provider=entry.provider,
        identity=entry.identity,
        status=DeploymentStatus.UNKNOWN,
        provider_status=word,
        model=entry.source,
        source=entry.source,
        created_at=entry.intended_at,
        expires_at=entry.expires_at,
        error=error,
    )


def _due(ttl_s: float | None) -> datetime | None:
    return None if ttl_s is None else datetime.now(UTC) + timedelta(seconds=ttl_s)


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

    def deploy(self, target: Target, name: str, ttl_s: float | None, options: Mapping[str, Any]) -> Deployment:
        """Deploys under a name, once. The intent is in the ledger before the request."""
        with self._ledger.lock(self._key(name)):
            entry, before = self._intent(target, name, _due(ttl_s), temporary=False), self._entry(name)
            given = name != deployment_name(self._identity, entry.source)  # what bears a name of ours is ours
            if given and (before is None or before.state is State.JOINED) and self._stands(name):
                entry = entry._replace(state=State.JOINED)
            deployment = self._deploy(target, options, entry)
        return self._up(deployment)

    @contextmanager
    def deployed(
        self, target: Target, name: str, ttl_s: float | None, options: Mapping[str, Any]
    ) -> Generator[Deployment]:
        """Deploys for the time of a `with` block; what stood there before, or is held by another, stays."""
        holder = uuid.uuid4().hex
        with self._ledger.lock(self._key(name)):
            self._ledger.hold(self._identity, name, holder)
            try:
                deployment = self._deploy(target, options, self._intent_of_block(target, name, _due(ttl_s)))
            except BaseException as error:
                self._give_up(name, holder, error)
                raise
        try:
            yield self._up(deployment)
        except BaseException as error:
            self._leave(name, holder, error)
            raise
        self._leave(name, holder, None)

    def list_all(self) -> list[Deployment]:
        """Lists the account's deployments, with what the ledger adds: when they were made, when they are due.

        What was asked for and cannot be seen is listed as well, with the status UNKNOWN.
        """
        known = {entry.name: entry for entry in self._ledger.deployments(self._identity)}
        found = [self._complete(each, known.pop(each.name, None)) for each in read(self._provider.list_deployments)]
        for entry in known.values():
            there = self._look(entry.name)  # a list may lag
            if there is not None and not there.status.is_gone:
                found.append(self._complete(there, entry))
            elif entry.state is State.INTENDED:
                found.append(unseen(entry, "asked for, not known to be up"))
        return found

    def get(self, name: str) -> Deployment:
        """Reads one deployment."""
        return self._complete(read(self._provider.get_deployment, name), self._entry(name))

    def delete(self, name: str) -> None:
        """Deletes a deployment, and forgets it once it is gone."""
        with self._ledger.lock(self._key(name)):
            self._delete(name)

    def delete_serving(self, sources: Collection[str]) -> tuple[list[str], list[Kept]]:
        """Deletes the deployments of a job or a checkpoint, or of models by their names, that ftkit made.

        Returns:
            The names of those that were deleted, and those that were left.
        """
        deleted: list[str] = []
        kept: list[Kept] = []
        failed: dict[str, FtkitError] = {}
        listed = read(self._provider.list_deployments)
        served = {each.name: each.source for each in listed if not each.status.is_gone}
        asked = [each.name for each in self._ledger.deployments(self._identity) if each.source in sources]
        for name in dict.fromkeys([*asked, *(name for name, source in served.items() if source in sources)]):
            try:
                with self._ledger.lock(self._key(name), timeout_s=_BUSY_S):
                    other = served.get(name) not in {None, *sources}
                    reason = f"it serves {served[name]} by now" if other else self._reason_to_keep(name)
                    if reason is None:
                        self._delete(name)
            except FtkitError as error:
                failed[name] = error
            else:
                if reason is None:
                    deleted.append(name)
                else:
                    kept.append(Kept(kind="deployment", name=name, reason=reason))
        _raise_first(failed, deleted)
        return deleted, kept

    def reap(self, *, dry_run: bool = False) -> list[str]:
        """Deletes what is past its time to live, and what was temporary and is held by nobody any more."""
        reaped: list[str] = []
        failed: dict[str, FtkitError] = {}
        for name in [entry.name for entry in self._ledger.deployments(self._identity)]:
            try:
                with self._ledger.lock(self._key(name), timeout_s=_BUSY_S):
                    if self._is_left(name):
                        if not dry_run:
                            self._delete(name)
                        reaped.append(name)
            except ConflictError as error:
                if error.provider is not None:  # not our own lock's: whoever holds that is not dead
                    failed[name] = error
            except FtkitError as error:
                failed[name] = error
        _raise_first(failed, reaped)
        return reaped

    def _give_up(self, name: str, holder: str, raised: BaseException) -> None:
        """Ends the time of a holder whose deployment did not come, and says so where it may come yet."""
        try:
            self._ledger.release(self._identity, name, holder)
            entry = self._entry(name)
        except LedgerError:
            return  # what was raised first is what is to be told
        if entry is not None and entry.temporary and entry.state is State.INTENDED:
            raised.add_note(f"The deployment '{name}' may come up yet, and cost: client.reap() deletes it.")

    def _leave(self, name: str, holder: str, raised: BaseException | None) -> None:
        """Ends one holder's time. If that fails, what the block itself raised is what is raised, with a note."""
        try:
            with self._ledger.lock(self._key(name)):
                self._ledger.release(self._identity, name, holder)
                self._delete_if_unused(name)
        except Exception as error:
            note = f"The deployment '{name}' may still stand, and cost: client.delete_deployment({name!r})."
            if raised is None:
                error.add_note(note)
                raise
            raised.add_note(f"{note} It could not be deleted: {error}")
            if not isinstance(raised, Exception):  # a Ctrl-C, or a task that was cancelled: nobody reads its notes
                logger.warning("%s It could not be deleted: %s", note, error)

    def _is_left(self, name: str) -> bool:
        """Whether a deployment is to be reaped. What may come up late must not be forgotten before."""
        entry = self._entry(name)
        return entry is not None and is_due(entry, self._ledger) and not self._may_come(entry)

    def _may_come(self, entry: DeploymentEntry) -> bool:
        """Whether a deployment is not there yet, and may come up late."""
        young = datetime.now(UTC) - entry.intended_at < _LATE
        return entry.state is State.INTENDED and young and self._look(entry.name) is None

    def _reason_to_keep(self, name: str) -> str | None:
        entry = self._entry(name)
        if entry is None:
            return "ftkit did not make it, going by the ledger of this machine"
        if entry.state is State.JOINED:
            return "it was there before ftkit asked for it"
        if self._ledger.holders(self._identity, name):
            return "somebody is using it, in a `with` block"
        if self._may_come(entry):
            return "it was asked for, and is not known to be up; it may come up late: run this again then"
        return None

    def _intent(self, target: Target, name: str, expires: datetime | None, *, temporary: bool) -> DeploymentEntry:
        now, source = datetime.now(UTC), source_of(target)
        return DeploymentEntry(self._identity, name, self._name, source, State.INTENDED, temporary, now, expires)

    def _intent_of_block(self, target: Target, name: str, expires: datetime | None) -> DeploymentEntry:
        """What a `with` block intends: something of its own, or to join in what is there, which then stays as it is.

        Where another block holds it as well, it lives as long as the one that wants it longest.
        """
        before = self._entry(name)
        if before is not None and before.temporary:
            both = (before.expires_at, expires)
            expires = None if None in both else max(moment for moment in both if moment is not None)
            return self._intent(target, name, expires, temporary=True)
        if not self._stands(name):
            return self._intent(target, name, expires, temporary=True)
        if before is not None:
            return before
        return self._intent(target, name, None, temporary=False)._replace(state=State.JOINED)

    def _deploy(self, target: Target, options: Mapping[str, Any], entry: DeploymentEntry) -> Deployment:
        name, before = entry.name, self._entry(entry.name)
        if before is not None and (before.state is State.MADE or entry.state is State.JOINED):
            entry = entry._replace(intended_at=before.intended_at)  # it stands since then
        self._ledger.intend_deployment(entry)
        try:
            deployment = self._ask(target, name, options)
        except (ProviderUnavailableError, UnclearOutcomeError):
            raise  # the intent stays in the ledger, so that `reap` and a second try find what may come up late
        except FtkitError:
            if before is None:
                self._ledger.forget_deployment(self._identity, name)
            else:
                self._ledger.intend_deployment(before)
            raise
        try:
            if entry.state is not State.JOINED:
                self._ledger.record_deployment(deployment, self._identity)
        except LedgerError as error:
            error.add_note(f"The deployment '{name}' was made, and may cost: client.delete_deployment({name!r}).")
            raise
        return self._complete(deployment, entry)

    def _up(self, deployment: Deployment) -> Deployment:
        """Waits for a deployment that is still being made, as long as such a thing may take.

        Raises:
            ProviderError: It has failed.
        """
        deadline, pause = time.monotonic() + _COMES_UP_S, _FIRST_PAUSE_S
        while deployment.status is DeploymentStatus.CREATING and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            deployment = self.get(deployment.name)
        if deployment.status is DeploymentStatus.FAILED:
            message = f"the deployment '{deployment.name}' has failed: {deployment.error or 'it is not told why'}"
            hint = f"client.delete_deployment({deployment.name!r}), and deploy again."
            raise ProviderError(message, provider=self._name, hint=hint)
        return deployment

    def _ask(self, target: Target, name: str, options: Mapping[str, Any]) -> Deployment:
        try:
            return self._provider.deploy(target, name, options)
        except (ProviderUnavailableError, UnclearOutcomeError):
            if self._look(name) is None:
                raise
            # The name stands: asked again, the provider makes nothing, and refuses if another model is behind it.
            return self._provider.deploy(target, name, options)

    def _look(self, name: str) -> Deployment | None:
        try:
            return read(self._provider.get_deployment, name)
        except NotFoundError:
            return None

    def _stands(self, name: str) -> bool:
        found = self._look(name)
        return found is not None and not found.status.is_gone

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


def _raise_first(failed: Mapping[str, FtkitError], deleted: Collection[str]) -> None:
    """Raises the first of some errors, with a note on what became of the deployments, all of which were tried."""
    for error in failed.values():
        error.add_note(f"Deleted nevertheless: {', '.join(deleted) or 'none'}. Not deleted: {', '.join(failed)}.")
        raise error
