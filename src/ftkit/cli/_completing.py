"""What a shell completes: names of accounts, jobs, deployments, methods, layouts. Nobody is asked, and nothing is made.

Bash parts words at colons and at =, and hands over `openai:ftjob-1` as three. `join_words` joins them again, and keeps
what stands before the last colon of the word that is being written, so that what is offered goes on behind it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path  # noqa: TC003 - Typer reads the annotations of what completes
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - likewise

from ftkit.errors import FtkitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MODE, _BASH = "_FTKIT_COMPLETE", "complete_bash"
_WORDS, _AT = "COMP_WORDS", "COMP_CWORD"
_HEAD = "_FTKIT_HEAD"
_PATIENCE_S = 0.1
"""How long a writer of the ledger is waited for, in seconds: whoever completes looks on."""
_MOST = 200
"""How many ids are looked for: the newest."""
_IDS = {
    "job": "SELECT provider, job_id FROM jobs WHERE job_id IS NOT NULL ORDER BY intended_at DESC LIMIT ?",
    "deployment": "SELECT provider, name FROM deployments ORDER BY intended_at DESC LIMIT ?",
}


def accounts(incomplete: str) -> list[str]:
    """Offers names of profiles and providers."""
    return _offered(_accounts(), incomplete)


def jobs(context: typer.Context, incomplete: str) -> list[str]:
    """Offers jobs that were asked for from this machine, and how the name of any other begins."""
    return _offered(_named("job", context), incomplete)


def deployments(context: typer.Context, incomplete: str) -> list[str]:
    """Offers deployments that were asked for from this machine, and how the name of any other begins."""
    return _offered(_named("deployment", context), incomplete)


def answering(context: typer.Context, incomplete: str) -> list[str]:
    """Offers what `ftkit chat` takes: deployments, or jobs if one is to be deployed."""
    return (jobs if context.params.get("deploy") else deployments)(context, incomplete)


def methods(incomplete: str) -> list[str]:
    """Offers fine-tuning methods."""
    from ftkit.methods import Method

    return _offered(sorted(Method.registry), incomplete)


def layouts(incomplete: str) -> list[str]:
    """Offers layouts of training data, but for those of plug-ins, which are not loaded for this."""
    from ftkit.datasets.layouts import LAYOUTS

    return _offered(sorted(LAYOUTS), incomplete)


# -- names -------------------------------------------------------------------------------------------------------------


def _accounts() -> list[str]:
    from ftkit.profiles import profile_names
    from ftkit.registry import provider_names

    try:
        return sorted({name for provider in provider_names() for name in (provider, *profile_names(provider))})
    except FtkitError:  # a profile is wrong, say: the command itself tells what
        return []


def _named(kind: str, context: typer.Context) -> Iterator[str]:
    """Yields names of things, as commands take them: the id alone where --provider says whose it is."""
    from ftkit.home import state_folder
    from ftkit.ledger import FILE_NAME
    from ftkit.profiles import profile_names, resolve_profile

    try:
        chosen = context.params.get("provider")
        whose = None if chosen is None else resolve_profile(chosen, {}).provider
        for provider, thing_id in _ids(state_folder() / FILE_NAME, kind):
            if whose == provider:
                yield thing_id
            elif whose is None:
                yield from (f"{name}:{thing_id}" for name in (*profile_names(provider), provider))
    except FtkitError:  # likewise
        return
    if whose is None:
        yield from (f"{name}:" for name in _accounts())


def _ids(ledger: Path, kind: str) -> list[tuple[str, str]]:
    """Reads the ids of jobs or deployments, and nothing else of the ledger: a `Ledger` might mend, or wait for long."""
    try:
        with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)) as db:
            return [(str(provider), str(each)) for provider, each in db.execute(_IDS[kind], (_MOST,))]
    except sqlite3.Error:  # it is not there, locked, or damaged: the command itself tells
        return []


# -- words -------------------------------------------------------------------------------------------------------------


def _offered(candidates: Iterable[str], incomplete: str) -> list[str]:
    """Returns what begins with what is written, without that part of it which the shell takes for another word."""
    head = os.environ.get(_HEAD, "")
    found = dict.fromkeys(each for each in candidates if each.startswith(head + incomplete))
    return [each.removeprefix(head) for each in found]


def join_words() -> None:
    """Joins what bash parted at colons, if it is bash that asks. To be called before the command reads its words."""
    if os.environ.get(_MODE) != _BASH:
        return
    words, at = os.environ[_WORDS].split("\n"), int(os.environ[_AT])
    joined: list[str] = []
    glued = False
    for word in words[: at + 1]:
        if word == "=" and joined and joined[-1].startswith("--"):
            continue  # --provider=openai is parted as well: as two words, it reads the same
        colons = bool(word) and not word.strip(":")
        if joined and (colons or glued):
            joined[-1] += word
        else:
            joined.append(word)
        glued = colons
    head, colon, tail = joined[-1].rpartition(":")
    os.environ[_HEAD] = head + colon
    os.environ[_WORDS], os.environ[_AT] = "\n".join([*joined[:-1], tail]), str(len(joined) - 1)
