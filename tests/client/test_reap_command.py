"""`ftkit deployments` and `ftkit reap`: all accounts that the ledger knows, from any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ftkit import Client, CredentialsError, Deployment, ProviderUnavailableError, QuotaError
from ftkit.cli import app
from ftkit.ledger import DeploymentEntry, Ledger, State
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ftkit import Checkpoint, FineTuningJob

NAMES = {"one": "openai", "two": "azure"}
"""Profiles, and the providers' names under which the stand-ins behind them go."""


class Standing(MemoryProvider):
    """Tells a price. What is called stubborn cannot be deleted; what is called late does not come at once."""

    away = False

    def list_deployments(self) -> list[Deployment]:
        if self.away:
            raise ProviderUnavailableError("the line is cut", provider=self.name)
        return [d.model_copy(update={"price_per_hour": Decimal("1.70")}) for d in super().list_deployments()]

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, object]) -> Deployment:
        if name == "late":
            raise ProviderUnavailableError("the connection was reset", provider=self.name)
        return super().deploy(target, name, options)

    def delete_deployment(self, name: str) -> None:
        if name == "stubborn":
            raise QuotaError("not now", provider=self.name)
        super().delete_deployment(name)


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Standing]:
    """Two accounts behind profiles. The way from a provider's name to its package is not what is tested here."""
    made = {provider: Standing(MemoryVendor(account=profile), name=provider) for profile, provider in NAMES.items()}
    monkeypatch.setattr("ftkit.client.make_provider", lambda name, _: _opened(made, name))
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)
    config = tmp_path / "ftkit.toml"
    config.write_text("".join(f"[profiles.{name}]\nprovider = '{provider}'\n" for name, provider in NAMES.items()))
    monkeypatch.setenv("FTKIT_CONFIG", str(config))
    return {profile: made[provider] for profile, provider in NAMES.items()}


def _opened(made: Mapping[str, Standing], name: str) -> Standing:
    if name not in made:
        raise CredentialsError(f"{name}: there is no key here")
    return made[name]


NOBODY_ASKED = "nothing that stands was made from here: `ftkit deployments PROVIDER` asks an account"


def run(*arguments: str) -> tuple[int, list[list[str]], str]:
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, [line.split("\t") for line in done.stdout.splitlines()], done.stderr


def test_nothing_anywhere_is_said() -> None:
    assert run("deployments") == (0, [[NOBODY_ASKED]], "")
    assert run("reap") == (0, [["nothing is due"]], "")


@pytest.mark.usefixtures("accounts")
def test_all_accounts_are_listed_with_age_price_and_end() -> None:
    Client("one").deploy("base", name="for-an-hour", ttl_s=3600)
    Client("two").deploy("base", name="for-ever")
    Client("two").deploy("base", name="overdue", ttl_s=0)
    status, rows, _ = run("deployments")
    assert status == 0
    found = {row[0]: row[1:] for row in rows}
    assert found["for-an-hour"][0] == found["overdue"][0] == "running"
    assert found["for-an-hour"][2] == "1.70 USD/h"
    assert found["for-an-hour"][3].startswith("in 59m ")
    assert found["for-ever"][3:] == ["no end", "base", "memory:two"]
    assert found["overdue"][3].startswith("due for 0m ")
    assert all(row[2].startswith("0m ") for row in rows), "their age"


def test_what_was_asked_for_and_is_not_known_to_be_up_is_shown_as_such(accounts: dict[str, Standing]) -> None:
    with pytest.raises(ProviderUnavailableError):
        Client("one").deploy("base", name="late")
    accounts["one"].vendor.create_deployment("theirs", "base")
    for arguments in ((), ("one",)):
        status, rows, _ = run("deployments", *arguments)
        assert status == 0
        assert [(row[0], row[1], row[3]) for row in rows] == [
            ("theirs", "running", "1.70 USD/h"),
            ("late", "asked for, not known to be up", "price unknown"),
        ]
    accounts["one"].vendor.create_deployment("late", "base")
    assert {(row[0], row[1]) for row in run("deployments")[1]} == {("late", "running"), ("theirs", "running")}


def test_what_is_gone_is_not_shown(accounts: dict[str, Standing]) -> None:
    Client("one").deploy("base", name="mine")
    accounts["one"].vendor.delete_deployment("mine")
    assert run("deployments") == (0, [["no deployments"]], "")


def test_what_a_list_does_not_show_yet_is_shown(accounts: dict[str, Standing], monkeypatch: pytest.MonkeyPatch) -> None:
    Client("one").deploy("base", name="mine")
    monkeypatch.setattr(Standing, "list_deployments", lambda _: [])
    assert [row[:2] for row in run("deployments")[1]] == [["mine", "running"]]
    assert accounts["one"].vendor.calls["get_deployment"] > 0


def test_an_account_that_nothing_leads_to_is_said(accounts: dict[str, Standing]) -> None:
    Client("one").deploy("base", name="mine")
    now = datetime.now(UTC)
    for name, provider in (("lost", "huggingface"), ("moved", "azure")):
        there = (f"somewhere:{name}", name, provider, "ftjob-1", State.MADE, False, now - timedelta(days=2), now)
        Ledger().intend_deployment(DeploymentEntry(*there))
    status, rows, errors = run("deployments", "one")
    assert status == 0, "the one that was named could be asked"
    assert [row[:2] for row in rows] == [["mine", "running"], ["lost", "not asked"], ["moved", "not asked"]]
    assert rows[1][2:6] == ["2d 0h", "price unknown", "due for 0m 0s", "ftjob-1"]
    assert "not asked: somewhere:lost: nothing here leads to the account somewhere:lost" in errors
    assert "huggingface: there is no key here" in errors
    assert "Client('two') is the account memory:two" in errors
    assert accounts["two"].vendor.calls["delete_deployment"] == 0


def test_an_account_that_does_not_answer_is_said_and_the_others_are_listed(accounts: dict[str, Standing]) -> None:
    Client("one").deploy("base", name="here")
    Client("two").deploy("base", name="there")
    accounts["two"].away = True
    status, rows, errors = run("deployments")
    assert (status, [row[:2] for row in rows]) == (0, [["here", "running"], ["there", "not asked"]])
    assert "not asked: memory:two: azure: the line is cut" in errors
    assert run("deployments", "two")[0] == 1, "it was named"
    assert [row[:2] for row in run("deployments", "two")[1]] == [["there", "not asked"], ["here", "running"]]


@pytest.mark.usefixtures("accounts")
def test_a_provider_without_credentials_does_not_hide_the_others() -> None:
    Client("one").deploy("base", name="here")
    status, rows, errors = run("deployments", "huggingface")
    assert (status, [row[0] for row in rows]) == (1, ["here"])
    assert "not asked: huggingface: huggingface: there is no key here" in errors


@pytest.mark.usefixtures("accounts")
def test_the_default_profile_is_asked_where_none_is_named(
    accounts: dict[str, Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts["two"].vendor.create_deployment("theirs", "base")
    assert run("deployments")[1] == [[NOBODY_ASKED]]
    monkeypatch.setenv("FTKIT_PROFILE", "two")
    assert [row[0] for row in run("deployments")[1]] == ["theirs"]


def test_reap_deletes_what_is_due_in_all_accounts_and_names_it(accounts: dict[str, Standing]) -> None:
    Client("one").deploy("base", name="due-1", ttl_s=0)
    Client("one").deploy("base", name="for-an-hour", ttl_s=3600)
    Client("two").deploy("base", name="due-2", ttl_s=0)
    due = [["due-1", "memory:one"], ["due-2", "memory:two"]]
    assert run("reap", "--dry-run") == (0, [["would delete", *row] for row in due], "")
    assert [len(each.vendor.list_deployments()) for each in accounts.values()] == [2, 1]
    assert run("reap", "two") == (0, [["deleted", *due[1]]], "")
    assert run("reap") == (0, [["deleted", *due[0]]], "")
    assert run("reap") == (0, [["nothing is due"]], "")
    assert [d.name for d in accounts["one"].vendor.list_deployments()] == ["for-an-hour"]


@pytest.mark.usefixtures("accounts")
def test_reap_goes_on_after_what_cannot_be_deleted_and_ends_with_status_1() -> None:
    for name in ("first", "stubborn", "third"):
        Client("one").deploy("base", name=name, ttl_s=0)
    Client("two").deploy("base", name="due-2", ttl_s=0)
    status, rows, errors = run("reap")
    assert (status, rows) == (1, [["deleted", "due-2", "memory:two"]])
    assert "error: memory:one: openai: not now" in errors
    assert "Deleted nevertheless: first, third. Not deleted: stubborn." in errors


@pytest.mark.usefixtures("accounts")
def test_what_is_due_where_nothing_leads_is_an_error_and_what_is_not_due_is_none() -> None:
    now = datetime.now(UTC)
    entry = DeploymentEntry("somewhere", "lost", "huggingface", "ftjob-1", State.MADE, False, now, None)  # noqa: FBT003
    Ledger().intend_deployment(entry)
    assert run("reap")[0] == 0
    Ledger().intend_deployment(entry._replace(expires_at=now))
    status, _, errors = run("reap")
    assert status == 1
    assert "nothing here leads to the account somewhere" in errors
    assert "Not deleted: lost." in errors


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("command", ["deployments", "reap"])
def test_a_name_that_is_none_is_one_line(command: str) -> None:
    status, rows, errors = run(command, "opennai")
    assert (status, rows) == (2, [])
    assert errors.startswith("error: there is no profile and no provider 'opennai'")


def test_another_process_lists_and_reaps_what_this_one_made(home: Path, tmp_path: Path) -> None:
    """The real way, without a lever: the provider `huggingface` on this machine, and a process of its own."""
    pytest.importorskip("torch")
    place = home / "huggingface" / "deployments" / "mine"
    place.mkdir(parents=True)
    asked = {"name": "mine", "model": "m", "source": "ftjob-1", "created_at": str(datetime.now(UTC))}
    (place / "endpoint.json").write_text(json.dumps(asked))
    now = datetime.now(UTC)
    identity = f"local:{home / 'huggingface'}"
    made = DeploymentEntry(identity, "mine", "huggingface", "ftjob-1", State.MADE, False, now, now)  # noqa: FBT003
    Ledger().intend_deployment(made)

    def told(*arguments: str) -> Any:
        command = [sys.executable, "-m", "ftkit", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    [line] = told("deployments")
    assert line.split("\t")[3:] == ["0 USD/h", line.split("\t")[4], "ftjob-1", identity]
    assert told("reap") == [f"deleted\tmine\t{identity}"]
    assert told("deployments") == [NOBODY_ASKED]
    assert not place.exists()
