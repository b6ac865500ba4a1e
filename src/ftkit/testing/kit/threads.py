"""Many threads at once: a client is shared between them, and so is its provider."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, ClassVar, TypeVar

from ftkit.testing import _rules as rules
from ftkit.testing._rules import BrokenRuleError, must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftkit.models import FineTuningJob, JobRequest
    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness

T = TypeVar("T")

_TOGETHER_S = 60.0
"""How long the threads wait for one another to begin, in seconds."""


class Threads(ProviderHooks, kit=True):
    """Checks of what many threads do with one provider."""

    threads: ClassVar[int] = 8

    def test_many_threads_make_jobs(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Many threads upload and create at once: each gets a job of its own, and `find_job` finds it."""
        path = self.training_path(tmp_path)
        jobs, creates = witness.jobs(), witness.creates()

        def make() -> tuple[str, JobRequest, FineTuningJob]:
            request, key = self.request(provider.upload(path, rules.new_key())), rules.new_key()
            return key, request, provider.create_job(request, key)

        made = _at_once(self.threads, make, "upload and create_job")
        ids = {job.id for _, _, job in made}
        must(len(ids) == len(made), f"{len(made)} threads made a job each, and got {len(ids)} ids")
        must(witness.creates() == creates + len(made), f"{len(made)} creates came as {witness.creates() - creates}")
        must(witness.jobs() == jobs + len(made), f"{len(made)} creates made {witness.jobs() - jobs} jobs")
        for key, request, job in made:
            if job.key is None:  # others that were ordered alike cannot be told from it
                continue
            must(job.key == key, "a job carries the key of another thread")
            found = basics.found(provider, key, request)
            must(found is not None and found.id == job.id, f"find_job finds another job than its own: {found!r}")

    def test_many_threads_read_a_job(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Many threads that read one job are told the same."""
        job = basics.a_tuned_job(self, provider, witness, tmp_path)
        told = _at_once(self.threads, lambda: provider.get_job(job.id), "get_job")
        for each in told:
            must(each == told[0], f"one thread is told {each!r}, another {told[0]!r}")


def _at_once(threads: int, call: Callable[[], T], what: str) -> list[T]:
    """Calls in many threads at the same moment, and returns what came.

    Raises:
        BrokenRuleError: An exception came out of one of them.
    """
    begin = Barrier(threads, timeout=_TOGETHER_S)

    def one() -> T:
        begin.wait()
        return call()

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(one) for _ in range(threads)]
    for future in futures:
        error = future.exception()
        if error is not None:
            raise BrokenRuleError(f"{what} in {threads} threads at once: {type(error).__name__}: {error}") from error
    return [future.result() for future in futures]
