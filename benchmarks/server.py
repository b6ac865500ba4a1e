"""What `ftkit serve` costs beside bare FastAPI routes: read calls, the upload of a large file, and memory under it.

    python benchmarks/server.py

Both servers are processes of their own, on loopback, under uvicorn with the same settings; the bare one answers reads
with the same bytes out of a dict, and copies a file that comes to its disk. They are asked in turn. `ftkit serve` also
looks keys up, reads its database, writes each job in OpenAI's words, keeps a log, and checks the lines of files. The
client is one of raw sockets in this process.

What must hold is what a busy machine does not change: answers, memory, and processor time beside the bare route's. The
bounds on that time are wide, and those on what a clock says wider: they are there for a fault that multiplies a cost,
such as a list that reads all there is, or a small answer that TCP holds back for 40 ms.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from _http_load import Server, ask_often, fetch, rows, upload

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ftkit.server.records import EventRecord, JobRecord

HERE = Path(__file__).parent
MODEL = "gpt-4o-mini-2024-07-18"
MB = 10**6
JOBS, EVENTS = 2000, 1000
CONNECTIONS = (1, 8)
ROUNDS, ROUND_S = 4, 0.5
UPLOADS, UPLOAD = 3, 100 * MB
LARGE = 500 * MB
SAMPLE_S = 0.01
STOP_S = 20.0
MOST_GROWTH = 50 * MB
READ, SEND = (15.0, 30.0), (3.0, 6.0)  # most times the bare route's processor time, and its time by the clock


@dataclass
class Measured:
    """What was measured of one server at one thing.

    Attributes:
        latencies: Seconds of each request.
        wall: Seconds in all.
        cpu: Seconds of the processor that the server took.
    """

    latencies: list[float] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0

    @property
    def cpu_each(self) -> float:
        """Seconds of the processor that the server took for a request."""
        return self.cpu / len(self.latencies)

    def row(self) -> str:
        """Writes it as cells of a table."""
        cuts = statistics.quantiles(self.latencies, n=100)
        times = " | ".join(f"{cuts[percent - 1] * 1000:.1f}" for percent in (50, 95, 99))
        return f"{len(self.latencies) / self.wall:.0f} | {times} | {self.cpu_each * 1000:.2f}"


def records(number: int) -> tuple[JobRecord, list[EventRecord]]:
    """Makes a job that has succeeded, with its events."""
    from ftkit import FineTuningJob, LoRA, Supervised
    from ftkit.models import JobStatus, Metrics
    from ftkit.server.records import EventRecord, JobRecord, JobWord

    job_id, made = f"ftjob-{number:024d}", 1_790_000_000 + number
    method = Supervised(n_epochs=3, batch_size=8, learning_rate_multiplier=2.0, lora=LoRA(r=16, alpha=32))
    at_provider = FineTuningJob(
        id=f"ftjob-{number:032x}",
        provider="huggingface",
        status=JobStatus.SUCCEEDED,
        model="ftkit/small",
        fine_tuned_model=f"ftjob-{number:032x}",
        method=method,
        seed=42,
        created_at=datetime.fromtimestamp(made, UTC),
        trained_tokens=123_456,
    )
    job = JobRecord(
        id=job_id,
        created_at=made,
        model=MODEL,
        base="ftkit/small",
        method=method,
        training_file=f"file-{number:024d}",
        seed=42,
        metadata={"team": "search", "run": str(number)},
        word=JobWord.SUCCEEDED,
        handed=True,
        job=at_provider,
        finished_at=made + 60,
        result_file=f"file-{number:024d}",
    )
    events = [
        EventRecord(
            id=f"ftevent-{number:012d}{step:012d}",
            job_id=job_id,
            created_at=made + step,
            message=f"Step {step}/{EVENTS}: training loss={2 / step:.4f}",
            metrics=Metrics(step=step, train_loss=2 / step, train_mean_token_accuracy=1 - 1 / step),
        )
        for step in range(1, (EVENTS if number == 0 else 5) + 1)
    ]
    return job, events


def fill(home: Path) -> dict[str, str]:
    """Writes jobs that nobody had to train into a server's database; returns what to read: route -> path."""
    from ftkit.server.office import open_store
    from ftkit.server.records import FileRecord

    made = [records(number) for number in range(JOBS)]
    files = [
        FileRecord(id=job.training_file, filename="train.jsonl", purpose="fine-tune", size=UPLOAD, created_at=0)
        for job, _ in made
    ]
    store = open_store(home)
    store.add(*files, *(record for job, events in made for record in (job, *events)))
    store.close()
    job = made[0][0]
    return {
        "/v1/files/{file_id}": f"/v1/files/{job.training_file}",
        "/v1/fine_tuning/jobs/{job_id}": f"/v1/fine_tuning/jobs/{job.id}",
        "/v1/fine_tuning/jobs": "/v1/fine_tuning/jobs",
        "/v1/fine_tuning/jobs/{job_id}/events": f"/v1/fine_tuning/jobs/{job.id}/events",
    }


@contextmanager
def started(command: Sequence[str], log: Path) -> Generator[subprocess.Popen[str]]:
    """Runs a server; stops it in the end."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def next_line(process: subprocess.Popen[str], log: Path) -> str:
    """Returns the next line that a server prints."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        sys.exit(f"{process.args!r} did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
    return line.strip()


@contextmanager
def ftkit(home: Path, log: Path) -> Generator[Server]:
    """Runs `ftkit serve`."""
    arguments = ["serve", "--home", str(home), "--port", "0", "--model", f"{MODEL}=ftkit/small"]
    with started([sys.executable, "-m", "ftkit", *arguments], log) as process:
        key = next_line(process, log).split()[-1]
        next_line(process, log)  # it answers by then, and has written where
        url = json.loads((home / "server.json").read_text(encoding="utf-8"))["url"]
        yield Server(url, process.pid, key)


@contextmanager
def bare(answers: dict[str, tuple[str, str]], folder: Path, log: Path) -> Generator[Server]:
    """Runs the bare routes."""
    folder.mkdir()
    known = folder.with_suffix(".json")
    known.write_text(json.dumps(answers), encoding="utf-8")
    with started([sys.executable, str(HERE / "_bare_server.py"), str(known), str(folder)], log) as process:
        yield Server(next_line(process, log), process.pid, "none")


def cpu(server: Server) -> float:
    """Returns the seconds of the processor that a server has taken so far."""
    times = psutil.Process(server.pid).cpu_times()
    return times.user + times.system


def read(servers: dict[str, Server], path: str, answer: bytes, connections: int) -> tuple[dict[str, Measured], float]:
    """Asks the servers in turn; returns what was measured, and the client's share of one core at its highest."""
    measured = {name: Measured() for name in servers}
    share = 0.0
    for _ in range(ROUNDS):
        for name, server in servers.items():
            before = cpu(server)
            load = ask_often(server, path, answer, connections=connections, seconds=ROUND_S)
            measured[name].latencies += load.latencies
            measured[name].wall += load.wall
            measured[name].cpu += cpu(server) - before
            share = max(share, load.client / load.wall)
    return measured, share


def beyond(what: str, ratios: tuple[float, float], most: tuple[float, float]) -> list[str]:
    """Returns which ratios, of processor time and of time, are beyond their bounds."""
    kinds = zip(("processor time", "time"), ratios, most, strict=True)
    return [
        f"{what} takes {ratio:.1f} times the {kind} of a bare route" for kind, ratio, bound in kinds if ratio > bound
    ]


def reads(servers: dict[str, Server], answers: dict[str, tuple[str, str]]) -> list[str]:
    """Prints a table of the read calls; returns what is wrong."""
    print(f"\n{JOBS} jobs, {EVENTS} events, {ROUNDS} x {ROUND_S} s each; ms; cpu: the server's own, a request")
    columns = "requests/s | p50 | p95 | p99 | cpu"
    print(f"| GET | connections | ftkit: {columns} | bare: {columns} | requests/s, ratio | cpu, ratio |")
    print("|" + "---|" * 14)
    shares, wrong = [0.0], list[str]()
    for route, (path, answer) in answers.items():
        for connections in CONNECTIONS:
            measured, share = read(servers, path, answer.encode(), connections)
            ours, theirs = measured["ftkit"], measured["bare"]
            shares.append(share)
            rate = len(theirs.latencies) / theirs.wall / (len(ours.latencies) / ours.wall)
            ratio = ours.cpu_each / theirs.cpu_each
            print(f"| {route} | {connections} | {ours.row()} | {theirs.row()} | {rate:.2f} | {ratio:.2f} |")
            wrong += beyond(f"GET {route}", (ratio, rate), READ)
    print(f"The client took {max(shares):.0%} of one core at most.")
    return wrong


def uploads(servers: dict[str, Server]) -> list[str]:
    """Prints a table of uploads; returns what is wrong."""
    measured = {name: Measured() for name in servers}
    for _ in range(UPLOADS):
        for name, server in servers.items():
            before, began = cpu(server), time.perf_counter()
            file = upload(server, UPLOAD, chunked=False)
            measured[name].latencies.append(time.perf_counter() - began)
            measured[name].cpu += cpu(server) - before
            fetch(server, f"/v1/files/{file['id']}", "DELETE")
    ours, theirs = measured["ftkit"], measured["bare"]
    wall = [statistics.median(each.latencies) for each in (ours, theirs)]
    ratio = ours.cpu / theirs.cpu
    print(f"\n| a file of {UPLOAD // MB} MB, multipart, median of {UPLOADS} | ftkit | bare | ratio |")
    print("|---|---|---|---|")
    print(f"| seconds | {wall[0]:.2f} | {wall[1]:.2f} | {wall[0] / wall[1]:.2f} |")
    print(f"| processor seconds of the server | {ours.cpu_each:.2f} | {theirs.cpu_each:.2f} | {ratio:.2f} |")
    return beyond("an upload", (ratio, wall[0] / wall[1]), SEND)


@contextmanager
def watched(pid: int) -> Generator[list[int]]:
    """Notes the resident bytes of a process, again and again."""
    process, done = psutil.Process(pid), threading.Event()
    seen = [process.memory_info().rss]

    def look() -> None:
        while not done.wait(SAMPLE_S):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def memory(server: Server, home: Path) -> list[str]:
    """Prints what memory a large file takes while it goes up, its length not told; returns what is wrong."""
    began = time.perf_counter()
    with watched(server.pid) as seen:
        file = upload(server, LARGE, chunked=True)
    seconds, growth = time.perf_counter() - began, max(seen) - seen[0]
    print(f"\n| memory of ftkit serve, {LARGE // MB} MB going up, chunked, {seconds:.1f} s | MB |")
    print("|---|---|")
    print(f"| before | {seen[0] / MB:.1f} |")
    print(f"| highest of {len(seen)} looks | {max(seen) / MB:.1f} |")
    print(f"| growth | {growth / MB:.1f} |")
    wrong = [] if growth <= MOST_GROWTH else [f"memory grew by {growth / MB:.0f} MB"]
    sent = hashlib.sha256()
    for block in rows(LARGE):
        sent.update(block)
    with (home / "files" / f"{file['id']}.jsonl").open("rb") as kept:
        if hashlib.file_digest(kept, "sha256").digest() != sent.digest():
            wrong.append(f"{LARGE // MB} MB went up, and others were kept")
    fetch(server, f"/v1/files/{file['id']}", "DELETE")
    return wrong


def main() -> None:
    """Prints three tables, and fails if an answer is wrong, memory grows, or something takes many times as long."""
    load = ", ".join(f"{value:.1f}" for value in psutil.getloadavg())
    print(f"Python {sys.version.split()[0]} on {sys.platform}, {os.cpu_count()} cores, load {load} at the start")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home"
        paths = fill(home)
        with ftkit(home, folder / "ftkit.log") as ours:
            answers = {route: (path, fetch(ours, path).decode()) for route, path in paths.items()}
            with bare(answers, folder / "bare", folder / "bare.log") as theirs:
                servers = {"ftkit": ours, "bare": theirs}
                for server in servers.values():  # makes their threads, and whatever else is made once
                    path, answer = next(iter(answers.values()))
                    ask_often(server, path, answer.encode(), connections=max(CONNECTIONS), seconds=1.0)
                wrong = [*reads(servers, answers), *memory(ours, home), *uploads(servers)]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
