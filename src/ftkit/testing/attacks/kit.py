"""The attacks on the promise that nothing is paid twice, as tests that a provider's author runs by subclassing.

    class TestMineUnderAttack(MyHooks, ProviderAttacks):
        def vendor_url(self) -> str:
            return self.server.url

        def elsewhere(self, url: str | None) -> Callable[[], Provider]:
            return functools.partial(make_my_provider, url)

`MyHooks` is what the conformance kit is given too. What is counted is what the witness sees at the vendor's, where
every request that is accepted is a job: nothing there knows what it was sent twice.

Some attacks need a vendor's side outside of the process that is attacked (`elsewhere`), some need it to be a server
on loopback (`vendor_url`), and those that strike a process need Linux and strace. What cannot be done is skipped, and
says why. By default an attack tries a sample of its points; with FTKIT_CHAOS=all it tries all of them.
"""

from __future__ import annotations

import functools
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ftkit.ledger import Ledger
from ftkit.models import JobStatus, TrainingFile
from ftkit.provider import Deploys, ReadsFiles, settle_s_of
from ftkit.retrying import ATTEMPTS, DEADLINE_S
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.attacks import processes
from ftkit.testing.attacks.errand import Errand
from ftkit.testing.attacks.wire import Spoil, Wire
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit.basics import words_for
from ftkit.testing.tally import SAMPLE, Tally, in_chaos, points, record
from ftkit.testing.witness import CountsDeployments, CountsUploads, Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from ftkit.models import FineTuningJob
    from ftkit.provider import Provider
    from ftkit.testing.attacks.errand import Outcome
    from ftkit.testing.attacks.processes import Point

_KILL = "signal=SIGKILL"
_LAG_S = 2.0
"""How long a list is said to lag, in seconds, where it does."""
_FREE_S = 10.0
"""How long others may wait for a claim whose holder is dead, in seconds."""


class ProviderAttacks(ProviderHooks, kit=True):
    """The attacks. Subclass it as `TestSomething`.

    Attributes:
        called: What the provider is called in the table; its name if empty.
        ledger: The kind of ledger that is attacked.
        crowd: How many processes ask for the same at once.
        sample: At how many points a process is killed while it makes a job, where not all are tried.
        deploy_sample: Likewise, while it deploys.
        orders: How many orders of 25 steps are played; ten times as many in chaos.
    """

    called: ClassVar[str] = ""
    ledger: ClassVar[type[Ledger]] = Ledger
    crowd: ClassVar[int] = 20
    sample: ClassVar[int] = SAMPLE
    deploy_sample: ClassVar[int] = SAMPLE
    orders: ClassVar[int] = 20

    # -- what the author supplies, besides what the conformance kit asks for -------------------------------------

    def vendor_url(self) -> str | None:
        """Returns where the vendor's side listens on loopback; None where it is no server."""
        return None

    def elsewhere(self, url: str | None) -> Callable[[], Provider] | None:
        """Returns what makes the provider again, in another process, on the vendor's side that `make_provider` made.

        It is pickled: a function of a module, or a `functools.partial` of one. `settle_s` is short there, if the
        vendor's list does not lag.

        Args:
            url: Where the vendor's side is found: `vendor_url()`, or a line to it that is broken on purpose.

        Returns:
            The function; None where the vendor's side lives in this process alone.
        """
        del url
        return None

    def creates(self, method: str, path: str, body: bytes) -> bool:
        """Says whether a request to the vendor's server asks for a job."""
        del body
        return method == "POST" and path.rstrip("/").endswith("/jobs")

    def tidy(self, provider: Provider, job_id: str) -> None:
        """Ends a job that an attack has made; nothing by default."""

    # -- the attacks ---------------------------------------------------------------------------------------------

    def test_killed_while_creating(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Kill -9 at every write, send, fsync and rename of upload and create_job, and again: one job, one upload."""
        errands = functools.partial(self._errand, provider, tmp_path)
        found = self._points(errands(0))
        tries = [found[n - 1] for n in points(len(found), self.sample)]
        count = _Count("kill -9 while creating", self.called or provider.name, witness)
        for n, point in enumerate(tries, start=1):
            errand = errands(n)
            with count.one_job(f"killed before {point.text}"):
                processes.run_struck(errand, point, _KILL)
                count.came = self._came(processes.run(errand))
            self._end(provider, errand, count.came)
        count.tell()

    def test_killed_while_deploying(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Kill -9 at every write, send, fsync and rename of `deploy`, and again: one deployment."""
        if not isinstance(provider, Deploys):
            pytest.skip(f"{provider.name} has no Deploys")
        first = self._deploying(provider, witness, tmp_path, 0)
        found = self._points(first)
        provider.delete_deployment(self._came(processes.run(first)))
        tries = [found[n - 1] for n in points(len(found), self.deploy_sample)]
        count = _Count("kill -9 while deploying", self.called or provider.name, witness)
        for n, point in enumerate(tries, start=1):
            errand = self._deploying(provider, witness, tmp_path, n)
            with count.one_deployment(
                functools.partial(self._standing, witness, errand), f"killed before {point.text}"
            ):
                processes.run_struck(errand, point, _KILL)
                count.came = self._came(processes.run(errand))
            provider.delete_deployment(count.came)
        count.tell()

    def test_lost_replies(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Lost replies to k = 1..4 runs in a row, in all forms, with no answer to any question after: one job."""
        ways = [(spoil, k) for k in range(1, 5) for spoil in Spoil]
        count = _Count("lost replies", self.called or provider.name, witness)
        with self._line() as wire:
            for n in points(len(ways), len(Spoil)):
                spoil, k = ways[n - 1]
                errand = self._errand(provider, tmp_path, n, wire.url, hurried=True)
                with count.one_job(f"{k} times {spoil.value}"):
                    for left in range(k, 0, -1):
                        wire.lose(spoil, deaf=left > 1)
                        processes.run(errand)
                    wire.mend()
                    count.came = self._came(processes.run(errand))
                self._end(provider, errand, count.came)
            self._seen(wire)
        count.tell()

    def test_many_at_once(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Many processes with the same request at the same moment: one job, and all get it."""
        errand = self._errand(provider, tmp_path, 0)
        count = _Count(f"{self.crowd} processes at once", self.called or provider.name, witness)
        with count.one_job("many at once"):
            came = [self._came(outcome) for outcome in processes.run_together([errand] * self.crowd)]
            must(len(set(came)) == 1, f"{self.crowd} processes got {len(set(came))} jobs")
            count.came = came[0]
        self._end(provider, errand, count.came)
        count.tell()

    def test_holder_of_the_claim_dies(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A process dies in the middle of its create, while others wait for it: they go on at once, with one job."""
        errands = functools.partial(self._errand, provider, tmp_path)
        found = self._points(errands(0))
        count = _Count("the claim's holder dies", self.called or provider.name, witness)
        for n, share in enumerate((0.6, 0.75, 0.9), start=1):
            point, errand = found[int(share * len(found))], errands(n)
            with count.one_job(f"stopped and killed before {point.text}"):
                with processes.stopped_at(errand, point) as holder:
                    waiting = processes.Process(errand)
                    time.sleep(0.3)
                    holder.kill()
                    began = time.monotonic()
                    count.came = self._came(waiting.end())
                took = time.monotonic() - began - settle_s_of(provider)
                must(took < _FREE_S, f"{took:.0f} s passed until another process could go on")
            self._end(provider, errand, count.came)
        count.tell()

    def test_empty_ledger(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """The same request from a machine whose ledger is empty: the same job."""
        errand = self._errand(provider, tmp_path, 0)
        other = self._errand(provider, tmp_path, 0, home="another-machine")
        count = _Count("the same from an empty ledger", self.called or provider.name, witness)
        with count.one_job("from an empty ledger"):
            came = [self._came(processes.run(each)) for each in (errand, other)]
            must(came[0] == came[1], "a machine with an empty ledger got another job")
            count.came = came[0]
        self._end(provider, errand, count.came)
        count.tell()

    def test_lists_that_lag(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A list that lags, comes in pages of one, and pays no heed to filters, among the jobs of others: one job."""
        count = _Count("lagging, paged, unfiltered lists", self.called or provider.name, witness)
        with self._line() as wire:
            wire.lag_s, wire.page, wire.unfiltered = 0.8 * _LAG_S, 1, True
            for n in range(3):
                other = self._errand(provider, tmp_path, 100 + n)
                self._end(provider, other, self._came(processes.run(other)))
            for n, spoil in enumerate((Spoil.RESET, Spoil.SERVER_ERROR, Spoil.EMPTY)):
                errand = self._errand(provider, tmp_path, n, wire.url, settle_s=_LAG_S)
                with count.one_job(f"a list that lags, after {spoil.value}"):
                    wire.lose(spoil, deaf=True)
                    processes.run(replace(errand, hurried=True))
                    wire.mend()
                    count.came = self._came(processes.run(errand))
                self._end(provider, errand, count.came)
            self._seen(wire)
        count.tell()
        if not wire.hidden:
            pytest.skip("no list on the line held a new job by one of its ids: all is well, and nothing lagged")

    def test_storms(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """429 and 503 to 10 % .. 90 % of all requests, with every form of Retry-After: an end in time, one job."""
        count = _Count("storms of 429 and 503", self.called or provider.name, witness)
        with self._line() as wire:
            quiet = self._quiet_requests(provider, wire, tmp_path)
            for n, share in enumerate((0.1, 0.3, 0.5, 0.7, 0.9), start=1):
                errand = self._errand(provider, tmp_path, n, wire.url, hurried=True)
                with count.one_job(f"a storm of {share:.0%}"):
                    for _ in range(3):
                        wire.share, before = share, wire.requests
                        outcome = processes.run(errand)
                        sent = wire.requests - before
                        must(sent <= ATTEMPTS * quiet, f"{sent} requests in a storm, and {quiet} without")
                        must(outcome.seconds <= DEADLINE_S * quiet, f"a storm took {outcome.seconds:.0f} s to end")
                    wire.mend()
                    count.came = self._came(processes.run(errand))
                self._end(provider, errand, count.came)
            self._seen(wire)
        count.tell()

    def test_any_order(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Any order of create, cancel, pause, resume, restart, deploy, delete, with replies lost: each job once."""
        pytest.importorskip("hypothesis", reason="Hypothesis is not installed")
        from ftkit.testing.attacks.orders import Scene, play

        scene = Scene(provider, witness, tmp_path, lambda n: self._data(tmp_path / f"order-{n}", n), self.request)
        examples = self.orders * (10 if in_chaos() else 1)
        counted = play(scene, examples)
        must(counted.steps, "no job was asked for")
        record(Tally("any order of steps", self.called or provider.name, counted.steps, counted.wanted, counted.made))

    # -- inside --------------------------------------------------------------------------------------------------

    def _errand(
        self,
        provider: Provider,
        folder: Path,
        n: int,
        url: str | None = None,
        *,
        home: str = "",
        **more: Any,
    ) -> Errand:
        """Returns the n-th errand: with data and a ledger of its own."""
        make = self.elsewhere(url if url is not None else self.vendor_url())
        if make is None:
            pytest.skip("elsewhere() makes no provider in another process")
        file = TrainingFile(id="file-to-be", provider=provider.name)
        place = folder / f"errand-{n}"
        source = self._data(place, n)
        return Errand(
            make_provider=make,
            home=place / (home or "ledger"),
            source=source,
            request=self.request(file),
            ledger=self.ledger,
            **more,
        )

    def _data(self, place: Path, n: int) -> Path:
        """Writes training data that no other errand has: some lines of it are there twice."""
        path = place / "data" / "train.jsonl"
        if not path.exists():
            path.parent.mkdir(parents=True)
            lines = self.training_path(path.parent).read_text(encoding="utf-8").splitlines()
            lines += [line for bit, line in enumerate(lines) if n >> bit & 1]
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def _deploying(self, provider: Provider, witness: Witness, folder: Path, n: int) -> Errand:
        """Returns an errand that deploys a job that has succeeded."""
        errand = self._errand(provider, folder, n)
        job = self._succeeded(provider, witness, self._came(processes.run(errand)))
        options = self.deploy_options()
        return self._errand(provider, folder, n, home="deploying", deploys=job, deploy_options=options)

    def _standing(self, witness: Witness, errand: Errand) -> int:
        """Counts what answers: at the vendor's where the witness can, else as another process is told."""
        if isinstance(witness, CountsDeployments):
            return witness.deployments()
        return int(self._came(processes.run(replace(errand, counts=True))))

    def _succeeded(self, provider: Provider, witness: Witness, job_id: str) -> FineTuningJob:
        witness.set_status(job_id, words_for(witness, JobStatus.SUCCEEDED)[0])
        return provider.get_job(job_id)

    def _points(self, errand: Errand) -> list[Point]:
        """Returns the points of an errand, without SQLite's shared memory, which is no file that lasts."""
        reason = processes.can_strike()
        if reason is not None:
            pytest.skip(reason)
        found, outcome = processes.points_of(errand)
        self._came(outcome)
        return [point for point in found if "-shm>" not in point.text]

    @staticmethod
    def _seen(wire: Wire) -> None:
        """Sees that a create was seen: else nothing was struck, and all would pass."""
        seen = ", ".join(name for name, _ in wire.asked.most_common(10))
        must(wire.posts, f"no request on the line was one that creates() takes for a create. Override it; seen: {seen}")

    def _quiet_requests(self, provider: Provider, wire: Wire, folder: Path) -> int:
        """Counts the requests of a script on a line that is in order."""
        before, errand = wire.requests, self._errand(provider, folder, 0, wire.url)
        came = self._came(processes.run(errand))
        sent = wire.requests - before
        self._end(provider, errand, came)
        return sent

    @staticmethod
    def _came(outcome: Outcome) -> str:
        must(outcome.came, f"the script ended with {outcome.kind}: {outcome.error}")
        return str(outcome.came)

    def _end(self, provider: Provider, errand: Errand, job_id: str) -> None:
        """Looks at a job that a script got, whether it is what was asked for, and lets go of it."""
        if not job_id:
            return  # it did not come so far, which is told already
        job, asked = provider.get_job(job_id), errand.request
        must(job.id == job_id, f"the job {job_id}, which a script got, is not at the vendor's")
        told = job.model in {asked.model, "unknown"}  # not every vendor keeps it
        must(told, f"the job {job_id} tunes {job.model}, and {asked.model} was asked for")
        must(job.suffix in {None, asked.suffix}, f"the job {job_id} has the suffix {job.suffix!r}")
        if job.training_file is not None and isinstance(provider, ReadsFiles):
            copy = errand.home.with_name("sent.jsonl")
            provider.download_file(job.training_file, copy)
            rows, sent = (len(path.read_bytes().splitlines()) for path in (errand.source, copy))
            must(sent == rows, f"the file of {job_id} has {sent} rows, and there are {rows}")
        self.tidy(provider, job_id)

    @contextmanager
    def _line(self) -> Generator[Wire]:
        """A line to the vendor's side that can be broken."""
        url = self.vendor_url()
        if url is None:
            pytest.skip("vendor_url() names no server on loopback")
        wire = Wire(url, self.creates)
        try:
            yield wire
        finally:
            wire.stop()


class _Count:
    """Counts what the tries of one attack have made at the vendor's."""

    def __init__(self, attack: str, provider: str, witness: Witness) -> None:
        self.came = ""
        self._attack = attack
        self._provider = provider
        self._witness = witness
        self._tries = self._made = 0
        self._broken: list[str] = []

    @contextmanager
    def one_job(self, what: str) -> Generator[None]:
        """A try that must make one job, with one upload."""
        jobs, files = self._witness.jobs(), self._files()
        with self._try(what):
            yield
        made = self._witness.jobs() - jobs
        self._saw(made, f"{what}: {made} jobs were made, and one was asked for")
        sent = self._files() - files
        if files >= 0 and sent != 1:
            self._broken.append(f"{what}: the file was uploaded {sent} times")

    @contextmanager
    def one_deployment(self, standing: Callable[[], int], what: str) -> Generator[None]:
        """A try that must make one deployment."""
        before = standing()
        with self._try(what):
            yield
        made = standing() - before
        self._saw(made, f"{what}: {made} deployments were made, and one was asked for")

    def tell(self) -> None:
        """Records the tally, and raises what was broken."""
        lost = sum("the script ended with" in text for text in self._broken)
        told = Tally(self._attack, self._provider, self._tries, self._tries, self._made, lost)
        record(replace(told, broken=len(self._broken)))
        must(self._tries, "nothing was tried")
        must(not self._broken, f"{len(self._broken)} of {self._tries} tries broke the promise: {self._broken[:5]}")

    @contextmanager
    def _try(self, what: str) -> Generator[None]:
        self._tries += 1
        self.came = ""
        try:
            yield
        except rules.BrokenRuleError as error:
            self._broken.append(f"{what}: {error}")

    def _saw(self, made: int, rule: str) -> None:
        self._made += made
        if made != 1:
            self._broken.append(rule)

    def _files(self) -> int:
        return self._witness.uploads() if isinstance(self._witness, CountsUploads) else -1
