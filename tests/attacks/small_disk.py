"""A script on a disk of its own: `unshare -Urm python small_disk.py URL FOLDER`. Prints what happened, as JSON.

FOLDER becomes a file system of a megabyte. A job is made on it; then it is filled to the last byte, and made
read-only, and each time that job is asked for again, and another one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ftkit import Client, LedgerError
from ftkit.ledger import Ledger


def fill(folder: Path) -> None:
    """Writes until not one byte more can be written."""
    with suppress(OSError), (folder / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def main(url: str, file_id: str, disk: Path) -> None:
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "openai")]
    from served_vendor import openai_at

    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=True)
    client = Client(openai_at(url), ledger=Ledger(disk))
    told: dict[str, str] = {}

    def ask(when: str, suffix: str) -> None:
        try:
            told[when] = client.create_job(model="gpt-4o-mini-2024-07-18", training_file=file_id, suffix=suffix).id
        except LedgerError as error:
            told[when] = str(error)

    ask("at first", "one")
    fill(disk)
    ask("full", "two")
    ask("full, known", "one")
    (disk / "filling").unlink()
    ask("freed", "two")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    ask("read-only", "three")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    ask("at last", "three")
    told["files"] = " ".join(path.name for path in disk.iterdir() if path.is_file())
    print(json.dumps(told))  # noqa: T201 - it is what it is asked for


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
