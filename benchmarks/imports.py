"""How long imports take, each in a fresh interpreter, against what they are compared with in the same run.

python benchmarks/imports.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

REPEATS = 15
PROGRAMS = {
    "the interpreter alone": "pass",
    "import pydantic, one model": "import pydantic; pydantic.create_model('M', a=(int, 1))(a=1)",
    "import ftkit": "import ftkit",
    "first noun": "from ftkit import Supervised; Supervised(n_epochs=1)",
    'Client("huggingface")': "from ftkit import Client; Client('huggingface')",
}


def measure(program: str) -> float:
    """Returns the median seconds of a fresh interpreter that runs a program."""
    seconds: list[float] = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    """Prints a table."""
    print(f"Python {sys.version.split()[0]} on {sys.platform}, median of {REPEATS} runs")
    print("| program | seconds | times the interpreter |")
    print("|---|---|---|")
    base = measure(PROGRAMS["the interpreter alone"])
    for name, program in PROGRAMS.items():
        seconds = base if program == "pass" else measure(program)
        print(f"| {name} | {seconds:.3f} | {seconds / base:.1f} |")


if __name__ == "__main__":
    main()
