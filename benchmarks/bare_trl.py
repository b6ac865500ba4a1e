"""The training of overhead.py as one writes it with TRL alone: what ftkit is measured against.

python benchmarks/bare_trl.py BASE TRAIN.jsonl OUT SETTINGS.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer


def main(base: str, train: str, out: str, settings: dict[str, Any]) -> None:
    """Trains, writes the merged model, and prints seconds and losses as JSON."""
    imported = time.perf_counter()
    rows = [json.loads(line) for line in Path(train).read_text(encoding="utf-8").splitlines()]
    set_seed(settings["seed"])
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        processing_class=AutoTokenizer.from_pretrained(base),
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(
            r=settings["r"], lora_alpha=settings["alpha"], target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        args=SFTConfig(
            output_dir=f"{out}/checkpoints",
            num_train_epochs=settings["n_epochs"],
            per_device_train_batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
            lr_scheduler_type="cosine",
            warmup_steps=0.03,
            seed=settings["seed"],
            data_seed=settings["seed"],
            logging_steps=1,
            save_strategy="epoch",
            assistant_only_loss=True,
            max_length=None,
            bf16=False,
            use_cpu=True,
            activation_checkpointing=False,
            dataloader_pin_memory=False,
            report_to="none",
            disable_tqdm=True,
        ),
    )
    began = time.perf_counter()
    trainer.train()
    trained = time.perf_counter()
    trainer.model.merge_and_unload().save_pretrained(f"{out}/model")
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    seconds = {"imports": imported - BEGAN, "training": trained - began, "all": time.perf_counter() - BEGAN}
    print(json.dumps({"seconds": seconds, "losses": losses}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(Path(sys.argv[4]).read_text(encoding="utf-8")))
