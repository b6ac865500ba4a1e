"""What is deleted, line by line, and which kit should notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A file of the package, and what of it is deleted.

    Attributes:
        file: The file, below the package.
        tests: The kits that are run on its mutants.
        tables: Names of the literals of which each entry is deleted.
        functions: Names of the functions of which each `if`, handler, `return` and entry of a table is deleted.
        keywords: Names of arguments that are deleted wherever they are given.
    """

    file: str
    tests: tuple[str, ...]
    tables: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


_OPENAI = ("tests/openai/test_openai_conforms.py", "tests/openai/test_azure_conforms.py")
_HUB_JOBS = ("tests/huggingface/test_hub_jobs_conforms.py", "-k", "not UnderAttack")
_SPACES = ("tests/autotrain/test_spaces_conforms.py", "-k", "not UnderAttack")
_LOCAL = ("tests/huggingface/test_conforms.py", "-k", "not UnderAttack")
_AUTOTRAIN = ("tests/autotrain/test_autotrain_conforms.py", "-k", "not UnderAttack")

TARGETS: tuple[Target, ...] = (
    Target("providers/_openai_wire/bodies.py", _OPENAI, tables=("STATUS_WORDS",)),
    Target(
        "providers/_openai_wire/errors.py", _OPENAI, tables=("_QUOTA_CODES",), functions=("translated", "_of_status")
    ),
    Target("providers/_openai_wire/line.py", _OPENAI, keywords=("max_retries",)),
    Target("plugin/http_errors.py", _OPENAI, functions=("kind_of",)),
    Target("providers/_azure_deployments.py", _OPENAI, tables=("_STATES",), functions=("_errors", "_of_status")),
    Target("retrying.py", _OPENAI, functions=("read",), keywords=("retry", "stop", "wait", "reraise")),
    Target("providers/_local_jobs/folder.py", _LOCAL, tables=("WORDS",)),
    Target("providers/_hub.py", _HUB_JOBS, functions=("refusal", "_translated")),
    Target("providers/huggingface/remote/reading.py", _HUB_JOBS, tables=("_GOING", "_ENDED")),
    Target("providers/autotrain/spaces_jobs.py", _SPACES, tables=("_GOING",)),
    Target("providers/huggingface/endpoint_reading.py", _HUB_JOBS, tables=("_STATES",)),
)

UNSEEN: dict[str, str] = {}
"""Mutants that no kit can notice, by name, and why."""
