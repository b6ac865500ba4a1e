"""AWS at an address on loopback: moto, with what it lacks filled in, and what it has otherwise than AWS mended.

Filled in: deployments of custom models, Converse, ConverseStream, and the table of metrics that a job leaves in the
bucket. Mended, of jobs: the token that makes a create idempotent, ARNs, names and times, the error of a stop that comes
too late, statuses of errors, when a tuned model is there, and its deletion by its ARN. Whatever comes for Bedrock, and
whatever is answered, is held against AWS's own description of it (`bedrock_shapes`); what does not fit is in `misfits`,
which a test looks at.
"""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
import uuid
import zlib
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from bedrock_place import BUCKET, MODEL, REGION
from bedrock_shapes import Asked, asked_for, misfits, status_of
from moto.bedrock.models import bedrock_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ENDED = {"Completed", "Failed", "Stopped"}
METRICS = "step_number,epoch_number,training_loss,perplexity\n0,0,2.5,12.2\n1,1,1.25,3.5\n"
JOBS = {"CreateModelCustomizationJob", "GetModelCustomizationJob", "ListModelCustomizationJobs"}
DEPLOYMENTS = {"CreateCustomModelDeployment", "GetCustomModelDeployment", "ListCustomModelDeployments"}
_ARN = f"arn:aws:bedrock:{REGION}:{DEFAULT_ACCOUNT_ID}"


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: list[tuple[str, str]]


class Refusal(NamedTuple):
    operations: set[str]
    code: str
    message: str
    request_id: str


class RefusedError(Exception):
    """The vendor refuses."""


class _Quiet(MotoRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Says nothing."""


class BedrockVendor:
    """AWS, as far as ftkit goes. One at a time: moto keeps its things in the process.

    Attributes:
        url: Where it listens.
        requests: How often each operation was asked for; those of S3 and STS as "other".
        misfits: What did not fit AWS's description of Bedrock, in requests and answers.
        refusals: What the next requests of some operations are refused with.
        breaks: What the next answers to some operations become, though what was asked for is done: other bytes, or None
            for a line that is cut.
        finish_after: How many looks at a job it takes until it is completed; None if it stays as it is.
        deployments: The deployments, by name.
        held: Names of those that stay in their state.
    """

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        bedrock_backends.reset()
        s3_backends.reset()
        self.requests: Counter[str] = Counter()
        self.misfits: list[str] = []
        self.refusals: list[Refusal] = []
        self.breaks: list[tuple[set[str], bytes | None]] = []
        self.held: set[str] = set()
        self.finish_after: int | None = None
        self.deployments: dict[str, dict[str, Any]] = {}
        self.chats: list[dict[str, Any]] = []
        self._tokens: dict[str, tuple[Any, str]] = {}
        self._models: dict[str, Any] = {}
        self._looks: Counter[str] = Counter()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.RLock()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(BUCKET, REGION)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # -- levers and looks ----------------------------------------------------------------------------------------

    @property
    def jobs(self) -> dict[str, Any]:
        return bedrock_backends[DEFAULT_ACCOUNT_ID][REGION].model_customization_jobs

    @property
    def models(self) -> dict[str, Any]:
        return bedrock_backends[DEFAULT_ACCOUNT_ID][REGION].custom_models

    @property
    def files(self) -> list[str]:
        keys = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_bucket(BUCKET).keys
        return [name for name in keys if name.startswith("ftkit/files/")]

    def put(self, key: str, content: bytes) -> None:
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(BUCKET, key, content)

    def date(self, made: dict[str, datetime]) -> None:
        for key, moment in made.items():
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_bucket(BUCKET).keys[key].last_modified = moment

    def set_status(self, name: str, word: str) -> None:
        job = self.jobs[name]
        job.status, job.last_modified_time = word, _now()
        job.end_time = _now() if word in ENDED else None
        job.failure_message = "the data is no good" if word == "Failed" else None
        job.training_metrics = {"trainingLoss": 1.25} if word == "Completed" else None
        if word == "Completed":
            self.models[job.output_model_name] = self._models[name]
            folder = job.output_data_config["s3Uri"].removeprefix(f"s3://{BUCKET}/")
            path = f"model-customization-job-{job.job_arn[-12:]}/training_artifacts/step_wise_training_metrics.csv"
            self.put(folder + path, METRICS.encode())

    # -- the wire ------------------------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = BytesIO(body)
        path = environ["RAW_URI"].partition("?")[0]
        with self._lock:
            # The paths of S3 begin with the bucket, that of STS is empty: none is like one of Bedrock's.
            asked = asked_for(environ["REQUEST_METHOD"], path)
            self.requests[asked.name if asked else "other"] += 1
            answer = self._of_moto(environ) if asked is None else self._answer(asked, environ, body)
            broken = next((each for each in self.breaks if asked and asked.name in each[0]), None)
            if broken is not None and answer.status < 300:
                self.breaks.remove(broken)
                answer = Answer(200, broken[1] or b"", [("content-type", "application/json")])
                if broken[1] is None:
                    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        start_response(f"{answer.status} told", answer.headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def _answer(self, asked: Asked, environ: dict[str, Any], body: bytes) -> Answer:
        refusal = next((each for each in self.refusals if asked.name in each.operations), None)
        if refusal is not None:
            self.refusals.remove(refusal)
            return _error(refusal.code, refusal.message, refusal.request_id)
        sent = json.loads(body) if body else {}
        given = {**sent, **asked.path, **dict(parse_qsl(environ["QUERY_STRING"]))}
        typed = {k: int(v) if k == "maxResults" else v for k, v in given.items()}
        self.misfits += misfits(asked.operation.input_shape, typed, f"request {asked.name}")
        handler = getattr(self, f"_{asked.name}", None)
        try:
            told = handler(given, environ) if handler is not None else self._told_by_moto(environ)
        except RefusedError as error:
            return _error(*error.args)
        if isinstance(told, bytes):
            return Answer(200, told, [("content-type", "application/vnd.amazon.eventstream")])
        self.misfits += misfits(asked.operation.output_shape, told, f"answer {asked.name}")
        headers = [("content-type", "application/json"), ("x-amzn-requestid", str(uuid.uuid4()))]
        return Answer(asked.operation.http["responseCode"], json.dumps(told).encode(), headers)

    def _of_moto(self, environ: dict[str, Any]) -> Answer:
        begun: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            begun.extend([int(status.split(maxsplit=1)[0]), headers])

        body = b"".join(self._moto(environ, start))
        return Answer(begun[0], body, begun[1])

    def _told_by_moto(self, environ: dict[str, Any]) -> dict[str, Any]:
        answer = self._of_moto(environ)
        told: dict[str, Any] = json.loads(answer.body)
        if answer.status >= 400:  # where moto has 400 for all errors
            raise RefusedError(told["__type"].rpartition("#")[-1], told["message"])
        return {name: value for name, value in told.items() if value is not None}

    # -- mended --------------------------------------------------------------------------------------------------

    def _CreateModelCustomizationJob(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        before = self._tokens.get(given["clientRequestToken"])
        if before is not None:  # moto makes a second one, or refuses
            if before[0] != given:
                raise RefusedError("ConflictException", "the token was used for another request")
            return {"jobArn": before[1]}
        if given["jobName"] in self.jobs:
            raise RefusedError("ConflictException", "The provided job name is currently in use.")
        if not given["trainingDataConfig"]["s3Uri"].startswith(f"s3://{BUCKET}/"):
            raise RefusedError("ValidationException", "the training data cannot be read")
        self._told_by_moto(environ)
        job, mark = self.jobs[given["jobName"]], uuid.uuid4().hex[:12]
        job.job_arn = f"{_ARN}:model-customization-job/{MODEL}/{mark}"
        job.output_model_arn = f"{_ARN}:custom-model/{MODEL}/{mark[::-1]}"
        job.output_model_name, job.output_model_kms_key_arn = job.custom_model_name, None
        job.validation_data_config = job.validation_data_config or {"validators": []}
        job.creation_time = job.last_modified_time = _now()
        job.end_time = job.failure_message = job.training_metrics = job.validation_metrics = None
        model = self._models[job.job_name] = self.models.pop(job.custom_model_name)
        model.model_arn = job.output_model_arn
        self._tokens[given["clientRequestToken"]] = (given, job.job_arn)
        return {"jobArn": job.job_arn}

    def _GetModelCustomizationJob(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        name = given["jobIdentifier"]
        self._looks[name] += 1
        if name in self.jobs and self._looks[name] == self.finish_after:
            self.set_status(name, "Completed")
        return self._told_by_moto(environ)

    def _ListModelCustomizationJobs(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        del given
        told = self._told_by_moto(environ)
        for job in told["modelCustomizationJobSummaries"]:
            for name in [name for name, value in job.items() if value is None]:
                del job[name]
        return told

    def _StopModelCustomizationJob(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        name = given["jobIdentifier"]
        if name in self.jobs and self.jobs[name].status in ENDED:  # moto stops what has ended
            raise RefusedError("ConflictException", "the job has ended")
        self._told_by_moto(environ)
        self.set_status(name, "Stopping")  # where moto has stopped it at once
        return {}

    def _DeleteCustomModel(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        del environ
        for name, model in self.models.items():
            if given["modelIdentifier"] in {name, model.model_arn}:  # moto knows names alone
                del self.models[name]
                return {}
        raise RefusedError("ResourceNotFoundException", "there is no such model")

    # -- filled in -----------------------------------------------------------------------------------------------

    def _CreateCustomModelDeployment(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        del environ
        name = given["modelDeploymentName"]
        if given["modelArn"] not in {model.model_arn for model in self.models.values()}:
            raise RefusedError("ResourceNotFoundException", "there is no such model")
        if name in self.deployments:  # how AWS refuses it is told nowhere
            raise RefusedError("ValidationException", "there is a deployment of that name")
        self.deployments[name] = {
            "customModelDeploymentArn": f"{_ARN}:custom-model-deployment/{uuid.uuid4().hex[:12]}",
            "modelDeploymentName": name,
            "modelArn": given["modelArn"],
            "createdAt": _now(),
            "status": "Creating",
        }
        return {"customModelDeploymentArn": self.deployments[name]["customModelDeploymentArn"]}

    def _GetCustomModelDeployment(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        del environ
        told = self._deployment(given)
        seen = dict(told)
        if told["modelDeploymentName"] not in self.held:
            told["status"] = "Active"  # at the second look
        return seen

    def _ListCustomModelDeployments(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        del environ
        start, size = int(given.get("nextToken", 0)), int(given.get("maxResults", 2))
        names = [*self.deployments][::-1]
        found = [dict(self.deployments[name]) for name in names[start : start + size]]
        for each in found:
            each["customModelDeploymentName"] = each.pop("modelDeploymentName")
        more = {"nextToken": str(start + size)} if start + size < len(names) else {}
        return {"modelDeploymentSummaries": found, **more}

    def _DeleteCustomModelDeployment(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        del environ
        del self.deployments[self._deployment(given)["modelDeploymentName"]]
        return {}

    def _deployment(self, given: dict[str, Any]) -> dict[str, Any]:
        for name, told in self.deployments.items():
            if given["customModelDeploymentIdentifier"] in {name, told["customModelDeploymentArn"]}:
                return told
        raise RefusedError("ResourceNotFoundException", "there is no such deployment")

    def _Converse(self, given: dict[str, Any], environ: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        del environ
        message = {"role": "assistant", "content": [{"text": self._echo(given)}]}
        usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
        return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}

    def _ConverseStream(self, given: dict[str, Any], environ: dict[str, Any]) -> bytes:  # noqa: N802 - AWS's name
        del environ
        events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
        for word in self._echo(given).split():
            events += [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": f"{word} "}})]
        if "breaks off" not in str(given["messages"]):
            events.append(("messageStop", {"stopReason": "max_tokens"}))
        if "throttle" in str(given["messages"]):
            return b"".join(_event(*event) for event in events) + _event("throttlingException", {"message": "too fast"})
        usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
        events.append(("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}))
        return b"".join(_event(*event) for event in events)

    def _echo(self, given: dict[str, Any]) -> str:
        if given["modelId"] not in {each["customModelDeploymentArn"] for each in self.deployments.values()}:
            raise RefusedError("ResourceNotFoundException", "there is no such deployment")
        self.chats.append(given)
        return f"echo: {given['messages'][-1]['content'][0]['text']}"


def _event(kind: str, told: dict[str, Any]) -> bytes:
    """Writes a message of an event stream: lengths and their sum, headers, the payload and the sum of it all."""
    shape = asked_for("POST", "/model/x/converse-stream").operation.output_shape.members["stream"].members[kind]
    wrong = [*misfits(shape, told, kind)]
    assert not wrong, wrong
    is_error = kind.endswith("Exception")
    names = {":exception-type" if is_error else ":event-type": kind, ":content-type": "application/json"}
    names[":message-type"] = "exception" if is_error else "event"
    headers = b"".join(
        struct.pack("B", len(name)) + name.encode() + b"\7" + struct.pack(">H", len(value)) + value.encode()
        for name, value in names.items()
    )
    payload = json.dumps(told).encode()
    begin = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = begin + struct.pack(">I", zlib.crc32(begin)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _error(code: str, message: str, request_id: str = "") -> Answer:
    headers = [("content-type", "application/json"), ("x-amzn-errortype", code)]
    headers.append(("x-amzn-requestid", request_id or str(uuid.uuid4())))
    return Answer(status_of(code), json.dumps({"message": message}).encode(), headers)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
