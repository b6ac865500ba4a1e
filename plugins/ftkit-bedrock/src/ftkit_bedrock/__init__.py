"""Amazon Bedrock for ftkit: `Client("bedrock", bucket="my-bucket", role_arn="arn:aws:iam::...:role/...")`.

Jobs, files and deployments are known by their names, which come from ftkit's keys. Beside this file there are the line
to AWS (`aws`), the form of a conversation (`converse`) and the rules of training data (rules.toml).
"""

from __future__ import annotations

import csv
import re
from contextlib import closing, suppress
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

from ftkit import errors, models, plugin
from ftkit.datasets import RuleBook
from ftkit.methods import Method, Settings, Supervised
from ftkit.models import Deployment, DeploymentStatus, FineTuningJob, JobStatus, Page, Problem, TrainingFile
from ftkit_bedrock import converse
from ftkit_bedrock.aws import Aws

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from boto3 import Session
    from pydantic import BaseModel

    from ftkit.models import ChatMessage, ChatOptions, Checkpoint, JobRequest

JOB_WORDS: Mapping[str, JobStatus] = {
    "InProgress": JobStatus.RUNNING,
    "Completed": JobStatus.SUCCEEDED,
    "Failed": JobStatus.FAILED,
    "Stopping": JobStatus.CANCELLING,
    "Stopped": JobStatus.CANCELLED,
}
STANDS = {"Creating": DeploymentStatus.CREATING, "Active": DeploymentStatus.RUNNING, "Failed": DeploymentStatus.FAILED}
NUMBERS: Mapping[str, str] = {
    "n_epochs": "epochCount",
    "batch_size": "batchSize",
    "learning_rate": "learningRate",
    "learning_rate_multiplier": "learningRateMultiplier",
}
"""Hyperparameters, in ftkit's words and Bedrock's."""
_COLUMNS = ("step_number", "epoch_number", "training_loss", "perplexity")
_RULES = RuleBook.from_toml(files("ftkit_bedrock").joinpath("rules.toml").read_text(encoding="utf-8"))
_JOB = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+.-]{0,62}")
_DEPLOYMENT = re.compile(r"(?:[0-9a-zA-Z][_-]?){1,63}")
_MODEL = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:custom-model/[A-Za-z0-9.:_-]+(?:/[a-z0-9]+)?")
_SUFFIX = re.compile(r"[0-9a-zA-Z](?:[_-]?[0-9a-zA-Z]){0,19}")
_TAG = re.compile(r"[a-zA-Z0-9\s._:/=+@-]+")


class BedrockOptions(Settings):
    """What only Bedrock has.

    Attributes:
        kms_key: Key of KMS that the tuned model is encrypted with: its id, ARN or alias.
        hyperparameters: More of Bedrock's own, by its names, such as {"learningRateWarmupSteps": "10"}.
    """

    field_noun = "option"
    written_as = "provider_options"

    kms_key: str | None = None
    hyperparameters: dict[str, str] | None = None


class BedrockProvider(plugin.HoldsKey):
    """Fine-tunes on Amazon Bedrock.

    Args:
        session: A ready-made session of boto3; else one that finds credentials and region as all of AWS's tools do.
        region: The region, if not that of the session.
        bucket: The bucket of S3, in the region of the jobs, that training data and metrics are kept in.
        role_arn: The role that Bedrock takes on to read and write there.
        prefix: The folder of all of ftkit's objects in the bucket.
        endpoint_url: Where all of AWS is, for tests.
        timeout_s: How long an answer may take, in seconds.
    """

    contract: ClassVar[int] = 1
    name = "bedrock"
    methods: frozenset[type[Method]] = frozenset({Supervised})
    Options: type[BaseModel] = BedrockOptions

    def __init__(
        self,
        session: Session | None = None,
        *,
        region: str | None = None,
        bucket: str = "",
        role_arn: str = "",
        prefix: str = "ftkit",
        endpoint_url: str | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        self.settle_s = 10.0  # AWS names no time
        self._aws = Aws(self.name, session, region=region, endpoint_url=endpoint_url, timeout_s=timeout_s)
        self._bucket, self._role, self._prefix = bucket, role_arn, prefix

    # -- what every provider has ---------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns account and region."""
        return f"{self.name}:{self._aws.account()}"

    def rules(self, method: Method, model: str) -> models.DatasetRules:
        """Takes prompts and completions, or conversations in the form that the model wants."""
        return _RULES.rules(method, model)

    def problems(self, request: JobRequest) -> list[Problem]:
        """Refuses what the model's family does not have, labels and suffixes that AWS refuses, and a missing role."""
        # Custom model hyperparameters, Bedrock user guide, read 2026-11-28
        numbers = ["n_epochs", "learning_rate_multiplier" if "claude" in request.model else "learning_rate"]
        numbers += [] if "nova" in request.model else ["batch_size"]
        takes: dict[str, Any] = {"methods": {Supervised: numbers}, "fields": ("validation_file", "suffix", "metadata")}
        found = plugin.problems_of(request, options=self.Options, **takes)
        given, more = request.method.hyperparameters(), request.provider_options.get("hyperparameters") or ()
        wrong = {f"method.{k}": v for k, v in given.items() if v == "auto" or NUMBERS.get(k) in more}  # or told twice
        wrong |= {} if _SUFFIX.fullmatch(request.suffix or "none") else {"suffix": request.suffix}
        wrong |= {f"metadata.{k}": v for k, v in request.metadata.items() if not _TAG.fullmatch(k + v) or not k}
        found += [Problem(code="not-taken", field=k, message=f"Bedrock does not take {v!r}.") for k, v in wrong.items()]
        return found + self._lacking()

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Puts the file where its key says, unless it is there."""
        uri = f"{self._files()}{plugin.word_of(key)}.jsonl"
        with suppress(errors.NotFoundError):
            return self.get_file(uri)
        with path.open("rb") as body:
            self._aws.ask("s3", "put_object", **self._object(uri), Body=body)
        return self._file(uri, path.stat().st_size).model_copy(update={"filename": path.name})

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Orders a job under the name of its key, and with a token of it: AWS itself makes no second one."""
        identity, name = self.identity(), _name(key)
        options, valid = BedrockOptions(**request.provider_options), request.validation_file
        numbers = {NUMBERS[k]: f"{Decimal(str(v)):f}" for k, v in request.method.hyperparameters().items()}
        order = {
            "jobName": name,
            "customModelName": f"{request.suffix or 'ftkit'}-{plugin.word_of(key, 20)}",
            "clientRequestToken": plugin.word_of(key, 64),
            "roleArn": self._role,
            "baseModelIdentifier": request.model,
            "customizationType": "FINE_TUNING",
            "hyperParameters": {**(options.hyperparameters or {}), **numbers},
            "trainingDataConfig": {"s3Uri": request.training_file.id},
            "validationDataConfig": valid and {"validators": [{"s3Uri": valid.id}]},
            "outputDataConfig": {"s3Uri": f"s3://{self._bucket}/{self._prefix}/output/{name}/"},
            "customModelKmsKeyId": options.kms_key,
            "jobTags": [{"key": label, "value": value} for label, value in request.metadata.items()],
        }
        self._aws.ask("bedrock", "create_model_customization_job", "jobArn", **order)
        made = {"identity": identity, "key": key, "status": JobStatus.RUNNING, "provider_status": "InProgress"}
        return FineTuningJob.model_validate({"id": name, "provider": self.name, **plugin.asked_of(request), **made})

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Looks for the name of the key, which no other job of the account and region can have."""
        del request, since
        with suppress(errors.NotFoundError):
            return self.get_job(_name(key)).model_copy(update={"key": key})
        return None

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        return self._job(self._read(job_id))

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first, whoever made them."""

        def page(cursor: str | None) -> tuple[list[FineTuningJob], str | None]:
            order = {"sortBy": "CreationTime", "sortOrder": "Descending", "maxResults": limit, "nextToken": cursor}
            told = self._aws.ask("bedrock", "list_model_customization_jobs", **order)
            return [*map(self._job, told.get("modelCustomizationJobSummaries", ()))], told.get("nextToken")

        return plugin.read_on(page, after)

    # -- abilities -----------------------------------------------------------------------------------------------

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Stops a job; AWS refuses to stop one that has ended."""
        known = plugin.known_id(job_id, "job", self.name, _JOB)
        with suppress(errors.ConflictError):
            self._aws.ask("bedrock", "stop_model_customization_job", jobIdentifier=known)
        return self.get_job(job_id)

    def results(self, job_id: str) -> list[models.Metrics]:
        """Reads the table that Bedrock leaves in the bucket; there is nothing until then."""
        bucket, _, folder = self._read(job_id)["outputDataConfig"]["s3Uri"].removeprefix("s3://").partition("/")
        steps: dict[float, models.Metrics] = {}
        for told in self._aws.ask_all("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=folder):
            if told["Key"].endswith("/step_wise_training_metrics.csv"):
                table = self._aws.ask("s3", "get_object", Bucket=bucket, Key=told["Key"])["Body"]
                with self._aws.asking(), closing(table):
                    rows = [*csv.DictReader(table.read().decode().splitlines())]
                for row in rows:
                    step, epoch, loss, other = (float(row[name]) for name in _COLUMNS)
                    found = {"step": step + 1, "epoch": epoch, "train_loss": loss, "extra": {_COLUMNS[-1]: other}}
                    steps[step] = models.Metrics.model_validate(found)  # steps are counted from 0 there
        return [steps[step] for step in sorted(steps)]

    def get_file(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file that ftkit sent."""
        told = self._aws.ask("s3", "head_object", **self._object(file_id))
        return self._file(file_id, told["ContentLength"], told["LastModified"])

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first. S3 has them by name, so all are read for each page."""
        folder = f"{self._prefix}/files/"
        told = self._aws.ask_all("s3", "list_objects_v2", "Contents", Bucket=self._bucket, Prefix=folder)
        told.sort(key=lambda each: (each["LastModified"], each["Key"]), reverse=True)
        found = [self._file(f"s3://{self._bucket}/{it['Key']}", it["Size"], it["LastModified"]) for it in told]
        return plugin.page_of(found, after, limit)

    def download_file(self, file_id: str, path: Path) -> None:
        """Writes a file's content."""
        told = self._aws.ask("s3", "get_object", **self._object(file_id))
        with closing(told["Body"]) as body, plugin.saving(path, self.name) as file, self._aws.asking():
            file.writelines(body.iter_chunks(1 << 20))

    def delete_file(self, file_id: str) -> None:
        """Deletes a file that ftkit sent, and no other object."""
        self.get_file(file_id)  # S3 does not say that there is none
        self._aws.ask("s3", "delete_object", **self._object(file_id))

    def delete_model(self, model: str) -> None:
        """Deletes a tuned model."""
        asked = {"modelIdentifier": plugin.known_id(model, "model", self.name, _MODEL)}
        self._aws.ask("bedrock", "delete_custom_model", **asked)

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Deploys a model on demand, which costs nothing by the hour. AWS does not say how it refuses a taken name."""
        plugin.no_options(options)
        model, _ = plugin.model_of(target, self.name)
        if not _DEPLOYMENT.fullmatch(name) or not _MODEL.fullmatch(model):
            raise errors.ConfigurationError(f"no deployment can be named {name!r}, or no model {model!r}")
        with suppress(errors.NotFoundError):
            there = self.get_deployment(name)
            if there.source != model:
                raise errors.ConflictError(f"the deployment {name} serves {there.source}", provider=self.name)
            return there
        asked = {"modelDeploymentName": name, "modelArn": model}  # a token would bring back what was deleted since
        told = self._aws.ask("bedrock", "create_custom_model_deployment", "customModelDeploymentArn", **asked)
        return self._deployment({**asked, **told, "status": "Creating"})

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment."""
        told = self._aws.ask("bedrock", "get_custom_model_deployment", "modelArn", **self._named(name))
        return self._deployment(told)

    def list_deployments(self) -> list[Deployment]:
        """Lists all deployments."""
        told = self._aws.ask_all("bedrock", "list_custom_model_deployments", "modelDeploymentSummaries")
        return [self._deployment(each) for each in told]

    def delete_deployment(self, name: str) -> None:
        """Deletes a deployment, and no model."""
        with suppress(errors.NotFoundError):
            self._aws.ask("bedrock", "delete_custom_model_deployment", **self._named(name))

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> models.ChatReply:
        """Asks a deployed model."""
        asked = converse.question(deployment.model, messages, options)
        return converse.reply_of(self._aws.ask("bedrock-runtime", "converse", "stopReason", **asked), deployment.model)

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[models.ChatChunk]:
        """Asks a deployed model, and yields the answer as it comes."""
        asked = converse.question(deployment.model, messages, options)
        told = self._aws.ask("bedrock-runtime", "converse_stream", **asked)
        with self._aws.asking(), closing(told["stream"]) as events:
            yield from converse.chunks_of(events)

    def examine(self) -> list[Problem]:
        """Looks whether bucket and role are given, and the bucket is there and in the region of the jobs."""
        found, ours, wrong = self._lacking(), self._aws.region(), ""
        try:
            there = self._aws.ask("s3", "head_bucket", Bucket=self._bucket) if self._bucket else {}
            if (where := there.get("BucketRegion", ours)) != ours:
                wrong = f"the bucket is in {where}, and jobs are made in {ours}."
        except errors.ProviderError as error:
            wrong = str(error)
        return found + ([Problem(code="bad-bucket", field="bucket", message=wrong)] if wrong else [])

    # -- translation ---------------------------------------------------------------------------------------------

    def _lacking(self) -> list[Problem]:
        given = {"bucket": self._bucket, "role_arn": self._role}
        return [Problem(code="not-given", field=k, message=f"no {k} is given.") for k, v in given.items() if not v]

    def _files(self) -> str:
        if not self._bucket:
            raise errors.ConfigurationError("no bucket is given", hint="Give bucket=...")
        return f"s3://{self._bucket}/{self._prefix}/files/"

    def _object(self, file_id: str) -> dict[str, str]:
        pattern = re.compile(re.escape(self._files()) + r"[0-9a-f]{40}\.jsonl")
        known = plugin.known_id(file_id, "file", self.name, pattern)
        return {"Bucket": self._bucket, "Key": known.removeprefix(f"s3://{self._bucket}/")}

    def _named(self, name: str) -> dict[str, str]:
        return {"customModelDeploymentIdentifier": plugin.known_id(name, "deployment", self.name, _DEPLOYMENT)}

    def _file(self, uri: str, size: int, made: datetime | None = None) -> TrainingFile:
        filename, us = uri.rpartition("/")[2], self.identity()
        return TrainingFile(id=uri, provider=self.name, identity=us, filename=filename, size=size, created_at=made)

    def _read(self, job_id: str) -> dict[str, Any]:
        known = plugin.known_id(job_id, "job", self.name, _JOB)
        return self._aws.ask("bedrock", "get_model_customization_job", "jobName", "status", jobIdentifier=known)

    def _job(self, told: Mapping[str, Any]) -> FineTuningJob:
        """Reads a job, or what a list tells of it."""
        status = JOB_WORDS.get(told["status"], JobStatus.UNKNOWN)
        model = told.get("outputModelArn", told.get("customModelArn"))
        validators = told.get("validationDataConfig", {}).get("validators", ())
        return FineTuningJob(
            id=told["jobName"],
            provider=self.name,
            identity=self.identity(),
            status=status,
            provider_status=told["status"],
            model=told["baseModelArn"].rpartition("/")[2],
            fine_tuned_model=model if status is JobStatus.SUCCEEDED else None,
            training_file=told.get("trainingDataConfig", {}).get("s3Uri"),
            validation_file=next((each["s3Uri"] for each in validators), None),
            created_at=told["creationTime"],
            finished_at=told.get("endTime"),
            error=told.get("failureMessage"),
        )

    def _deployment(self, told: Mapping[str, Any]) -> Deployment:
        """Reads a deployment, or what a list tells of it."""
        return Deployment(
            name=told.get("modelDeploymentName") or told["customModelDeploymentName"],
            provider=self.name,
            identity=self.identity(),
            status=STANDS.get(told["status"], DeploymentStatus.UNKNOWN),
            provider_status=told["status"],
            model=told["customModelDeploymentArn"],
            source=told["modelArn"],
            created_at=told.get("createdAt"),
            error=told.get("failureMessage"),
        )


def _name(key: str) -> str:
    return f"ftkit-{plugin.word_of(key)}"
