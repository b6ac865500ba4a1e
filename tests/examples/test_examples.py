"""The tutorials, as a user runs them: through the vendors' own packages, before servers and trainers that really train.

Four cells of the sixteen are run here, one on each provider; `make tutorials` runs all.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from filelock import FileLock

if sys.platform == "win32":
    pytest.skip("local training is POSIX only", allow_module_level=True)
if any(importlib.util.find_spec(name) is None for name in ("torch", "trl", "fastapi", "azure", "jupytext")):
    pytest.skip("not everything that they need is installed", allow_module_level=True)

from ftkit import Client, provider_names
from ftkit.evaluate import Evaluation, Finding
from ftkit.providers.autotrain import environment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PROVIDERS = ("openai", "azure", "huggingface", "autotrain")
ONE = EXAMPLES / "one_word"
CACHE = ROOT / ".cache"
LONGEST_S = 600
STEPS = (
    "examples; the first:",
    ": ready",
    "uploaded",
    "tuned model: ",
    "oldest first:",
    "deploy and ask",
    "Did the tuning pay? ",
    "streamed: ",
    "2 files; kept: 0",
)


@pytest.fixture(scope="session", autouse=True)
def autotrain_environment() -> None:
    """Builds AutoTrain's environment, unless it is there."""
    CACHE.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, FileLock(CACHE / "autotrain.lock"):
        patch.setenv("FTKIT_CACHE", str(CACHE))
        patch.delenv(environment.VARIABLE, raising=False)
        environment.setup(print)


def run(script: str, *words: str, cwd: Path) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AZURE_"))}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *words],
        env={**own, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=LONGEST_S,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def beside_the_examples(program: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program that imports from the examples."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


# -- the matrix --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tutorial", "provider"),
    [("recipes", "openai"), ("sarcasm", "azure"), ("sql", "huggingface"), ("no-code", "autotrain")],
)
def test_a_cell_of_the_matrix(tutorial: str, provider: str, tmp_path: Path) -> None:
    words = ["--tutorial", tutorial, "--provider", provider, "--out", "out", "--report", "cell.json"]
    said = run("tutorial.py", *words, cwd=tmp_path)
    cell = json.loads((tmp_path / "cell.json").read_text())
    assert [cell[step] for step in ("trained", "deployed", "answered", "cleaned_up")] == [True] * 4
    assert cell["loss_after"] < cell["loss_before"] / 1.5, "it has learnt"
    assert ("`ftkit serve` trains on this machine" in said) == (provider in {"openai", "azure"})
    for step in STEPS:
        assert step in said
    assert ("of them to learn from" in said) == (provider != "autotrain"), "AutoTrain has nothing to count with"
    rows = (tmp_path / "out" / f"{tutorial}-{provider}" / "results.csv").read_text().splitlines()
    assert rows[0].startswith("step,epoch,train_loss")
    assert len(rows) > 3
    assert (tmp_path / "out" / f"{tutorial}-{provider}" / "curves.png").read_bytes().startswith(b"\x89PNG")
    again = run("tutorial.py", *words[:-2], cwd=tmp_path)
    jobs = [re.findall(r"^job (\S+) is", each, re.MULTILINE) for each in (said, again)]
    assert jobs[0] == jobs[1] != [], "the same request is the same job, though a server's port is another"
    tables = [re.findall(r"^(?:base|few-shot|tuned) +\d.*$", each, re.MULTILINE) for each in (said, again)]
    assert tables[0] == tables[1], "and its answers are not asked for again: the times are those of the first run"
    assert len(tables[0]) == 3
    judged = Evaluation.model_validate(cell["evaluation"])
    assert judged.verdict is not None
    assert (judged.verdict.finding is Finding.YES) == (tutorial in {"recipes", "sql"})


def test_a_cell_that_fails_is_told_and_the_status_is_1(tmp_path: Path) -> None:
    words = [sys.executable, str(EXAMPLES / "all_tutorials.py"), "--out", str(tmp_path)]
    done = subprocess.run(
        [*words, "--tutorials", "sarcasm", "--providers", "nowhere"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "there is no profile and no provider 'nowhere'" in done.stderr
    assert "| sarcasm | nowhere | no | - | - | - | - | - | no | no | no |" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("0 of 1 cells")


def test_accounts_in_the_environment_are_not_spent_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key that leads nowhere would fail; without it, the provider asks for one. Neither is asked for here."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-who-pays")
    program = "import sys, os; sys.argv += ['--providers', 'nowhere', '--tutorials', 'sarcasm', '--out', '.']\n"
    program += (
        "import all_tutorials as t\ntry: t.main()\nexcept SystemExit: pass\nprint('OPENAI_API_KEY' in os.environ)"
    )
    done = beside_the_examples(program, tmp_path)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


# -- one word ----------------------------------------------------------------------------------------------------------


def words_of(path: Path) -> list[str]:
    return [token.string for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)]


def test_the_program_for_another_provider_differs_in_one_word() -> None:
    programs = {name: words_of(ONE / f"{name}.py") for name in PROVIDERS}
    first = programs["openai"]
    for name, words in programs.items():
        changed = [(mine, theirs) for mine, theirs in zip(first, words, strict=True) if mine != theirs]
        assert changed == ([] if name == "openai" else [('"openai"', f'"{name}"')])
    assert {path.stem for path in (ONE).iterdir() if path.suffix == ".py"} == set(PROVIDERS)


@pytest.mark.parametrize("script", ["tutorial.py", "lessons.py"])
def test_no_providers_name_is_in_what_all_providers_run(script: str) -> None:
    tree = ast.parse((EXAMPLES / script).read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    named = [text for text in texts if isinstance(text, str) and text.lower() in {*provider_names(), *PROVIDERS}]
    assert named == []
    assert "provider_names" not in (EXAMPLES / script).read_text()


@pytest.mark.full
@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_of_these_programs_runs(provider: str, tmp_path: Path) -> None:
    program = f"import runpy, offline; offline.at_hand({provider!r}); runpy.run_path({str(ONE / provider)!r} + '.py')"
    done = beside_the_examples(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert ": succeeded, " in done.stdout


# -- scripts and notebooks ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_sarcastic_chatbot(tmp_path: Path) -> None:
    said = run("sarcastic_chatbot.py", cwd=tmp_path)
    assert "training_set.jsonl: 10 examples" in said
    assert "checkpoint at step 30: gpt-4o-mini-2024-07-18.ft-" in said
    assert "training loss" in said
    assert "deployments left: 0" in said


@pytest.mark.full
def test_the_recipes(tmp_path: Path) -> None:
    said = run("recipes.py", cwd=tmp_path)
    assert "ft:gpt-4o-mini-2024-07-18:ftkit:recipe-ner:" in said
    assert said.count("given:") == 3


@pytest.mark.full
def test_no_code_runs_from_python_and_from_its_file_and_is_one_job(tmp_path: Path) -> None:
    told = run("no_code.py", cwd=tmp_path)
    before, after = (told.partition(f"{when}: ")[2].splitlines()[0] for when in ("before", "after"))
    rows = (EXAMPLES / "data" / "sarcasm" / "training_set.jsonl").read_text().splitlines()
    learnt = tuple(json.loads(row)["messages"][-1]["content"][:8] for row in rows)
    assert after.startswith(learnt)  # most often the right one; the model is tiny, and AutoTrain packs
    assert not before.startswith(learnt)
    (job,) = Client("autotrain").list_jobs().items
    command = [sys.executable, "-m", "ftkit", "run", "examples/no_code.yml"]
    assert job.id in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(Client("autotrain").list_jobs().items) == 1
    assert Client("autotrain").list_deployments() == []


def test_the_notebooks_are_those_of_the_scripts() -> None:
    program = "import make_notebooks as m\nfor name in m.SCRIPTS:\n script = m.HERE / f'{name}.py'\n"
    program += " print(name, m.notebook(script) == script.with_suffix('.ipynb').read_text())"
    done = beside_the_examples(program, ROOT)
    scripts = ("recipes", "sarcastic_chatbot", "text_to_sql", "no_code")
    assert done.stdout.split() == [word for name in scripts for word in (name, "True")], done.stderr


RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": sys.argv[2]}}).execute()
kinds = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
print("text/html" in kinds, [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"])
"""


@pytest.mark.full
@pytest.mark.parametrize("name", ["recipes", "sarcastic_chatbot", "text_to_sql", "no_code"])
def test_a_notebook_runs_from_its_first_cell_to_its_last(name: str, tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AZURE_"))}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(EXAMPLES / f"{name}.ipynb"), str(tmp_path)],
        env={**own, "PYTHONPATH": str(EXAMPLES), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "True []"
