"""deploy, deployments, undeploy, reap, teardown: what costs by the hour, from its first line to its last."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

import pytest
from lab_provider import ftkit
from talker import Talker, laid, trained

from ftkit import Client
from ftkit.cli._nouns import ReapedDeployment
from ftkit.errors import ProviderUnavailableError
from ftkit.models import Deployment, DeploymentStatus, FineTuningJob, TornDown

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.testing import MemoryVendor


@pytest.fixture
def talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryVendor:
    return laid(tmp_path, monkeypatch)


@pytest.fixture
def job(talking: MemoryVendor) -> FineTuningJob:
    del talking
    return trained()


def standing(vendor: MemoryVendor) -> list[str]:
    return [each.name for each in vendor.list_deployments()]


def error_in(line: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(line)["error"]
    return found


# -- deploy --------------------------------------------------------------------------------------------------------


def test_a_job_is_deployed_once_and_the_lines_that_are_shown_go_on(talking: MemoryVendor, job: FineTuningJob) -> None:
    done = ftkit("deploy", f"talker:{job.id}")
    (name,) = standing(talking)
    assert (done.status, done.errors) == (0, "")
    shown = dict(line.split(":", 1) for line in done.output.splitlines() if ":  " in line)
    assert (shown["deployment"].strip(), shown["status"].strip()) == (f"talker:{name}", "running")
    assert (shown["price"].strip(), shown["ends"].strip()) == ("price unknown", "no end")
    assert "reap" not in done.output
    ask, end = (shlex.split(line)[1:] for line in done.output.partition("next:\n")[2].splitlines())
    assert ftkit(*ask, "hello").output == "1 hello None\n"
    again = Deployment.model_validate_json(ftkit("deploy", job.id, "-p", "talker", "--json").output)
    assert (again.name, standing(talking)) == (name, [name])
    assert ftkit(*end) == (0, f"deleted\ttalker:{name}\n", "")
    assert standing(talking) == []


def test_a_time_to_live_names_what_ends_it(job: FineTuningJob) -> None:
    done = ftkit("deploy", f"talker:{job.id}", "--name", "tea", "--ttl-s", 3600)
    assert "deployment:  talker:tea\n" in done.output
    assert "ends:        in 59m" in done.output
    assert ": `ftkit reap` deletes it then, and nothing else does\n" in done.output


def test_a_model_is_deployed_if_that_is_said_and_a_checkpoint_by_its_job(
    talking: MemoryVendor, job: FineTuningJob
) -> None:
    refused = ftkit("deploy", "talker:base")
    assert (refused.status, standing(talking)) == (1, [])
    assert "If 'base' is the name of a model, or a role, add --model." in refused.errors
    assert "Client" not in refused.errors
    model = Deployment.model_validate_json(ftkit("deploy", "talker:base", "--model", "--json").output)
    assert model.source == "base"
    there = Client("talker").list_checkpoints(job)
    for known in (there[0].id, there[0].model):
        made = ftkit("deploy", f"talker:{job.id}", "--checkpoint", known, "--name", "early", "--json")
        assert Deployment.model_validate_json(made.output).model == there[0].model
    wrong = ftkit("deploy", f"talker:{job.id}", "--checkpoint", "step-99")
    assert (wrong.status, f"It has: {', '.join(each.id for each in there)}." in wrong.errors) == (2, True)
    assert ftkit("deploy", "talker:base", "--model", "--checkpoint", "x").status == 2


def test_what_is_wrong_is_one_error_and_nothing_is_made(talking: MemoryVendor, job: FineTuningJob) -> None:
    name = f"talker:{job.id}"
    twice = ftkit("deploy", name, "--option", "name=tea")
    assert (twice.status, "-> Say --name." in twice.errors) == (2, True)
    assert ftkit("deploy", name, "--option", "sku").status == 2
    unknown = ftkit("deploy", name, "--option", "sku=large", "--json")
    assert (unknown.output, "sku" in str(error_in(unknown.errors)["message"])) == ("", True)
    assert ftkit("deploy", "tolker:x").status == 2
    assert standing(talking) == []


def test_a_lost_reply_names_the_commands_that_look_for_what_may_cost(
    job: FineTuningJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> Deployment:
        raise ProviderUnavailableError("the connection was reset", provider="talker")

    monkeypatch.setattr(Talker, "deploy", lost)
    done = ftkit("deploy", f"talker:{job.id}")
    assert done.status == 1
    assert "It may come up yet, and cost. `ftkit deployments talker` tells what stands" in done.errors
    told = error_in(ftkit("deploy", f"talker:{job.id}", "--json").errors)
    assert "ftkit reap talker" in str(told["notes"])


# -- undeploy ------------------------------------------------------------------------------------------------------


def test_each_is_tried_and_a_name_that_is_misspelt_is_no_success(talking: MemoryVendor) -> None:
    for name in ("one", "two", "three"):
        Client("talker").deploy("base", name=name)
    done = ftkit("undeploy", "talker:one", "talker:tow", "talker:two")
    assert (done.status, done.output) == (1, "deleted\ttalker:one\ndeleted\ttalker:two\n")
    assert "`ftkit deployments talker` lists those there are" in done.errors
    assert standing(talking) == ["three"]
    as_json = ftkit("undeploy", "tow", "three", "-p", "talker", "--json")
    gone = Deployment.model_validate_json(as_json.output)
    assert (gone.name, gone.status, as_json.status) == ("three", DeploymentStatus.DELETED, 1)
    assert error_in(as_json.errors)["type"] == "NotFoundError"
    assert ftkit("undeploy", "nobody:one", "--json").status == 2


def test_what_was_asked_for_and_is_not_up_is_taken_off_the_list(
    talking: MemoryVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)
    real = Talker.deploy

    def lost(*_: object) -> Deployment:
        raise ProviderUnavailableError("the connection was reset", provider="talker")

    monkeypatch.setattr(Talker, "deploy", lost)
    assert ftkit("deploy", "talker:base", "--model", "--name", "late").status == 1
    monkeypatch.setattr(Talker, "deploy", real)
    assert [each.name for each in Client("talker").list_deployments()] == ["late"]
    assert ftkit("undeploy", "talker:late").output == "deleted\ttalker:late\n"
    assert Client("talker").list_deployments() == []
    assert standing(talking) == []


# -- deployments, reap, teardown -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("talking")
def test_deployments_are_nouns_and_an_account_may_be_an_option() -> None:
    Client("talker").deploy("base", name="tea", ttl_s=0)
    for said in (["talker"], ["-p", "talker"], []):
        (line,) = ftkit("deployments", *said, "--json").output.splitlines()
        assert Deployment.model_validate_json(line) == Client("talker").get_deployment("tea")
    assert ftkit("deployments", "talker", "-p", "memory").status == 2
    assert ftkit("reap", "talker", "-p", "memory").status == 2
    for said, deleted in ((["--dry-run"], False), ([], True)):
        done = ftkit("reap", "-p", "talker", *said, "--json")
        found = ReapedDeployment.model_validate_json(done.output)
        assert (found.name, found.identity, found.deleted) == ("tea", Client("talker").identity(), deleted)
    assert ftkit("reap", "--json") == (0, "", "")
    assert ftkit("deployments", "--json") == (0, "", "")


def test_an_account_that_does_not_answer_is_a_line_of_json(
    talking: MemoryVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    Client("talker").deploy("base", name="tea", ttl_s=0)
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)
    talking.refuse(503, "out of order")
    done = ftkit("deployments", "talker", "--json")
    told = error_in(done.errors)
    assert (done.status, told["type"], told["account"]) == (1, "ProviderUnavailableError", Client("talker").identity())
    assert Deployment.model_validate_json(done.output).provider_status == "not asked"
    talking.refuse(503, "out of order")
    assert error_in(ftkit("reap", "talker", "--json").errors)["account"] == Client("talker").identity()


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_in_a_terminal_the_first_column_goes_into_the_next_command(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftkit.cli.deployments import list_deployments

    Client("talker").deploy("[red]日本[/red]", name="tea-日本")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    list_deployments()
    output = capsys.readouterr().out
    head, *lines = output.splitlines()
    assert head.removeprefix("\x1b[1m").startswith("deployment")
    assert "account" not in output
    assert "[red]日本[/red]" in output
    named = next(line for line in lines if line.startswith("talker:tea-日本 "))
    assert ftkit("undeploy", named.split()[0]).status == 0


def test_what_a_job_left_is_named_by_the_job(job: FineTuningJob) -> None:
    Client("talker").deploy(job, name="tea")
    done = TornDown.model_validate_json(ftkit("teardown", f"talker:{job.id}", "--json").output)
    assert (done.job_id, done.deployments, done.files) == (job.id, ("tea",), (job.training_file,))
    assert ftkit("teardown", job.id, "--provider", "talker").output.startswith("nothing to delete")
    missing = ftkit("teardown", "talker:job-nowhere", "--json")
    assert (missing.status, error_in(missing.errors)["type"]) == (1, "NotFoundError")
