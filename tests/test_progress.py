"""The bar, before anybody knows how many steps there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.models import FineTuningJob, JobStatus
from ftkit.progress import BarProgress

if TYPE_CHECKING:
    import pytest


def test_a_line_can_be_said_before_the_steps_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    bar = BarProgress()
    bar.update(FineTuningJob(id="ftjob-1", provider="memory", status=JobStatus.QUEUED, model="m"), ())
    bar.say("take it up again")
    bar.close()
    assert "take it up again" in capsys.readouterr().err
