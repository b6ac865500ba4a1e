"""`AsyncClient`: the verbs of `Client`, awaited.

Blocking work runs on a bounded pool of threads of the client's own; waiting for a job holds none. Cancelling an
awaited verb stops the awaiting, not the work: a create that is under way ends, and its outcome reaches the ledger;
a deployment that is under way comes up, and is torn down.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from ftkit import provider as abilities
from ftkit.client import Client
from ftkit.errors import ConfigurationError
from ftkit.plugin.secrets import forgetful, forgets_mistakes
from ftkit.progress import Progress, as_progress
from ftkit.waiting import Pace, Watch, WatchAll, look, look_all, to_watch

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from ftkit.deploying import Target
    from ftkit.ledger import JobEntry, Ledger
    from ftkit.methods import Method
    from ftkit.models import (
        ChatChunk,
        ChatMessage,
        ChatReply,
        Checkpoint,
        Deployment,
        FineTuningJob,
        JobEvent,
        Page,
        Report,
        Results,
        TornDown,
        TrainingFile,
    )
    from ftkit.provider import Provider

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 16


class AsyncClient:
    """Fine-tunes on one provider, without blocking the event loop. `async with AsyncClient(...)` ends its threads.

    Args:
        provider: Name of a provider or of a profile, or a ready-made provider, as for `Client`.
        ledger: The ledger; the user's own if None.
        budget: The most that each job may cost, as for `Client`.
        threads: Most calls under way at once; further ones queue.
        options: Options of the provider.

    Raises:
        ConfigurationError: As from `Client`.
    """

    @forgetful
    def __init__(
        self,
        provider: str | Provider | None = None,
        *,
        ledger: Ledger | None = None,
        budget: float | Decimal | None = None,
        threads: int = _THREADS,
        **options: Any,
    ) -> None:
        if threads < 1:
            message = f"threads is a number of threads, 1 or more (got {threads!r})"
            raise ConfigurationError(message)
        self._client = Client(provider, ledger=ledger, budget=budget, **options)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ftkit")

    def __repr__(self) -> str:
        return f"Async{self._client!r}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the threads, once what is under way has ended."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)

    @property
    def provider(self) -> Provider:
        """The provider behind this client."""
        return self._client.provider

    @property
    def abilities(self) -> frozenset[str]:
        """Names of the optional abilities that the provider has."""
        return self._client.abilities

    def resolve_model(self, name: str) -> str:
        """Returns the model that a role such as "small" stands for; any other name as it is."""
        return self._client.resolve_model(name)

    async def _call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a blocking call on the pool. If the awaiting is cancelled, the call goes on to its end."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._pool, functools.partial(call, *args, **kwargs)))

    async def _each(self, make: Callable[[], Iterator[T]]) -> AsyncGenerator[T]:
        """Iterates over a blocking iterator on the pool, and closes it however the iteration ends."""
        iterator = await self._call(make)
        end: Any = object()
        one_at_a_time = threading.Lock()  # cancelled, we may want to close it while a thread is in it

        def take() -> T:
            with one_at_a_time:
                return next(iterator, end)

        def close() -> None:
            with one_at_a_time:
                getattr(iterator, "close", lambda: None)()

        try:
            while (item := await self._call(take)) is not end:
                yield item
        finally:
            await self._call(close)

    async def _enter(self, manager: AbstractContextManager[T]) -> T:
        """Enters a context on the pool. If the awaiting is cancelled, it is entered nevertheless, and left at once."""
        entering: Future[T] = self._pool.submit(manager.__enter__)
        try:
            return await asyncio.shield(asyncio.wrap_future(entering))
        except asyncio.CancelledError:
            if not entering.cancel():
                await self._call(_leave, manager, entering)
            raise

    @forgets_mistakes
    async def check(
        self,
        source: str | os.PathLike[str],
        *,
        model: str,
        method: Method | None = None,
        columns: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        warnings: str | Collection[str] = "default",
        validation: str | os.PathLike[str] | None = None,
        prompt: str | Iterable[Mapping[str, Any]] | None = None,
        calls_per_day: float | None = None,
        cached: float = 0.0,
        progress: bool = True,
    ) -> Report:
        """Awaits `Client.check`."""
        return await self._call(
            self._client.check,
            source,
            model=model,
            method=method,
            columns=columns,
            provider_options=provider_options,
            warnings=warnings,
            validation=validation,
            prompt=prompt,
            calls_per_day=calls_per_day,
            cached=cached,
            progress=progress,
        )

    @forgets_mistakes
    async def upload(
        self,
        source: str | os.PathLike[str],
        *,
        model: str,
        method: Method | None = None,
        columns: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
    ) -> TrainingFile:
        """Awaits `Client.upload`."""
        return await self._call(
            self._client.upload,
            source,
            model=model,
            method=method,
            columns=columns,
            provider_options=provider_options,
        )

    async def list_files(self, *, after: str | None = None, limit: int = 20) -> Page[TrainingFile]:
        """Awaits `Client.list_files`."""
        return await self._call(self._client.list_files, after=after, limit=limit)

    async def get_file(self, file: TrainingFile | str) -> TrainingFile:
        """Awaits `Client.get_file`."""
        return await self._call(self._client.get_file, file)

    async def download_file(self, file: TrainingFile | str, path: str | os.PathLike[str]) -> Path:
        """Awaits `Client.download_file`."""
        return await self._call(self._client.download_file, file, path)

    async def delete_file(self, file: TrainingFile | str) -> None:
        """Awaits `Client.delete_file`."""
        return await self._call(self._client.delete_file, file)

    @forgets_mistakes
    async def create_job(
        self,
        *,
        model: str,
        training_file: TrainingFile | str,
        validation_file: TrainingFile | str | None = None,
        method: Method | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        key: str | None = None,
        retry_failed: bool = False,
        budget: float | Decimal | None = None,
    ) -> FineTuningJob:
        """Awaits `Client.create_job`."""
        return await self._call(
            self._client.create_job,
            model=model,
            training_file=training_file,
            validation_file=validation_file,
            method=method,
            suffix=suffix,
            seed=seed,
            metadata=metadata,
            provider_options=provider_options,
            key=key,
            retry_failed=retry_failed,
            budget=budget,
        )

    @forgets_mistakes
    async def fine_tune(
        self,
        model: str,
        train: str | os.PathLike[str],
        *,
        validation: str | os.PathLike[str] | None = None,
        method: Method | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        columns: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        key: str | None = None,
        retry_failed: bool = False,
        budget: float | Decimal | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
        progress: bool | Progress = True,
    ) -> FineTuningJob:
        """Does what `Client.fine_tune` does, and holds no thread while the job runs."""
        job = await self._call(
            self._client.fine_tune,
            model,
            train,
            validation=validation,
            method=method,
            suffix=suffix,
            seed=seed,
            metadata=metadata,
            columns=columns,
            provider_options=provider_options,
            key=key,
            retry_failed=retry_failed,
            budget=budget,
            wait=False,
            timeout_s=timeout_s,
        )
        return await self.wait(job, timeout_s=timeout_s, progress=progress) if wait else job

    async def get_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Awaits `Client.get_job`."""
        return await self._call(self._client.get_job, job)

    async def list_jobs(
        self, *, metadata: Mapping[str, str] | None = None, after: str | None = None, limit: int = 20
    ) -> Page[FineTuningJob]:
        """Awaits `Client.list_jobs`."""
        return await self._call(self._client.list_jobs, metadata=metadata, after=after, limit=limit)

    async def cancel_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Awaits `Client.cancel_job`."""
        return await self._call(self._client.cancel_job, job)

    async def pause_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Awaits `Client.pause_job`."""
        return await self._call(self._client.pause_job, job)

    async def resume_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Awaits `Client.resume_job`."""
        return await self._call(self._client.resume_job, job)

    async def list_events(
        self, job: FineTuningJob | str, *, after: str | None = None, limit: int = 100
    ) -> Page[JobEvent]:
        """Awaits `Client.list_events`."""
        return await self._call(self._client.list_events, job, after=after, limit=limit)

    async def list_checkpoints(self, job: FineTuningJob | str) -> list[Checkpoint]:
        """Awaits `Client.list_checkpoints`."""
        return await self._call(self._client.list_checkpoints, job)

    async def results(self, job: FineTuningJob | str) -> Results:
        """Awaits `Client.results`."""
        return await self._call(self._client.results, job)

    async def delete_model(self, model: FineTuningJob | str) -> None:
        """Awaits `Client.delete_model`."""
        return await self._call(self._client.delete_model, model)

    async def receive_webhook(self, payload: bytes, headers: Mapping[str, str]) -> FineTuningJob:
        """Awaits `Client.receive_webhook`."""
        return await self._call(self._client.receive_webhook, payload, headers)

    async def adopt(
        self,
        job: FineTuningJob | str,
        *,
        model: str | None = None,
        training_file: TrainingFile | str | None = None,
        validation_file: TrainingFile | str | None = None,
        method: Method | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        key: str | None = None,
        train: str | os.PathLike[str] | None = None,
        validation: str | os.PathLike[str] | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> FineTuningJob:
        """Awaits `Client.adopt`."""
        return await self._call(
            self._client.adopt,
            job,
            model=model,
            training_file=training_file,
            validation_file=validation_file,
            method=method,
            suffix=suffix,
            seed=seed,
            metadata=metadata,
            provider_options=provider_options,
            key=key,
            train=train,
            validation=validation,
            columns=columns,
        )

    async def unclear(self) -> list[JobEntry]:
        """Awaits `Client.unclear`."""
        return await self._call(self._client.unclear)

    async def resolve(self, key: str, *, job_id: str | None) -> FineTuningJob | None:
        """Awaits `Client.resolve`."""
        return await self._call(self._client.resolve, key, job_id=job_id)

    @forgets_mistakes
    async def deploy(
        self, target: Target, *, name: str | None = None, ttl_s: float | None = None, **options: Any
    ) -> Deployment:
        """Awaits `Client.deploy`."""
        return await self._call(self._client.deploy, target, name=name, ttl_s=ttl_s, **options)

    async def get_deployment(self, name: str) -> Deployment:
        """Awaits `Client.get_deployment`."""
        return await self._call(self._client.get_deployment, name)

    async def list_deployments(self) -> list[Deployment]:
        """Awaits `Client.list_deployments`."""
        return await self._call(self._client.list_deployments)

    async def delete_deployment(self, deployment: Deployment | str) -> None:
        """Awaits `Client.delete_deployment`."""
        return await self._call(self._client.delete_deployment, deployment)

    async def reap(self, *, dry_run: bool = False) -> list[str]:
        """Awaits `Client.reap`."""
        return await self._call(self._client.reap, dry_run=dry_run)

    async def tear_down(self, job: FineTuningJob | str) -> TornDown:
        """Awaits `Client.tear_down`."""
        return await self._call(self._client.tear_down, job)

    @forgets_mistakes
    async def chat(
        self,
        deployment: Deployment | str,
        messages: str | Sequence[ChatMessage | Mapping[str, Any]],
        **options: Any,
    ) -> ChatReply:
        """Awaits `Client.chat`."""
        return await self._call(self._client.chat, deployment, messages, **options)

    async def identity(self) -> str:
        """Awaits `Client.identity`."""
        return await self._call(self._client.identity)

    async def wait(
        self,
        job: FineTuningJob | str,
        *,
        timeout_s: float | None = None,
        poll_s: float | None = None,
        stall_s: float = 600.0,
        progress: bool | Progress = True,
    ) -> FineTuningJob:
        """Awaits `Client.wait`, and holds no thread between looks."""
        pace = Pace(poll_s=poll_s, timeout_s=timeout_s, stall_s=stall_s)
        show = as_progress(progress)
        with (
            Watch(to_watch(self._client, job), pace, show, client=repr(self._client)) as watch,
            _telling(watch, progress),
        ):
            while (delay := (await self._call(look, self._client, watch))[1]) is not None:
                await asyncio.sleep(delay)
        return watch.outcome()

    async def wait_all(
        self,
        jobs: Sequence[FineTuningJob | str],
        *,
        timeout_s: float | None = None,
        poll_s: float | None = None,
        progress: bool | Progress = True,
    ) -> list[FineTuningJob]:
        """Awaits `Client.wait_all`, and holds no thread between looks."""
        watched = [to_watch(self._client, job) for job in jobs]
        pace, show = Pace(poll_s=poll_s, timeout_s=timeout_s), as_progress(progress, len({job.id for job in watched}))
        with WatchAll(watched, pace, show, client=repr(self._client)) as all_, _telling(all_, progress):
            while (delay := await self._call(look_all, self._client, all_)) is not None:
                await asyncio.sleep(delay)
        return all_.jobs()

    async def follow(
        self, job: FineTuningJob | str, *, after: str | None = None, poll_s: float | None = None
    ) -> AsyncGenerator[JobEvent]:
        """Yields what `Client.follow` yields, and holds no thread between looks."""
        abilities.require(self.provider, abilities.ListsEvents)
        show = as_progress(progress=False)
        watch = Watch(to_watch(self._client, job), Pace(poll_s=poll_s), show, client=repr(self._client))
        watch.last_event = after
        delay: float | None = 0.0
        while delay is not None:
            await asyncio.sleep(delay)
            events, delay = await self._call(look, self._client, watch)
            for event in events:
                yield event

    @asynccontextmanager
    async def deployed(
        self,
        target: Target,
        *,
        name: str | None = None,
        ttl_s: float | None = None,
        **options: Any,
    ) -> AsyncGenerator[Deployment]:
        """Does what `Client.deployed` does."""
        manager = self._client.deployed(target, name=name, ttl_s=ttl_s, **options)
        deployment = await self._enter(manager)
        try:
            yield deployment
        except BaseException as error:
            if not await self._call(manager.__exit__, type(error), error, error.__traceback__):
                raise
        else:
            await self._call(manager.__exit__, None, None, None)

    async def stream_chat(
        self,
        deployment: Deployment | str,
        messages: str | Sequence[ChatMessage | Mapping[str, Any]],
        **options: Any,
    ) -> AsyncGenerator[ChatChunk]:
        """Yields what `Client.stream_chat` yields. Leaving early ends the answer at the provider's as well."""
        async with aclosing(self._each(lambda: self._client.stream_chat(deployment, messages, **options))) as chunks:
            async for chunk in chunks:
                yield chunk


def _leave(manager: AbstractContextManager[Any], entering: Future[Any]) -> None:
    """Leaves a context that was entered for nobody, once it is entered."""
    if entering.exception() is None:
        manager.__exit__(None, None, None)


@contextmanager
def _telling(watch: Watch | WatchAll, progress: bool | Progress) -> Generator[None]:  # noqa: FBT001 - as the user gave it
    """A Ctrl-C reaches a coroutine as its cancelling: then, too, it is said how to take the job up again."""
    try:
        yield
    except asyncio.CancelledError:
        if progress:
            watch.tell_stop()
        raise
