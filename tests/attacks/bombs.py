"""Pickles that make a file when they are read as pickles are: in every form in which weights and states are kept."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.makedirs, (self._marker,)


def plain(marker: Path) -> bytes:
    """A pickle as the standard library writes it."""
    return pickle.dumps({"weight": Bomb(marker)}, protocol=2)


def zipped(marker: Path) -> bytes:
    """The same, as torch.save has written it since 2020."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", plain(marker))
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


FORMS = {"plain": plain, "zipped": zipped}
