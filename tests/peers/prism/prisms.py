"""Starting Prism on OpenAI's document. What both are, and where they come from, stands in test_prism.py."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments import NODE, environment

if TYPE_CHECKING:
    from collections.abc import Generator

HERE = Path(__file__).parent
PATIENCE_S = 120.0


def write_document(path: Path) -> Path:
    """Writes OpenAI's document, cut to our paths."""
    folder = HERE / "openai-specification"
    subprocess.run([environment(folder) / "bin" / "python", folder / "trim.py", path], check=True)
    return path


@contextmanager
def prism(*arguments: str | Path, log: Path) -> Generator[str]:
    """Runs a command of Prism's on a free port, and yields the address of what it serves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = environment(HERE / "prism-cli") / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
    command = [NODE, script, *arguments, "--port", str(port), "--verboseLevel", "warn"]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            until(lambda: answers(port) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()  # it would wait for connections that are kept


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def until(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.2)


def generic(path: str) -> str:
    """Makes a path that names something, and one of the document, the same."""
    return re.sub(r"/(\{\w+\}|(file-|upload_|ftjob-|ft:)[^/]+)", "/{id}", path.removeprefix("/v1"))
