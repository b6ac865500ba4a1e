"""Every tutorial on every provider: 16 runs of tutorial.py, two at a time, and a table of what they came to.

    make tutorials
    python examples/all_tutorials.py --out .tutorials --providers huggingface autotrain

What each run printed is in the folder, a file a cell. It ends with status 1 if one of them did not come to its end.
It spends nothing: accounts of OpenAI and Azure in the environment are passed over unless --real-accounts is given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lessons import NAMES, lesson
from offline import service

from ftkit.evaluate import Evaluation
from ftkit.evaluate.scoring import name_of

PROVIDERS = ("openai", "huggingface", "azure", "autotrain")
ACCOUNTS = ("OPENAI_", "AZURE_OPENAI_")
AT_ONCE = 2
STEPS = ("trained", "deployed", "answered", "cleaned_up")
HEAD = ("tutorial", "provider", "trained", "loss", "base", "few-shot", "tuned", "did it pay?", "deployed", "answered")
HEAD += ("cleaned up", "seconds")
LONGEST_S = 900


def run(tutorial: str, provider: str, out: Path) -> dict[str, Any]:
    """Runs a cell in a process of its own, as a user would."""
    name = f"{tutorial}-{provider}"
    report, log = out / f"{name}.json", out / f"{name}.txt"
    report.unlink(missing_ok=True)
    words = ["--tutorial", tutorial, "--provider", provider, "--out", str(out), "--report", str(report)]
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("tutorial.py")), *words],
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=LONGEST_S,
        )
    cell: dict[str, Any] = {"tutorial": tutorial, "provider": provider}
    if report.exists():
        cell = json.loads(report.read_text(encoding="utf-8"))
    cell["well"] = done.returncode == 0 and all(cell.get(step) for step in STEPS)
    told = "done" if cell["well"] else f"failed, see {log}:\n{log.read_text(encoding='utf-8')[-2000:]}"
    print(f"{tutorial} on {provider}: {told}", file=sys.stderr, flush=True)
    return cell


def row(cell: dict[str, Any]) -> str:
    """Writes a cell as a row of the table."""
    losses = [cell.get(f"loss_{when}") for when in ("before", "after")]
    loss = "-" if None in losses else f"{losses[0]:.2f} -> {losses[1]:.2f}"
    yes = {step: "yes" if cell.get(step) else "no" for step in STEPS}
    words = [cell["tutorial"], cell["provider"], yes["trained"], loss, *judged(cell.get("evaluation"))]
    words += [yes["deployed"], yes["answered"], yes["cleaned_up"], f"{cell.get('seconds', 0):.0f}"]
    return f"| {' | '.join(words)} |"


def judged(evaluation: object) -> list[str]:
    """Writes what each model scored, with its interval, and whether the tuning paid."""
    if evaluation is None:
        return ["-"] * 4
    found = Evaluation.model_validate(evaluation)
    scores = [str(interval) for standing in found.standings for interval in standing.scores.values()]
    return [*scores, found.verdict.finding.value if found.verdict else "-"]


def main() -> None:
    """Runs all, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tutorials", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--providers", nargs="+", default=PROVIDERS, help="providers or profiles")
    parser.add_argument("--out", type=Path, default=Path(".tutorials"), help="where files go (default: %(default)s)")
    parser.add_argument(
        "--real-accounts", action="store_true", help="train where the environment's keys lead: it costs"
    )
    given = parser.parse_args()
    if not given.real_accounts:
        for name in [name for name in os.environ if name.startswith(ACCOUNTS)]:
            del os.environ[name]
    given.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("FTKIT_HOME", str((given.out / "home").resolve()))
    started = time.monotonic()
    with ExitStack() as services, ThreadPoolExecutor(AT_ONCE) as pool:
        for provider in given.providers:  # all cells of a service share a server: none of them ends it for another
            services.enter_context(service(provider, given.out / f"server-{provider}"))
        wanted = [(tutorial, provider) for tutorial in given.tutorials for provider in given.providers]
        cells = list(pool.map(lambda cell: run(*cell, given.out), wanted))
    took, well = time.monotonic() - started, sum(cell["well"] for cell in cells)
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for cell in cells:
        print(row(cell))
    told = {tutorial: lesson(tutorial).metric for tutorial in given.tutorials}
    metrics = ", ".join(f"{tutorial} by {name_of(metric)}" for tutorial, metric in told.items())
    print(f"\nScores of rows that were not trained on, with 95 % intervals: {metrics}.")
    print(f"\n{well} of {len(cells)} cells trained, deployed, answered and cleaned up, in {took / 60:.1f} minutes.")
    sys.exit(well != len(cells))


if __name__ == "__main__":
    main()
