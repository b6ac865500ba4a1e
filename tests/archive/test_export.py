"""What an export writes, once, and what it makes of what cannot be read."""

from __future__ import annotations

import errno
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from archivist import MEASURED, Archivist, made, works

from ftkit import Client, CredentialsError, ProviderError, ProviderUnavailableError, QuotaError
from ftkit.archive import Archive, ArchiveError, Exported, export
from ftkit.archive.layout import account_name, folder_name
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit import TrainingFile


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def saved(client: Client, out: Path, *jobs: str) -> Exported:
    return export(client, out, jobs or None, progress=False)


def below(folder: Path) -> Iterator[Path]:
    return (path for path in [folder, *sorted(folder.rglob("*"))] if path.name != ".lock")


def away(*verbs: str) -> Any:
    def fails(verb: str, _: str) -> None:
        if verb in verbs:
            raise ProviderUnavailableError("nobody answers", provider="memory")

    return fails


def test_all_that_is_told_of_all_jobs_is_read_back_as_it_was(client: Client, vendor: MemoryVendor, out: Path) -> None:
    held_out = vendor.create_file("valid.jsonl", b'{"text": "b"}\n').id
    jobs = [made(vendor, validation_file=held_out, suffix=f"n{n}", seed=n) for n in range(5)]
    done = saved(client, out)
    assert sorted(done.jobs) == sorted(job.id for job in jobs)
    assert (len(done.files), done.bytes, done.missing, done.is_complete) == (6, 6 * 14, (), True)
    archive = Archive(out)
    for job in jobs:
        assert archive.get_job(job.id) == client.get_job(job.id)
        assert [*archive.list_events(job.id).items] == [
            event for after in (None, "event-1", "event-3") for event in client.list_events(job.id, after=after).items
        ]
        assert len(archive.list_events(job.id).items) == 5
        assert archive.list_checkpoints(job.id) == client.list_checkpoints(job.id)
        assert repr(archive.results(job.id)) == repr(MEASURED)
        for file_id in (job.order.training_file, held_out):
            assert archive.get_file(file_id) == client.get_file(file_id)
            copy = archive.download_file(file_id, out.parent / "copy.jsonl")
            assert copy.read_bytes() == vendor.get_file(file_id).content
    assert archive.missing(jobs[0].id) == ()


def test_what_is_complete_is_not_read_again(client: Client, vendor: MemoryVendor, out: Path) -> None:
    job, running = made(vendor), made(vendor, "running")
    first = saved(client, out)
    vendor.calls.clear()
    made(vendor, content=job.order.training_file)
    files = {path: path.stat().st_mtime_ns for path in below(out) if job.id in path.parent.name}
    again = saved(client, out)
    assert (again.skipped, len(again.jobs), again.files) == ((job.id,), 2, ())
    assert {*first.jobs} == {job.id, running.id}
    assert (vendor.calls["download_file"], vendor.calls["get_job"], vendor.calls["list_events"]) == (0, 2, 6)
    assert len(files) == 4
    assert {path: path.stat().st_mtime_ns for path in files} == files
    vendor.calls.clear()
    assert saved(client, out, job.id).skipped == (job.id,)
    assert not vendor.calls


def test_a_job_that_had_not_ended_is_read_anew(client: Client, vendor: MemoryVendor, out: Path) -> None:
    job = made(vendor, "running")
    saved(client, out, job.id)
    assert Archive(out).list_checkpoints(job.id) == []
    vendor.advance(job.id, "succeeded")
    assert saved(client, out, job.id).jobs == (job.id,)
    archive = Archive(out)
    assert archive.get_job(job.id).fine_tuned_model
    assert len(archive.list_checkpoints(job.id)) == 2
    names = [path.name.partition("-")[0] for path in (out / account(client) / "jobs" / folder_name(job.id)).iterdir()]
    assert sorted(names) == ["checkpoints", "events", "job.json", "results"]


def account(client: Client) -> str:
    return account_name(client.provider.name, client.identity())


def test_only_the_jobs_that_are_named(client: Client, vendor: MemoryVendor, out: Path) -> None:
    jobs = [made(vendor) for _ in range(3)]
    assert saved(client, out, jobs[1].id, jobs[1].id).jobs == (jobs[1].id,)
    assert export(client, out, jobs[2].id, progress=False).jobs == (jobs[2].id,)
    assert export(client, out, client.get_job(jobs[0].id), progress=False).jobs == (jobs[0].id,)


def test_only_the_owner_may_look(client: Client, vendor: MemoryVendor, out: Path) -> None:
    made(vendor)
    saved(client, out)
    for path in below(out):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("word", ["../../x", "/etc/passwd", "x" * 300, "..", "", "a/b\\c:d", "ÄÖ ü\n", "CON", "con"])
def test_no_id_leads_out_of_the_archive(
    provider: Archivist, client: Client, vendor: MemoryVendor, out: Path, word: str
) -> None:
    provider.told = {"id": word, "training_file": None}
    made(vendor)
    outside = {*out.parent.iterdir()}
    provider.fails = _knows_any_id
    saved(client, out)
    assert {*out.parent.iterdir()} - outside == {out}
    folder = next((out / account(client) / "jobs").iterdir())
    assert len(folder.name) < 80
    assert json.loads((folder / "job.json").read_text())["job"]["id"] == word
    assert Archive(out).get_job(word).id == word


def _knows_any_id(verb: str, _: str) -> None:
    if verb in {"get_job", "list_events", "list_checkpoints"}:
        raise ProviderError("no", provider="memory")


def test_ids_that_differ_in_capitals_alone_are_two() -> None:
    assert folder_name("job-A").lower() != folder_name("job-a").lower()
    assert folder_name("a b") != folder_name("a-b")


# -- what cannot be read -------------------------------------------------------------------------------------------


def test_what_a_provider_has_not_is_told_and_is_no_failure(vendor: MemoryVendor, out: Path) -> None:
    jobs = [made(vendor).id for _ in range(2)]
    client = Client(MemoryProvider(vendor))
    done = saved(client, out)
    reason = "the provider 'memory' cannot fetch the metrics of a job"
    assert {(each.what, each.id, each.reason, each.later) for each in done.missing} == {
        ("results", job, reason, False) for job in jobs
    }
    assert done.is_complete
    assert f"not there to be read: results of 2 jobs: {reason}" in str(done)
    assert saved(client, out).skipped == tuple(reversed(jobs))


def test_a_file_that_is_gone_is_told(client: Client, vendor: MemoryVendor, out: Path) -> None:
    job = made(vendor)
    vendor.delete_file(job.order.training_file)
    done = saved(client, out)
    assert [(each.what, each.id, each.later) for each in done.missing] == [("file", job.order.training_file, False)]
    assert done.is_complete
    assert Archive(out).missing(job.id) == done.missing


def test_a_file_that_was_saved_stays_when_the_vendor_lets_go_of_it(
    client: Client, vendor: MemoryVendor, out: Path
) -> None:
    job = made(vendor, "running")
    saved(client, out)
    vendor.delete_file(job.order.training_file)
    assert saved(client, out).missing == ()
    assert Archive(out).download_file(job.order.training_file, out.parent / "x").read_bytes() == b'{"text": "a"}\n'


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("list_events", "events"),
        ("list_checkpoints", "checkpoints"),
        ("results", "results"),
        ("get_file", "file"),
        ("download_file", "file"),
        ("get_job", "job"),
    ],
)
def test_what_could_not_be_read_is_read_the_next_time(
    provider: Archivist, client: Client, vendor: MemoryVendor, out: Path, verb: str, what: str
) -> None:
    job = made(vendor)
    provider.fails = away(verb)
    done = saved(client, out)
    (lost,) = done.missing
    assert (lost.what, lost.later, done.is_complete) == (what, True, False)
    assert lost.id == (job.order.training_file if what == "file" else job.id)
    assert "nobody answers" in lost.reason
    assert "not read: " in str(done)
    assert Archive(out).missing(job.id) == (lost,)
    provider.fails = works
    again = saved(client, out)
    assert (again.missing, again.jobs) == ((), (job.id,))
    assert Archive(out).missing(job.id) == ()
    assert saved(client, out).skipped == (job.id,)


@pytest.mark.usefixtures("impatient")
def test_what_was_read_of_a_running_job_stays_when_it_can_be_read_no_more(
    provider: Archivist, client: Client, vendor: MemoryVendor, out: Path
) -> None:
    job = made(vendor, "running")
    saved(client, out)
    provider.fails = away("list_events", "get_job")
    done = saved(client, out)
    assert {each.what for each in done.missing} == {"events", "job"}
    assert len(Archive(out).list_events(job.id).items) == 5
    assert Archive(out).get_job(job.id).training_file == job.order.training_file


@pytest.mark.usefixtures("impatient")
def test_a_provider_that_is_away_is_not_asked_for_ever(
    provider: Archivist, client: Client, vendor: MemoryVendor, out: Path
) -> None:
    asked: list[str] = []
    for _ in range(20):
        made(vendor)

    def fails(verb: str, thing_id: str) -> None:
        if verb != "list_jobs":
            asked.append(verb)
            away(verb)(verb, thing_id)

    provider.fails = fails
    done = saved(client, out)
    assert len(asked) == 6 * 5  # each is tried five times
    assert len(done.jobs) == 20
    assert "the provider had not answered 6 times in a row" in str(done)
    assert {job.id for job in Archive(out).list_jobs(limit=50).items} == {*done.jobs}
    provider.fails = works
    assert saved(client, out).is_complete


def test_a_job_that_is_named_and_not_there_is_told(client: Client, vendor: MemoryVendor, out: Path) -> None:
    job = made(vendor)
    done = saved(client, out, "job-typo", job.id)
    assert done.jobs == (job.id,)
    assert [(each.what, each.id, each.later) for each in done.missing] == [("job", "job-typo", False)]
    assert not done.is_complete
    assert "not read: job job-typo" in str(done)
    assert "The same command" not in str(done)


@pytest.mark.usefixtures("impatient")
def test_a_list_that_breaks_off_says_what_is_kept(
    provider: Archivist, client: Client, vendor: MemoryVendor, out: Path
) -> None:
    for _ in range(5):
        made(vendor)

    def fails(verb: str, after: str) -> None:
        if verb == "list_jobs" and after:
            raise ProviderUnavailableError("nobody answers", provider="memory")

    provider.fails = fails
    with pytest.raises(ProviderUnavailableError) as broken:
        saved(client, out)
    assert "by this export: 2 jobs and 2 new files." in "".join(broken.value.__notes__)
    assert len(Archive(out).list_jobs().items) == 2
    provider.fails = works
    again = saved(client, out)
    assert (len(again.skipped), len(again.jobs)) == (2, 3)


def test_a_key_that_is_refused_ends_it(provider: Archivist, client: Client, vendor: MemoryVendor, out: Path) -> None:
    made(vendor)

    def fails(verb: str, _: str) -> None:
        if verb == "results":
            raise CredentialsError("the key is no good")

    provider.fails = fails
    with pytest.raises(CredentialsError):
        saved(client, out)


def test_a_file_that_came_short_is_kept_told_and_fetched_again(client: Client, vendor: MemoryVendor, out: Path) -> None:
    job = made(vendor, content=b"x" * 50)

    class Short(Archivist):
        def get_file(self, file_id: str) -> TrainingFile:
            return super().get_file(file_id).model_copy(update={"size": 51})

    done = export(Client(Short(vendor)), out, progress=False)
    assert "it came with 50 bytes, and the provider tells of 51" in str(done)
    assert not done.is_complete
    assert saved(client, out).files == (job.order.training_file,)
    assert Archive(out).missing(job.id) == ()


def test_what_a_vendor_quotes_of_keys_is_not_kept(client: Client, vendor: MemoryVendor, out: Path) -> None:
    key = "sk-4711" + "aB3" * 12
    job = made(vendor, "running")
    vendor.add_event(job.id, f"the key {key} is wrong")
    vendor.fail(job.id, f"the key {key} is wrong")
    saved(client, out)
    assert not [path for path in below(out) if path.is_file() and key.encode() in path.read_bytes()]
    assert Archive(out).get_job(job.id).error == "the key *** is wrong"


# -- the folder ----------------------------------------------------------------------------------------------------


def test_two_accounts_share_a_folder(client: Client, vendor: MemoryVendor, out: Path) -> None:
    other = MemoryVendor(account="others", finish_after=None)
    ours, theirs = made(vendor), made(other)
    saved(client, out)
    saved(Client(Archivist(other)), out)
    archive = Archive(out)
    assert {each.identity for each in archive.accounts} == {"memory:tests", "memory:others"}
    assert {job.id for job in archive.list_jobs().items} == {ours.id, theirs.id}
    assert Archive(out, account="memory:others").list_jobs().items == (archive.get_job(theirs.id),)


def test_a_disk_that_is_full_is_one_error_that_says_what_is_kept(
    client: Client, vendor: MemoryVendor, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [made(vendor) for _ in range(3)]
    written = Path.replace
    left = [7]  # the account; three tables, a file with its document, and the document of the job

    def full(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ArchiveError, match="could not be written") as refused:
        saved(client, out)
    monkeypatch.undo()
    assert "Make room" in str(refused.value.hint)
    assert "by this export: 1 job and 1 new file." in "".join(refused.value.__notes__)
    assert [job.id for job in Archive(out).list_jobs().items] == [jobs[-1].id]
    again = saved(client, out)
    assert (len(again.jobs), again.skipped, again.missing) == (2, (jobs[-1].id,), ())
    assert not [path for path in below(out) if ".partial" in path.name]


def test_a_disk_that_a_provider_finds_full_is_the_same_error(
    provider: Archivist, client: Client, vendor: MemoryVendor, out: Path
) -> None:
    made(vendor)

    def fails(verb: str, _: str) -> None:
        if verb == "download_file":
            raise QuotaError("full", provider="memory") from OSError(errno.ENOSPC, "No space left on device")

    provider.fails = fails
    with pytest.raises(ArchiveError, match="could not be written"):
        saved(client, out)


def test_a_folder_that_cannot_be_one(client: Client, vendor: MemoryVendor, tmp_path: Path) -> None:
    made(vendor)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ArchiveError, match="could not be written in"):
            saved(client, folder)


def test_a_newer_layout_is_left_alone(client: Client, vendor: MemoryVendor, out: Path) -> None:
    job = made(vendor)
    saved(client, out)
    for path in (
        out / account(client) / "jobs" / folder_name(job.id) / "job.json",
        out / account(client) / "account.json",
    ):
        path.write_text(path.read_text().replace('"format":1', '"format":2'))
        with pytest.raises(ArchiveError, match="is of layout 2, and this ftkit reads layouts up to 1"):
            saved(client, out)
    with pytest.raises(ArchiveError, match="is of layout 2"):
        Archive(out)


def test_what_is_damaged_is_read_again(client: Client, vendor: MemoryVendor, out: Path) -> None:
    job = made(vendor)
    saved(client, out)
    folder = out / account(client)
    (folder / "jobs" / folder_name(job.id) / "job.json").write_text("{")
    (folder / "files" / folder_name(job.order.training_file) / "content").write_text("")
    again = saved(client, out)
    assert (again.jobs, again.files) == ((job.id,), (job.order.training_file,))
    assert Archive(out).results(job.id)


def test_what_a_killed_export_left_is_swept(client: Client, vendor: MemoryVendor, out: Path) -> None:
    job = made(vendor, "running")
    saved(client, out)
    left = out / account(client) / "jobs" / folder_name(job.id) / ".ftkit-4711.partial"
    left.write_text("half of")
    saved(client, out)
    assert not left.exists()


def test_one_export_at_a_time(client: Client, vendor: MemoryVendor, provider: Archivist, out: Path) -> None:
    made(vendor)
    met: list[str] = []

    def fails(verb: str, _: str) -> None:
        if verb == "results":
            with pytest.raises(ArchiveError, match="another export writes into") as refused:
                saved(Client(MemoryProvider(vendor)), out)
            met.append(str(refused.value.hint))

    provider.fails = fails
    assert saved(client, out).is_complete
    assert met == ["Wait for its end."]


def test_a_summary_is_for_people(client: Client, vendor: MemoryVendor, out: Path) -> None:
    made(vendor)
    assert str(saved(client, out)) == f"{out / account(client)}: 1 job, 1 file fetched (14 bytes)"
    assert str(saved(client, out)) == f"{out / account(client)}: 1 job (1 there already), 0 files fetched (0 bytes)"
