"""The process that trains one job: `python -m ftkit.providers.huggingface.train FOLDER`.

It is what the runner of `ftkit.providers._local_jobs` becomes. On SIGTERM it leaves at once if the job is to be
cancelled, and otherwise with a checkpoint at the end of the step. Whatever goes wrong is in status.json, in a sentence;
where it happened is in log.txt.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.models import EventLevel
from ftkit.providers._local_jobs import Reporter
from ftkit.providers.huggingface.crew import Alone
from ftkit.providers.huggingface.group import lead
from ftkit.providers.huggingface.rank import in_a_sentence
from ftkit.providers.huggingface.stopping import LostError, Stop, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable

_FULL = {errno.ENOSPC, errno.EDQUOT}
_LITTLE_SPACE = 16 * 2**20


def main(path: Path, work: Callable[[Reporter, Stop], None] | None = None, stops: type[Stop] = Stop) -> int:
    """Trains the job in a folder, and returns the exit status.

    Args:
        path: The folder.
        work: Does it; by default, on this machine.
        stops: How it heeds SIGTERM.
    """
    reporter = Reporter(path)
    stop = stops(reporter)
    stop.listen()
    try:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        (work or _train)(reporter, stop)
    except StoppedError:
        _stopped(Reporter(path))
    except LostError as error:
        traceback.print_exc()
        Reporter(path).status("interrupted", error=f"interrupted: {error}")
        return 1
    except BaseException as error:
        traceback.print_exc()
        reporter = Reporter(path)  # others may have told something since
        if _is_full(path, error):
            reporter.status("interrupted", error=f"interrupted: the disk that holds {path} is full")
            return 1
        message = in_a_sentence(error)
        reporter.status("failed", error=message)
        reporter.event(f"The job failed: {message}", EventLevel.ERROR)
        if not isinstance(error, Exception):
            raise
        return 1
    return 0


def _train(reporter: Reporter, stop: Stop) -> None:
    processes = int(reporter.record.request.provider_options.get("processes") or 1)
    if processes > 1:
        lead(reporter.folder.path, stop, processes)
    else:
        _train_alone(reporter, stop)


def _train_alone(reporter: Reporter, stop: Stop) -> None:
    # One GPU: trl refuses several in one process. Which one is the user's choice.
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    from ftkit.providers.huggingface.training import train

    train(reporter, stop, Alone())


def _stopped(reporter: Reporter) -> None:
    step = reporter.state.step
    where = f"after step {step}" if step else "before the first step"
    if reporter.want() == "cancelled":
        return  # whoever cancelled it says so
    if reporter.want() == "paused":
        reporter.event(f"Paused {where}")
        reporter.status("paused")
    else:
        reporter.event(f"Interrupted {where}: the process was asked to end", EventLevel.WARNING)
        reporter.status("interrupted", error="interrupted: the process was asked to end (SIGTERM)")


def _is_full(path: Path, error: BaseException) -> bool:
    """Whether it failed for want of space; the libraries underneath do not always say so."""
    return (isinstance(error, OSError) and error.errno in _FULL) or shutil.disk_usage(path).free < _LITTLE_SPACE


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
