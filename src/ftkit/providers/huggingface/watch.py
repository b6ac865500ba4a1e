"""What the trainer tells on the way, and when it stops. Only ever loaded in the process that trains."""

# pyright: basic
# transformers is untyped, or so loosely typed that the strict mode says nothing.

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from ftkit.models import Metrics
from ftkit.providers._trainer_logs import training_metrics
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.adapters import name_base

if TYPE_CHECKING:
    from ftkit.providers._local_jobs import Reporter
    from ftkit.providers.huggingface.crew import Crew, HandsOver
    from ftkit.providers.huggingface.plan import Plan
    from ftkit.providers.huggingface.stopping import Stop


class Watch(TrainerCallback):  # type: ignore[misc]  # untyped
    """Tells what happens, seals checkpoints, and stops where that was asked for.

    Args:
        reporter: Takes what is told.
        stop: Knows whether to stop.
        crew: The processes that train together.
        numbers: The plan.
        rows: Rows of an epoch, after packing.
        taker: Takes the checkpoints, where they are not the job's own already.
    """

    def __init__(
        self, reporter: Reporter, stop: Stop, crew: Crew, numbers: Plan, rows: int, taker: HandsOver | None = None
    ) -> None:
        self._reporter = reporter
        self._stop = stop
        self._crew = crew
        self._numbers = numbers
        self._taker = taker
        self._steps_per_epoch = numbers.steps_per_epoch(rows)
        # trl counts anew in every process; what was counted before is in the last event that was kept.
        counts = [e.metrics.extra.get("num_tokens", 0) for e in reporter.folder.events() if e.metrics]
        self._tokens_before = int(max(counts, default=0))

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - a hook
        self._reporter.status(total_steps=int(state.max_steps))
        if not state.global_step:
            kind = "LoRA" if self._numbers.adapter else "all weights"
            rate = f"learning rate {self._numbers.learning_rate:g}"
            together = f", {self._crew.size} processes" if self._crew.size > 1 else ""
            self._reporter.event(f"Training started: {state.max_steps} steps, {kind}, {rate}{together}")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:  # noqa: ANN401, ARG002 - a hook
        step, total = int(state.global_step), int(state.max_steps)
        if "loss" in logs:
            logs = {**logs, "num_tokens": logs.get("num_tokens", 0) + self._tokens_before}
            self._reporter.event(
                f"Step {step}/{total}: training loss={logs['loss']:.2f}", metrics=training_metrics(step, logs)
            )
            self._reporter.status(step=step, trained_tokens=int(logs["num_tokens"]))
        elif "eval_loss" in logs:
            self._reporter.event(
                f"Step {step}/{total}: validation loss={logs['eval_loss']:.2f}", metrics=_evaluation_metrics(step, logs)
            )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - a hook
        self._crew.meet()  # each has a part in a checkpoint: it is whole when all have written theirs
        step, checkpoint = int(state.global_step), Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if self._crew.rank == 0:
            self._seal(checkpoint)
        if self._taker is not None:
            self._taker.checkpoint(checkpoint, step)
        self._reporter.event(f"Checkpoint at step {step}")

    def _seal(self, checkpoint: Path) -> None:
        name_base(checkpoint, str(self._reporter.record.extra["model"]))
        checkpoints.seal(checkpoint)
        checkpoints.drop_old(checkpoint.parent.parent, self._numbers.keep)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - a hook
        if self._stop.agree():
            control.should_training_stop = True
            # At the end of an epoch the evaluation comes first: a checkpoint now would leave it out for good.
            control.should_save = not self._ends_epoch(state)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - a hook
        if self._stop.agreed:
            control.should_save = self._ends_epoch(state)
            control.should_evaluate = control.should_evaluate and self._ends_epoch(state)

    def _ends_epoch(self, state: Any) -> bool:  # noqa: ANN401 - untyped
        return int(state.global_step) % self._steps_per_epoch == 0


def _evaluation_metrics(step: int, logs: dict[str, float]) -> Metrics:
    loss, accuracy = logs["eval_loss"], logs.get("eval_mean_token_accuracy")
    return Metrics(step=step, epoch=logs.get("epoch"), full_valid_loss=loss, full_valid_mean_token_accuracy=accuracy)
