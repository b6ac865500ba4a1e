"""What each worker does: a rank of local training, in a folder that it makes, on whatever machine it is."""

# pyright: basic
# ray, torch and accelerate are untyped, or so loosely typed that the strict mode says nothing.

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.providers.huggingface.on_ray.desk import DeskReporter, Told
from ftkit.providers.huggingface.on_ray.storage import fetch, hand_in
from ftkit.providers.huggingface.rank import in_a_sentence, is_lasting
from ftkit.providers.huggingface.stopping import Stop, StoppedError

if TYPE_CHECKING:
    from ftkit.providers.huggingface.crew import Crew

_LOOK_S = 0.5


def work(config: dict[str, Any]) -> None:
    """Trains, as one of the workers that Ray Train has started.

    Args:
        config: `job`, its id; `desk`, the actor; `filesystem` and `start`, where what it needs lies; `run`, where
            what it makes goes.
    """
    import ray

    def tell(told: Told) -> None:
        ray.get(config["desk"].tell.remote(told))

    # The working folder is Ray Train's, and goes with the Ray session if we are killed.
    with tempfile.TemporaryDirectory(prefix="ftkit-", dir=Path.cwd()) as place:
        try:
            _train(Path(place) / config["job"], config, tell)
        except StoppedError:
            return
        except Exception as error:
            if is_lasting(error):  # anything else may be no more than that another worker has died
                tell(Told("words", {"message": in_a_sentence(error)}))
            raise


def _train(job: Path, config: dict[str, Any], tell: Any) -> None:  # noqa: ANN401 - a function; annotated where it is made
    import ray
    import torch
    import torch.distributed as dist
    from accelerate import PartialState

    from ftkit.providers._local_jobs.reporter import Onlooker
    from ftkit.providers.huggingface.crew import Alone, Ranks
    from ftkit.providers.huggingface.training import train

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    fetch(config["start"], config["filesystem"], job)
    PartialState(cpu=not torch.cuda.is_available())  # takes the process group that Ray Train has made
    crew = Ranks() if dist.is_initialized() else Alone()
    reporter = DeskReporter(job, tell) if crew.rank == 0 else Onlooker(job)
    stop = Stop(reporter, crew)

    def heed() -> None:
        while not stop.requested:
            stop.requested = bool(ray.get(config["desk"].is_stopping.remote()))
            time.sleep(_LOOK_S)

    threading.Thread(target=heed, daemon=True, name="ftkit-heed").start()
    train(reporter, stop, crew, _Through(job, crew, config, tell))


class _Through:
    """Hands checkpoints and the model over: checkpoints through Ray Train, the model beside them."""

    def __init__(self, job: Path, crew: Crew, config: dict[str, Any], tell: Any) -> None:  # noqa: ANN401 - as above
        self._job, self._crew, self._config, self._tell = job, crew, config, tell

    def checkpoint(self, folder: Path, step: int) -> None:
        """Reports a checkpoint; the parts of all workers come together in one folder."""
        import ray.train

        name = f"checkpoint-{step}"
        part = ray.train.Checkpoint.from_directory(folder) if folder.is_dir() else None
        mine = self._crew.rank == 0
        ray.train.report(
            {"step": step}, checkpoint=part, checkpoint_dir_name=name, delete_local_checkpoint_after_upload=not mine
        )
        self._crew.meet()  # all parts are there
        if mine:
            self._tell(Told("checkpoint", {"place": f"{self._config['run']}/{name}", "step": step}))

    def model(self) -> None:
        """Puts the model, and what was written down of its making, where the driver finds it."""
        hand_in(self._job, self._config["filesystem"], self._config["run"])
        self._tell(Told("model"))
