"""Deployments that are asked for by name, as Azure's control plane has them: accepted, made, listed, deleted."""

from __future__ import annotations

import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ftkit.errors import FtkitError
from ftkit.server.errors import CONFLICT, NOT_FOUND, ApiError
from ftkit.server.logs import logged
from ftkit.server.records import DeploymentRecord, DeploymentWord, now

if TYPE_CHECKING:
    from ftkit.client import Client
    from ftkit.server.serving import Serving
    from ftkit.server.store import Store
    from ftkit.server.wire_arm import PutDeployment

logger = logging.getLogger("ftkit.server")

_WORKERS = 2
_UNDER_WAY = {DeploymentWord.CREATING, DeploymentWord.DELETING}


class Deployments:
    """The named deployments of a server.

    Args:
        client: The provider's client.
        store: Where they are written down before they are made.
        serving: Knows the models, and which answer.
    """

    def __init__(self, client: Client, store: Store, serving: Serving) -> None:
        self._client = client
        self._store = store
        self._serving = serving
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="ftkit-deployer")

    def start(self) -> None:
        """Takes up what an earlier process was about to make or to delete."""
        for record in self._store.everything(DeploymentRecord):
            if record.word in _UNDER_WAY:
                self._begin(record)

    def stop(self) -> None:
        """Waits for what is under way. What was made stays."""
        self._workers.shutdown(cancel_futures=True)

    def put(self, name: str, asked: PutDeployment) -> tuple[DeploymentRecord, bool]:
        """Accepts a deployment, or a change of one, and begins with it.

        Returns:
            The deployment, and whether it is new.

        Raises:
            ApiError: There is no such model, or another one is being made or deleted under that name.
        """
        model = asked.properties.model
        self._serving.target(model.name)
        wanted = DeploymentRecord(
            id=name,
            created_at=now(),
            model=model.name,
            version=model.version,
            format=model.format,
            sku=asked.sku.name if asked.sku else "Standard",
            capacity=asked.sku.capacity if asked.sku else None,
            stamp=_stamp(),
            tags=asked.tags,
        )
        with self._store.transaction():
            before = self._store.find(DeploymentRecord, name)
            if before is not None and before.word in _UNDER_WAY:
                raise _busy(name)
            if before is None:
                self._store.add(wanted)
            else:
                wanted = self._store.change(DeploymentRecord, name, lambda old: _changed(old, wanted))
        self._begin(wanted, replaces=before is not None and before.model != wanted.model)
        return wanted, before is None

    def get(self, name: str) -> DeploymentRecord:
        """Returns a deployment.

        Raises:
            ApiError: There is none of that name.
        """
        record = self.find(name)
        if record is None:
            raise ApiError(f"The deployment '{name[:200]}' cannot be found.", status=NOT_FOUND, code="NotFound")
        return record

    def find(self, name: str) -> DeploymentRecord | None:
        """Returns a deployment, or None."""
        return self._store.find(DeploymentRecord, name)

    def demand_unused(self, model: str) -> None:
        """Raises if a deployment serves a model.

        Raises:
            ApiError: One does.
        """
        for record in self.all():
            if record.model == model:
                message = f"The deployment '{record.id}' serves {model}; delete that first."
                raise ApiError(message, status=CONFLICT, code="conflict")

    def all(self) -> list[DeploymentRecord]:
        """Returns all deployments, oldest first."""
        return self._store.everything(DeploymentRecord)

    def delete(self, name: str) -> DeploymentRecord | None:
        """Begins to delete a deployment; None if there is none.

        Raises:
            ApiError: It is being made.
        """
        with self._store.transaction():
            record = self._store.find(DeploymentRecord, name)
            if record is None:
                return None
            if record.word is DeploymentWord.CREATING:
                raise _busy(name)
            update = {"word": DeploymentWord.DELETING, "stamp": _stamp()}
            record = self._store.change(DeploymentRecord, name, lambda old: old.model_copy(update=update))
        self._begin(record)
        return record

    def _begin(self, record: DeploymentRecord, *, replaces: bool = False) -> None:
        if record.word is DeploymentWord.DELETING:
            self._workers.submit(logged, self._end, record.id)
        elif record.word is DeploymentWord.CREATING:
            self._workers.submit(logged, self._make, record, replaces)

    def _make(self, record: DeploymentRecord, replaces: bool) -> None:  # noqa: FBT001 - handed to a worker
        try:
            if replaces:
                self._serving.drop(record.id)
                self._client.delete_deployment(record.id)
            self._client.deploy(self._serving.target(record.model), name=record.id)
        except Exception as error:  # told where its user looks for it
            logger.warning("deployment %s failed: %s", record.id, type(error).__name__, exc_info=_unknown(error))
            self._settle(record.id, DeploymentWord.FAILED, _why(error))
            return
        self._settle(record.id, DeploymentWord.SUCCEEDED, None)

    def _end(self, name: str) -> None:
        try:
            self._serving.drop(name)
            self._client.delete_deployment(name)
        except Exception as error:  # told where its user looks for it
            logger.warning("deployment %s was not deleted: %s", name, type(error).__name__, exc_info=_unknown(error))
            self._settle(name, DeploymentWord.FAILED, f"It could not be deleted: {_why(error)}")
            return
        self._store.delete(DeploymentRecord, name)

    def _settle(self, name: str, word: DeploymentWord, error: str | None) -> None:
        update = {"word": word, "error": error, "stamp": _stamp()}
        self._store.change(DeploymentRecord, name, lambda record: record.model_copy(update=update))


def _changed(old: DeploymentRecord, wanted: DeploymentRecord) -> DeploymentRecord:
    """A change of SKU, capacity or tags is only written down; another model, or one that failed, is deployed anew."""
    same = old.model == wanted.model and old.word is DeploymentWord.SUCCEEDED
    update = {"created_at": old.created_at, "word": DeploymentWord.SUCCEEDED if same else DeploymentWord.CREATING}
    return wanted.model_copy(update=update)


def _busy(name: str) -> ApiError:
    message = f"Another operation is being performed on the deployment '{name}'. Please try again later."
    return ApiError(message, status=CONFLICT, code="RequestConflict")


def _stamp() -> str:
    return secrets.token_hex(16)


def _unknown(error: Exception) -> Exception | None:
    """An error of ours says all that is to be said; of any other, the log should tell where it came from."""
    return None if isinstance(error, (FtkitError, ApiError)) else error


def _why(error: Exception) -> str:
    return str(error) if _unknown(error) is None else f"{type(error).__name__}; the server's log says more"
