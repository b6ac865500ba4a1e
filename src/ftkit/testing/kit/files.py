"""Files: sent once for the same key, and the same when they come back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ftkit.models import TrainingFile
from ftkit.provider import DeletesFiles, ReadsFiles
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.provider import Provider


class Files(ProviderHooks, kit=True):
    """Checks of `upload`, and of what can be done with files."""

    def test_upload_twice(self, provider: Provider, tmp_path: Path) -> None:
        """The same upload under the same key again does no harm: both answers are files that a job can train on."""
        path, key = self.training_path(tmp_path), rules.new_key()
        for file in (provider.upload(path, key), provider.upload(path, key)):
            must(file.id and file.provider == provider.name, f"not a file of this provider: {file!r}")
            must(not basics.errors(provider.problems(self.request(file))), "a request for the file has errors")
            if isinstance(provider, ReadsFiles):
                must(provider.get_file(file.id).id == file.id, "get_file returns another file")

    def test_read_files(self, provider: Provider, tmp_path: Path) -> None:
        """An uploaded file is listed, and comes back byte for byte."""
        reads = basics.able(provider, ReadsFiles)
        path = self.training_path(tmp_path)
        file = provider.upload(path, rules.new_key())
        rules.round_trips(TrainingFile, reads.get_file(file.id))
        copy = tmp_path / "copy"
        reads.download_file(file.id, copy)
        must(copy.read_bytes() == path.read_bytes(), "the download is not what was uploaded")
        for limit in (1, 100):
            ask = functools.partial(_all_files, reads, limit)
            ids = rules.settled(provider, ask, lambda ids: file.id in ids)
            must(ids.count(file.id) == 1, f"pages of {limit} list the file {ids.count(file.id)} times")

    def test_delete_file(self, provider: Provider, tmp_path: Path) -> None:
        """A deleted file is gone."""
        deletes = basics.able(provider, DeletesFiles)
        file = basics.a_file(self, provider, tmp_path)
        deletes.delete_file(file.id)
        if isinstance(provider, ReadsFiles):
            rules.not_found(lambda: provider.get_file(file.id), "get_file of a deleted file")


def _all_files(reads: ReadsFiles, limit: int) -> list[str]:
    return [file.id for file in rules.pages(reads.list_files, limit)]
