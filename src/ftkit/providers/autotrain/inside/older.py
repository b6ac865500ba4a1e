"""A model that was saved by a newer transformers, as AutoTrain's transformers (4.48, January 2025) reads it.

It passes over what it does not know, and trains all the same: the base of the rotary embedding falls back to 10,000,
and the chat template to AutoTrain's own. So both are written where it looks for them, in a copy of the two small files;
the rest of the folder is linked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_WEIGHTS_OF_OTHERS = ["*.gguf", "*.onnx", "*.h5", "*.msgpack", "original/*", "*.pth", "onnx/*"]


def model_folder(model: str, copy: Path) -> str:
    """Returns what AutoTrain is to load: the model itself, or a folder that says the same in the older form.

    Args:
        model: A folder, or a name on the Hub.
        copy: The folder to make if one is needed.
    """
    small = Path(model) if Path(model).is_dir() else _small_files(model)
    changed = {name: text for name, text in _older(small).items() if text is not None}
    if not changed:
        return model
    whole = small if Path(model).is_dir() else _whole(model)
    copy.mkdir()
    for file in whole.iterdir():
        if file.name not in changed and file.is_file():
            (copy / file.name).symlink_to(file.resolve())
    for name, text in changed.items():
        (copy / name).write_text(text, encoding="utf-8")
    return str(copy)


def _small_files(model: str) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model, allow_patterns=["*.json", "*.jinja"]))


def _whole(model: str) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model, ignore_patterns=_WEIGHTS_OF_OTHERS))


def _older(folder: Path) -> dict[str, str | None]:
    return {"config.json": _config(folder), "tokenizer_config.json": _tokenizer(folder)}


def _config(folder: Path) -> str | None:
    config = _json(folder / "config.json")
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" in config:
        return None
    scaling = {name: value for name, value in rope.items() if name != "rope_theta"}
    config["rope_theta"] = rope.get("rope_theta", 10000.0)
    config["rope_scaling"] = None if scaling.get("rope_type", "default") == "default" else scaling
    config["torch_dtype"] = config.get("torch_dtype", config.get("dtype"))
    return json.dumps(config, indent=2)


def _tokenizer(folder: Path) -> str | None:
    config = _json(folder / "tokenizer_config.json")
    template = folder / "chat_template.jinja"
    is_new = config.get("tokenizer_class") == "TokenizersBackend"
    if not is_new and ("chat_template" in config or not template.is_file()):
        return None
    if template.is_file():
        config.setdefault("chat_template", template.read_text(encoding="utf-8"))
    if is_new:
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    return json.dumps(config, indent=2)


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
