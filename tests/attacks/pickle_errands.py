"""Reads models and checkpoints in which there are pickles, and tells what came of it: `pickle_errands.py FOLDER`.

A process of its own, so that the tests load no torch. It prints a line of JSON for each case: what was done, what came
of it in words, and whether the pickle ran.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bombs import FORMS

from ftkit.models import JobRequest, Supervised, TrainingFile
from ftkit.providers._local_jobs import JobFolder, JobRecord, JobState, Reporter
from ftkit.providers._processes import this_process
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.crew import Alone
from ftkit.providers.huggingface.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = Path(__file__).parents[1] / "huggingface" / "tiny_model.py"
STEPS = 3


class Errands:
    """All cases.

    Args:
        folder: Where everything is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = folder / "the-pickle-ran"
        self.model = folder / "model"
        self._count = 0

    def tell(self, what: str, form: str, call: Callable[[], object]) -> None:
        try:
            told = f"done: {call()!r:.80}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            told = f"{type(error).__name__}: {error}"
        ran = self.marker.exists()
        shutil.rmtree(self.marker, ignore_errors=True)
        print(json.dumps({"what": what, "form": form, "told": told, "ran": ran}), flush=True)  # noqa: T201 - its answer

    def copy(self, source: Path) -> Path:
        self._count += 1
        target = self.folder / f"{source.name}-{self._count}"
        shutil.copytree(source, target)
        return target

    # -- models --------------------------------------------------------------------------------------------------

    def models(self) -> None:
        """Loads models as a deployment does."""
        import torch

        for form, make in FORMS.items():  # that they are what they seem to be
            (self.folder / "bomb").write_bytes(make(self.marker))
            self.tell("bare torch.load", form, lambda: torch.load(self.folder / "bomb", weights_only=False))
        for form, make in FORMS.items():
            bomb = make(self.marker)
            for what, change in MODELS.items():
                place = self.copy(self.model)
                change(place, bomb)
                self.tell(what, form, lambda place=place: load(str(place)))

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def checkpoints(self) -> None:
        """Goes on from checkpoints as a job does."""
        whole = self._job()
        train(whole)
        shutil.rmtree(whole / "model")
        for form, make in FORMS.items():
            bomb = make(self.marker)
            for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
                self._resume(whole, f"{name} in its place", form, lambda place, n=name, b=bomb: put(place, n, b))
        bomb = FORMS["zipped"](self.marker)
        for name in ("pytorch_model.bin", "training_args.bin", "optimizer.bin", "anything.pkl"):
            self._resume(whole, f"{name} beside the rest", "zipped", lambda place, n=name: put(place, n, bomb))
        for name in ("pytorch_model.bin", "optimizer.bin"):
            bare = functools.partial(put, name=name, content=bomb, is_sealed=False)
            self._resume(whole, f"{name} beside the rest, not sealed", "zipped", bare)
        self._resume(whole, "pytorch_model.bin in place of the weights", "zipped", lambda place: only_bin(place, bomb))

    def _resume(self, whole: Path, what: str, form: str, change: Callable[[Path], None]) -> None:
        job = self.copy(whole)
        last, newest, *_ = [folder for folder, _ in checkpoints.whole(job)]
        shutil.rmtree(last)  # so that there is a step to do
        change(newest)
        state = JobFolder(job).state()
        JobFolder(job).write_state(state.model_copy(update={"word": "running", "finished_at": None}))
        self.tell(what, form, lambda: train(job))

    def _job(self) -> Path:
        job = self.folder / f"ftjob-{'1' * 24}"
        job.mkdir()
        rows = [{"messages": [{"role": r, "content": f"{n} is"} for r in ("user", "assistant")]} for n in range(8)]
        (job / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        request = JobRequest(
            model=str(self.model),
            training_file=TrainingFile(id="file-1", provider="huggingface"),
            method=Supervised(n_epochs=STEPS, batch_size=8),
            provider_options={"save_steps": 1, "max_length": 64},
        )
        made: dict[str, Any] = {"key": "k", "provider": "huggingface", "identity": "i", "command": ("python",)}
        record = JobRecord(**made, created_at=datetime.now(UTC), request=request, extra={"model": str(self.model)})
        (job / "request.json").write_text(record.model_dump_json())
        us = this_process()
        JobFolder(job).write_state(JobState(word="running", asker=us, runner=us))
        return job


def load(model: str) -> object:
    from ftkit.providers.huggingface import generation

    return type(generation.load(model)).__name__


def train(job: Path) -> object:
    from ftkit.providers.huggingface import training

    reporter = Reporter(job)
    training.train(reporter, Stop(reporter), Alone())
    warnings = [event.message for event in reporter.folder.events() if event.level == "warning"]
    return f"{reporter.folder.state().word}; {'; '.join(warnings)}"


def put(place: Path, name: str, content: bytes, *, is_sealed: bool = True) -> None:
    (place / name).write_bytes(content)
    if is_sealed:  # as one would who may write there
        checkpoints.seal(place)


def only_bin(place: Path, bomb: bytes) -> None:
    (place / "model.safetensors").unlink()
    put(place, "pytorch_model.bin", bomb)


def _bin(place: Path, bomb: bytes) -> None:
    (place / "model.safetensors").unlink()
    (place / "pytorch_model.bin").write_bytes(bomb)


def _both(place: Path, bomb: bytes) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "rng_state.pth", "adapter_model.bin"):
        (place / name).write_bytes(bomb)


def _index(place: Path, shard: str, bomb: bytes) -> None:
    _bin(place, bomb)
    (place / shard).write_bytes(bomb)
    index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": shard}}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))


def _named(place: Path, bomb: bytes) -> None:
    _bin(place, bomb)
    (place / "adapter_model.bin").write_bytes(bomb)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "transformers_weights": "adapter_model.bin"}))


def _adapter(place: Path, bomb: bytes, *, alone: bool) -> None:
    base = place.parent / "model"
    if alone:
        for path in place.iterdir():
            path.unlink()
    (place / "adapter_model.bin").write_bytes(bomb)
    lora = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "base_model_name_or_path": str(base)}
    (place / "adapter_config.json").write_text(json.dumps(lora))


def _code(place: Path, bomb: bytes) -> None:
    """A model that brings code of its own, in all places from which transformers would take some."""
    del bomb
    ran = place.parent / "the-pickle-ran"
    code = f"import os\nos.makedirs({str(ran)!r}, exist_ok=True)\ndef generate(*_, **__): pass\n"
    (place / "custom_generate").mkdir()
    for name in ("custom_generate/generate.py", "modeling_x.py", "tokenization_x.py"):
        (place / name).write_text(code)
    for name, key in (("config.json", "AutoModelForCausalLM"), ("tokenizer_config.json", "AutoTokenizer")):
        config = json.loads((place / name).read_text())
        mine = {key: "modeling_x.X", "AutoConfig": "modeling_x.X"}
        (place / name).write_text(json.dumps({**config, "auto_map": mine}))


MODELS: dict[str, Callable[[Path, bytes], None]] = {
    "pytorch_model.bin alone": _bin,
    "pickles beside model.safetensors": _both,
    "an index with shards of pytorch": lambda place, bomb: _index(place, "pytorch_model-00001-of-00001.bin", bomb),
    "an index that leads out of the folder": lambda place, bomb: _index(place, "../bomb.safetensors", bomb),
    "a configuration that names a pickle": _named,
    "an adapter of pytorch": lambda place, bomb: _adapter(place, bomb, alone=True),
    "an adapter of pytorch in a model's folder": lambda place, bomb: _adapter(place, bomb, alone=False),
    "a model with code of its own": _code,
}


def build(folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("tiny", TINY)
    assert spec is not None
    assert spec.loader is not None
    tiny: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    tiny.build(folder)


if __name__ == "__main__":
    errands = Errands(Path(sys.argv[1]))
    build(errands.model)
    errands.models()
    errands.checkpoints()
