"""The provider `together`: fine-tuning at Together AI, through its own package."""

from __future__ import annotations

import math
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import httpx
import together
from pydantic import Field
from together.types import FileResponse, FinetuneResponse
from together.types.chat import ChatCompletion
from together.types.chat import ChatCompletionChunk as Chunk

from ftkit import errors, models, plugin
from ftkit.datasets import RuleBook
from ftkit.methods import DPO, Method, Settings, Supervised
from ftkit.models import FineTuningJob, JobRequest, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from pydantic import BaseModel

T = TypeVar("T")
Told = dict[str, Any]

_HINT = "Set TOGETHER_API_KEY, or give api_key=..."
_CHAT = "/v1/chat/completions"
_IDS = ("x-request-id", "x-together-traceid", "cf-ray")  # headers that may name a request
_TUNING = ("n_epochs", "batch_size", "learning_rate", "lora")
_HYPERPARAMETERS: dict[type[Method], tuple[str, ...]] = {Supervised: _TUNING, DPO: (*_TUNING, "beta")}
_SOURCE = "docs.together.ai/docs/fine-tuning/data-preparation, and together 3.1.1, lib/constants.py"
_ROLES = ["system", "user", "assistant", "tool"]
_RULES = RuleBook(
    {"layout": "chat", "accepts": ["chat"], "roles": _ROLES, "source": _SOURCE, "as_of": "2026-11-28"},
    {"max_bytes": 5 * 2**30, "max_images": 10, "max_image_bytes": 10 * 2**20},
    {"method": "dpo", "layout": "openai-preference", "accepts": ["preference"], "tools": False, "images": False},
)
STATUS_WORDS: Mapping[str, JobStatus] = {
    **dict.fromkeys(("pending", "queued"), JobStatus.QUEUED),
    **dict.fromkeys(("running", "compressing", "uploading"), JobStatus.RUNNING),
    "cancel_requested": JobStatus.CANCELLING,
    "cancelled": JobStatus.CANCELLED,
    **dict.fromkeys(("error", "user_error"), JobStatus.FAILED),
    "completed": JobStatus.SUCCEEDED,
}


class TogetherOptions(Settings):
    """What only Together has; None is its own default. See docs.together.ai/reference/post-fine-tunes.

    Attributes:
        train_on_inputs: Whether prompts are learnt from as well; supervised only.
        from_checkpoint: Goes on from another job: its id or its model, with `:step` if not from its end.
    """

    field_noun = "option"
    written_as = "provider_options"

    max_seq_length: int | None = Field(default=None, ge=1)
    packing: bool | None = None
    warmup_ratio: float | None = Field(default=None, ge=0, le=1)
    weight_decay: float | None = Field(default=None, ge=0)
    n_checkpoints: int | None = Field(default=None, ge=1)
    n_evals: int | None = Field(default=None, ge=0)
    train_on_inputs: bool | Literal["auto"] | None = None
    from_checkpoint: str | None = None


class TogetherProvider(plugin.NamesModels, plugin.HoldsKey):
    """Fine-tunes at Together AI.

    Args:
        client: A ready-made client of the `together` package; the arguments below make one otherwise.
        api_key: The key; TOGETHER_API_KEY by default.
        base_url: Where the API is; TOGETHER_BASE_URL, or Together itself.
        timeout_s: Seconds that a request may take.

    Raises:
        CredentialsError: There is no key.
    """

    contract: ClassVar[int] = 1
    name = "together"
    methods = frozenset(_HYPERPARAMETERS)
    asked_as = "endpoint"  # of a deployment: the name of an endpoint that serves the model
    Options: type[BaseModel] = TogetherOptions

    @plugin.forgetful
    def __init__(
        self,
        client: together.Together | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout_s: float = 600.0,
    ) -> None:
        self.settle_s = 10.0
        if client is None:  # no redirect is followed: it would take data, and the key, along
            http = together.DefaultHttpxClient(follow_redirects=False)
            weakref.finalize(self, http.close)
            try:
                client = together.Together(api_key=api_key, base_url=base_url, timeout=timeout_s, http_client=http)
            except together.TogetherError as error:
                raise errors.CredentialsError(f"{self.name}: {error}", hint=_HINT) from None
        self._client = client.with_options(max_retries=0)  # ftkit tries reads again; a create, nobody does

    # -- what every provider has -----------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns the project that the key belongs to; its organisation, or user, where it belongs to none."""
        return f"{self._client.base_url.host}:{self._client.project_id or self._account}"

    def rules(self, method: Method, model: str) -> models.DatasetRules:
        """Takes conversations; for DPO, preferences."""
        return _RULES.rules(method, model)

    def problems(self, request: JobRequest) -> list[models.Problem]:
        """Says what Together has no room for."""
        has: Told = {"fields": ("validation_file", "suffix", "seed"), "options": self.Options, "longest_suffix": 40}
        found = plugin.problems_of(request, methods=_HYPERPARAMETERS, **has)
        lora = request.method.hyperparameters().get("lora")
        if isinstance(lora, dict) and lora and "r" not in lora:
            message, fix = "a LoRA needs its rank here.", "Give r=..., or lora=True for all that is usual."
            found.append(models.Problem(code="no-rank", field="method.lora", message=message, fix=fix))
        return found

    def upload(self, path: Path, key: str) -> models.TrainingFile:
        """Sends a file under a name that the key is in; what was sent under it before is looked for first."""
        word, size = plugin.word_of(key), path.stat().st_size
        with self._asking():
            for told in self._all(self._client.files.list):
                if word in told["filename"] and told["bytes"] == size:
                    if not told.get("processing_status"):  # who sent it died before the last of three requests
                        self._client.post(f"/v1/files/{told['id']}/preprocess", cast_to=FileResponse)
                    return self._file(told)
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # the package sends the name that it sees
                named = Path(folder, f"{path.stem[:40]}-{word}.jsonl")
                named.hardlink_to(path)
                return self._file(self._client.files.upload(named, check=False).to_dict(warnings=False))

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Asks for a job, in one request: `fine_tuning.create` would ask for limits and a price before."""
        order = _order(request, key)
        return self._ask(self._job, self._client.post, "/v1/fine-tunes", body=order, cast_to=FinetuneResponse)

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Knows a job by all that was asked for; a seed that nobody asked for comes from the key."""
        wanted, oldest = _order(request, key), since.replace(microsecond=0)
        with self._asking():
            listed = [(told, self._job(told)) for told in self._all(self._client.fine_tuning.list)]
        young = [each for each in listed if each[1].created_at is None or each[1].created_at >= oldest]
        return plugin.the_one([job for told, job in young if _is_it(told, wanted)], key, self.name)

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        return self._ask(self._job, self._client.fine_tuning.retrieve, self._known(job_id, "job"))

    def list_jobs(self, after: str | None, limit: int) -> models.Page[FineTuningJob]:
        """Lists jobs, newest first."""
        with self._asking():
            jobs = [self._job(told) for told in self._all(self._client.fine_tuning.list)]
        return plugin.page_of(jobs, after, limit)

    # -- around a job ----------------------------------------------------------------------------------------------

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Ends a job. Together refuses to end one that has ended, where the contract wants it as it is."""
        try:
            self._ask(dict, self._client.fine_tuning.cancel, self._known(job_id, "job"))
        except errors.ProviderError:
            if not self.get_job(job_id).status.is_terminal:
                raise
        return self.get_job(job_id)

    def list_events(self, job_id: str, after: str | None, limit: int) -> models.Page[models.JobEvent]:
        """Lists events, oldest first. Together gives them no ids: theirs come from what they say."""
        with self._asking():
            told = self._all(self._client.fine_tuning.list_events, self._known(job_id, "job"))
            events = {event.id: event for event in (_event(job_id, each) for each in told)}
        return plugin.page_of(sorted(events.values(), key=lambda event: event.created_at), after, limit)

    def list_checkpoints(self, job_id: str) -> list[models.Checkpoint]:
        """Lists checkpoints, newest first; where a step is there as an adapter and merged, the merged one."""
        with self._asking():
            told = self._all(self._client.fine_tuning.list_checkpoints, self._known(job_id, "job"))
            told.sort(key=lambda each: (each["step"], each.get("checkpoint") == "model"))
            steps = {each["step"]: _checkpoint(job_id, each) for each in told if each.get("object_name")}
        return [*steps.values()][::-1]

    def results(self, job_id: str) -> list[models.Metrics]:
        """Returns what was measured. Together tells training and evaluation apart: here they are one row a step."""
        return self._ask(_metrics, self._client.fine_tuning.list_metrics, self._known(job_id, "job"))

    # -- files -----------------------------------------------------------------------------------------------------

    def get_file(self, file_id: str) -> models.TrainingFile:
        """Reads what is known of a file."""
        return self._ask(self._file, self._client.files.retrieve, self._known(file_id, "file"))

    def list_files(self, after: str | None, limit: int) -> models.Page[models.TrainingFile]:
        """Lists files, newest first."""
        with self._asking():
            files = [self._file(told) for told in self._all(self._client.files.list)]
        return plugin.page_of(files, after, limit)

    def download_file(self, file_id: str, path: Path) -> None:
        """Writes the content of a file, piece by piece."""
        content = self._client.files.with_streaming_response.content(self._known(file_id, "file"))
        with self._asking(), content as response, plugin.saving(path, self.name) as target:
            for chunk in response.iter_bytes():
                target.write(chunk)

    def delete_file(self, file_id: str) -> None:
        """Deletes a file."""
        self._ask(dict, self._client.files.delete, self._known(file_id, "file"))

    # -- asking ----------------------------------------------------------------------------------------------------

    def chat(
        self, deployment: models.Deployment, messages: Sequence[models.ChatMessage], options: models.ChatOptions
    ) -> models.ChatReply:
        """Asks a deployed model."""
        body, post = plugin.request_body(deployment.model, messages, options), self._client.post
        return self._ask(plugin.reply_of, post, _CHAT, body=body, cast_to=ChatCompletion)

    def stream_chat(
        self, deployment: models.Deployment, messages: Sequence[models.ChatMessage], options: models.ChatOptions
    ) -> Iterator[models.ChatChunk]:
        """Asks a deployed model, and yields the answer as it comes."""
        body = {**plugin.request_body(deployment.model, messages, options), "stream": True}
        kind, post = together.Stream[Chunk], self._client.post
        with self._asking(), post(_CHAT, body=body, cast_to=Chunk, stream=True, stream_cls=kind) as stream:
            told = (chunk.to_dict(warnings=False) for chunk in stream)
            yield from plugin.to_the_end(plugin.chunks_of(told), self.name)

    # -- inside ----------------------------------------------------------------------------------------------------

    @cached_property
    def _account(self) -> str:
        whose = ("project", "organization")
        return self._ask(lambda told: str(told[next(filter(told.get, whose), "user")]["id"]), self._client.whoami)

    def _asking(self) -> AbstractContextManager[None]:
        """The one place where the exceptions of the package become ours; files are sent past it, by httpx."""
        how: Told = {"hint": _HINT, "request_ids": _IDS, "no_answer": (httpx.HTTPError,)}
        return plugin.sdk_errors(together, self.name, secrets=[self._client.api_key], **how)

    def _ask(self, read: Callable[[Told], T], call: Callable[..., Any], *args: Any, **kwargs: Any) -> T:
        """Asks once, and reads the JSON that came."""
        with self._asking():
            return read(call(*args, **kwargs).to_dict(warnings=False))

    def _all(self, call: Callable[..., Any], *args: Any) -> list[Told]:
        """Reads a list, which Together tells as a whole, and in no order that it promises: here, newest first."""
        told = self._ask(dict, call, *args)["data"]
        return sorted(told, key=lambda each: each["created_at"], reverse=True)

    def _known(self, given: str, noun: str) -> str:
        return plugin.known_id(given, noun, self.name)

    def _job(self, told: Told) -> FineTuningJob:
        status = STATUS_WORDS.get(told["status"], JobStatus.UNKNOWN)
        wrong = [each["message"] for each in told.get("events") or () if "error" in (each.get("level") or "")]
        names = ("id", "training_file", "validation_file", "suffix", "created_at", "started_at")
        return FineTuningJob(
            **plugin.same_named(told, *names),
            provider=self.name,
            status=status,
            provider_status=told["status"],
            model=told.get("model") or "unknown",
            fine_tuned_model=told.get("model_output_name") if status is JobStatus.SUCCEEDED else None,
            seed=told.get("random_seed"),
            finished_at=told.get("updated_at") if status.is_terminal else None,
            trained_tokens=told.get("token_count"),
            error=wrong[-1] if wrong and status is JobStatus.FAILED else None,
        )

    def _file(self, told: Told) -> models.TrainingFile:
        named = plugin.same_named(told, "id", "filename", "created_at")
        state = told.get("processing_status")
        return models.TrainingFile(**named, provider=self.name, size=told["bytes"], provider_status=state)


def _order(request: JobRequest, key: str) -> Told:
    """Writes a request in Together's words. What was not set is left out, so that Together's own default holds."""
    given = {name: value for name, value in request.method.hyperparameters().items() if value != "auto"}
    options = TogetherOptions(**request.provider_options).model_dump(exclude_none=True)
    lora, beta, inputs = given.pop("lora", None), given.pop("beta", None), options.pop("train_on_inputs", "auto")
    is_dpo, dpo = isinstance(request.method, DPO), {"method": "dpo", **({"dpo_beta": beta} if beta else {})}
    asked = {
        "model": None if "from_checkpoint" in options else request.model,
        "training_file": request.training_file.id,
        "validation_file": request.validation_file.id if request.validation_file else None,
        "suffix": request.suffix,
        "random_seed": plugin.seed_of(key) if request.seed is None else request.seed,
        "training_method": dpo if is_dpo else {"method": "sft", "train_on_inputs": inputs},
        "training_type": _training_type(lora=lora),
    }
    return {**{name: value for name, value in asked.items() if value is not None}, **given, **options}


def _training_type(*, lora: Told | bool | None) -> Told | None:
    """Writes what is trained; where nothing more is asked for, Together's default holds, which is a LoRA."""
    if lora is False:
        return {"type": "Full"}
    if not isinstance(lora, dict) or not lora:
        return None
    modules = lora.get("target_modules", "all-linear")
    return {
        "type": "Lora",
        "lora_r": lora["r"],
        "lora_alpha": lora.get("alpha", 2 * lora["r"]),  # what the package takes it to be
        "lora_dropout": lora.get("dropout", 0.0),
        "lora_trainable_modules": modules if isinstance(modules, str) else ",".join(modules),
    }


def _is_it(told: Told, wanted: Told) -> bool:
    """Whether a job is what was asked for. A suffix or a validation file that nobody asked for makes it another."""
    unasked = any(told.get(name) and name not in wanted for name in ("suffix", "validation_file"))
    return not unasked and plugin.fits(wanted, told)


def _event(job_id: str, told: Told) -> models.JobEvent:
    made, level = told["created_at"], told.get("level") or ""
    named = next((each for each in models.EventLevel if each.value in level), models.EventLevel.INFO)
    word = plugin.word_of(f"{made} {told['type']} {told['message']}", 24)
    return models.JobEvent(id=word, job_id=job_id, created_at=made, level=named, message=told["message"])


def _checkpoint(job_id: str, told: Told) -> models.Checkpoint:
    named = plugin.same_named(told, "step", "created_at")
    return models.Checkpoint(**named, id=f"{job_id}:{told['step']}", job_id=job_id, model=told["object_name"])


def _metrics(told: Told) -> list[models.Metrics]:
    names = {"train/loss": "train_loss", "eval/loss": "valid_loss", "train/learning_rate": "learning_rate"}
    rows: dict[int, Told] = {}
    measured: list[dict[str, float]] = told.get("metrics") or []
    for row in measured:
        step = int(max(value for name, value in row.items() if name.endswith("/global_step")))
        known = rows.setdefault(step, {"step": step, "extra": {}})
        for name, value in row.items():
            if math.isfinite(value) and not name.endswith("/global_step"):
                (known if name in names else known["extra"])[names.get(name, name)] = value
    return [models.Metrics(**rows[step]) for step in sorted(rows)]
