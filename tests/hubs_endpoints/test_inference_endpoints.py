"""Deployments on Inference Endpoints: through the real HfApi, against a service in every state, slow or gone."""

from __future__ import annotations

import logging
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hubs.endpoints import COMING, HANG, L4, MADE, RESET, STATES, TOKEN, USER, refusal

from ftkit import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.deploying import Deployer
from ftkit.keys import deployment_name
from ftkit.ledger import Ledger
from ftkit.models import Deployment, DeploymentStatus
from ftkit.providers import _hub
from ftkit.providers._hub_account import HubAccount
from ftkit.providers.huggingface.endpoints import HubEndpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from endpoints_standin import EndpointsStandIn

    from ftkit.errors import FtkitError

REPO, JOB = f"{USER}/tuned", "job-4711"
QUICK = {"start_timeout_s": 0.3}
WORDS = {
    "pending": DeploymentStatus.CREATING,
    "initializing": DeploymentStatus.CREATING,
    "updating": DeploymentStatus.RUNNING,
    "updateFailed": DeploymentStatus.FAILED,
    "running": DeploymentStatus.RUNNING,
    "paused": DeploymentStatus.PAUSED,
    "failed": DeploymentStatus.FAILED,
    "scaledToZero": DeploymentStatus.RUNNING,
}


def deployed(endpoints: HubEndpoints, **options: Any) -> Deployment:
    return endpoints.deploy("mine", REPO, JOB, options)


# -- making one --------------------------------------------------------------------------------------------------


def test_what_is_made_is_what_was_asked_for_and_is_waited_for(
    endpoints: HubEndpoints, service: EndpointsStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    service.coming, service.unwell = COMING, 2
    with caplog.at_level(logging.WARNING, "ftkit"):
        deployment = deployed(endpoints, max_model_len=512, env={"VLLM_LOGGING_LEVEL": "DEBUG"})
    assert deployment.status is DeploymentStatus.RUNNING
    assert deployment.provider_status == "running"
    assert (deployment.name, deployment.model, deployment.source) == ("mine", "mine", JOB)
    assert (deployment.provider, deployment.identity) == ("huggingface", f"hub/{USER}")
    assert deployment.url == f"{service.url}/e/mine/v1"
    assert deployment.created_at == MADE
    assert deployment.price_per_hour == Decimal("0.8")
    assert service.requests["GET health"] == 3
    made = service.endpoints["mine"]
    assert made["type"] == "authenticated"
    assert made["compute"]["scaling"] == {"minReplica": 0, "maxReplica": 1, "scaleToZeroTimeout": 15}
    assert made["model"]["repository"] == REPO
    image = {"url": "vllm/vllm-openai:v0.33.0", "port": 8000, "healthRoute": "/health"}
    assert made["model"]["image"] == {"vLLM": image}
    safe = ["--load-format", "safetensors"]
    assert made["model"]["args"] == ["--served-model-name", "mine", REPO, *safe, "--max-model-len", "512"]
    assert made["model"]["env"] == {"VLLM_LOGGING_LEVEL": "DEBUG", "FTKIT_SOURCE": JOB}
    assert "for $0.8 an hour and replica" in caplog.text
    assert "after 15 minutes" in caplog.text


def test_options_reach_the_service(endpoints: HubEndpoints, service: EndpointsStandIn) -> None:
    options = {"instance_type": "nvidia-a10g", "min_replica": 2, "max_replica": 3, "type": "private", "image": "x/y:1"}
    deployment = deployed(endpoints, revision="v2", **options)
    made = service.endpoints["mine"]
    assert made["compute"]["instanceType"] == "nvidia-a10g"
    assert made["compute"]["scaling"] == {"minReplica": 2, "maxReplica": 3, "scaleToZeroTimeout": None}
    assert (made["type"], made["model"]["revision"]) == ("private", "v2")
    assert made["model"]["image"]["vLLM"]["url"] == "x/y:1"
    assert deployment.price_per_hour == Decimal("2.0"), "two replicas that always run"


def test_the_same_again_is_the_same_endpoint_in_any_process(endpoints: HubEndpoints, service: EndpointsStandIn) -> None:
    first = deployed(endpoints)
    other = HubEndpoints(HubAccount("huggingface", USER, None, service.api()), f"hub/{USER}", poll_s=0.02)
    assert deployed(other) == first
    assert other.get_deployment("mine") == first
    assert other.list_deployments() == [first]
    assert service.creates == 1


def test_a_paused_one_is_resumed_and_one_that_sleeps_is_left_asleep(
    endpoints: HubEndpoints, service: EndpointsStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    deployed(endpoints)
    service.coming = COMING
    service.set("mine", "paused")
    assert deployed(endpoints).provider_status == "running"
    assert "keeps 1 awake" in caplog.text, "the service sets it so, and nobody would know"
    service.set("mine", "scaledToZero")
    health = service.requests["GET health"]
    assert deployed(endpoints).provider_status == "scaledToZero"
    assert (service.creates, service.requests["POST endpoint/one/resume"]) == (1, 1)
    assert service.requests["GET health"] == health, "asking would wake it up"


@pytest.mark.parametrize(
    ("repository", "source", "options"),
    [("me/other", JOB, {}), (REPO, "job-4712", {}), (REPO, JOB, {"revision": "step-20"})],
)
def test_a_name_that_stands_for_another_model_is_refused(
    endpoints: HubEndpoints, service: EndpointsStandIn, repository: str, source: str, options: dict[str, Any]
) -> None:
    deployed(endpoints)
    with pytest.raises(ConflictError, match=f"'mine' is there already, of {JOB}"):
        endpoints.deploy("mine", repository, source, options)
    assert service.creates == 1


def test_one_that_was_made_elsewhere_is_known_by_its_repository(
    endpoints: HubEndpoints, service: EndpointsStandIn
) -> None:
    deployed(endpoints)
    del service.endpoints["mine"]["model"]["env"], service.endpoints["mine"]["model"]["args"]
    found = deployed(endpoints)
    assert (found.source, found.model) == (REPO, "mine")
    service.endpoints["mine"]["model"]["args"] = ["--served-model-name=theirs"]
    assert endpoints.get_deployment("mine").model == "theirs"


@pytest.mark.parametrize("repository", [REPO, "me/other"])
def test_a_name_that_is_taken_meanwhile_is_looked_into(
    endpoints: HubEndpoints, service: EndpointsStandIn, repository: str
) -> None:
    deployed(endpoints)
    service.refusing["GET endpoint/one"] = [refusal(404, "not yet seen")]
    if repository == REPO:
        assert deployed(endpoints).name == "mine"
    else:
        with pytest.raises(ConflictError, match="there already"):
            endpoints.deploy("mine", repository, JOB, {})
    assert service.creates == 2, "one attempt each"


def test_a_conflict_about_nothing_that_is_there_is_told_as_it_is(
    endpoints: HubEndpoints, service: EndpointsStandIn
) -> None:
    service.refusing["POST endpoint"] = [refusal(409, "the name is kept for a while after a delete")]
    with pytest.raises(ConflictError, match="kept for a while"):
        deployed(endpoints)
    assert service.creates == 1


@pytest.mark.parametrize("fault", [RESET, refusal(503, "busy"), refusal(500, "broken"), (201, b"<html>", {})])
def test_a_create_is_never_tried_again_inside_and_what_was_lost_is_found(
    endpoints: HubEndpoints, service: EndpointsStandIn, fault: Any
) -> None:
    service.losing["POST endpoint"] = [fault]
    with pytest.raises(ProviderUnavailableError):
        deployed(endpoints)
    assert service.creates == 1
    assert deployed(endpoints).source == JOB
    assert service.creates == 1


@pytest.mark.parametrize("fault", [RESET, refusal(503, "busy"), refusal(429, "slow", retry_after="0.05")])
def test_a_look_that_fails_while_it_comes_up_ends_nothing(
    endpoints: HubEndpoints, service: EndpointsStandIn, fault: Any
) -> None:
    service.coming = COMING
    service.losing["GET endpoint/one"] = [fault]
    service.refusing["GET endpoint/one"] = [refusal(404, "not there")]
    assert deployed(endpoints).provider_status == "running"
    assert service.creates == 1


@pytest.mark.parametrize("coming", [("pending",), ("initializing",), ("updating",), ("hibernating",)])
def test_one_that_does_not_come_in_time_may_still_come_and_says_what_it_costs(
    endpoints: HubEndpoints, service: EndpointsStandIn, coming: tuple[str, ...]
) -> None:
    service.coming = coming
    with pytest.raises(ProviderUnavailableError, match=f"'mine' does not answer after 0.3 s .*'{coming[0]}'") as late:
        deployed(endpoints, **QUICK)
    assert "costs meanwhile" in str(late.value.hint)
    assert "client.delete_deployment('mine')" in str(late.value.hint)
    assert list(service.endpoints) == ["mine"]


def test_one_that_runs_but_is_not_well_is_not_called_ready(endpoints: HubEndpoints, service: EndpointsStandIn) -> None:
    service.unwell = 1000
    with pytest.raises(ProviderUnavailableError, match="/health answers 503"):
        deployed(endpoints, **QUICK)
    service.refusing["GET health"] = [RESET] * 1000
    with pytest.raises(ProviderUnavailableError, match="/health does not answer"):
        deployed(endpoints, **QUICK)
    service.set("mine", "running", url=None)
    with pytest.raises(ProviderUnavailableError, match="no address yet"):
        deployed(endpoints, **QUICK)


@pytest.mark.parametrize("state", ["failed", "updateFailed"])
def test_one_that_fails_says_what_the_service_says_and_is_left_to_be_looked_at(
    endpoints: HubEndpoints, service: EndpointsStandIn, state: str
) -> None:
    deployed(endpoints)
    service.set("mine", "pending", state, message="CUDA out of memory")
    service.endpoints["mine"]["status"]["message"] = "CUDA out of memory"
    with pytest.raises(ProviderError, match=rf"'mine' has failed \({state}\): CUDA out of memory") as failed:
        deployed(endpoints)
    assert not isinstance(failed.value, ProviderUnavailableError)
    assert "client.delete_deployment('mine')" in str(failed.value.hint)
    assert endpoints.get_deployment("mine").error == "CUDA out of memory"


def test_a_ctrl_c_while_it_comes_up_says_what_stands(
    endpoints: HubEndpoints, service: EndpointsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    service.coming = ("pending",)
    monkeypatch.setattr("time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt) as stopped:
        deployed(endpoints)
    assert "client.delete_deployment('mine')" in stopped.value.__notes__[0]


# -- what makes no sense -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["abc", "a" * 33, "Mine", "my_own", "-mine", "mine-", "", "../mine", "mine?x", "mine\n"]
)
def test_names_that_the_service_does_not_allow(endpoints: HubEndpoints, service: EndpointsStandIn, name: str) -> None:
    with pytest.raises(ConfigurationError, match="4 to 32 lower-case letters"):
        endpoints.deploy(name, REPO, JOB, {})
    for read in (endpoints.get_deployment, endpoints.pause_deployment, endpoints.resume_deployment):
        with pytest.raises(NotFoundError):
            read(name)
    assert service.creates == 0


@pytest.mark.parametrize("name", ["", "../mine", "mine/pause", "mine\n"])
def test_no_name_leads_out_of_its_place(endpoints: HubEndpoints, service: EndpointsStandIn, name: str) -> None:
    with pytest.raises(ConfigurationError):
        endpoints.delete_deployment(name)
    with pytest.raises(NotFoundError):
        endpoints.get_deployment(name)
    assert not service.requests


def test_the_names_that_ftkit_gives_are_allowed(endpoints: HubEndpoints) -> None:
    name = deployment_name("hub/me", JOB)
    assert endpoints.deploy(name, REPO, JOB, {}).name == name
    assert endpoints.deploy("a" * 32, REPO, JOB, {}).name == "a" * 32


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"instance_tpye": "x"}, "did you mean 'instance_type'"),
        ({"instance_size": "X 1"}, "instance_size"),
        ({"min_replica": -1}, "min_replica"),
        ({"min_replica": 2}, "less than min_replica"),
        ({"min_replica": 1, "scale_to_zero_timeout": 5}, "needs min_replica=0"),
        ({"max_replica": 0}, "max_replica"),
        ({"scale_to_zero_timeout": 0}, "scale_to_zero_timeout"),
        ({"type": "public"}, "type"),
        ({"env": {"HF_TOKEN": TOKEN}}, "may not hold HF_TOKEN"),
        ({"env": {"FTKIT_SOURCE": "x"}}, "ftkit's own"),
        ({"image": "a b"}, "image"),
        ({"start_timeout_s": float("inf")}, "start_timeout_s"),
    ],
)
def test_options_are_checked_before_anything_is_sent(
    endpoints: HubEndpoints, service: EndpointsStandIn, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why) as wrong:
        deployed(endpoints, **options)
    assert TOKEN not in str(wrong.value)
    assert not service.requests


@pytest.mark.parametrize("repository", ["tuned", "a/b/c", "me/", "me/tuned?x"])
def test_what_is_no_repository_is_refused(endpoints: HubEndpoints, service: EndpointsStandIn, repository: str) -> None:
    with pytest.raises(ConfigurationError, match="owner/name"):
        endpoints.deploy("mine", repository, JOB, {})
    assert not service.requests


# -- what is there -----------------------------------------------------------------------------------------------


def test_every_state_is_known_and_any_other_word_is_kept(endpoints: HubEndpoints, service: EndpointsStandIn) -> None:
    deployed(endpoints)
    assert WORDS.keys() == set(STATES)
    for word, status in {**WORDS, "hibernating": DeploymentStatus.UNKNOWN}.items():
        service.set("mine", word)
        for found in (endpoints.get_deployment("mine"), endpoints.list_deployments()[0]):
            assert (found.status, found.provider_status) == (status, word)
    service.set("mine", "updating", readyReplica=0)
    assert endpoints.get_deployment("mine").status is DeploymentStatus.CREATING


def test_deleting_twice_is_no_error_and_the_name_is_free(endpoints: HubEndpoints, service: EndpointsStandIn) -> None:
    deployed(endpoints)
    endpoints.delete_deployment("mine")
    endpoints.delete_deployment("mine")
    assert endpoints.list_deployments() == []
    with pytest.raises(NotFoundError, match="no deployment 'mine'"):
        endpoints.get_deployment("mine")
    endpoints.deploy("mine", "me/other", "job-2", {})
    assert service.creates == 2


def test_pausing_and_resuming(endpoints: HubEndpoints, service: EndpointsStandIn) -> None:
    deployed(endpoints)
    assert endpoints.pause_deployment("mine").status is DeploymentStatus.PAUSED
    assert endpoints.pause_deployment("mine").status is DeploymentStatus.PAUSED
    service.coming = COMING
    assert endpoints.resume_deployment("mine").status is DeploymentStatus.CREATING
    assert endpoints.resume_deployment("mine").status is DeploymentStatus.CREATING
    verbs = ("pause", "resume")
    assert [service.requests[f"POST endpoint/one/{verb}"] for verb in verbs] == [1, 1]


# -- what it costs -----------------------------------------------------------------------------------------------


def test_the_price_is_that_of_the_replicas_that_run(endpoints: HubEndpoints, service: EndpointsStandIn) -> None:
    deployed(endpoints, max_replica=4)
    service.set("mine", "running", targetReplica=3)
    assert endpoints.get_deployment("mine").price_per_hour == Decimal("2.4")
    service.set("mine", "scaledToZero")
    assert endpoints.get_deployment("mine").price_per_hour == Decimal("0.8"), "the next request wakes it up"
    for state in ("paused", "failed"):
        service.set("mine", state)
        assert endpoints.get_deployment("mine").price_per_hour == 0, "nothing runs, and no request changes that"


def test_prices_are_asked_for_once(endpoints: HubEndpoints, service: EndpointsStandIn) -> None:
    for name in ("one1", "two2", "three"):
        endpoints.deploy(name, REPO, JOB, {})
    endpoints.list_deployments()
    assert [each.price_per_hour for each in endpoints.list_deployments()] == [Decimal("0.8")] * 3
    assert service.requests["GET provider"] == 1


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), None, "free"])
def test_a_price_that_is_not_told_is_unknown(endpoints: HubEndpoints, service: EndpointsStandIn, price: Any) -> None:
    service.prices[L4] = price
    assert deployed(endpoints).price_per_hour is None


@pytest.mark.parametrize("fault", [refusal(403, "no"), refusal(500, "broken"), RESET, (200, {"vendors": 1}, {})])
def test_offers_that_cannot_be_had_keep_nobody_from_deploying(
    endpoints: HubEndpoints, service: EndpointsStandIn, caplog: pytest.LogCaptureFixture, fault: Any
) -> None:
    service.refusing["GET provider"] = [fault] * 3
    assert deployed(endpoints).price_per_hour is None
    assert "at a price that ftkit does not know" in caplog.text
    assert endpoints.list_deployments()[0].price_per_hour is None
    assert endpoints.list_deployments()[0].price_per_hour == Decimal("0.8"), "and they are asked for again"


# -- what goes wrong ---------------------------------------------------------------------------------------------


def verbs_of(endpoints: HubEndpoints) -> Mapping[str, Callable[[], object]]:
    return {
        "GET endpoint/one": lambda: endpoints.get_deployment("mine"),
        "GET endpoint": endpoints.list_deployments,
        "DELETE endpoint/one": lambda: endpoints.delete_deployment("mine"),
        "POST endpoint/one/pause": lambda: endpoints.pause_deployment("mine"),
        "POST endpoint": lambda: endpoints.deploy("another", REPO, JOB, {}),
    }


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refusal(401, f"no: {TOKEN}"), CredentialsError),
        (refusal(402, f"pay: {TOKEN}"), QuotaError),
        (refusal(403, f"no: {TOKEN}"), ProviderError),
        (refusal(400, f"bad: {TOKEN}"), ProviderError),
        (refusal(409, f"busy: {TOKEN}"), ConflictError),
        (refusal(429, f"slow: {TOKEN}", retry_after="7"), RateLimitError),
        (refusal(503, f"away: {TOKEN}"), ProviderUnavailableError),
        (RESET, ProviderUnavailableError),
        ((200, f"<html>{TOKEN}".encode(), {}), ProviderUnavailableError),
        ((200, [TOKEN], {}), ProviderUnavailableError),
    ],
)
def test_what_the_service_refuses_is_told_by_one_error_without_the_token(
    endpoints: HubEndpoints, service: EndpointsStandIn, fault: Any, kind: type[FtkitError]
) -> None:
    deployed(endpoints)
    for what, verb in verbs_of(endpoints).items():
        if what.startswith("DELETE") and fault[0] == 200:
            continue  # it is not read
        service.refusing[what] = [fault]
        with pytest.raises(kind) as refused:
            verb()
        error = refused.value
        assert TOKEN not in f"{error!s}{error!r}{error.args}{getattr(error, '__notes__', '')}"
        assert error.__cause__ is None, "the package's holds the request, and its token"
        if isinstance(error, RateLimitError):
            assert error.retry_after_s == 7.0
        if isinstance(error, ProviderError) and error.status_code:
            assert (error.provider, error.status_code, error.request_id) == ("huggingface", fault[0], "r-17")


def test_a_silent_service_is_not_waited_for_for_ever(
    endpoints: HubEndpoints, service: EndpointsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_hub, "_ANSWER_S", 0.2)
    for what in ("GET endpoint", "POST endpoint"):
        service.refusing[what] = [HANG]
        with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
            verbs_of(endpoints)[what]()


def test_the_token_is_in_no_repr_log_or_noun(
    endpoints: HubEndpoints, service: EndpointsStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        deployment = deployed(endpoints)
        service.set("mine", "failed")
        service.endpoints["mine"]["status"]["message"] = f"cannot pull with {TOKEN}"
        failed = endpoints.get_deployment("mine")
        with pytest.raises(ProviderError) as told:
            deployed(endpoints)
    shown = f"{endpoints!r}{vars(endpoints)['_lines']!r}{deployment!r}{failed!r}{told.value}{caplog.text}"
    assert "cannot pull with ***" in str(failed.error)
    assert TOKEN not in shown
    assert TOKEN not in str(service.endpoints["mine"]["model"]), "and the service is given none to keep"


# -- with the ledger, as a client has it -------------------------------------------------------------------------


class Deploying:
    """A provider's part of it."""

    def __init__(self, endpoints: HubEndpoints) -> None:
        self._endpoints = endpoints
        self.get_deployment = endpoints.get_deployment
        self.list_deployments = endpoints.list_deployments
        self.delete_deployment = endpoints.delete_deployment

    def deploy(self, target: Any, name: str, options: Mapping[str, Any]) -> Deployment:
        return self._endpoints.deploy(name, REPO, str(target), options)


def test_what_is_late_or_lost_is_in_the_ledger_and_is_found_and_reaped(
    endpoints: HubEndpoints, service: EndpointsStandIn, tmp_path: Path
) -> None:
    deployer = Deployer(Deploying(endpoints), "huggingface", f"hub/{USER}", Ledger(tmp_path / "ledger"))
    service.losing["POST endpoint"] = [RESET]
    assert deployer.deploy(JOB, "lost", None, {}).status is DeploymentStatus.RUNNING
    service.coming = ("pending",)
    with pytest.raises(ProviderUnavailableError, match="still coming up"), deployer.deployed(JOB, "late", None, QUICK):
        pass
    assert service.creates == 2
    assert deployer.reap() == ["late"]
    assert list(service.endpoints) == ["lost"]


def test_importing_it_loads_no_package_of_the_hub() -> None:
    code = (
        "import sys, ftkit.providers.huggingface.endpoints; "
        "sys.exit(bool({'huggingface_hub', 'httpx2', 'torch'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
