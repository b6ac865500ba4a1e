"""What is deleted, line by line, and which kit should notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A file of the package, and what of it is deleted.

    Attributes:
        file: The file, below the package.
        kit: The kits that are run on its mutants.
        tables: Names of the literals of which each entry is deleted.
        functions: Names of the functions of which each `if`, handler, `return` and entry of a table is deleted.
        keywords: Names of arguments that are deleted wherever they are given.
        others: The tests that are run where the kit does not notice.
    """

    file: str
    kit: tuple[str, ...]
    tables: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


_OPENAI = ("tests/openai/test_openai_conforms.py", "tests/openai/test_azure_conforms.py")
_OPENAI_OTHERS = (
    "tests/openai/test_broken_lines.py",
    "tests/openai/test_openai_mistakes.py",
    "tests/attacks/test_canary_openai.py",
)
_AZURE_OTHERS = ("tests/openai/test_broken_lines.py", "tests/openai/test_azure_deployments.py")
_HUB_JOBS = ("tests/huggingface/test_hub_jobs_conforms.py", "-k", "not UnderAttack")
_SPACES = ("tests/autotrain/test_spaces_conforms.py", "-k", "not UnderAttack")
_LOCAL = ("tests/huggingface/test_conforms.py", "-k", "not UnderAttack and status")
_HUB_OTHERS = ("tests/huggingface/test_hub_trouble.py",)
_ENDPOINTS = ("tests/huggingface/test_hub_jobs_conforms.py", "-k", "deployment_words")

TARGETS: tuple[Target, ...] = (
    Target("providers/_openai_wire/bodies.py", _OPENAI, tables=("STATUS_WORDS",)),
    Target(
        "providers/_openai_wire/errors.py",
        _OPENAI,
        tables=("_QUOTA_CODES",),
        functions=("translated", "_of_status"),
        others=_OPENAI_OTHERS,
    ),
    Target("providers/_openai_wire/line.py", _OPENAI, keywords=("max_retries",)),
    Target("plugin/http_errors.py", _OPENAI, functions=("kind_of",)),
    Target("plugin/http_errors.py", _HUB_JOBS, functions=("error_of",)),
    Target(
        "providers/_azure_deployments.py",
        _OPENAI,
        tables=("_STATES", "_QUOTA_CODES"),
        functions=("_errors", "_of_status"),
        others=_AZURE_OTHERS,
    ),
    Target(
        "retrying.py",
        _OPENAI,
        functions=("read",),
        keywords=("retry", "stop", "wait", "reraise"),
        others=("tests/test_retrying.py",),
    ),
    Target("providers/_local_jobs/folder.py", _LOCAL, tables=("WORDS",)),
    Target("providers/_hub.py", _HUB_JOBS, functions=("refusal", "_translated"), others=_HUB_OTHERS),
    Target("providers/huggingface/remote/reading.py", _HUB_JOBS, tables=("_GOING", "_ENDED"), others=_HUB_OTHERS),
    Target("providers/huggingface/endpoint_reading.py", _ENDPOINTS, tables=("_STATES",)),
    Target("providers/autotrain/spaces_jobs.py", _SPACES, tables=("_GOING",)),
)

_OURS = "no error of ftkit's own is raised in such a block but those that the next handlers would let pass as well"
UNSEEN: dict[str, str] = {
    "providers/_openai_wire/errors.py: translated: except FtkitError: raise": _OURS,
    "providers/_azure_deployments.py: _errors: except FtkitError: raise": _OURS,
    "providers/_hub.py: _translated: return None": "a function that ends returns None as well",
}
"""Mutants that nobody can notice, by name, and why."""
