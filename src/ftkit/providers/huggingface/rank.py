"""One of several processes that train a job together: `python -m ftkit.providers.huggingface.rank FOLDER`.

torchrun starts them, for `group`. The first tells what happens. None of them outlives those who look after it: a rank
that went on by itself would write into a job that somebody else has taken up again.
"""

# pyright: basic
# torch and accelerate are untyped, or so loosely typed that the strict mode says nothing.

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from pathlib import Path

from ftkit.errors import FtkitError
from ftkit.plugin.disk import write_atomically
from ftkit.providers._local_jobs import Reporter
from ftkit.providers._local_jobs.reporter import Onlooker
from ftkit.providers._processes import ProcessId, is_alive
from ftkit.providers.huggingface.stopping import Stop, StoppedError

LEADER = "FTKIT_LEADER"
"""Environment variable that names the process that leads the group, as JSON."""
WORDS = "rank-{rank}.error"
"""File in the job's folder with the last words of a rank."""
_LOOK_S = 0.5
_ALONE = 1


def main(path: Path) -> int:
    """Trains, and returns the exit status."""
    rank = int(os.environ["RANK"])
    _end_with(ProcessId.model_validate_json(os.environ[LEADER]), os.getppid())
    reporter = Reporter(path) if rank == 0 else Onlooker(path)
    try:
        _train(reporter)
    except StoppedError:
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and ends the rank
        traceback.print_exc()
        if is_lasting(error):  # anything else may be no more than that another rank has died
            write_atomically(path / WORDS.format(rank=rank), in_a_sentence(error))
        return 1
    return 0


def is_lasting(error: BaseException) -> bool:
    """Whether a training would fail for the same reason again."""
    return isinstance(error, FtkitError | MemoryError) or type(error).__name__ == "OutOfMemoryError"


def in_a_sentence(error: BaseException) -> str:
    """Says in a sentence why a training failed."""
    if isinstance(error, FtkitError):
        return str(error)
    name = type(error).__name__
    if name == "OutOfMemoryError" or isinstance(error, MemoryError):
        return "out of memory: try a smaller batch_size or max_length, gradient_checkpointing=True, or lora=True"
    return f"{name}: {error}"


def _train(reporter: Reporter) -> None:
    early = Stop(reporter)  # a signal may come while torch is loaded
    early.listen()
    import torch
    from accelerate import PartialState

    from ftkit.providers.huggingface.crew import Ranks
    from ftkit.providers.huggingface.training import train

    PartialState(cpu=not torch.cuda.is_available())  # makes the process group, as the trainer would
    crew = Ranks()
    stop = Stop(reporter, crew)
    stop.requested = early.requested
    stop.listen()
    train(reporter, stop, crew)


def _end_with(leader: ProcessId, parent: int) -> None:
    """Ends this process when the one that leads, or the one that started it, has ended."""

    def look() -> None:
        while is_alive(leader) and os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(_ALONE)

    threading.Thread(target=look, daemon=True, name="ftkit-end-with").start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
