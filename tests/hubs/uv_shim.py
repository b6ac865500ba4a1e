"""A `uv run` that installs nothing: it sees whether what is wanted is there, and runs the command right here."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import NoReturn

from packaging.requirements import InvalidRequirement, Requirement

VALUED = {"--with", "--python", "-p"}
FLAGS = {"--no-project", "--isolated", "--quiet", "-q", "--no-cache", "--no-progress"}


def main(arguments: list[str]) -> None:
    if arguments[:1] != ["run"]:
        fail(2, f"error: unrecognized subcommand '{' '.join(arguments[:1])}'")
    wanted, command = parsed(arguments[1:])
    for text in wanted:
        problem = unmet(text)
        if problem is not None:
            reason = f"Because {problem}, we can conclude that your requirements are unsatisfiable."
            fail(
                1, f"  \N{MULTIPLICATION SIGN} No solution found when resolving `--with` dependencies:\n  ╰─▶ {reason}"
            )
    if not command:
        fail(2, "error: Provide a command or script to invoke with `uv run <command>` or `uv run <script>.py`.")
    if command[0].endswith(".py"):
        command = ["python", *command]
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is what a job was posted to run
    except FileNotFoundError:
        fail(2, f"error: Failed to spawn: `{command[0]}`\n  Caused by: No such file or directory (os error 2)")


def parsed(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Returns what is wanted, and the command, which begins with the first word that is no option."""
    wanted: list[str] = []
    at = 0
    while at < len(arguments):
        option, joined, value = arguments[at].partition("=")
        if not option.startswith("-"):
            return wanted, arguments[at:]
        at += 1
        if option == "--":
            return wanted, arguments[at:]
        if option in FLAGS:
            continue
        if option not in VALUED:
            fail(2, f"error: unexpected argument '{option}' found")
        if not joined:
            if at == len(arguments):
                fail(2, f"error: a value is required for '{option}' but none was supplied")
            value = arguments[at]
            at += 1
        if option == "--with":
            wanted += [value]
    return wanted, []


def unmet(text: str) -> str | None:
    """Returns why a requirement is not met, or None if it is."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return f"{text} is no requirement"
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    if requirement.url is not None:
        return f"{requirement.name} is wanted from an address, which this stand-in does not go to"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} was not found in the package registry and you require {requirement.name}"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"only {requirement.name}=={version} is available and you require {text}"
    return None


def fail(status: int, message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
