"""The recipe."""

from __future__ import annotations

import json
from pathlib import Path


class AutoTrainConfigParser:
    """Reads a recipe that is written as JSON."""

    def __init__(self, path: str) -> None:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
        print(f"INFO | Using backend: {config['backend']}")  # noqa: T201 - AutoTrain logs to standard output
        self.backend = config["backend"]
        data = {name: config["data"][name] for name in ("train_split", "valid_split", "chat_template")}
        named = {"model": config["base_model"], "data_path": config["data"]["path"]}
        given = {"project_name": config["project_name"], "log": config["log"]}
        self.parsed_config = {**named, **given, **data, **config["data"]["column_mapping"], **config["hub"]}
        self.parsed_config |= config["params"]
