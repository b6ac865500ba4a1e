"""How sure a mean of scores is, and a difference of two that the same rows were asked of.

Scores lie from 0 to 1, so that both have closed forms which hold where few rows, or none, are wrong:

* A mean: Wilson's interval (E. B. Wilson, Journal of the American Statistical Association 22, 1927). It is exact in
  form for right and wrong; for scores between the two it is wide enough, since no scores from 0 to 1 with that mean
  are spread more than those that are 0 and 1 alone.
* A difference of means over the same rows: the two intervals, put together by their correlation (R. G. Newcombe,
  Statistics in Medicine 17, 1998, method 10; G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008). With fewer than
  some ten rows it is too narrow, which is why a verdict asks the sign test as well.
"""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, pstdev
from typing import TYPE_CHECKING

from ftkit.errors import ConfigurationError
from ftkit.models import Noun

if TYPE_CHECKING:
    from collections.abc import Sequence


class Interval(Noun):
    """A mean, and where it lies with all that chance does to so few rows. `str(interval)` is "0.82 (0.74 to 0.88)".

    Attributes:
        mean: The mean.
        low: The least that it is likely to be.
        high: The most.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


def mean_of(scores: Sequence[float], confidence: float = 0.95) -> Interval:
    """Returns the mean of scores, with Wilson's interval.

    Args:
        scores: Scores from 0 to 1, at least one.
        confidence: How sure the interval is to hold the true mean, between 0 and 1.
    """
    z, n, mean = _z(confidence), len(scores), fmean(scores)
    middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return Interval(mean=mean, low=min(mean, max(0.0, middle - half)), high=max(mean, min(1.0, middle + half)))


def difference_of(ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95) -> Interval:
    """Returns the mean of ours less theirs, row by row, with Newcombe's interval.

    Args:
        ours: Scores from 0 to 1.
        theirs: Scores of the same rows, in the same order.
        confidence: How sure the interval is to hold the true difference, between 0 and 1.
    """
    one, other = mean_of(ours, confidence), mean_of(theirs, confidence)
    alike = _correlation(ours, theirs)
    mean = one.mean - other.mean

    def reach(up: float, down: float) -> float:
        return math.sqrt(max(0.0, up * up - 2 * alike * up * down + down * down))

    low = mean - reach(one.mean - one.low, other.high - other.mean)
    high = mean + reach(one.high - one.mean, other.mean - other.low)
    return Interval(mean=mean, low=max(-1.0, low), high=min(1.0, high))


def chance_of(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Returns how often chance alone makes one of two equal models better on so many of the rows where they differ.

    The sign test, on both sides, which is exact: two of two come by chance every second time.

    Args:
        ours: Scores.
        theirs: Scores of the same rows, in the same order.
    """
    better = sum(a > b for a, b in zip(ours, theirs, strict=True))
    worse = sum(a < b for a, b in zip(ours, theirs, strict=True))
    rows = better + worse
    tail = sum(math.comb(rows, k) for k in range(max(better, worse), rows + 1))
    return min(1.0, tail / float(2 ** (rows - 1))) if rows else 1.0


def check_confidence(confidence: float) -> None:
    """Refuses what is no confidence.

    Raises:
        ConfigurationError: It is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        hint = "0.95 is sure in 19 of 20 cases."
        raise ConfigurationError(f"confidence lies between 0 and 1 (got {confidence!r})", hint=hint)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _correlation(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Returns the correlation of two rows of scores, corrected as Newcombe does; 0 where one of them never changes.

    Without that, two models with the same few answers would differ by nothing, for sure.
    """
    spreads = pstdev(ours) * pstdev(theirs)
    if not spreads:
        return 0.0
    one, other = fmean(ours), fmean(theirs)
    together = fmean((a - one) * (b - other) for a, b in zip(ours, theirs, strict=True))
    if together > 0:
        together = max(0.0, together - 1 / (2 * len(ours)))
    return together / spreads
