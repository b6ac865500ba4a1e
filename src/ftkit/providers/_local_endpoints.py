"""Local deployments: an OpenAI-style chat endpoint per model, on loopback, in a process of its own.

Each has a folder under its name:

    endpoint.json   what was asked for; written by `deploy`, last of all, so a folder without it is nothing
    token           what a request must bear; readable by its owner alone
    server.json     what became of it: the process, its port, whether it is ready; written by the server
    server.lock     held by the server as long as it lives, so that a folder never has two
    log.txt         its output

Status is derived when it is read; reads write nothing. A server is any program that takes `--model`, `--folder`,
`--name`, `--port` and `--threads`, and keeps server.json as `ServerState` says; `ftkit.providers.huggingface.engines`
chooses one. It serves the model under the name of the deployment.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
)
from ftkit.methods import Settings
from ftkit.models import Deployment, DeploymentStatus, Noun, UtcDatetime
from ftkit.plugin.chat_wire import ChatEndpoint
from ftkit.plugin.disk import log_tail, refuse_links, refuse_links_in, write_atomically
from ftkit.providers._processes import ProcessId, end_group, is_alive, start_detached
from ftkit.providers.huggingface.engines import Engine, Wanted, choose

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from ftkit.models import ChatChunk, ChatMessage, ChatOptions, ChatReply

SERVER = "server.json"
TOKEN = "token"  # noqa: S105 - the name of the file
SERVER_LOCK = "server.lock"
LOG = "log.txt"
_ENDPOINT = "endpoint.json"
_LOCKS = ".locks"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_GRACE_S = 5.0
_POLL_S = 0.05
_LOCK_WAIT_S = 30.0
_LONGEST_START_S = 600.0
_N = TypeVar("_N", bound=Noun)


class EndpointOptions(Settings):
    """How to serve a model locally.

    Attributes:
        port: Port to listen on; None lets the system choose a free one.
        start_timeout_s: How long to wait until the model is loaded and answers; None is 120, and 600 for vLLM.
        threads: Threads to compute with; None leaves it to torch.
        engine: What serves: "transformers" is our own endpoint, "vllm" is vLLM, on an NVIDIA GPU and in an
            environment of its own. "auto" is vLLM where both are there, and else our own.
    """

    field_noun = "deployment option"
    written_as = "deploy"

    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    start_timeout_s: PositiveFloat | None = None
    threads: PositiveInt | None = None
    engine: Wanted = "auto"


class ServerState(Noun):
    """What a server says of itself, in server.json.

    Attributes:
        process: The server.
        port: Its port, once it listens; it listens before it loads.
        ready: Whether the model is loaded.
        problem: Why it gave up.
        port_in_use: Whether that was because of its port.
    """

    process: ProcessId
    port: int | None = None
    ready: bool = False
    problem: str | None = None
    port_in_use: bool = False

    @property
    def url(self) -> str:
        """The base address of its endpoint."""
        return f"http://127.0.0.1:{self.port}/v1"


class _Endpoint(Noun):
    """What was asked for, in endpoint.json."""

    name: str
    model: str
    source: str
    created_at: UtcDatetime


class LocalEndpoints:
    """The local deployments of one account.

    Args:
        folder: Holds a folder for each.
        provider: Name of the provider.
        identity: The account.
    """

    def __init__(self, folder: Path, provider: str, identity: str) -> None:
        self._folder = folder
        self._provider = provider
        self._identity = identity

    def deploy(
        self,
        name: str,
        model: str,
        source: str,
        options: Mapping[str, Any],
        command: Sequence[str] | None = None,
    ) -> Deployment:
        """Serves a model under a name, and returns when it answers. What already runs under that name is returned.

        Args:
            name: Name of the deployment; requests name it as their model.
            model: What to serve: a folder, or a name that the server knows.
            source: The job, checkpoint or model that it comes from.
            options: See `EndpointOptions`.
            command: The server to start, if none of ours.

        Raises:
            ConfigurationError: The name or an option makes no sense, or its engine cannot be had.
            ConflictError: The name is taken by another target, or the port is in use.
            ProviderError: It did not start; the message tells the end of its log. Nothing is left behind.
        """
        checked = EndpointOptions(**options)
        place = self._place(name)
        with self._lock(name, _LOCK_WAIT_S + (checked.start_timeout_s or _LONGEST_START_S)):
            known = self._known(place)
            if known is not None and (known.model, known.source) != (model, source):
                message = f"a deployment '{name}' is there already, of {known.source}"
                raise self._error(ConflictError, message, hint="Choose another name, or delete that one first.")
            if known is None or self.get_deployment(name).status is not DeploymentStatus.RUNNING:
                engine = Engine(tuple(command)) if command else choose(checked.engine)
                try:
                    if known is None:
                        asked = _Endpoint(name=name, model=model, source=source, created_at=datetime.now(UTC))
                        self._make(place, asked)
                    self._run(place, model, checked, engine)
                except BaseException:  # Ctrl-C as well: nobody would know of what is left
                    if known is None:
                        shutil.rmtree(place)
                    raise
            return self.get_deployment(name)

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment; one whose process has died is failed, and says why.

        Raises:
            NotFoundError: There is none of that name.
        """
        place = self._place(name) if _NAME.fullmatch(name) else None
        known = self._known(place) if place else None
        if place is None or known is None:
            message = f"no deployment {name[:80]!r}"
            raise self._error(NotFoundError, message, hint="client.list_deployments() names those there are.")
        state = self._state(place)
        alive = state if state is not None and is_alive(state.process) else None
        status = DeploymentStatus.FAILED
        if alive:
            status = DeploymentStatus.RUNNING if alive.ready else DeploymentStatus.CREATING
        return Deployment(
            name=name,
            provider=self._provider,
            identity=self._identity,
            status=status,
            model=name,
            source=known.source,
            url=alive.url if alive and alive.port else None,
            created_at=known.created_at,
            price_per_hour=Decimal(0),  # nobody sends a bill for this machine
            error=None if alive else self._why(place, state),
        )

    def list_deployments(self) -> list[Deployment]:
        """Lists all deployments, by name."""
        found: list[Deployment] = []
        refuse_links(self._provider, self._folder)
        for place in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if _NAME.fullmatch(place.name) and not place.is_symlink() and (place / _ENDPOINT).is_file():
                with suppress(NotFoundError):  # deleted as we looked
                    found.append(self.get_deployment(place.name))
        return found

    def delete_deployment(self, name: str) -> None:
        """Ends the server and removes its folder, token and log included. One that is gone already is no error.

        Raises:
            ProviderError: The server would not end; nothing was removed.
        """
        place = self._place(name)
        if not place.exists():
            return
        with self._lock(name, _LOCK_WAIT_S):
            self._end(place)
            if place.exists():  # another process may have been faster
                shutil.rmtree(place)

    def token_file(self, name: str) -> Path:
        """Returns the file with the token of a deployment, for clients other than ours."""
        return self._place(name) / TOKEN

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks a deployed model. Errors as for `ChatEndpoint.chat`."""
        return self._reach(deployment.name).chat(deployment.name, messages, options)

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        """Asks a deployed model, and yields the answer as it comes. Errors as for `ChatEndpoint.chat`."""
        return self._reach(deployment.name).stream(deployment.name, messages, options)

    def _reach(self, name: str) -> ChatEndpoint:
        # Read anew each time: the port may be another one since, or belong to a stranger who must not see the token.
        now = self.get_deployment(name)
        hint = "Deploy it again under the same name, and it comes back."
        if now.url is None:
            message = f"deployment '{name}' is not running: {now.error}"
            raise self._error(ProviderUnavailableError, message, hint=hint)
        token = self.token_file(name).read_text(encoding="utf-8")
        return ChatEndpoint(self._provider, now.url, token, hint=hint)

    def _place(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            message = f"{name[:80]!r} cannot be the name of a deployment"
            hint = "Use 1 to 63 letters, digits, '.', '_' and '-', the first a letter or digit."
            raise ConfigurationError(message, hint=hint)
        place = self._folder / name
        refuse_links(self._provider, self._folder, self._folder / _LOCKS)
        refuse_links_in(self._provider, place)
        return place

    def _error(self, kind: type[ProviderError], message: str, hint: str | None = None) -> ProviderError:
        return kind(message, provider=self._provider, hint=hint)

    @contextmanager
    def _lock(self, name: str, wait_s: float) -> Generator[None]:
        # Beside the deployment's folder, which comes and goes.
        locks = self._folder / _LOCKS
        locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(locks / f"{name}.lock", timeout=wait_s)
        try:
            lock.acquire()
        except Timeout as error:
            message = f"another process is deploying or deleting '{name}'"
            raise self._error(ConflictError, message, hint="Try again in a minute.") from error
        try:
            yield
        finally:
            lock.release()

    def _known(self, place: Path) -> _Endpoint | None:
        return self._read(place / _ENDPOINT, _Endpoint)

    def _state(self, place: Path) -> ServerState | None:
        return self._read(place / SERVER, ServerState)

    def _read(self, path: Path, noun: type[_N]) -> _N | None:
        try:
            return noun.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            message = f"{path} cannot be read: {error}"
            hint = f"Remove {path.parent} by hand; end its process first, if it still runs."
            raise self._error(ProviderError, message, hint=hint) from error

    def _make(self, place: Path, asked: _Endpoint) -> None:
        if place.exists():  # of a deploy or a delete that was killed half-way
            self._end(place)
            shutil.rmtree(place)
        place.mkdir(mode=0o700)
        token = os.open(place / TOKEN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(token, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32))
        write_atomically(place / _ENDPOINT, asked.model_dump_json(indent=2))

    def _run(self, place: Path, model: str, options: EndpointOptions, engine: Engine) -> None:
        state = self._state(place)
        started = None
        if state is None or not is_alive(state.process):
            (place / SERVER).unlink(missing_ok=True)
            started = self._start(place, model, options, engine)
        try:
            self._await_ready(place, started, options, options.start_timeout_s or engine.start_s)
        except BaseException:
            self._end_process(started)
            self._end(place)
            raise

    def _start(self, place: Path, model: str, options: EndpointOptions, engine: Engine) -> ProcessId | None:
        asked = {"model": model, "folder": place, "name": place.name, "port": options.port, "threads": options.threads}
        arguments = [f"--{word}={value}" for word, value in asked.items() if value is not None]
        if engine.why:
            with (place / LOG).open("a", encoding="utf-8") as log:
                log.write(f"{engine.why}\n")
        try:
            return start_detached([*engine.command, *arguments], log=place / LOG)
        except OSError as error:
            raise self._error(ProviderError, str(error)) from error

    def _await_ready(self, place: Path, started: ProcessId | None, options: EndpointOptions, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while True:
            state = self._state(place)
            # The server's own word counts: should two have been started, only one got the lock of the folder.
            process = state.process if state else started
            if process is None or not is_alive(process) or (state and state.problem):
                raise self._failure(place, options)
            if state and state.ready:
                return
            if time.monotonic() >= deadline:
                message = f"the endpoint was not ready within {patience_s:g} s{log_tail(place / LOG)}"
                hint = "Give it longer, with the deployment option start_timeout_s."
                raise self._error(ProviderError, message, hint=hint)
            time.sleep(_POLL_S)

    def _failure(self, place: Path, options: EndpointOptions) -> ProviderError:
        state = self._state(place)
        if state and state.port_in_use:
            message = f"port {options.port} is in use"
            return self._error(ConflictError, message, hint="Leave out port, or choose another.")
        return self._error(ProviderError, f"the endpoint did not start: {self._why(place, state)}")

    def _why(self, place: Path, state: ServerState | None) -> str:
        problem = state.problem if state else None
        return f"{problem or 'its process has ended'}{log_tail(place / LOG)}"

    def _end(self, place: Path) -> None:
        state = self._state(place)
        self._end_process(state.process if state else None)

    def _end_process(self, process: ProcessId | None) -> None:
        if process is None:
            return
        try:
            end_group(process, _GRACE_S)
        except TimeoutError as error:
            raise self._error(ProviderError, str(error)) from error
