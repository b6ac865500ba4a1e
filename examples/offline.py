"""Where a script finds OpenAI or Azure: with an account, the real one; without, `ftkit serve` on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MODEL = "gpt-4o-mini-2024-07-18"
PATIENCE_S = 60.0


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
    command = [sys.executable, "-m", "ftkit", "serve", "--home", str(folder), "--port", "0"]
    place = folder / "server.json"
    place.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("ab") as log:
        server = subprocess.Popen([*command, "--model", f"{MODEL}=ftkit/small"], stdout=log, stderr=log)
    try:
        os.environ.update(_account(server, place))
        print(f"no account for {provider}: `ftkit serve` trains on this machine")
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def _account(server: subprocess.Popen[bytes], place: Path) -> dict[str, str]:
    """Waits for the server, and returns what a user would set to reach it."""
    deadline = time.monotonic() + PATIENCE_S
    while not place.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"the server did not start; see {place.with_name('log.txt')}")
        time.sleep(0.1)
    url = json.loads(place.read_text(encoding="utf-8"))["url"]
    name = f"script-{os.getpid()}-{int(time.time())}"
    create = [sys.executable, "-m", "ftkit", "keys", "create", name, "--home", str(place.parent)]
    key = subprocess.run(create, check=True, capture_output=True, text=True).stdout.strip()
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": key,
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_KEY": key,
    }
