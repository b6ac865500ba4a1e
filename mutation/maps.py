"""Deletes one line after the other of what the built-in providers map, and sees whether the conformance kit notices.

    python mutation/maps.py             # all mutants, one by one, and the score
    python mutation/maps.py --list      # what would be tried
    python mutation/maps.py openai      # those whose name holds a word

A mutant is the package with one entry of a table, or one decision of a function, gone: of the words for a job's state,
of what becomes of a vendor's refusals, of the rule by which reads are tried again. The kit is run on it, as the
provider's own author would. What the kit does not notice, other tests may: what no kit can reach, such as Ctrl-C in the
middle of a request. One that nobody can notice stands in `UNSEEN`, with the reason. The exit status is 1 if any other
survives, or if one of those is noticed after all.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

from targets import TARGETS, UNSEEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from targets import Target

ROOT = Path(__file__).parents[1]
WORKERS = 2
LIMIT_S = 600


@dataclass(frozen=True)
class Mutant:
    """The package with one thing gone.

    Attributes:
        name: File, table or function, and what is gone: the same in every run.
        file: The file, below the package.
        text: The file without it.
        kit: The kits that are run on it.
        others: The tests that are run where those do not notice.
    """

    name: str
    file: str
    text: str
    kit: tuple[str, ...]
    others: tuple[str, ...]


def mutants_of(target: Target) -> Iterator[Mutant]:
    """Yields the mutants of a target."""
    tree = ast.parse((ROOT / "src" / "ftkit" / target.file).read_text(encoding="utf-8"))
    for what, lists, n in _found(tree, target):
        gone, text = _without(tree, lists, n)
        yield Mutant(f"{target.file}: {what}: {gone}", target.file, text, target.kit, target.others)


def _found(tree: ast.Module, target: Target) -> Iterator[tuple[str, list[list[ast.AST]], int]]:
    """Yields what may go: a word for where it is, and which place in which lists."""
    for owner in ast.walk(tree):
        name = _name_of(owner)
        if isinstance(owner, ast.FunctionDef) and name in target.functions:
            for statements, n in _statements(owner):
                yield name, [statements], n
        if name in (*target.functions, *target.tables):
            for lists in _entries(owner):
                for n in range(len(lists[0])):
                    yield name, lists, n
    for keywords, n in _keywords(tree, target.keywords):
        yield "argument", [keywords], n


def _without(tree: ast.Module, lists: list[list[ast.AST]], n: int) -> tuple[str, str]:
    """Returns what the n-th things of these lists are, and the file without them."""
    gone = [each.pop(n) for each in lists]
    is_empty = not lists[0] and isinstance(gone[0], ast.stmt)
    if is_empty:
        lists[0].append(ast.Pass())
    text = ast.unparse(tree)
    if is_empty:
        lists[0].clear()
    for each, thing in zip(lists, gone, strict=True):
        each.insert(n, thing)
    said = ": ".join(ast.unparse(thing) if thing else "**" for thing in gone)  # a dict within a dict has no key
    return " ".join(said.split())[:100], text


def _name_of(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef):
        return node.name
    named = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return named.id if isinstance(named, ast.Name) else ""


def _entries(owner: ast.AST) -> Iterator[list[list[ast.AST]]]:
    """Yields the lists that hold the entries of the literals in a node; those of a dict are two."""
    for node in ast.walk(owner):
        if isinstance(node, ast.Dict):
            yield cast("list[list[ast.AST]]", [node.keys, node.values])
        elif isinstance(node, ast.Set) or (isinstance(node, ast.Tuple) and _is_table(node)):
            yield cast("list[list[ast.AST]]", [node.elts])


def _is_table(node: ast.Tuple) -> bool:
    """Whether a tuple is one of classes or constants, and none that is taken apart, or made of texts."""
    return (
        isinstance(node.ctx, ast.Load)
        and len(node.elts) > 1
        and all(
            isinstance(each, ast.Name | ast.Attribute)
            and re.match("[A-Z][A-Za-z]", ast.unparse(each).rpartition(".")[2])
            for each in node.elts
        )
    )


def _statements(function: ast.FunctionDef) -> Iterator[tuple[list[ast.AST], int]]:
    """Yields the decisions of a function: its `if`s, the handlers of its `try`s, and what it returns."""
    for node in ast.walk(function):
        for part in ("body", "orelse", "handlers"):
            found: list[ast.AST] = getattr(node, part, None) or []
            for n, each in enumerate(found if isinstance(found, list) else ()):
                if isinstance(each, ast.If | ast.ExceptHandler) or (isinstance(each, ast.Return) and each.value):
                    yield found, n


def _keywords(tree: ast.Module, names: tuple[str, ...]) -> Iterator[tuple[list[ast.AST], int]]:
    """Yields the arguments of these names, wherever they are given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for n, keyword in enumerate(node.keywords):
                if keyword.arg in names:
                    yield cast("list[ast.AST]", node.keywords), n


def seen_by(mutant: Mutant, place: Path) -> str:
    """Runs the tests on a mutant, in a copy of the package, and says which of them notice: "kit", "others", or none."""
    path = place / "ftkit" / mutant.file
    was = path.read_text(encoding="utf-8")
    path.write_text(mutant.text, encoding="utf-8")
    try:
        if not _passes(mutant.kit, place):
            return "kit"
        return "others" if mutant.others and not _passes(mutant.others, place) else ""
    finally:
        path.write_text(was, encoding="utf-8")


def _passes(tests: tuple[str, ...], place: Path) -> bool:
    environment = os.environ | {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=LIMIT_S, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode > 1:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.returncode == 0


def main(words: list[str], *, only_list: bool) -> int:
    """Tries the mutants whose names hold all of the words, and returns the exit status."""
    chosen = [each for target in TARGETS for each in mutants_of(target) if all(word in each.name for word in words)]
    unheard = [] if words else sorted({*UNSEEN} - {each.name for each in chosen})
    if only_list or unheard:
        print("\n".join(each.name for each in chosen))
        print("".join(f"UNSEEN names no mutant: {name}\n" for name in unheard), end="")
        return int(bool(unheard))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        places = [Path(folder) / str(n) for n in range(WORKERS)]
        free: SimpleQueue[Path] = SimpleQueue()
        for place in places:
            shutil.copytree(ROOT / "src", place, ignore=shutil.ignore_patterns("__pycache__"))
            free.put(place)
        for tests in {tests for each in chosen for tests in (each.kit, each.others) if tests}:
            if not _passes(tests, places[0]):
                print(f"these do not pass as they are: {' '.join(tests)}")
                return 2
        score = _try_all(chosen, pool, free)
    print(f"{len(chosen)} mutants: {score['kit']} seen by the kit, {score['others']} by other tests alone,", end=" ")
    wrong = score["ALIVE"] + score["SEEN"]
    print(f"{score['unseen']} that nobody can see, {wrong} wrong; {(time.monotonic() - began) / 60:.0f} min.")
    return int(wrong > 0)


def _try_all(chosen: list[Mutant], pool: ThreadPoolExecutor, free: SimpleQueue[Path]) -> Counter[str]:
    """Tries mutants, prints what came of each, and counts it."""

    def tried(mutant: Mutant) -> str:
        place = free.get()
        try:
            return seen_by(mutant, place)
        finally:
            free.put(place)

    score: Counter[str] = Counter()
    for mutant, seen in zip(chosen, pool.map(tried, chosen), strict=True):
        verdict = ("SEEN" if seen else "unseen") if mutant.name in UNSEEN else seen or "ALIVE"
        score[verdict] += 1
        print(f"{verdict:<7} {mutant.name}", flush=True)
    return score


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("words", nargs="*", help="tries only mutants whose names hold all of these")
    parser.add_argument("--list", action="store_true", help="only names them")
    given = parser.parse_args()
    sys.exit(main(given.words, only_list=given.list))
