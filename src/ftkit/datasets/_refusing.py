"""What is no data set at all is refused by one error with one problem."""

from __future__ import annotations

from typing import NoReturn

from ftkit.datasets._values import one_line
from ftkit.errors import DatasetError
from ftkit.models import Problem


def refuse(name: str, code: str, message: str, fix: str) -> NoReturn:
    """Refuses a file or a folder.

    Raises:
        DatasetError: Always.
    """
    problem = Problem(code=code, message=one_line(message), fix=fix, source=name)
    raise DatasetError(f"{name} cannot be read as a data set.", [problem])
