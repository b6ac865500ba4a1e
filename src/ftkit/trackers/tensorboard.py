"""TensorBoard: a folder of event files for each job. Needs the extra `tensorboard`; no TensorFlow and no torch."""

# tensorboard has no types, and its messages are made when it is imported
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.models import JobStatus
from ftkit.trackers.naming import config_of, named, outcome_of, run_name
from ftkit.trackers.table import needs

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from ftkit.models import FineTuningJob, Metrics

_SCALARS, _TEXT, _HPARAMS = "scalars", "text", "hparams"


class TensorBoard:
    """Writes the metrics of each job into a folder of its own: `tensorboard --logdir runs` shows them.

    What is described of a job stands under "text", and its hyperparameters under "hparams" as well.

    Args:
        folder: The folder of all jobs.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str] = "runs") -> None:
        needs("Sending to TensorBoard", "tensorboard", "tensorboard")
        self._folder = Path(folder)
        self._place = self._folder
        self._texts: dict[str, str] = {}
        self._writer: Any = None  # tensorboard is untyped

    def begin(self, job: FineTuningJob) -> list[tuple[str, int]]:
        """Reads what the job's folder holds. What is new goes into a file of its own: an old one may be cut off."""
        self._place, self._writer, self._texts = self._folder / run_name(job), None, {}
        held: list[tuple[str, int]] = []
        described = False
        for tag, step, plugin, text in _values(self._place):
            described |= plugin == _HPARAMS
            if plugin == _SCALARS:
                held.append((tag, step))
            elif text is not None:
                self._texts[tag] = text
        if not described:
            self._describe(job)
        self._tell("job", _lasting(job), step=0)
        return held

    def log(self, metrics: Metrics) -> None:
        """Writes a row, and leaves it on the disk."""
        from tensorboard.compat.proto import summary_pb2
        from tensorboard.plugins.scalar.metadata import create_summary_metadata

        metadata: Any = create_summary_metadata("", "")
        for name, number in named(metrics).items():
            tensor = _tensor(number, "float32")
            value = summary_pb2.Summary.Value(tag=name, tensor=tensor, metadata=metadata)
            self._add(summary_pb2.Summary(value=[value]), metrics.step)
        self._writer.flush()

    def end(self, job: FineTuningJob) -> None:
        """Writes what became of the job, if it has ended, and closes the file."""
        if job.status.is_terminal or job.status is JobStatus.PAUSED:
            self._tell("job", _lasting(job), step=0)
            self._tell("outcome", outcome_of(job), step=job.step or 0)
        if self._writer is not None:
            self._writer.close()

    def _describe(self, job: FineTuningJob) -> None:
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        started = job.started_at or job.created_at
        summary: Any = hparams_pb(_lasting(job), start_time_secs=started.timestamp() if started else None)
        self._add(summary, 0)

    def _tell(self, tag: str, table: Mapping[str, object], *, step: int) -> None:
        """Writes a table as text, unless it stands there as it is."""
        from tensorboard.compat.proto import summary_pb2
        from tensorboard.plugins.text.metadata import create_summary_metadata

        lines = ["| | |", "|-|-|", *(f"| {name} | {_cell(value)} |" for name, value in table.items())]
        text = "\n".join(lines)
        if self._texts.get(tag) != text:
            self._texts[tag] = text
            metadata: Any = create_summary_metadata("", "")
            value = summary_pb2.Summary.Value(tag=tag, tensor=_tensor(text, "string"), metadata=metadata)
            self._add(summary_pb2.Summary(value=[value]), step)

    def _add(self, summary: Any, step: int) -> None:  # noqa: ANN401 - tensorboard is untyped
        """Writes a summary. A file is begun with the first, so that a job that is wholly there gets none."""
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            self._writer = EventFileWriter(str(self._place))
        self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))


def _lasting(job: FineTuningJob) -> dict[str, str | float | bool]:
    """Returns what describes a job, less its tuned model, which is its outcome."""
    return {name: value for name, value in config_of(job).items() if name != "fine_tuned_model"}


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _tensor(value: object, kind: str) -> Any:  # noqa: ANN401 - tensorboard is untyped
    from tensorboard.compat.tensorflow_stub import dtypes
    from tensorboard.util.tensor_util import make_tensor_proto

    return make_tensor_proto(value, dtype=getattr(dtypes, kind))


def _values(place: Path) -> Iterator[tuple[str, int, str, str | None]]:
    """Yields what stands in a folder: tag, step, plug-in, and the text where it is one. A cut-off end is no error."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for path in sorted(place.glob("events.out.tfevents.*")):
        loader: Any = EventFileLoader(str(path))
        for event in loader.Load():
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                text = value.tensor.string_val[0].decode() if plugin == _TEXT and value.tensor.string_val else None
                yield value.tag, event.step, plugin, text
