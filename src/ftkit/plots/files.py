"""Pictures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    import os

_KINDS = (".png", ".svg", ".pdf")
_DPI = 150
_NO_DATE = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""The same picture is the same file."""


def writable(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a picture.

    Raises:
        ConfigurationError: Its suffix names no kind of picture, or its folder is not there.
    """
    target = Path(path)
    if target.suffix.lower() not in _KINDS:
        message = f"'{target}' does not say what kind of picture it is to be"
        raise ConfigurationError(message, hint=f"Let it end in {', '.join(_KINDS[:-1])} or {_KINDS[-1]}.")
    if not target.parent.is_dir():
        raise ConfigurationError(f"there is no folder '{target.parent}'", hint="Make it first.")
    return target


def write(figure: Any, target: Path) -> None:  # noqa: ANN401 - matplotlib is typed in part only
    """Writes a figure.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    kind = target.suffix.lower()
    try:
        figure.savefig(target, format=kind[1:], dpi=_DPI, metadata=_NO_DATE.get(kind))
    except OSError as error:
        raise ConfigurationError(f"'{target}' cannot be written: {error}") from error
