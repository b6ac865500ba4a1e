"""The nouns: frozen, plain data that round-trips through JSON and has no behaviour but properties.

Times are timezone-aware UTC. Money is `Decimal` in the currency named beside it; an unknown price is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, Self, SupportsIndex, TypeVar, cast, overload

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)
from pydantic_core import to_jsonable_python

from ftkit.displays import metrics_html, noun_html, report_html
from ftkit.errors import without_keys
from ftkit.methods import DPO, ORPO, AnyMethod, LoRA, Method, Reinforcement, Reward, Supervised

__all__ = [
    "DPO",
    "ORPO",
    "Asked",
    "BreakEven",
    "ChatChunk",
    "ChatMessage",
    "ChatOptions",
    "ChatReply",
    "ChatUsage",
    "Checkpoint",
    "DatasetRules",
    "Deployment",
    "DeploymentStatus",
    "Elsewhere",
    "Estimate",
    "EventLevel",
    "FineTuningJob",
    "JobEvent",
    "JobRequest",
    "JobStatus",
    "Kept",
    "Lifecycle",
    "LoRA",
    "Method",
    "Metrics",
    "Noun",
    "Page",
    "Problem",
    "RecordKind",
    "Reinforcement",
    "Report",
    "Results",
    "Reward",
    "Severity",
    "Spread",
    "Supervised",
    "TokenStats",
    "TornDown",
    "TrainingFile",
]


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


UtcDatetime = Annotated[datetime, AfterValidator(_in_utc)]
"""A moment in UTC; a naive one is taken to be UTC, as every provider means it."""


class Noun(BaseModel):
    """Base of all nouns. Unknown fields are refused, so that nothing is dropped in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def _repr_html_(self) -> str:
        """Returns what a notebook shows."""
        return noun_html(self)


class RecordKind(StrEnum):
    """The kinds of training record.

    CHAT: messages, with tools and weights. PROMPT_COMPLETION: a prompt and the text that should follow it.
    PREFERENCE: a conversation with a preferred and a rejected answer. TEXT: plain text. ITEM: messages to answer, and
    beside them whatever a grader judges the answer by.
    """

    CHAT = "chat"
    PROMPT_COMPLETION = "prompt_completion"
    PREFERENCE = "preference"
    TEXT = "text"
    ITEM = "item"


class Severity(StrEnum):
    """How bad a problem is: an error stops, a warning changes the outcome, a note is good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Problem(Noun):
    """One thing that is wrong: where, what, and how to mend it.

    Attributes:
        severity: Error, warning or note.
        code: A short, stable name of the kind of problem, such as "unknown-role".
        message: What is wrong.
        fix: How to mend it.
        source: The file, as the user named it.
        line: Line of the file, or row of the table, counted from 1.
        field: Path of the field, such as "messages[1].role".
        excerpt: A short piece of what is there. What looks like a key is not shown, here and in message, fix and field.
        count: How many rows this problem stands for.
    """

    severity: Severity = Severity.ERROR
    code: str
    message: Annotated[str, AfterValidator(without_keys)]
    fix: Annotated[str, AfterValidator(without_keys)] | None = None
    source: str | None = None
    line: PositiveInt | None = None
    field: Annotated[str, AfterValidator(without_keys)] | None = None
    excerpt: Annotated[str, AfterValidator(without_keys)] | None = None
    count: PositiveInt = 1

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.source, self.line) if part is not None)
        where = " ".join(part for part in (place, self.field) if part)
        shown = f" [{self.excerpt}]" if self.excerpt else ""
        mend = f" {self.fix}" if self.fix else ""
        return f"{self.severity.value}: {where}{': ' if where else ''}{self.message}{shown}{mend}"


class DatasetRules(Noun):
    """What a provider asks of a data set, for one method and one model.

    Attributes:
        layout: Name of the file layout that the provider takes (see `ftkit.datasets`).
        layout_version: Raised when the bytes of that layout change.
        accepts: The kinds of record that can be written in it.
        roles: The roles that a chat message may have.
        weights: Whether a message's `weight` of 0 or 1 is honoured.
        tools: Whether tool definitions and tool calls may occur.
        needs_assistant: Whether a conversation must hold an assistant message to learn from.
        min_rows: Fewest rows that are accepted.
        max_bytes: Largest file that is accepted, or None.
        max_tokens: Longest example in tokens, or None; a longer one is truncated or dropped, and reported.
        too_long: What the provider does with a longer example.
        special_tokens: Texts that mean something else to the tokenizer, and that no text may hold.
        images: Whether messages may hold pictures.
        image_roles: The roles whose messages may hold them; None for any.
        image_formats: The formats that are accepted, such as "png"; None if addresses are not looked at.
        max_images: Most pictures in an example, or None.
        max_image_bytes: Largest picture that is sent within the file, or None.
        item_fields: The fields that an item must have, since its grader reads them.
        encoding: How the file is written. Text in any other encoding is refused where it is read.
        source: The documents that the rules come from.
        as_of: The date on which the oldest of them was read.
    """

    layout: str
    layout_version: PositiveInt = 1
    accepts: frozenset[RecordKind]
    roles: frozenset[str] = frozenset({"system", "developer", "user", "assistant", "tool"})
    weights: bool = True
    tools: bool = True
    needs_assistant: bool = True
    min_rows: NonNegativeInt = 1
    max_bytes: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    too_long: Literal["truncated", "dropped", "refused"] = "refused"
    special_tokens: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    images: bool = True
    image_roles: frozenset[str] | None = None
    image_formats: frozenset[str] | None = None
    max_images: PositiveInt | None = None
    max_image_bytes: PositiveInt | None = None
    item_fields: frozenset[str] = frozenset()
    encoding: Literal["utf-8"] = "utf-8"
    source: str | None = None
    as_of: date | None = None


NOT_SENT = "not-uploaded-yet"
"""The id of a file that a request is looked over with before there is one; of the other file nothing is known then."""


class TrainingFile(Noun):
    """A file that a provider holds, to train or validate on.

    Attributes:
        id: The provider's id of it.
        provider: Name of the provider.
        identity: The account that holds it (see `Provider.identity`).
        filename: Name of the file it was made from, without folders.
        kind: Kind of record, where ftkit wrote it.
        rows: Number of examples, where ftkit wrote it.
        size: Size in bytes.
        source_hash: "sha256:..." of the source file's bytes; None for a file made elsewhere.
        layout: Name of the layout it was written in.
        layout_version: Version of that layout.
        created_at: When the provider took it.
        provider_status: The provider's own word for its state.
    """

    id: str
    provider: str
    identity: str | None = None
    filename: str | None = None
    kind: RecordKind | None = None
    rows: NonNegativeInt | None = None
    size: NonNegativeInt | None = None
    source_hash: str | None = None
    layout: str | None = None
    layout_version: PositiveInt | None = None
    created_at: UtcDatetime | None = None
    provider_status: str | None = None


def _repeatable(value: Mapping[str, Any]) -> Mapping[str, Any]:
    _refuse_unrepeatable(value)
    return value


def _refuse_unrepeatable(value: object) -> None:
    """Refuses what does not read the same in every run, since the key of a request is made of it."""
    if isinstance(value, (set, frozenset)):
        message = "a set has no order of its own: make it a list"
        raise ValueError(message)  # noqa: TRY004 - pydantic explains a ValueError
    if isinstance(value, float) and not math.isfinite(value):
        message = f"{value} cannot be written as JSON"
        raise ValueError(message)
    if isinstance(value, Mapping):
        for inner in cast("Mapping[object, object]", value).values():
            _refuse_unrepeatable(inner)
    elif isinstance(value, (list, tuple)):
        for inner in cast("list[object]", value):
            _refuse_unrepeatable(inner)
    else:
        to_jsonable_python(value)


class JobRequest(Noun):
    """What is asked for: everything that makes one fine-tuning job this one and no other.

    Attributes:
        model: The base model, in the provider's own name for it (roles are resolved before).
        training_file: The file to train on.
        validation_file: The file to validate on, or None.
        method: The method and its hyperparameters.
        suffix: A word that becomes part of the tuned model's name.
        seed: Seed of all randomness, where the provider takes one.
        metadata: Labels of the user's own.
        provider_options: What only this provider has; checked by its `Options` model.
    """

    model: str = Field(min_length=1)
    training_file: TrainingFile
    validation_file: TrainingFile | None = None
    method: AnyMethod = Supervised()
    suffix: str | None = Field(default=None, min_length=1)
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    metadata: Mapping[str, str] = Field(default_factory=dict[str, str])
    provider_options: Annotated[Mapping[str, Any], AfterValidator(_repeatable)] = Field(default_factory=dict[str, Any])


class Asked(Noun):
    """Something that costs, and that was asked for from this machine: a line of its ledger.

    Attributes:
        kind: What was asked for. A deployment that was deleted is forgotten.
        asked_at: When.
        provider: Name of the provider.
        identity: The account (see `Provider.identity`).
        model: The base model of a job; what a deployment serves.
        state: What is known: "intended", it may have been made; "made"; "absent", it surely was not; "dismissed", a
            person says that it was not; "joined", a deployment that was there before.
        attempt: Which attempt at the same job, counted from 1.
        id: Id of the job, where there is one; name of the deployment.
        key: The key of the job's attempt (`ftkit jobs resolve` takes it).
    """

    kind: Literal["job", "deployment"]
    asked_at: UtcDatetime
    provider: str
    identity: str
    model: str
    state: Literal["intended", "made", "absent", "dismissed", "joined"]
    attempt: PositiveInt | None = None
    id: str | None = None
    key: str | None = None


class JobStatus(StrEnum):
    """Where a job stands. A provider's word that ftkit does not know reads as UNKNOWN, never as queued."""

    VALIDATING = "validating"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended for good; such a state never changes."""
        return self in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


class FineTuningJob(Noun):
    """A fine-tuning job, as it was when the provider was last asked. It lives on in its id. `str(job)` is one line.

    Attributes:
        id: The provider's id of it.
        provider: Name of the provider.
        identity: The account it belongs to (see `Provider.identity`).
        status: Where it stands.
        provider_status: The provider's own word for that.
        model: The base model.
        fine_tuned_model: Name of the tuned model, once there is one.
        method: The method and its hyperparameters, as far as the provider tells them.
        training_file: Id of the training file.
        validation_file: Id of the validation file.
        suffix: The word asked for in the tuned model's name.
        seed: The seed in use.
        metadata: Labels of the user's own.
        key: The ledger key that it was made under, where the provider keeps it.
        created_at: When it was made.
        started_at: When it began to train.
        finished_at: When it ended.
        trained_tokens: Tokens it was trained on (billed, where tokens are).
        step: Steps done.
        total_steps: Steps in all.
        error: The provider's message if it failed, or the reason why it is paused.
        interrupted: It is paused because its process or machine died, and nobody asked for that: the same request
            lets it go on. A job that was paused on purpose, or by a spending limit, waits for `resume_job`.
    """

    id: str
    provider: str
    identity: str | None = None
    status: JobStatus
    provider_status: str | None = None
    model: str
    fine_tuned_model: str | None = None
    method: AnyMethod | None = None
    training_file: str | None = None
    validation_file: str | None = None
    suffix: str | None = None
    seed: int | None = None
    metadata: Mapping[str, str] = Field(default_factory=dict[str, str])
    key: str | None = None
    created_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    finished_at: UtcDatetime | None = None
    trained_tokens: NonNegativeInt | None = None
    step: NonNegativeInt | None = None
    total_steps: NonNegativeInt | None = None
    error: str | None = None
    interrupted: bool = False

    def __str__(self) -> str:
        tuned = f" -> {self.fine_tuned_model}" if self.fine_tuned_model else ""
        tokens = f", {self.trained_tokens:,} tokens" if self.trained_tokens is not None else ""
        why = f": {self.error}" if self.error else ""
        return f"{self.id}: {self.status.value}{why}, {self.model}{tuned}{tokens}"


class Metrics(Noun):
    """What was measured at one step. What a provider does not measure is None.

    Attributes:
        step: The step, counted from 1.
        epoch: Epochs done, as a fraction.
        train_loss: Mean cross-entropy on the training batch, nats a token.
        train_mean_token_accuracy: Share of tokens predicted right, 0 to 1.
        valid_loss: The same loss on a validation batch.
        valid_mean_token_accuracy: The same share on a validation batch.
        full_valid_loss: The loss on the whole validation file.
        full_valid_mean_token_accuracy: The share on the whole validation file.
        learning_rate: The learning rate at that step.
        extra: What else the provider reports, by its own names.
    """

    step: NonNegativeInt
    epoch: float | None = None
    train_loss: float | None = None
    train_mean_token_accuracy: float | None = None
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    full_valid_loss: float | None = None
    full_valid_mean_token_accuracy: float | None = None
    learning_rate: float | None = None
    extra: Mapping[str, float] = Field(default_factory=dict[str, float])


class Results(list[Metrics]):
    """The metrics of a job, a row a step: a list, which a notebook shows as a table below a drawing of the losses."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> Metrics: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Metrics | Results:
        if isinstance(index, slice):
            return Results(super().__getitem__(index))
        return super().__getitem__(index)

    def _repr_html_(self) -> str:
        """Returns what a notebook shows."""
        return metrics_html(self)


class EventLevel(StrEnum):
    """How loud an event is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class JobEvent(Noun):
    """Something that happened in a job.

    Attributes:
        id: The provider's id of it, unique within the job.
        job_id: The job.
        created_at: When it happened.
        level: Info, warning or error.
        message: What happened, in the provider's words.
        metrics: What was measured, for an event of that sort.
    """

    id: str
    job_id: str
    created_at: UtcDatetime
    level: EventLevel = EventLevel.INFO
    message: str
    metrics: Metrics | None = None


class Checkpoint(Noun):
    """The state of a model part of the way through a job.

    Attributes:
        id: The provider's id of it.
        job_id: The job.
        step: The step it was taken at.
        model: The name by which it can be deployed.
        metrics: What was measured then.
        created_at: When it was written.
    """

    id: str
    job_id: str
    step: NonNegativeInt
    model: str
    metrics: Metrics | None = None
    created_at: UtcDatetime | None = None


class DeploymentStatus(StrEnum):
    """Where a deployment stands."""

    CREATING = "creating"
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"
    UNKNOWN = "unknown"

    @property
    def is_gone(self) -> bool:
        """Whether it is deleted, or about to be."""
        return self in {DeploymentStatus.DELETED, DeploymentStatus.DELETING}


class Deployment(Noun):
    """A model that can be asked. `str(deployment)` is one line.

    Attributes:
        name: Its name, unique within the account.
        provider: Name of the provider.
        identity: The account that pays for it.
        status: Where it stands.
        provider_status: The provider's own word for that.
        model: The name to put in a chat request.
        source: The job, checkpoint or model that it serves.
        url: Base address of its OpenAI-style endpoint, where it has one of its own.
        created_at: When it was made.
        expires_at: When it is due to be deleted, if a time to live was asked for.
        price_per_hour: What it costs while it stands, used or not; None if unknown.
        currency: The currency of that price.
        error: Why it failed.
    """

    name: str
    provider: str
    identity: str | None = None
    status: DeploymentStatus
    provider_status: str | None = None
    model: str
    source: str | None = None
    url: str | None = None
    created_at: UtcDatetime | None = None
    expires_at: UtcDatetime | None = None
    price_per_hour: Decimal | None = None
    currency: str = "USD"
    error: str | None = None

    def __str__(self) -> str:
        price = "price unknown" if self.price_per_hour is None else f"{self.price_per_hour:f} {self.currency} an hour"
        why = f": {self.error}" if self.error else ""
        return f"{self.name}: {self.status.value}{why}, serves {self.source or self.model}, {price}"


class Kept(Noun):
    """Something that a tearing down left as it was.

    Attributes:
        kind: What it is.
        name: Name of the deployment, or id of the file.
        reason: Why it was left.
    """

    kind: Literal["deployment", "file"]
    name: str
    reason: str


class TornDown(Noun):
    """What a tearing down took down, and what it left. The job and its model are always left.

    Attributes:
        job_id: The job.
        deployments: Names of the deployments that were deleted.
        files: Ids of the files that were deleted.
        kept: What belongs to the job as well, and was left.
    """

    job_id: str
    deployments: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()


class ChatMessage(Noun):
    """One message of a conversation.

    Attributes:
        role: system, developer, user, assistant or tool.
        content: The text, a list of content parts, or None beside tool calls.
        name: Name of the speaker or tool.
        tool_calls: The tools that the assistant calls.
        tool_call_id: The call that a tool message answers.
    """

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class ChatOptions(Noun):
    """How to answer. None means the provider's default.

    Attributes:
        temperature: 0 picks the likeliest token every time.
        max_tokens: Most tokens in the answer.
        top_p: Share of probability to draw from.
        seed: Seed of the draw.
        stop: Strings that end the answer.
        tools: Tools that may be called, in OpenAI's form.
        extra: What only this provider takes.
    """

    temperature: Annotated[float, Field(ge=0)] | None = None
    max_tokens: PositiveInt | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    extra: Mapping[str, Any] = Field(default_factory=dict[str, Any])


class ChatUsage(Noun):
    """Tokens of one exchange."""

    prompt_tokens: NonNegativeInt
    completion_tokens: NonNegativeInt


class ChatReply(Noun):
    """An answer.

    Attributes:
        text: The text of it; empty where the model only calls tools.
        model: The model that gave it.
        finish_reason: Why it ended, in the provider's word: "stop", "length", "tool_calls", ...
        usage: Tokens in and out, where the provider tells.
        tool_calls: The tools that it calls.
    """

    text: str
    model: str
    finish_reason: str | None = None
    usage: ChatUsage | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()


class ChatChunk(Noun):
    """A piece of an answer as it comes. `str(chunk)` is its text.

    Attributes:
        text: The piece.
        finish_reason: Set on the last piece.
        usage: Tokens in and out, on the last piece, where the provider tells.
    """

    text: str
    finish_reason: str | None = None
    usage: ChatUsage | None = None

    def __str__(self) -> str:
        return self.text


class Spread(Noun):
    """How a count is spread over the rows of a file. `str(spread)` is one line.

    Attributes:
        min: The least.
        max: The most.
        mean: The mean.
        median: The middle.
        p5: What 5% of the rows are below, between two rows by the straight line from one to the other.
        p95: What 95% of the rows are below, likewise.
    """

    min: NonNegativeInt
    max: NonNegativeInt
    mean: float
    median: float
    p5: float
    p95: float

    def __str__(self) -> str:
        inner = ", ".join(f"{name} {getattr(self, name):,.1f}" for name in ("mean", "median", "p5", "p95"))
        return f"min {self.min:,}, max {self.max:,}, {inner}"


class TokenStats(Noun):
    """Tokens of the examples of a file. `str(stats)` tells them all, on three lines.

    Attributes:
        total: Tokens in all examples.
        trained: Tokens that are learnt from (the assistant's), in all examples.
        longest: Tokens of the longest example.
        mean: Mean tokens of an example.
        capped: Tokens that are trained on in one epoch, after each example that is too long was cut, or dropped, as the
            provider does; None in reports of older versions.
        lengths: How the tokens of an example are spread; None in reports of older versions.
        answers: How those are spread that are learnt from, before anything is cut; likewise.
        capped_trained: About how many tokens are learnt from after that cutting: as many as if each answer stood at the
            end of its example, which is where it is cut; likewise.
        rows: The examples that were counted: those in which nothing is wrong; likewise.
    """

    total: NonNegativeInt
    trained: NonNegativeInt
    longest: NonNegativeInt
    mean: float
    capped: NonNegativeInt | None = None
    lengths: Spread | None = None
    answers: Spread | None = None
    capped_trained: NonNegativeInt | None = None
    rows: NonNegativeInt | None = None

    def __str__(self) -> str:
        cut, learnt = "", f"{self.trained:,}"
        if self.capped not in {None, self.total}:
            cut = f", {self.capped:,} after cutting"
            learnt = f"about {self.capped_trained:,}" if self.capped_trained is not None else f"at most {learnt}"
        lines = [f"{self.total:,} tokens{cut}, {learnt} of them to learn from"]
        spreads = (("a row", self.lengths), ("to learn", self.answers))
        lines += [f"  {what}: {spread}" for what, spread in spreads if spread]
        return "\n".join(lines)


class Estimate(Noun):
    """What a job is likely to cost. What is unknown is None, never 0. `str(estimate)` says it in a line or two.

    Attributes:
        tokens: Tokens of one epoch.
        n_epochs: Epochs: as asked for, else as the provider is likely to choose.
        billed_tokens: Tokens that are billed.
        cost: Price of the training, to the last digit (shown rounded); 0 only where it is known to cost nothing.
        at_most: The most that it can cost, where there is such a bound. A budget is held against it, else against
            `cost`.
        currency: The currency of both.
        source: Where the price comes from, or why there is none.
        as_of: The date of that source.
        assumes: What was taken to be so, and is not certain, such as the number of epochs.
    """

    tokens: NonNegativeInt | None = None
    n_epochs: PositiveInt | None = None
    billed_tokens: NonNegativeInt | None = None
    cost: Annotated[Decimal, Field(ge=0)] | None = None
    at_most: Annotated[Decimal, Field(ge=0)] | None = None
    currency: str = "USD"
    source: str | None = None
    as_of: date | None = None
    assumes: tuple[str, ...] = ()

    def __str__(self) -> str:
        known = self.at_most if self.at_most is not None else self.cost
        rounding = ROUND_HALF_UP if self.at_most is None else ROUND_UP  # a bound that was rounded down would be none
        price = "price unknown" if known is None else f"{_shown(known, rounding)} {self.currency}"
        how = "up to " if self.at_most else "about " if self.assumes and known is not None else ""
        billed = f" for {self.billed_tokens:,} billed tokens" if self.billed_tokens is not None else ""
        epochs = f" ({counted(self.n_epochs, 'epoch')})" if billed and self.n_epochs is not None else ""
        source = f": {self.source}" if self.source else ""
        seen = f" (as of {self.as_of})" if self.source and self.as_of else ""
        return "\n".join([f"{how}{price}{billed}{epochs}{source}{seen}", *(f"  {each}" for each in self.assumes)])


def _shown(amount: Decimal, rounding: str = ROUND_HALF_UP) -> str:
    """Returns an amount for people: to the cent from 1 on, else its first two digits, so that it is 0 only if it is."""
    if not amount:
        return "0"
    return f"{amount.quantize(Decimal(1).scaleb(min(-2, amount.adjusted() - 1)), rounding=rounding):f}"


def _of_a_call(amount: Decimal) -> str:
    """Returns what a call costs, for people: six decimals tell two calls apart, if they are not smaller still."""
    return f"{amount:.6f}" if not amount or amount >= Decimal("0.00001") else _shown(amount)


class Elsewhere(Noun):
    """Where work on a model could go on. `str(elsewhere)` is one line.

    Attributes:
        provider: Name of the provider.
        model: The model there: the same, or an open one of its kind.
        same: Whether it is the same base model.
        training_ends: The last day on which a job is sure to be taken, or None if none is known.
        serving_ends: The last day on which a tuned model is sure to answer, or None if none is known.
        note: What else one must know: the methods, say, or who is let in.
        source: Where that is said.
        as_of: The date on which it was read there.
    """

    provider: str
    model: str
    same: bool
    training_ends: date | None = None
    serving_ends: date | None = None
    note: str | None = None
    source: str | None = None
    as_of: date | None = None

    def __str__(self) -> str:
        what = "the same model" if self.same else self.model
        until = f", until {self.serving_ends}" if self.serving_ends else ""
        return f"{self.provider} ({what}{until}{f'; {self.note}' if self.note else ''})"


class BreakEven(Noun):
    """Whether a training pays: how many calls of the tuned model it takes until they have saved what it cost.

    `str(break_even)` says it in a sentence. Amounts are in `currency`; what is not known is None, and `why` says so.

    Attributes:
        pays: Whether it ever pays; None if that is not known.
        calls: After how many calls; None if it never pays, or is not known.
        days: After how many days, at the number of calls a day that was told.
        training: What the training costs.
        untuned_call: What a call costs today.
        tuned_call: What a call of the tuned model costs, without what it costs to host it.
        hosting_day: What it costs a day to host the tuned model.
        least_calls_per_day: Fewest calls a day that pay for hosting it; None if it costs nothing, or they never do.
        currency: The currency.
        why: What the answer is, in words, without the figures.
        assumes: What was taken to be so.
    """

    pays: bool | None = None
    calls: int | None = None
    days: float | None = None
    training: Decimal | None = None
    untuned_call: Decimal | None = None
    tuned_call: Decimal | None = None
    hosting_day: Decimal | None = None
    least_calls_per_day: int | None = None
    currency: str = "USD"
    why: str
    assumes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [self.why]
        if self.untuned_call is not None and self.tuned_call is not None:
            each = f"a call costs {_of_a_call(self.untuned_call)} today, and {_of_a_call(self.tuned_call)} tuned"
            hosting = f", and hosting {_shown(self.hosting_day)} a day" if self.hosting_day else ""
            lines.append(f"{each}{hosting} ({self.currency}).")
        return "\n  ".join([*lines, *self.assumes])


class Lifecycle(Noun):
    """How long a model can be trained and served.

    Attributes:
        model: The model.
        training_ends: The last day on which a job is sure to be taken, or None if none is known.
        serving_ends: The last day on which it (and every model tuned on it) is sure to answer: the one before the
            vendor shuts it down.
        source: Where that is said.
        as_of: The date on which it was read there.
        note: What else one must know, such as for whom the dates hold.
        elsewhere: Where work on it could go on.
    """

    model: str
    training_ends: date | None = None
    serving_ends: date | None = None
    source: str | None = None
    as_of: date | None = None
    note: str | None = None
    elsewhere: tuple[Elsewhere, ...] = ()

    def __str__(self) -> str:
        training = self.training_ends or "no end is known"
        serving = self.serving_ends or "no end is known"
        dates = f"{self.model}: can be trained until {training}, and asked until {serving}"
        origin = f"{self.source}{f', {self.as_of}' if self.as_of else ''}" if self.source else ""
        elsewhere = [f"or go on with {each}" for each in self.elsewhere]
        return "\n".join(filter(None, [dates, self.note, *elsewhere, origin]))


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun: "1 error", "2,000 errors"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


_MOST_PRINTED = 100


class Report(Noun):
    """What `check` found. `str(report)` tells it; `ftkit.reports.render` groups thousands of problems.

    Attributes:
        source: The file, as the user named it.
        kind: Kind of record; None if no row could be read.
        rows: Rows read.
        problems: Everything found, in the order of the file.
        tokens: Token counts, where the provider can count.
        estimate: Likely cost, where the provider can tell.
        lifecycle: Dates of the model, where the provider knows them.
        break_even: Whether the training pays, where the prompt of today was told.
    """

    source: str
    kind: RecordKind | None = None
    rows: NonNegativeInt = 0
    problems: tuple[Problem, ...] = ()
    tokens: TokenStats | None = None
    estimate: Estimate | None = None
    lifecycle: Lifecycle | None = None
    break_even: BreakEven | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a job."""
        return tuple(p for p in self.problems if p.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that change what comes out."""
        return tuple(p for p in self.problems if p.severity is Severity.WARNING)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def __str__(self) -> str:
        tokens = f", {self.tokens.total:,} tokens" if self.tokens else ""
        what = f"{counted(self.rows, 'row')} of {self.kind}" if self.kind else "not read"
        head = f"{self.source}: {what}{tokens}, {counted(len(self.errors), 'error')}"
        facts = {"tokens": self.tokens, "price": self.estimate, "worth it": self.break_even, "model": self.lifecycle}
        told = [f"{name}: {fact}".replace("\n", "\n    ") for name, fact in facts.items() if fact is not None]
        more = len(self.problems) - _MOST_PRINTED
        rest = [f"and {more:,} more problems: ftkit.reports.render(report) groups them"] if more > 0 else []
        return "\n  ".join([head, *told, *map(str, self.problems[:_MOST_PRINTED]), *rest])

    def _repr_html_(self) -> str:
        """Returns what a notebook shows."""
        return report_html(self)


T = TypeVar("T")


class Page(Noun, Generic[T]):
    """One page of a list.

    Attributes:
        items: What is on it, newest first for jobs, oldest first for events.
        next: Pass as `after` to get the page that follows; None on the last one.
    """

    items: tuple[T, ...] = ()
    next: str | None = None

    @model_validator(mode="after")
    def _cursor_needs_items(self) -> Self:
        """An empty page with a cursor would be asked for again for ever."""
        if self.next is not None and not self.items:
            message = "a page without items cannot have a next page"
            raise ValueError(message)
        return self
