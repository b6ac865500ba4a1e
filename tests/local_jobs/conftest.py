from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from local_witness import end_all_below

from ftkit.providers._local_jobs import LocalJobs

if sys.platform == "win32":
    pytest.skip("local jobs are POSIX only", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def jobs(tmp_path: Path) -> LocalJobs:
    return LocalJobs(tmp_path / "jobs", "tests", "local:tests")


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path: Path) -> Generator[None]:
    yield
    end_all_below(tmp_path)
