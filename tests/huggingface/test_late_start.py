"""A job whose process is late: it was taken for dead, and begins just when somebody lets it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from local_conformance import IDLE
from local_witness import end_all_below

from ftkit import Client
from ftkit.ledger import Ledger
from ftkit.models import FineTuningJob, JobStatus
from ftkit.providers._local_jobs import LocalJobs
from ftkit.providers._processes import ProcessId
from ftkit.providers.huggingface.local import LocalHuggingFace

if TYPE_CHECKING:
    from pathlib import Path

_NOBODY = ProcessId(boot="another", pid=1, started=0.0)


class Late(LocalHuggingFace):
    """Whoever asked for the job was killed while its process was on its way, which arrives before it can be resumed."""

    _trainer: ClassVar[tuple[str, ...]] = IDLE

    def resume_job(self, job_id: str) -> FineTuningJob:
        self._jobs._start(self._jobs.place(job_id), run=1)
        return super().resume_job(job_id)


def test_who_is_late_to_resume_gets_the_job_that_goes_on(tmp_path: Path) -> None:
    provider = Late(jobs_folder=tmp_path / "jobs")
    source = tmp_path / "train.jsonl"
    source.write_text('{"prompt": "a", "completion": "b"}\n')
    client = Client(provider, ledger=Ledger(tmp_path / "ledger"))
    file = client.upload(source, model="ftkit/small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalJobs, "_start", lambda *_, **__: None)
        made = client.create_job(model="ftkit/small", training_file=file)
    place = provider._jobs.place(made.id)
    place.write_state(place.state().model_copy(update={"asker": _NOBODY}))
    assert client.get_job(made).interrupted

    again = client.create_job(model="ftkit/small", training_file=file)

    assert (again.id, again.status, again.interrupted) == (made.id, JobStatus.RUNNING, False)
    end_all_below(tmp_path)
