"""Whether a model is better than the best of the others, for sure: the plain answer to what an evaluation is for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ftkit.evaluate.intervals import chance_of, difference_of
from ftkit.evaluate.outcome import Finding, Verdict
from ftkit.models import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftkit.evaluate.intervals import Interval

PAID = "Did the tuning pay?"
REPLACES = "Is the new model as good?"
_MOST_ROWS = 1_000_000


def verdict_on(
    subject: str,
    scores: Mapping[str, Sequence[float]],
    *,
    metric: str,
    question: str = PAID,
    least_gain: float = 0.0,
    confidence: float = 0.95,
) -> Verdict | None:
    """Holds one model against the best of the others.

    Yes, where the whole interval of the difference lies above `least_gain`, and, if that is 0, the sign test agrees,
    which is exact also for few rows; no, where the difference itself does not lie above it, or the whole interval does
    not; unproven, where chance alone can make that difference, or there are too few rows for any answer.

    Args:
        subject: The model that it is about.
        scores: The scores of each model, over the same questions.
        metric: What they are called.
        question: What is to be known.
        least_gain: What the difference must be above, -1 to 1: 0.05 asks for five points more than the others, and
            -0.05 lets it be five points worse.
        confidence: How sure the interval is to hold the true difference.

    Returns:
        The verdict; None if there is no other model.
    """
    others = {name: each for name, each in scores.items() if name != subject}
    if not others:
        return None
    rival = max(others, key=lambda name: sum(others[name]))
    ours, theirs = scores[subject], others[rival]
    found = difference_of(ours, theirs, confidence)
    fewest, needed = _fewest(confidence), None
    if len(ours) < fewest:
        finding, needed = Finding.UNPROVEN, fewest
    elif found.low > least_gain and (least_gain or chance_of(ours, theirs) <= 1 - confidence):
        finding = Finding.YES
    elif found.mean <= least_gain or found.high <= least_gain:
        finding = Finding.NO
    else:
        finding, needed = Finding.UNPROVEN, _needed(len(ours), found, least_gain)
    return Verdict(
        finding=finding,
        question=question,
        subject=subject,
        rival=rival,
        metric=metric,
        difference=found,
        least_gain=least_gain,
        confidence=confidence,
        why=_why(subject, rival, metric, ours, theirs, found, least_gain, confidence, needed),
        rows_needed=needed,
    )


def _fewest(confidence: float) -> int:
    """Returns how many rows it takes at least: with fewer, not even all of them would be beyond chance."""
    return math.ceil(1 - math.log2(1 - confidence))


def _needed(rows: int, found: Interval, least_gain: float) -> int:
    """Returns about how many rows would show this difference: an interval shrinks with the root of their number."""
    wanted = found.mean - least_gain
    likely = math.ceil(rows * ((found.mean - found.low) / wanted) ** 2)
    return min(_MOST_ROWS, max(likely, rows + 1))


def _why(
    subject: str,
    rival: str,
    metric: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    found: Interval,
    least_gain: float,
    confidence: float,
    needed: int | None,
) -> str:
    means = f"{subject} scores {sum(ours) / len(ours):.2f} by {metric}, {rival} {sum(theirs) / len(theirs):.2f}"
    range_ = f"{_points(found.low)} to {_points(found.high)}"
    spread = f"{range_} with {confidence:.0%} confidence, over {counted(len(ours), 'row')}"
    bar = _bar(100 * least_gain)
    more = f" About {needed:,} rows would tell." if needed is not None else ""
    return f"{means}: a difference of {_points(found.mean)} points ({spread}).{bar}{more}"


def _bar(points: float) -> str:
    if not points:
        return ""
    return (
        f" It may be up to {-points:.0f} points worse." if points < 0 else f" {points:.0f} points more are asked for."
    )


def _points(share: float) -> str:
    if not share:
        return "0"
    return f"{100 * share:+.0f}" if abs(share) >= 0.01 else f"{100 * share:+.1f}"  # noqa: PLR2004 - a point
