"""`ftkit deployments`: what answers, how old it is, and what it costs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from ftkit.cli import app

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def told(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["deployments", *arguments])
    return done.exit_code, done.output


def test_it_tells_age_price_and_what_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path))
    assert told("huggingface") == (0, "no deployments\n")
    for name, age in (("young", timedelta(seconds=75)), ("old", timedelta(days=2, hours=3))):
        place = tmp_path / "huggingface" / "deployments" / name
        place.mkdir(parents=True)
        asked = {"name": name, "model": "m", "source": f"ftjob-{name}", "created_at": str(datetime.now(UTC) - age)}
        (place / "endpoint.json").write_text(json.dumps(asked))
    status, output = told("huggingface")
    assert status == 0
    old, young = (line.split("\t") for line in output.splitlines())
    account = f"local:{tmp_path / 'huggingface'}"
    assert old == ["old", "failed", "2d 3h", "0 USD/h", "no end", "ftjob-old", account]
    assert young[:2] == ["young", "failed"]
    assert young[2].startswith("1m ")


def test_a_provider_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path))
    status, output = told("hugingface")
    assert status == 2
    assert "error: " in output
    assert "hugingface" in output
