"""export and adopt: whose jobs are meant, what is told, and how it ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab_provider import VENDORS, Lab, ftkit

from ftkit import Client, FineTuningJob
from ftkit.archive import Archive, Exported
from ftkit.errors import ProviderUnavailableError
from ftkit.models import Asked
from ftkit.testing.vendor import VendorOrder

if TYPE_CHECKING:
    from ftkit import Metrics
    from ftkit.testing import MemoryVendor


def made(client: Client, suffix: str) -> FineTuningJob:
    job = client.fine_tune("base", "train.jsonl", suffix=suffix, wait=False, progress=False)
    VENDORS[client.identity().removeprefix("memory:")].advance(job.id, "succeeded")
    return job


def by_hand(vendor: MemoryVendor) -> str:
    file = vendor.create_file("sent.jsonl", b"{}\n")
    job = vendor.create_job(VendorOrder("base", file.id, method={"type": "supervised"}))
    vendor.advance(job.id, "succeeded")
    return job.id


@pytest.mark.parametrize(
    "words", [("night:*",), ("night:",), ("-p", "night"), ("-p", "night", "*"), ("night:*", "night:x")]
)
def test_all_jobs_of_an_account(night: Client, words: tuple[str, ...]) -> None:
    jobs = {made(night, word).id for word in ("one", "two")}
    done = ftkit("export", *words)
    assert (done.status, done.errors) == (0, "")
    assert re.fullmatch(r"ftkit-archive/lab-[0-9a-f]{8}: 2 jobs, 1 file fetched \([\d,]+ bytes\)\n", done.output)
    assert {job.id for job in Archive("ftkit-archive").list_jobs().items} == jobs
    assert "2 jobs" in ftkit("export", *words).output


def test_the_default_profile_is_whose(night: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made(night, "one")
    nobody = ftkit("export")
    assert nobody.status == 2
    assert "--provider NAME" in nobody.errors
    monkeypatch.setenv("FTKIT_PROFILE", "night")
    assert ftkit("export").status == 0


def test_some_jobs_of_two_accounts_in_one_folder(night: Client, tmp_path: Path) -> None:
    one, two = made(night, "one"), made(night, "two")
    day = made(Client("day"), "three")
    done = ftkit("export", f"night:{one.id}", f"day:{day.id}", "--to", tmp_path / "saved", "--json")
    told = [Exported.model_validate_json(line) for line in done.output.splitlines()]
    assert [each.jobs for each in told] == [(one.id,), (day.id,)]
    assert {job.id for job in Archive(tmp_path / "saved").list_jobs().items} == {one.id, day.id}
    assert ftkit("export", "-p", "night", one.id, two.id, "--to", tmp_path / "saved").status == 0
    assert len(Archive(tmp_path / "saved", account=night.identity()).list_jobs().items) == 2


def test_a_wrong_name_is_told_before_anything_is_read(night: Client) -> None:
    made(night, "one")
    done = ftkit("export", "night:*", "nigth:*")
    assert (done.status, done.output) == (2, "")
    assert "did you mean 'night'?" in done.errors
    assert not Path("ftkit-archive").exists()


def test_what_is_missing_is_told_and_the_status_says_whether_it_may_be_read_later(
    night: Client, vendor: MemoryVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = made(night, "one")
    vendor.delete_file(str(job.training_file))
    gone = ftkit("export", "night:*")
    assert gone.status == 0
    assert f"not there to be read: file {job.training_file}: " in gone.output

    def away(self: Lab, job_id: str) -> list[Metrics]:
        raise ProviderUnavailableError(f"nobody answers for {job_id}", provider=self.name)

    monkeypatch.setattr(Lab, "results", away)
    monkeypatch.setattr("time.sleep", lambda _: None)
    job = made(night, "two")
    later = ftkit("export", "night:*")
    assert later.status == 1
    assert f"not read: results of {job.id}: " in later.output
    assert "The same command again tries what was not read." in later.output
    typo = ftkit("export", "night:job-typo")
    assert typo.status == 1
    assert "not read: job job-typo" in typo.output


def test_a_folder_that_cannot_be_written_is_one_error(night: Client) -> None:
    made(night, "one")
    done = ftkit("export", "night:*", "--to", "train.jsonl")
    assert (done.status, done.output) == (1, "")
    assert "error: the archive could not be written in 'train.jsonl'" in done.errors
    assert "Kept in 'train.jsonl" in done.errors


def test_ctrl_c_says_that_the_same_command_goes_on(night: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made(night, "one")
    last = made(night, "two")
    saved = Lab.results

    def interrupted(self: Lab, job_id: str) -> list[Metrics]:
        if job_id != last.id:
            raise KeyboardInterrupt
        return saved(self, job_id)

    monkeypatch.setattr(Lab, "results", interrupted)
    done = ftkit("export", "night:*")
    assert (done.status, done.output) == (130, "")
    assert "Stopped. What is complete is kept; the same command again goes on from there." in done.errors
    assert [job.id for job in Archive("ftkit-archive").list_jobs().items] == [last.id]


# -- adopt ---------------------------------------------------------------------------------------------------------


def test_a_job_that_was_made_by_hand_is_in_the_history_and_the_job_of_its_data(vendor: MemoryVendor) -> None:
    job = by_hand(vendor)
    done = ftkit("adopt", f"night:{job}", "--train", "train.jsonl", "--model", "base")
    assert (done.status, done.errors) == (0, "")
    assert done.output.splitlines()[:2] == [f"job: {job}", "status: succeeded"]
    assert [Asked.model_validate_json(line).id for line in ftkit("history", "--json").output.splitlines()] == [job]
    ran = ftkit("run", "--train", "train.jsonl", "--model", "base", "-p", "night")
    assert ran.status == 0
    assert f"job: {job}" in ran.output
    assert vendor.calls["create_job"] == 1


def test_adopt_prints_the_job_for_programs(vendor: MemoryVendor) -> None:
    job = by_hand(vendor)
    done = ftkit("adopt", job, "-p", "night", "--json")
    assert FineTuningJob.model_validate_json(done.output).id == job
    gone = ftkit("adopt", "night:job-typo")
    assert (gone.status, gone.output) == (1, "")
    assert "job-typo" in gone.errors
    no_data = ftkit("adopt", f"night:{job}", "--train", "nothing.jsonl")
    assert no_data.status != 0
    assert "nothing.jsonl" in no_data.errors


def test_the_archive_is_for_its_owner(night: Client) -> None:
    made(night, "one")
    ftkit("export", "night:*")
    assert Path("ftkit-archive").stat().st_mode & 0o077 == 0


def test_a_job_that_goes_on_is_saved_and_will_have_to_be_saved_again(night: Client, vendor: MemoryVendor) -> None:
    job = night.fine_tune("base", "train.jsonl", wait=False, progress=False)
    done = ftkit("export", "night:", "--answers")
    assert done.status == 1
    assert f"not ended: {job.id}; export again after that" in done.output
    vendor.advance(job.id, "succeeded")
    again = ftkit("export", "night:", "--answers", "--test", "train.jsonl", "--limit", "3")
    assert (again.status, "3 answers recorded" in again.output) == (0, True)
    assert (
        "3 answers recorded (3 there already)"
        in ftkit("export", "night:", "--answers", "--test", "train.jsonl", "--limit", "3").output
    )
