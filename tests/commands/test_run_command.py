"""`ftkit run`: recipes of both kinds, in both formats, and what is said besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab_provider import ftkit

from ftkit import Client, ConfigurationError, FineTuningJob, LoRA, Supervised
from ftkit.recipes import Plan, read

if TYPE_CHECKING:
    from ftkit.testing import MemoryVendor

TOML = """
provider = "night"
model = "base"
train = "train.jsonl"
suffix = "blue"
seed = 7
method = { type = "supervised", n_epochs = 3, lora = { r = 8 } }
provider_options = { priority = "high" }
"""
YAML = """
provider: night
model: base
train: ${DATA}
suffix: blue
seed: 7
method:
  n_epochs: 3
  lora: {r: 8}
provider_options: {priority: high}
"""
AUTOTRAIN = """
task = "llm-sft"
base_model = "base"
project_name = "numbers"
log = "none"
backend = "local"
data = { path = ".", train_split = "train", chat_template = "tokenizer", column_mapping = { text_column = "messages" } }
params = { epochs = 2, lr = 1e-3 }
"""
FLAGS = ["--train", "train.jsonl", "--model", "base", "-p", "night"]


def put(text: str, name: str) -> str:
    Path(name).write_text(text)
    return name


@pytest.fixture
def quick(vendor: MemoryVendor) -> MemoryVendor:
    """The vendor, whose jobs succeed as soon as they are looked at."""
    vendor._finish_after = 1
    return vendor


def test_one_request_however_it_is_written(night: Client, quick: MemoryVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "train.jsonl")
    written = ftkit("run", put(TOML, "own.toml"))
    assert written.status == 0, written.errors
    (job_id,) = quick.jobs
    job = night.get_job(job_id)
    assert written.output.splitlines() == [f"job: {job_id}", "status: succeeded", f"model: {job.fine_tuned_model}"]
    flags = ["--suffix", "blue", "--seed", 7, "--n-epochs", 3, "--set", "lora.r=8", "--option", "priority=high"]
    for again in (["own.toml"], [put(YAML, "own.yml")], [*FLAGS, *flags], [*FLAGS, "--method", "supervised", *flags]):
        done = ftkit("run", *again, "--json")
        assert (done.status, FineTuningJob.model_validate_json(done.output).id) == (0, job_id), done.errors
    assert quick.calls["create_job"] == 1
    order = quick.jobs[job_id].order
    assert (order.model, order.suffix, order.seed, order.options) == ("base", "blue", 7, {"priority": "high"})
    assert job.method == Supervised(n_epochs=3, lora=LoRA(r=8))


def test_options_win_over_the_recipe_key_by_key(vendor: MemoryVendor) -> None:
    put(TOML, "own.toml")
    said = ["--n-epochs", 5, "--set", "lora.alpha=16", "--suffix", "red", "--key", "second", "-p", "day"]
    done = ftkit("run", "own.toml", *said, "--no-wait")
    assert done.status == 0, done.errors
    assert done.output.splitlines()[1:] == ["status: queued", "model: -", "The same command again waits for it."]
    (job,) = Client("day").list_jobs().items
    assert (job.method, job.suffix, job.seed) == (Supervised(n_epochs=5, lora=LoRA(r=8, alpha=16)), "red", 7)
    assert not vendor.jobs
    assert read("own.toml", {"key": "second"}) == read("own.toml").model_copy(update={"key": "second"})


def test_all_that_is_wrong_with_a_recipe_is_told_at_once(lab: dict[str, MemoryVendor]) -> None:
    text = """
modle = "base"
train = "${NOT_SET}"
training_file = "x"
n_epochs = 3
seed = -1
columns = { a = 1 }
suffix = "sk-0123456789abcdef0123"
zzz = 1
method = { type = "supervised", n_epoch = 3 }
"""
    done = ftkit("run", put(text, "wrong.toml"))
    assert done.status == 2
    head, *lines = done.errors.splitlines()
    assert head == "error: wrong.toml cannot be run as it is; 10 things to mend:"
    told = "\n".join(lines)
    for part in (
        "modle: there is no such key; did you mean 'model'?",
        "train: the environment variable NOT_SET is not set.",
        "training_file: there is no such key; did you mean 'train'?",
        "n_epochs: there is no such key; it is a hyperparameter: write it within `method`, as method.n_epochs.",
        "seed: input should be greater than or equal to 0",
        "columns: input should be a valid string",
        "suffix: it looks like a secret",
        "zzz: there is no such key. There are: method, provider, model,",
        "method: Supervised has no hyperparameter 'n_epoch'; did you mean 'n_epochs'?",
        "model: it is missing.",
    ):
        assert part in told
    assert "sk-0123456789" not in done.errors
    assert not lab


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("no.toml", "model = ", "no.toml: this is no TOML: Invalid value (at end of document)"),
        ("no.yml", "- model", "no.yml is no recipe"),
        ("no.toml", "model = 'm'\ntrain = 't'\nmethod = 3", "method: here stand keys with values"),
        ("no.toml", "model = 'm'\ntrain = 't'\nmethod = 'superwised'", "did you mean 'supervised'?"),
        (
            "no.toml",
            "model = 'm'\ntrain = 't'\nprovider_options = { api_key = 'x' }",
            "provider_options.api_key: it looks like",
        ),
    ],
)
def test_what_is_no_recipe_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        read(put(text, name))
    assert told in f"{caught.value}"


def test_without_a_recipe_what_is_missing_is_told_as_options(lab: dict[str, MemoryVendor]) -> None:
    done = ftkit("run")
    assert (done.status, done.errors.splitlines()[1:3]) == (
        2,
        ["  --model: it is missing.", "  --train: it is missing."],
    )
    done = ftkit("run", "--train", "train.jsonl", "--model", "base")
    assert (done.status, "no provider was named" in done.errors) == (2, True)
    assert ftkit("run", *FLAGS, "--without", "params.lr").status == 2
    assert not lab


def test_a_recipe_of_autotrains_may_be_toml_and_options_win_over_it(night: Client, vendor: MemoryVendor) -> None:
    put(AUTOTRAIN, "auto.toml")
    said = ["--n-epochs", 4, "--suffix", "letters", "--option", "priority=low", "--seed", 3, "--no-wait"]
    done = ftkit("run", "auto.toml", "-p", "night", *said)
    assert done.status == 0, done.errors
    (job,) = night.list_jobs().items
    assert (job.method, job.suffix, job.seed) == (Supervised(n_epochs=4, learning_rate=1e-3), "letters", 3)
    assert vendor.jobs[job.id].order.options == {"priority": "low"}
    budget = ftkit("run", "auto.toml", "-p", "night", "--budget", 1, "--no-wait")
    assert budget.status == 8
    assert not isinstance(read("auto.toml"), Plan)


def test_a_budget_holds(vendor: MemoryVendor) -> None:
    done = ftkit("run", *FLAGS, "--budget", 20, "--json")
    assert (done.status, json.loads(done.errors)["error"]["type"]) == (8, "BudgetError")
    assert ftkit("run", put(f"{TOML}\nbudget = 20", "own.toml")).status == 8
    assert not vendor.jobs
    assert ftkit("history").output == ""


def test_a_job_that_ended_otherwise_is_the_status_and_a_new_attempt_is_asked_for(
    night: Client, vendor: MemoryVendor
) -> None:
    assert ftkit("run", *FLAGS, "--no-wait").status == 0
    (first,) = vendor.jobs
    vendor.advance(first, "paused")
    paused = ftkit("run", *FLAGS)
    assert (paused.status, f"-> ftkit resume night:{first}" in paused.errors) == (5, True)
    vendor.fail(first, "[red]no[/red]")
    failed = ftkit("run", *FLAGS)
    assert (failed.status, "[red]no[/red]" in failed.errors, "--retry-failed" in failed.errors) == (3, True, True)
    assert ftkit("run", *FLAGS, "--no-wait", "--retry-failed").status == 0
    night.cancel_job(night.list_jobs().items[0])
    assert ftkit("run", *FLAGS).status == 4
    assert len(vendor.jobs) == 2
