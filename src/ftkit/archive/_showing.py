"""What a person sees while an export runs: a bar, on a terminal, if it takes more than two seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_AFTER_S = 2.0
_LONGEST = 80


class Bar:
    """How many jobs are done, and what is read right now.

    Args:
        jobs: How many there are, where that is known.
        shown: Whether it is shown at all; only a terminal shows it.
    """

    def __init__(self, jobs: int | None, *, shown: bool) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(
            desc="export",
            unit=" jobs",
            total=jobs,
            delay=_AFTER_S,
            miniters=0,  # what is read now changes without a job being done
            disable=None if shown else True,
            dynamic_ncols=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()

    def reads(self, what: str) -> None:
        """Shows what is read now."""
        seen = "".join(sign if sign.isprintable() else "?" for sign in what[:_LONGEST])  # an id is the vendor's word
        self._bar.set_postfix_str(seen, refresh=False)
        self._bar.update(0)

    def has_job(self) -> None:
        """Counts a job."""
        self._bar.update(1)
