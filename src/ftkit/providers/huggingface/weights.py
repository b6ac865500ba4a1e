"""What may be read of a model: weights as safetensors. The older form is a pickle, which can run code as it is read."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

NOT_FETCHED = (
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.pkl",
    "*.pickle",
    "*.joblib",
    "*.h5",
    "*.msgpack",
    "*.npy",
    "*.npz",
)
"""What is never fetched with a model of the Hub."""
_ENDING = ".safetensors"
_INDEX = f"{_ENDING}.index.json"
_ADAPTER = f"adapter_model{_ENDING}"
_OLD = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
_HINT = "Save it as safetensors (save_pretrained does), or choose another revision: nothing else is read."


def read_numbers_only(environment: MutableMapping[str, str]) -> None:
    """Lets torch.load run no code in a process, whoever calls it: of a pickle, it takes numbers alone.

    The trainer's own state (optimizer.pt, scheduler.pt, rng_state.pth) has no other form.
    """
    environment.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    environment["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"


def check_weights(folder: Path) -> None:
    """Sees that nothing but safetensors would be read of a model's folder, and nothing outside of it.

    Raises:
        ConfigurationError: Something would.
    """
    wrong = weights_problem(folder)
    if wrong:
        raise ConfigurationError(wrong, hint=_HINT)


def check_adapter(folder: Path) -> None:
    """Sees that an adapter is safetensors.

    Raises:
        ConfigurationError: It is not.
    """
    wrong = _adapter_problem(folder)
    if wrong:
        raise ConfigurationError(wrong, hint=_HINT)


def _adapter_problem(folder: Path) -> str | None:
    if (folder / _ADAPTER).is_file():
        return None
    return f"the adapter in '{folder}' has no {_ADAPTER}{_instead(folder)}"  # peft would read a pickle instead


def _instead(folder: Path) -> str:
    old = ", ".join(sorted(path.name for path in folder.glob("*") if path.suffix in _OLD)[:5])
    return f", and {old} is not read" if old else ""


def weights_problem(folder: Path) -> str | None:
    """Says why a model's folder cannot be read; None if it can."""
    if (folder / "adapter_config.json").is_file() and (wrong := _adapter_problem(folder)):
        return wrong
    named: object = _json(folder / "config.json").get("transformers_weights")
    files = [named] if named is not None else [f"model{_ENDING}", f"model{_INDEX}"]
    weights = next((name for name in files if isinstance(name, str) and (folder / name).is_file()), None)
    if weights is None:
        return f"the model in '{folder}' has no weights as safetensors{_instead(folder)}"
    read = [weights.removesuffix(".index.json"), *(_shards(folder / weights) if weights.endswith(_INDEX) else ())]
    odd = [name for name in read if not _is_plain(name)]
    return f"the model in '{folder}' names weights that are no safetensors in it: {odd[0]!r:.100}" if odd else None


def _shards(index: Path) -> list[object]:
    table: object = _json(index).get("weight_map")
    return [*cast("dict[str, object]", table).values()] if isinstance(table, dict) else [table]


def _is_plain(name: object) -> bool:
    """Whether a name is that of a file of safetensors, and leads nowhere else."""
    return isinstance(name, str) and name.endswith(_ENDING) and PurePosixPath(name).name == name and "\\" not in name


def _json(path: Path) -> dict[str, Any]:
    """Reads a table; an empty one where there is none. What reads it next says what is wrong with it."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
