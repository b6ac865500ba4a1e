"""One interface for fine-tuning language models on any provider.

    from ftkit import Client, Supervised

    client = Client("huggingface")
    job = client.fine_tune("small", "train.jsonl", method=Supervised(n_epochs=3))
    with client.deployed(job) as deployment:
        print(client.chat(deployment, "How many singers are there?").text)

Every public name is loaded when it is first used (PEP 562): `import ftkit` itself loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

    from ftkit.aio import AsyncClient
    from ftkit.client import Client
    from ftkit.errors import (
        BudgetError,
        ConfigurationError,
        ConflictError,
        CredentialsError,
        DatasetError,
        FtkitError,
        JobCancelledError,
        JobFailedError,
        JobPausedError,
        JobTimeoutError,
        LedgerError,
        MissingExtraError,
        NotFoundError,
        ProviderError,
        ProviderUnavailableError,
        QuotaError,
        RateLimitError,
        UnclearOutcomeError,
        UnknownProviderError,
        UnsupportedError,
    )
    from ftkit.models import (
        DPO,
        ORPO,
        ChatChunk,
        ChatMessage,
        ChatOptions,
        ChatReply,
        Checkpoint,
        DatasetRules,
        Deployment,
        DeploymentStatus,
        Estimate,
        FineTuningJob,
        JobEvent,
        JobRequest,
        JobStatus,
        Kept,
        LoRA,
        Method,
        Metrics,
        Page,
        Problem,
        RecordKind,
        Reinforcement,
        Report,
        Results,
        Reward,
        Severity,
        Supervised,
        TornDown,
        TrainingFile,
    )
    from ftkit.provider import Provider
    from ftkit.registry import provider_names

__all__ = [
    "DPO",
    "ORPO",
    "AsyncClient",
    "BudgetError",
    "ChatChunk",
    "ChatMessage",
    "ChatOptions",
    "ChatReply",
    "Checkpoint",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "CredentialsError",
    "DatasetError",
    "DatasetRules",
    "Deployment",
    "DeploymentStatus",
    "Estimate",
    "FineTuningJob",
    "FtkitError",
    "JobCancelledError",
    "JobEvent",
    "JobFailedError",
    "JobPausedError",
    "JobRequest",
    "JobStatus",
    "JobTimeoutError",
    "Kept",
    "LedgerError",
    "LoRA",
    "Method",
    "Metrics",
    "MissingExtraError",
    "NotFoundError",
    "Page",
    "Problem",
    "Provider",
    "ProviderError",
    "ProviderUnavailableError",
    "QuotaError",
    "RateLimitError",
    "RecordKind",
    "Reinforcement",
    "Report",
    "Results",
    "Reward",
    "Severity",
    "Supervised",
    "TornDown",
    "TrainingFile",
    "UnclearOutcomeError",
    "UnknownProviderError",
    "UnsupportedError",
    "__version__",
    "provider_names",
]

_ELSEWHERE = {
    "AsyncClient": "ftkit.aio",
    "Client": "ftkit.client",
    "Provider": "ftkit.provider",
    "provider_names": "ftkit.registry",
}


def _home_of(name: str) -> str:
    return _ELSEWHERE.get(name) or ("ftkit.errors" if name.endswith("Error") else "ftkit.models")


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("ftkit")
    if name not in __all__:
        message = f"module 'ftkit' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(_home_of(name)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
