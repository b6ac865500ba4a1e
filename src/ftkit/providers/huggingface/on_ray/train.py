"""The process that looks after one job on Ray: `python -m ftkit.providers.huggingface.on_ray.train FOLDER`.

It is what the runner of `ftkit.providers._local_jobs` becomes. When a worker dies, all of them are started again from
the newest checkpoint. Ray Train could do that itself, but it counts failures in all and not in a row, and tries again
what will not go away; so it is given no retries, and they are done here, as `group` does it on one machine.
"""

# pyright: basic
# ray is loosely typed.

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import FtkitError
from ftkit.models import EventLevel
from ftkit.providers._local_jobs.names import model_name
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.on_ray.cluster import cluster, gpus_per_worker, require_shared
from ftkit.providers.huggingface.on_ray.storage import Storage
from ftkit.providers.huggingface.options import LocalOptions
from ftkit.providers.huggingface.plan import KEEP
from ftkit.providers.huggingface.restarts import Restarts
from ftkit.providers.huggingface.stopping import LostError, Stop, StoppedError
from ftkit.providers.huggingface.train import main

if TYPE_CHECKING:
    from ftkit.providers._local_jobs import Reporter
    from ftkit.providers.huggingface.on_ray.desk import Told

_POLL_S = 0.2
_ANSWER_S = 60.0


class _Ending(Stop):
    """Leaves at once when a job is cancelled, unless there is a cluster where that would leave something behind."""

    is_away = False

    def _on_signal(self, number: int, frame: Any) -> None:  # noqa: ANN401 - a frame
        if self.is_away:
            self.requested = True
        else:
            super()._on_signal(number, frame)


def lead(reporter: Reporter, stop: Stop) -> None:
    """Does a job on Ray, to its end.

    Raises:
        StoppedError: It was asked to end; a checkpoint is there if one could be had.
        LostError: The cluster is not there, or not any more. The job can go on later.
        GroupDiedError: Its workers die, and starting again does not help.
        FtkitError: It cannot be done.
    """
    extra = reporter.record.extra
    address: str | None = extra.get("address")
    options = LocalOptions(**reporter.record.request.provider_options)
    if isinstance(stop, _Ending):
        stop.is_away = address is not None
    path, keep = reporter.folder.path, options.save_total_limit or KEEP
    for name in checkpoints.drop_torn(path):
        message = f"{name} is not whole, and is left out: the process ended while it was written"
        reporter.event(message, EventLevel.WARNING)
    storage = Storage(reporter.folder, extra.get("storage_path"), keep)
    storage.bring_all()
    try:
        with cluster(reporter.folder, address, options.processes or 1):
            stop.listen()  # ray.init has put a handler of its own in its place
            _Job(reporter, stop, storage, options.processes or 1).do(keep)
    except SystemExit as error:  # SIGTERM came before that: it is what Ray's handler raises
        raise StoppedError from error
    finally:
        storage.bring_all()  # when nobody writes there any more
    reporter.event("The job has succeeded")
    reporter.status("succeeded", fine_tuned_model=model_name(reporter.record.request, reporter.folder.id))


class _Job:
    """A job on a Ray that is connected."""

    def __init__(self, reporter: Reporter, stop: Stop, storage: Storage, processes: int) -> None:
        extra = reporter.record.extra
        address: str | None = extra.get("address")
        self._reporter, self._stop, self._storage, self._processes = reporter, stop, storage, processes
        self._path = reporter.folder.path
        if address is not None:
            require_shared(extra.get("storage_path"))
        self._gpus, lacking = gpus_per_worker(extra.get("num_gpus_per_worker"), processes, is_here=address is None)
        if lacking:
            reporter.event(lacking, EventLevel.WARNING)

    def do(self, keep: int) -> None:
        """Trains, and starts again where that helps. Errors as for `lead`."""
        import ray.exceptions

        try:
            self._until_done(keep)
        except ray.exceptions.RayError as error:
            raise LostError(f"the Ray cluster is gone: {_first_line(error)}") from error

    def _until_done(self, keep: int) -> None:
        restarts, attempt = Restarts(self._path, f"{self._processes} workers"), 0
        while True:
            attempt += 1
            restarts.begin()
            run = _Run(self._reporter, self._stop, self._storage, f"run-{self._reporter.state.run}-{attempt}")
            run.start(self._processes, self._gpus, keep)
            run.follow()
            if run.has_model:
                return
            if self._stop.requested:
                raise StoppedError
            if run.words:
                raise FtkitError(run.words)
            died, is_planned = run.how()
            self._storage.bring_all()
            restarts.again(self._reporter, died, helps=run.error is not None, is_planned=is_planned)


class _Run:
    """One start of the workers."""

    def __init__(self, reporter: Reporter, stop: Stop, storage: Storage, name: str) -> None:
        self._reporter, self._stop, self._storage, self._name = reporter, stop, storage, name
        self._desk: Any = None
        self._fit = threading.Thread(target=self._wait, daemon=True, name="ftkit-fit")
        self._trainer: Any = None
        self.error: BaseException | None = None
        self.words: str | None = None
        self.has_model = False

    def start(self, processes: int, gpus: float, keep: int) -> None:
        """Starts the workers."""
        import ray
        from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from ftkit.providers.huggingface.on_ray.desk import Desk
        from ftkit.providers.huggingface.on_ray.worker import work

        here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._desk = ray.remote(num_cpus=0, scheduling_strategy=here)(Desk).remote()
        storage = self._storage
        self._trainer = TorchTrainer(
            work,
            train_loop_config={
                "job": self._reporter.folder.id,
                "desk": self._desk,
                "filesystem": storage.filesystem,
                "start": storage.lay_out(self._name),
                "run": f"{storage.root}/{self._name}",
            },
            scaling_config=ScalingConfig(
                num_workers=processes,
                use_gpu=gpus > 0,
                resources_per_worker={"CPU": 1, "GPU": gpus} if gpus else {"CPU": 1},
            ),
            run_config=RunConfig(
                name=self._name,
                storage_path=storage.root,
                storage_filesystem=storage.filesystem,
                checkpoint_config=CheckpointConfig(num_to_keep=keep),
                failure_config=FailureConfig(max_failures=0, max_preemption_failures=0),
            ),
        )
        self._fit.start()

    def follow(self) -> None:
        """Writes down what the workers tell, until they have ended.

        Raises:
            StoppedError: We were asked to end before there was any worker.
        """
        import ray

        done, told, asked = 0, True, False
        while told or self._fit.is_alive():
            was_alive = self._fit.is_alive()
            entries, present = ray.get(self._desk.take.remote(done), timeout=_ANSWER_S)
            done += len(entries)
            for entry in entries:
                self._apply(entry)
            told = bool(entries) or was_alive  # look once more when they have ended
            if self._stop.requested and (not present or self._reporter.want() == "cancelled"):
                raise StoppedError
            if self._stop.requested and not asked:
                asked = True
                ray.get(self._desk.ask_to_stop.remote(), timeout=_ANSWER_S)
            time.sleep(_POLL_S)
        ray.kill(self._desk)

    def how(self) -> tuple[str, bool]:
        """Says how the workers ended, in a sentence; and whether their machines were taken away, as announced."""
        from ray.exceptions import RayActorError
        from ray.train import WorkerGroupError
        from ray.train.v2.api.exceptions import PreemptionError

        if isinstance(self.error, PreemptionError):
            return "a machine of the cluster was taken away", True
        if isinstance(self.error, WorkerGroupError) and self.error.worker_failures:
            failures = self.error.worker_failures
            causes = {rank: getattr(error, "health_check_failure", error) for rank, error in failures.items()}
            dead = sorted(rank for rank, error in causes.items() if isinstance(error, RayActorError))
            if dead:
                return f"worker {dead[0]} died", False
            rank, error = min(causes.items())
            return f"worker {rank} failed ({type(error).__name__}: {_first_line(error)})", False
        return f"Ray Train ended without a model ({_first_line(self.error)})", False

    def _wait(self) -> None:
        try:
            self._trainer.fit()
        except BaseException as error:  # noqa: BLE001 - it is told by whoever waits for us
            self.error = error

    def _apply(self, told: Told) -> None:
        if told.kind == "event":
            if not self.has_model:  # that it has succeeded, we say ourselves, when all is put away
                self._reporter.event(**told.fields)
        elif told.kind == "status":
            self._reporter.status(**told.fields)
        elif told.kind == "go_on_from":
            self._reporter.go_on_from(**told.fields)
        elif told.kind == "checkpoint":
            self._storage.bring_checkpoint(**told.fields)
        elif told.kind == "model":
            self._storage.bring_model(self._name)
            self.has_model = True
        else:
            self.words = self.words or str(told.fields["message"])


def _first_line(error: BaseException | None) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main(Path(sys.argv[1]), lead, _Ending))
