"""Whether the tuned model's shorter prompt makes up for what its training cost, with tokens that were counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.models import JobRequest, Supervised, TrainingFile
from ftkit.pricing import Call, known_prices, worth_it
from ftkit.provider import EstimatesCost

if TYPE_CHECKING:
    from ftkit.client import Client
    from ftkit.evaluate.outcome import Standing
    from ftkit.models import BreakEven, Estimate, FineTuningJob


def break_even(client: Client, job: FineTuningJob, before: Standing, after: Standing) -> BreakEven | None:
    """Says after how many calls a training has paid for itself.

    Args:
        client: A client of the job's provider, which knows whether the known prices are those of its address.
        job: The job, which tells the tokens that it was billed for.
        before: The model that would be asked without the training, with the prompt that it needs.
        after: The tuned model.

    Returns:
        None where tokens, or a price, are not known.
    """
    training, calls = _paid(client, job), (_call(before), _call(after))
    if training is None or calls[0] is None or calls[1] is None:
        return None
    found = worth_it(
        training, calls[0], calls[1], prices=known_prices(), provider=client.provider.name, model=job.model
    )
    return None if found.pays is None else found


def _paid(client: Client, job: FineTuningJob) -> Estimate | None:
    """Returns what the training cost: the price of its billed tokens, which are those of all epochs, so of one."""
    if not isinstance(client.provider, EstimatesCost) or job.trained_tokens is None or job.training_file is None:
        return None
    file = TrainingFile(id=job.training_file, provider=job.provider)
    request = JobRequest(model=job.model, training_file=file, method=Supervised(n_epochs=1))
    estimate = client.provider.estimate(request, job.trained_tokens)
    return estimate if estimate.cost is not None else None


def _call(standing: Standing) -> Call | None:
    prompt, answer = standing.prompt_tokens, standing.completion_tokens
    return None if prompt is None or answer is None else Call(prompt=prompt, answer=answer)
