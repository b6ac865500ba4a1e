"""Serving: one process for a folder, on one socket, until it is told to stop."""

from __future__ import annotations

import errno
import json
import os
import socket
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from ftkit.errors import ConfigurationError, ConflictError, MissingExtraError
from ftkit.home import CACHE, CONFIG_FOLDER, HOME, LOCAL_SLOTS, cache_folder, config_folder, state_folder
from ftkit.plugin.disk import write_atomically
from ftkit.server.settings import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from ftkit.client import Client
    from ftkit.server.settings import Settings

ADDRESS = "server.json"
"""Where a server writes its address, in its folder, once it answers."""

_LOCK = "server.lock"
_STOP_S = 5


class Address(NamedTuple):
    """Where to listen; port 0 takes any that is free."""

    host: str
    port: int


def default_home() -> Path:
    """Returns the folder of a server whose user names none."""
    return state_folder() / "server"


def live_in(home: Path, slots: int) -> None:
    """Makes `home` the folder of all that ftkit keeps in this process, and in those it starts.

    A server has a ledger, jobs and files of its own. What can be made again (the model `ftkit/small`) and what the
    user wrote (profiles) stay where they are. Local training has slots of its own, which are as many as the server's
    if the user did not say otherwise.
    """
    os.environ.setdefault(LOCAL_SLOTS, str(slots))
    os.environ[CACHE] = str(cache_folder())
    os.environ[CONFIG_FOLDER] = str(config_folder())
    os.environ[HOME] = str(home)


def serve(client: Client, settings: Settings, address: Address, tell: Callable[[str], object]) -> None:
    """Serves until it is interrupted or terminated.

    Args:
        client: The provider's client; its ledger should be the server's own (see `live_in`).
        settings: What the server is told.
        address: Where to listen.
        tell: Shows a line to whoever started it.

    Raises:
        ConfigurationError: Without keys, on an address that others can reach.
        ConflictError: Another server has the folder, or the port.
        MissingExtraError: The extra `server` is not installed.
    """
    if not settings.auth and address.host not in LOOPBACK:
        message = f"a server without keys is for this machine alone, and {address.host} can be reached by others"
        raise ConfigurationError(message, hint="Leave out --no-auth, or --host.")
    try:
        import uvicorn

        from ftkit.server.app import create_app
        from ftkit.server.keys import FIRST
        from ftkit.server.office import open_office
    except ImportError as error:
        raise MissingExtraError("ftkit serve", "server") from error
    try:
        settings.incoming_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"{settings.home} cannot be a server's folder: {error.strerror}"
        raise ConfigurationError(message, hint="Choose another --home, one that can be written.") from error
    with _alone(settings.home), _listening(address) as listener:
        tempfile.tempdir = str(settings.incoming_folder)  # large bodies wait on the disk of the files, not in /tmp
        office = open_office(client, settings)
        if settings.auth and not office.keys.names():
            tell(f"Your key, shown this once: {office.keys.create(FIRST)}")
        config = uvicorn.Config(
            create_app(office),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_S,
        )
        url = _url(listener)
        write_atomically(settings.home / ADDRESS, json.dumps({"url": url, "pid": os.getpid()}))
        if address.host not in LOOPBACK:
            tell("Others can reach this address, and keys travel over it as they are: put a proxy with TLS before it.")
        if settings.default_model is not None and not settings.models:
            tell(f"Whatever model is asked for, it is {settings.default_model}: --model NAME=MODEL says otherwise.")
        tell(f"OpenAI's API at {url}/v1, Azure's at {url}.")
        tell("Ctrl-C stops the server; jobs that train go on, and so do Azure's deployments.")
        uvicorn.Server(config).run(sockets=[listener])  # the socket takes connections already


@contextmanager
def _alone(home: Path) -> Generator[None]:
    """Holds a server's folder: two servers would do everything twice."""
    lock = FileLock(home / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConflictError(
            f"another server is running in {home}", hint="Stop it, or choose another --home."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _listening(address: Address) -> Generator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listener = socket.create_server(address, family=family)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        is_taken = error.errno in {errno.EADDRINUSE, errno.EACCES}
        hint = "Choose another --port; 0 takes one that is free." if is_taken else "Choose an address of this machine."
        raise ConflictError(f"{address.host}:{address.port} cannot be listened at: {why}", hint=hint) from error
    with listener:
        # Else each answer on a connection that is kept waits 40 ms for an acknowledgement: asyncio sets this only on
        # sockets that name their protocol, and these do not.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
