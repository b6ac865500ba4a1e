from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def ftkit(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ftkit", *args], cwd=cwd, capture_output=True, text=True, check=False)


def test_it_tells_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    done = ftkit("new-provider", "nova", "--class-name", "Nova", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        f"Made {tmp_path}/ftkit-nova: a provider that works, and passes the kit. Next:",
        f"  cd {tmp_path}/ftkit-nova",
        "  pip install -e '.[dev]'",
        "  pytest",
    ]
    assert done.stderr == ""
    assert "class Nova(" in (tmp_path / "ftkit-nova" / "src" / "ftkit_nova" / "__init__.py").read_text()


def test_the_folder_can_be_another(tmp_path: Path) -> None:
    (tmp_path / "plug-ins").mkdir()
    done = ftkit("new-provider", "nova", "--folder", "plug-ins", cwd=tmp_path)
    assert f"  cd {tmp_path}/plug-ins/ftkit-nova\n" in done.stdout
    assert (tmp_path / "plug-ins" / "ftkit-nova" / "pyproject.toml").is_file()


def test_what_cannot_be_made_is_told_in_one_line_with_a_hint(tmp_path: Path) -> None:
    done = ftkit("new-provider", "openai", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: a provider 'openai' is installed\n  -> `ftkit providers` lists them all.\n"
    assert not list(tmp_path.iterdir())
