"""Models that answer: deployed when somebody asks them something, and let go when nobody has for a while.

OpenAI's tuned models can be asked as soon as there are any; most providers want them deployed first. So we deploy on
the first question, keep the few that were asked last, and delete what has been idle: memory and hourly prices end.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ftkit.errors import FtkitError, NotFoundError, ProviderUnavailableError
from ftkit.server import names
from ftkit.server.catalogue import no_such_model
from ftkit.server.errors import UNAVAILABLE, ApiError
from ftkit.server.records import DeploymentRecord, DeploymentWord, ServedRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from ftkit.client import Client
    from ftkit.models import Checkpoint, Deployment, FineTuningJob
    from ftkit.server.catalogue import Catalogue, Tuned
    from ftkit.server.settings import Settings
    from ftkit.server.store import Store

T = TypeVar("T")

logger = logging.getLogger("ftkit.server")

_ROOM_S = 300.0
"""How long a question waits for one of the few places of models that answer."""


@dataclass(slots=True)
class _Seat:
    """A place for one model that answers.

    Attributes:
        lock: Held while the model is deployed or let go.
        deployment: What answers; None if nothing does.
        users: Questions that are being answered.
        used_at: When it was last asked, on a clock that only goes forward.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    deployment: Deployment | None = None
    users: int = 0
    used_at: float = field(default_factory=time.monotonic)


class Serving:
    """Has models answer.

    Args:
        client: The provider's client.
        store: Where it is written which deployments are ours.
        catalogue: The models.
        settings: How many may answer at once, and for how long unasked.
    """

    def __init__(self, client: Client, store: Store, catalogue: Catalogue, settings: Settings) -> None:
        self._client = client
        self._store = store
        self._catalogue = catalogue
        self._most = settings.served
        self._idle_s = settings.idle_s
        self._seats: dict[str, _Seat] = {}
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    def target(self, model: str) -> FineTuningJob | Checkpoint | str:
        """Returns what a name of a model stands for at the provider.

        Raises:
            ApiError: It stands for nothing.
        """
        tuned = self._catalogue.tuned(model)
        if tuned is not None:
            return self._tuned_target(tuned, model)
        base = None if names.is_tuned(model) else self._catalogue.base(model)
        if base is None:
            raise no_such_model(model)
        return base

    def ask(self, model: str, question: Callable[[Deployment], T]) -> T:
        """Asks a model something; it is deployed before, if need be.

        Args:
            model: Name of a model, or of a deployment that was made by name.
            question: What to ask its deployment.
        """
        with self._seated(model) as seat:
            return self._put(model, seat, question)

    def stream(self, model: str, question: Callable[[Deployment], Iterator[T]]) -> Iterator[T]:
        """Asks a model something, and yields the answer piece by piece. Close the iterator to stop early."""
        with self._seated(model) as seat:
            first, rest = self._put(model, seat, lambda deployment: _begun(question(deployment)))
            yield from first
            yield from rest

    @contextmanager
    def _seated(self, model: str) -> Generator[_Seat]:
        """Gives a model a seat, which nobody takes away for the time of a `with` block."""
        if self._store.find(DeploymentRecord, model) is None:
            self.target(model)  # a name that stands for nothing gets none
        seat = self._sit(model)
        try:
            yield seat
        finally:
            with self._freed:
                seat.users -= 1
                seat.used_at = time.monotonic()
                self._freed.notify_all()

    def _sit(self, model: str) -> _Seat:
        """Returns the seat of a model, when there is room for it: that of one that nobody asks any more, if need be.

        Raises:
            ApiError: All are asked all the time.
        """
        deadline = time.monotonic() + _ROOM_S
        while True:
            with self._freed:
                self._freed.wait_for(lambda: self._has_room(model), deadline - time.monotonic())
                if model in self._seats or len(self._seats) < self._most:
                    seat = self._seats.setdefault(model, _Seat())
                    seat.users += 1
                    return seat
            self._drop_idle(lambda _: len(self._seats) >= self._most)
            if time.monotonic() >= deadline:
                message = f"All {self._most} models that may answer at once are being asked. Try again later."
                raise ApiError(message, status=UNAVAILABLE, code="overloaded")

    def _has_room(self, model: str) -> bool:
        full = len(self._seats) >= self._most
        return model in self._seats or not full or any(seat.users == 0 for seat in self._seats.values())

    def _put(self, model: str, seat: _Seat, question: Callable[[Deployment], T]) -> T:
        deployment = self._deployed(model, seat, None)
        try:
            return question(deployment)
        except (ProviderUnavailableError, NotFoundError):
            # Its process, or its machine, may be gone since it was deployed. Nothing was answered: once more.
            return question(self._deployed(model, seat, deployment))

    def _deployed(self, model: str, seat: _Seat, gone: Deployment | None) -> Deployment:
        """Returns what answers for a model, other than what has gone."""
        with seat.lock:
            if seat.deployment is None or seat.deployment is gone:
                seat.deployment = self._deploy(model)
            return seat.deployment

    def drop(self, model: str) -> None:
        """Lets a model go, whose name will stand for something else, or for nothing."""
        with self._lock:
            seat = self._seats.pop(model, None)
        if seat is not None:
            self._release(seat)

    def sweep(self) -> None:
        """Lets go of what an earlier process left. Asked at the start, before anybody asks a model anything."""
        for served in self._store.everything(ServedRecord):
            self._delete(served.id)

    def tidy(self) -> None:
        """Lets go of what nobody has asked for a while."""
        self._drop_idle(lambda seat: time.monotonic() - seat.used_at >= self._idle_s)

    def close(self) -> None:
        """Lets everything go."""
        for model in list(self._seats):
            self.drop(model)

    def _tuned_target(self, tuned: Tuned, model: str) -> FineTuningJob | Checkpoint:
        job = tuned.job.job
        if job is None:
            raise no_such_model(model)
        if tuned.step is None:
            return job
        found = [c for c in self._client.list_checkpoints(job) if c.step == tuned.step]
        if not found:
            raise no_such_model(model)
        return found[0]

    def _drop_idle(self, is_due: Callable[[_Seat], bool]) -> None:
        taken: list[_Seat] = []
        with self._lock:
            for model, seat in sorted(self._seats.items(), key=lambda item: item[1].used_at):
                if seat.users == 0 and is_due(seat):
                    taken.append(self._seats.pop(model))
        for seat in taken:
            self._release(seat)

    def _deploy(self, model: str) -> Deployment:
        named = self._store.find(DeploymentRecord, model)
        if named is not None:
            return self._named(named)
        target = self.target(model)
        deployment = self._client.deploy(target)
        self._store.add_new([ServedRecord(id=deployment.name, target=model)])
        return deployment

    def _named(self, record: DeploymentRecord) -> Deployment:
        """Returns a deployment that was made by name; one that has died meanwhile is brought back."""
        if record.word is not DeploymentWord.SUCCEEDED:
            message = f"The deployment '{record.id}' is {record.word.value}."
            raise ApiError(message, status=UNAVAILABLE, code="DeploymentNotReady")
        return self._client.deploy(self.target(record.model), name=record.id)

    def _release(self, seat: _Seat) -> None:
        with seat.lock:
            if seat.deployment is not None and self._store.find(ServedRecord, seat.deployment.name) is not None:
                self._delete(seat.deployment.name)
            seat.deployment = None

    def _delete(self, name: str) -> None:
        """Deletes a deployment that we made. What cannot be deleted now is, at the next start: nobody waits for it."""
        try:
            self._client.delete_deployment(name)
        except FtkitError as error:
            logger.warning("the deployment %s could not be let go, and may cost: %s", name, error)
            return
        self._store.delete(ServedRecord, name)


def _begun(pieces: Iterator[T]) -> tuple[list[T], Iterator[T]]:
    """Draws the first piece, so that an answer that does not come at all is an error, and no broken stream."""
    return list(islice(pieces, 1)), pieces
