"""`Recipe`: what a recipe of AutoTrain's asks for."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from ftkit.models import NOT_SENT, JobRequest, TrainingFile

PROVIDER = "autotrain"


class Recipe(JobRequest):
    """A request as a recipe words it, and where its data are. Its `training_file` stands for one to be uploaded.

    Attributes:
        train: The data file; or the name of a data set on the Hub, where `split` is set.
        split: The split of a data set on the Hub, as AutoTrain writes it: "train", or "configuration:train".
        columns: The data's own column names -> those of the record. Of a data set on the Hub, which nobody has seen
            yet, as the recipe says; they are settled when it is fetched.
        provider: Name of the provider that it is written for.
        provider_settings: Options of a client for that provider, where the recipe asks for any.
        source: The recipe's own path.
        notes: What of it has no effect, one sentence each; `run` logs them as warnings.
        validation: The validation file. AutoTrain's recipes name none that is used; a command line may.
        budget: The most that the job may cost. Likewise.
        key: What makes a deliberate second job of it. Likewise.
    """

    train: str
    split: str | None = None
    columns: Mapping[str, str] = Field(default_factory=dict[str, str])
    provider: str = PROVIDER
    provider_settings: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    source: str
    notes: tuple[str, ...] = ()
    validation: str | None = None
    budget: Annotated[Decimal, Field(ge=0)] | None = None
    key: str | None = None


def unsent(train: str) -> TrainingFile:
    """Returns what stands for a file that is not uploaded yet."""
    return TrainingFile(id=NOT_SENT, provider=PROVIDER, filename=train.rpartition("/")[2] or None)
