"""How far apart the logits are: `python compare.py BASE JOB`, as JSON: of base + adapter against the others."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(base: Path, job: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.arange(3, 203).view(2, 100)

    def logits(model: Any) -> Any:
        with torch.no_grad():
            return model.eval()(input_ids=ids).logits

    def load(folder: Path) -> Any:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    newest = max((job / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    adapted = logits(PeftModel.from_pretrained(load(base), job / "adapter"))
    others = {
        "base": load(base),
        "merged": load(job / "model"),
        "newest checkpoint": PeftModel.from_pretrained(load(base), newest),
    }
    print(json.dumps({name: float((logits(other) - adapted).abs().max()) for name, other in others.items()}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
