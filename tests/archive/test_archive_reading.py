"""An archive is read as a client reads a provider, and says which file is damaged."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from archivist import Archivist, made, works

from ftkit import Client, ConfigurationError, NotFoundError, ProviderError, Results
from ftkit.archive import Archive, ArchiveError, export
from ftkit.archive.layout import account_name, folder_name
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftkit.testing.vendor import VendorJob


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def jobs(client: Client, vendor: MemoryVendor, out: Path) -> list[VendorJob]:
    """Three jobs, the oldest first, and an archive of them."""
    found = [made(vendor, suffix=f"n{n}") for n in range(3)]
    export(client, out, progress=False)
    return found


def in_archive(client: Client, out: Path, kind: str, thing_id: str) -> Path:
    return out / account_name(client.provider.name, client.identity()) / kind / folder_name(thing_id)


def test_code_reads_from_either(client: Client, jobs: list[VendorJob], out: Path) -> None:
    def told(source: Client | Archive) -> tuple[object, ...]:
        newest = source.list_jobs(limit=1).items[0]
        events = source.list_events(newest, limit=100).items[:2]
        points = source.list_checkpoints(newest)
        file = source.get_file(str(newest.training_file))
        copy = source.download_file(file, out.parent / "copy")
        return newest, source.get_job(newest.id), events, points, file, copy.read_bytes(), len(source.results(newest))

    assert told(Archive(out)) == told(client)
    assert isinstance(Archive(out).results(jobs[0].id), Results)


def test_jobs_come_in_pages_newest_first(jobs: list[VendorJob], out: Path) -> None:
    archive = Archive(out)
    first = archive.list_jobs(limit=2)
    last = archive.list_jobs(after=first.next, limit=2)
    assert [job.id for job in (*first.items, *last.items)] == [job.id for job in reversed(jobs)]
    assert last.next is None
    assert archive.list_jobs(metadata={"team": "blue"}).items == ()
    with pytest.raises(ConfigurationError, match="1 or more"):
        archive.list_jobs(limit=0)
    with pytest.raises(NotFoundError, match="to list after"):
        archive.list_jobs(after="nobody")


def test_labels_choose_jobs(provider: Archivist, vendor: MemoryVendor, out: Path) -> None:
    provider.told = {"metadata": {"team": "blue", "n": "1"}}
    job = made(vendor)
    export(Client(provider), out, progress=False)
    assert [each.id for each in Archive(out).list_jobs(metadata={"team": "blue"}).items] == [job.id]
    assert Archive(out).list_jobs(metadata={"team": "red"}).items == ()


def test_events_come_in_pages_oldest_first(jobs: list[VendorJob], out: Path) -> None:
    archive, seen = Archive(out), list[str]()
    after: str | None = None
    while True:
        page = archive.list_events(jobs[0].id, after=after, limit=2)
        seen += [event.id for event in page.items]
        after = page.next
        if after is None:
            break
    assert seen == [f"event-{n}" for n in range(5)]
    assert archive.list_events(jobs[0].id, after="event-3").items[0].id == "event-4"


def test_an_id_that_is_not_there_names_some_that_are(jobs: list[VendorJob], out: Path) -> None:
    archive = Archive(out)
    with pytest.raises(NotFoundError, match="has no job 'job-typo'") as unknown:
        archive.get_job("job-typo")
    assert all(job.id in str(unknown.value.hint) for job in jobs)
    with pytest.raises(NotFoundError, match="has no file 'x'") as unknown:
        archive.get_file("x")
    assert jobs[0].order.training_file in str(unknown.value.hint)
    with pytest.raises(NotFoundError, match="has no file"):
        archive.download_file("../../etc/passwd", out / "x")


def test_what_was_not_read_says_why(vendor: MemoryVendor, out: Path) -> None:
    job = made(vendor)
    gone = made(vendor)
    vendor.delete_file(gone.order.training_file)
    export(Client(MemoryProvider(vendor)), out, progress=False)
    archive = Archive(out)
    with pytest.raises(NotFoundError, match=f"has no results of the job {job.id}: the provider 'memory' cannot fetch"):
        archive.results(job.id)
    assert [each.what for each in archive.missing(gone.id)] == ["results", "file"]
    with pytest.raises(NotFoundError, match="has no file"):
        archive.get_file(gone.order.training_file)


@pytest.mark.usefixtures("impatient")
def test_a_file_without_content_is_known_all_the_same(
    provider: Archivist, client: Client, vendor: MemoryVendor, out: Path
) -> None:
    def fails(verb: str, _: str) -> None:
        if verb == "download_file":
            raise ProviderError("downloading is off for free accounts", provider="memory")

    provider.fails = fails
    job = made(vendor)
    export(client, out, progress=False)
    assert Archive(out).get_file(job.order.training_file).filename == "train.jsonl"
    with pytest.raises(NotFoundError, match="has no content of the file"):
        Archive(out).download_file(job.order.training_file, out.parent / "x")
    assert "downloading is off" in Archive(out).missing(job.id)[0].reason
    provider.fails = works
    assert export(client, out, progress=False).files == (job.order.training_file,)


# -- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
@pytest.mark.parametrize("name", ["events", "checkpoints", "results", "content", "job.json", "file.json"])
def test_damage_names_the_file(client: Client, jobs: list[VendorJob], out: Path, name: str, how: str) -> None:
    if how == "gone" and name.endswith(".json"):
        return  # then there is no such thing
    job, copy = jobs[0], out.parent / "copy"
    folders = in_archive(client, out, "jobs", job.id), in_archive(client, out, "files", job.order.training_file)
    (path,) = (path for folder in folders for path in folder.glob(f"{name}*"))
    content = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(content[:-5] if how == "cut" else content.replace(b'"', b"!", 1))
    archive = Archive(out)
    reads: dict[str, Callable[[], object]] = {
        "events": lambda: archive.list_events(job.id),
        "checkpoints": lambda: archive.list_checkpoints(job.id),
        "results": lambda: archive.results(job.id),
        "content": lambda: archive.download_file(job.order.training_file, copy),
        "job.json": lambda: archive.get_job(job.id),
        "file.json": lambda: archive.get_file(job.order.training_file),
    }
    with pytest.raises(ArchiveError, match="is damaged") as damaged:
        reads[name]()
    assert str(path) in damaged.value.message
    assert str(path.parent) in str(damaged.value.hint)
    assert not copy.exists()
    shutil.rmtree(path.parent)  # as the hint says
    export(client, out, progress=False)
    for read in reads.values():
        read()


def test_a_word_that_was_changed_is_damage(client: Client, jobs: list[VendorJob], out: Path) -> None:
    (path,) = in_archive(client, out, "jobs", jobs[0].id).glob("events-*")
    path.write_bytes(path.read_bytes().replace(b"step 1", b"step 9"))
    with pytest.raises(ArchiveError, match="its bytes are not those that were written"):
        Archive(out).list_events(jobs[0].id)


def test_a_document_does_not_lead_out_of_the_archive(client: Client, jobs: list[VendorJob], out: Path) -> None:
    (out.parent / "secret").write_text("{}")
    path = in_archive(client, out, "files", jobs[0].order.training_file) / "file.json"
    for name in ("../../../../secret", "/etc/passwd", "a/b", ""):
        told = json.loads(path.read_text())
        path.write_text(json.dumps({**told, "content": {**told["content"], "name": name}}))
        with pytest.raises(ArchiveError, match="is damaged"):
            Archive(out).download_file(jobs[0].order.training_file, out.parent / "copy")


def test_the_document_of_another_id_is_no_document(client: Client, jobs: list[VendorJob], out: Path) -> None:
    one, two = (in_archive(client, out, "jobs", job.id) / "job.json" for job in jobs[:2])
    one.write_bytes(two.read_bytes())
    with pytest.raises(ArchiveError, match="it is that of another id"):
        Archive(out).get_job(jobs[0].id)


# -- folders -------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_archive(tmp_path: Path, out: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder") as unknown:
        Archive(out)
    assert "ftkit export" in str(unknown.value.hint)
    with pytest.raises(ConfigurationError, match="nothing that ftkit exported in"):
        Archive(tmp_path)


@pytest.mark.usefixtures("jobs")
def test_a_folder_that_may_not_be_read(out: Path) -> None:
    me, nobody = os.geteuid(), 65534
    out.chmod(0)
    try:
        if me == 0:  # who may read everything
            os.seteuid(nobody)
        with pytest.raises(ArchiveError, match="cannot be read") as closed:
            Archive(out)
    finally:
        os.seteuid(me)
        out.chmod(0o700)
    assert "who may read it" in str(closed.value.hint)


@pytest.mark.usefixtures("jobs")
def test_the_folder_of_an_account_is_an_archive(client: Client, out: Path) -> None:
    inner = Archive(out / account_name(client.provider.name, client.identity()))
    assert inner.list_jobs() == Archive(out).list_jobs()
    assert inner.accounts[0].identity == client.identity()


def test_an_id_that_two_accounts_have_is_whose(vendor: MemoryVendor, out: Path) -> None:
    other = MemoryVendor(account="others", finish_after=None)
    for each in (vendor, other):
        provider = Archivist(each)
        provider.told = {"id": "job-1", "training_file": None}
        made(each)
        _export_as(provider, out)
    with pytest.raises(ConfigurationError, match="2 accounts have something of the id 'job-1'") as whose:
        Archive(out).get_job("job-1")
    assert "account=" in str(whose.value.hint)
    mine = Archive(out, account="memory:others").get_job("job-1")
    assert mine.identity == "memory:others"
    assert Archive(out).get_job(mine) == mine  # a job says whose it is
    pages, after = list[str | None](), None
    for _ in range(2):
        page = Archive(out).list_jobs(after=after, limit=1)
        pages += [job.identity for job in page.items]
        after = page.next
    assert after is None
    assert {*pages} == {"memory:tests", "memory:others"}
    with pytest.raises(ConfigurationError, match="has 2 accounts 'memory'"):
        Archive(out, account="memory")
    with pytest.raises(ConfigurationError, match="has no account 'nobody'"):
        Archive(out, account="nobody")


def _export_as(provider: Archivist, out: Path) -> None:
    """Saves a job of an id that the vendor does not know: only what a list tells of it."""

    def fails(verb: str, _: str) -> None:
        if verb in {"get_job", "list_events", "list_checkpoints", "results"}:
            raise NotFoundError("no", provider="memory")

    provider.fails = fails
    export(Client(provider), out, progress=False)


def test_a_name_and_a_copy(jobs: list[VendorJob], out: Path, tmp_path: Path) -> None:
    archive = Archive(out)
    assert repr(archive) == f"Archive({str(out)!r})"
    with pytest.raises(ConfigurationError, match="is a folder"):
        archive.download_file(jobs[0].order.training_file, tmp_path)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        archive.download_file(jobs[0].order.training_file, tmp_path / "no" / "x")
