"""What a server of a local deployment does besides answering: its arguments, its lock, its port, its word of itself."""

from __future__ import annotations

import argparse
import errno
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ftkit.plugin.disk import write_atomically
from ftkit.providers._local_endpoints import SERVER, SERVER_LOCK, ServerState
from ftkit.providers._processes import this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOST = "127.0.0.1"
_LOG = logging.getLogger(__name__)


class Report:
    """What we say of ourselves, in the deployment's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SERVER
        self._state = ServerState(process=this_process())

    def tell(self, **news: object) -> None:
        """Says it, under the names of `ServerState`."""
        self._state = self._state.model_copy(update=news)
        write_atomically(self._path, self._state.model_dump_json(indent=2))


def take_port(port: int | None, report: Report, *, listen: bool = True) -> socket.socket | None:
    """Takes a port on loopback, and tells which, or why not. Before anything slow: a port in use is told at once.

    Args:
        port: The port; None takes a free one.
        report: Where it is told.
        listen: Whether to listen as well. Else another process may bind it too, and listen there: one that sets
            SO_REUSEADDR, as servers do. Linux only.
    """
    try:
        if listen:
            taken = socket.create_server((HOST, port or 0))
        else:
            taken = socket.socket()
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((HOST, port or 0))
    except OSError as error:
        report.tell(problem=str(error), port_in_use=error.errno == errno.EADDRINUSE)
        return None
    report.tell(port=taken.getsockname()[1])
    return taken


def arguments(module: str, about: str | None) -> argparse.ArgumentParser:
    """Returns what every server is told on its command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("--model", required=True, help="ftkit/small, a folder, or a name on the Hub")
    parser.add_argument("--folder", required=True, type=Path, help="the deployment's folder; holds the token")
    parser.add_argument("--name", required=True, help="the name of the model in requests")
    parser.add_argument("--port", type=int, help="the port; a free one if left out")
    parser.add_argument("--threads", type=int, help="threads to compute with")
    return parser


def run(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, serve: Callable[[argparse.Namespace, Report], int]
) -> int:
    """Serves as long as nobody else does in the same folder. Returns the exit status if it cannot."""
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING)
    try:
        with FileLock(args.folder / SERVER_LOCK, timeout=0):
            return serve(args, Report(args.folder))
    except Timeout:
        _LOG.error("another server runs in %s", args.folder)
        return 1
