"""Lists of jobs: newest first, without gaps or repeats, whatever the size of the pages."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ClassVar

from ftkit.provider import FiltersJobs
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ftkit.provider import Provider


class Listing(ProviderHooks, kit=True):
    """Checks of `list_jobs` and `list_jobs_with`."""

    jobs_to_list: ClassVar[int] = 3

    def test_list_jobs(self, provider: Provider, tmp_path: Path) -> None:
        """Jobs are listed newest first, without gaps or repeats, whatever the size of the pages."""
        file = basics.a_file(self, provider, tmp_path)
        made = [provider.create_job(self.request(file), rules.new_key()) for _ in range(self.jobs_to_list)]
        ids = {job.id for job in made}
        must(len(ids) == len(made), "two jobs have the same id")
        for limit in (1, 2, 100):
            ask = functools.partial(basics.all_jobs, provider, limit)
            listed = rules.settled(provider, ask, lambda jobs: ids <= {job.id for job in jobs})
            seen = [job.id for job in listed]
            must(ids <= set(seen), f"pages of {limit} leave out {ids - set(seen)}")
            must(len(seen) == len(set(seen)), f"pages of {limit} repeat jobs: {seen}")
            times = [job.created_at for job in listed if job.created_at is not None]
            must(times == sorted(times, reverse=True), f"pages of {limit} are not newest first: {times}")

    def test_list_jobs_by_labels(self, provider: Provider, tmp_path: Path) -> None:
        """Jobs that bear all of the labels asked for are listed, newest first, and no others."""
        able = basics.able(provider, FiltersJobs)
        file = basics.a_file(self, provider, tmp_path)
        both, one = {"team": rules.new_key(), "run": "2"}, {"run": "2"}
        made = [
            provider.create_job(self.request(file).model_copy(update={"metadata": labels}), rules.new_key())
            for labels in (both, one, both, {})
        ]
        wanted = [made[2].id, made[0].id]
        ask = functools.partial(_labelled, able, both)
        found = rules.settled(provider, ask, lambda ids: len(ids) >= len(wanted))
        must(set(found) == set(wanted) and len(found) == len(wanted), f"{wanted} bear {both}, and {found} are listed")
        none = _labelled(able, {**both, "run": "3"})
        must(not none, f"no job bears these labels, and {none} are listed")


def _labelled(provider: FiltersJobs, labels: Mapping[str, str]) -> list[str]:
    pages = rules.pages(functools.partial(provider.list_jobs_with, labels), 1)
    return [job.id for job in pages]
