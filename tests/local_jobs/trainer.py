"""A trainer that learns nothing: `python trainer.py FOLDER`. What it does is told in `extra` of the job's record."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ftkit.models import Metrics
from ftkit.providers._local_jobs import Reporter

POLL_S = 0.01
KEEP_EVERY = 2  # steps


class Trainer:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.reporter = Reporter(path)
        self.plan = self.reporter.record.extra
        self.asked_to_end = False
        signal.signal(signal.SIGTERM, signal.SIG_IGN if self.plan.get("deaf") else self.on_signal)

    def on_signal(self, *_: object) -> None:
        if self.reporter.want() == "cancelled":
            os._exit(143)
        self.asked_to_end = True

    def train(self) -> None:
        helper = self.start_helper() if self.plan.get("helper") else None
        steps = int(self.plan.get("steps", 3))
        mark = self.path / "checkpoint"
        done = int(mark.read_text()) if mark.exists() else 0
        self.reporter.event(f"Run {self.reporter.state.run} began")
        self.reporter.status(total_steps=steps)
        if done:
            self.reporter.go_on_from(done, f"Going on from step {done}")
        for step in range(done + 1, steps + 1):
            while self.plan.get("hold_at") == step and not (self.path / "release").exists() and not self.asked_to_end:
                time.sleep(POLL_S)
            if self.asked_to_end:
                if helper is not None and helper.poll() is not None:
                    message = "the helper died before its work was done"
                    raise RuntimeError(message)
                mark.write_text(str(step - 1))
                wanted = self.reporter.want() == "paused"
                self.reporter.event(f"Stopped after step {step - 1}")
                self.reporter.status("paused" if wanted else "interrupted")
                return
            if self.plan.get("exit_at") == step:
                print("the last thing that it said", flush=True)  # noqa: T201 - what it prints is the log
                os._exit(0)
            self.reporter.event(f"Step {step}", metrics=Metrics(step=step, train_loss=1 / step))
            self.reporter.status(step=step)
            if step % KEEP_EVERY == 0:
                mark.write_text(str(step))
            time.sleep(POLL_S)
        self.reporter.event("Done")
        self.reporter.status("succeeded", fine_tuned_model=f"tuned:{self.reporter.folder.id}")

    def start_helper(self) -> subprocess.Popen[bytes]:
        # The folder in its arguments is how the tests find it again.
        code = "import time; time.sleep(120)"
        if self.plan.get("deaf"):
            code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {code}"
        argv = [sys.executable, "-I", "-S", "-c", code, str(self.path)]
        helper = subprocess.Popen(argv, close_fds=self.plan["helper"] != "inherits")
        (self.path / "helper").write_text(str(helper.pid))
        return helper


if __name__ == "__main__":
    trainer = Trainer(Path(sys.argv[1]))
    try:
        trainer.train()
    except RuntimeError as error:
        trainer.reporter.status("failed", error=str(error))
        sys.exit(1)
