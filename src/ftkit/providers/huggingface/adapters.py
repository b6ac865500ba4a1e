"""What an adapter says of its base. Loads no torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ftkit.plugin.disk import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = "adapter_config.json"
_BASE = "base_model_name_or_path"


def name_base(folder: Path, model: str) -> None:
    """Writes into an adapter's folder by which name its base is found again. A folder without an adapter is left alone.

    peft writes where the base lies. It could be told the name before it saves, but then it asks the Hub for that name.
    """
    path = folder / _CONFIG
    if path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
        write_atomically(path, json.dumps({**config, _BASE: model}, indent=2))


def base_of(folder: Path) -> str | None:
    """Returns the name of an adapter's base; None if it does not say."""
    return json.loads((folder / _CONFIG).read_text(encoding="utf-8")).get(_BASE) or None


def rank_of(folder: Path) -> int:
    """Returns the rank of an adapter: the largest, if its parts have several."""
    config: dict[str, Any] = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    ranks: list[int] = [config["r"], *(config.get("rank_pattern") or {}).values()]
    return max(ranks)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no model."""
    return (folder / _CONFIG).exists() and not (folder / "config.json").exists()
