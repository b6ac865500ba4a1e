"""What the scripts here share: OpenAI and Azure without an account, their data, and how they show things.

With an account, OpenAI and Azure are the real ones; without, `ftkit serve` on this machine.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ftkit.progress import in_notebook

if TYPE_CHECKING:
    from collections.abc import Generator

HERE = Path(__file__).parent
DATA = HERE / "data"
OUT = Path(".demo")
MODEL = "gpt-4o-mini-2024-07-18"
ADDRESS = "server.json"
PATIENCE_S = 60.0


def at_hand(provider: str) -> None:
    """Sees to it that a provider can be reached until this program ends: as `service`, without a block."""
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    until_the_end.enter_context(service(provider, OUT / f"server-{provider}"))


def show(thing: object) -> None:
    """Prints a thing; in a notebook, displays it."""
    if not in_notebook():
        print(thing)
        return
    from IPython.display import display

    display(thing)  # type: ignore[no-untyped-call]  # IPython's


@contextmanager
def service(provider: str, folder: Path) -> Generator[None]:
    """Serves OpenAI's and Azure's API on loopback for the time of a block, if their provider has no account.

    Args:
        provider: Name of the provider.
        folder: Where the server keeps what it must not lose; the same folder is the same account.
    """
    variables = {"openai": ("OPENAI_API_KEY",), "azure": ("AZURE_OPENAI_ENDPOINT",)}.get(provider, ())
    if not variables or any(os.environ.get(name) for name in variables):
        yield
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = _running(folder) or _started(folder)
    key = f"script-{os.getpid()}-{int(time.time())}"
    try:
        os.environ.update(_account(server, folder, key))
        print(
            f"no account for {provider}: `ftkit serve` trains on this machine. Its model is tiny: expect little of it"
        )
        yield
    finally:
        _keys(folder, "revoke", key)
        if server.ppid() in {os.getpid(), 1}:  # ours, or one that a killed script left behind
            server.terminate()
            server.wait(PATIENCE_S)


def _running(folder: Path) -> psutil.Process | None:
    """Returns the server of a folder that another script has started, or left."""
    try:
        server = psutil.Process(json.loads((folder / ADDRESS).read_text(encoding="utf-8"))["pid"])
        return server if str(folder.resolve()) in server.cmdline() else None
    except (FileNotFoundError, psutil.Error):
        return None


def _started(folder: Path) -> psutil.Process:
    (folder / ADDRESS).unlink(missing_ok=True)
    serve = [sys.executable, "-m", "ftkit", "serve", "--home", str(folder.resolve()), "--port", "0"]
    with (folder / "log.txt").open("ab") as log:  # the first key goes to the standard output: into no file
        return psutil.Popen([*serve, "--model", f"{MODEL}=ftkit/small"], stdout=subprocess.DEVNULL, stderr=log)


def _account(server: psutil.Process, folder: Path, key: str) -> dict[str, str]:
    """Waits for the server, and returns what a user would set to reach it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / ADDRESS).exists():
        if not server.is_running() or server.status() == psutil.STATUS_ZOMBIE or time.monotonic() > deadline:
            sys.exit(f"the server did not start; see {folder / 'log.txt'}")
        time.sleep(0.1)
    url = json.loads((folder / ADDRESS).read_text(encoding="utf-8"))["url"]
    token = _keys(folder, "create", key)
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": token,
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_KEY": token,
    }


def _keys(folder: Path, verb: str, name: str) -> str:
    command = [sys.executable, "-m", "ftkit", "keys", verb, name, "--home", str(folder.resolve())]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
