"""The processes that train one job together. Loads torch only where there is more than one.

Each of them goes through the same steps. What only one may do (tell, write checkpoints) the first does; what all must
decide alike (to stop) they ask each other for. A process that decided for itself would leave the others waiting.
"""

# pyright: basic
# torch is untyped, or so loosely typed that the strict mode says nothing.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Crew(Protocol):
    """The processes that train together.

    Attributes:
        size: How many there are.
        rank: Which of them this one is, from 0.
    """

    size: int
    rank: int

    def agree(self, wish: bool) -> bool:  # noqa: FBT001 - it is what is asked for
        """Returns, to each of them, whether any of them wishes something. All must ask at the same point."""
        ...

    def meet(self) -> None:
        """Returns when all of them have come here."""
        ...


class HandsOver(Protocol):
    """Who takes what is made, where the folder of the training is not the job's own."""

    def checkpoint(self, folder: Path, step: int) -> None:
        """Takes a checkpoint. All who train together call it, each with the folder that its own part is in."""
        ...

    def model(self) -> None:
        """Takes the tuned model. The first alone calls it."""
        ...


class Alone:
    """One process, which agrees with itself."""

    size = 1
    rank = 0

    def agree(self, wish: bool) -> bool:  # noqa: FBT001 - see `Crew`
        """Returns the wish."""
        return wish

    def meet(self) -> None:
        """Returns."""


class Ranks:
    """The ranks of torch.distributed, whose process group is there already.

    They talk over a group of their own on the CPU: what is asked here never waits for a GPU.
    """

    def __init__(self) -> None:
        import torch.distributed as dist

        self.size = int(dist.get_world_size())
        self.rank = int(dist.get_rank())
        self._group: Any = dist.new_group(backend="gloo")

    def agree(self, wish: bool) -> bool:  # noqa: FBT001 - see `Crew`
        """Returns whether any rank wishes it."""
        import torch
        import torch.distributed as dist

        flag = torch.tensor([int(wish)])
        dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=self._group)
        return bool(flag.item())

    def meet(self) -> None:
        """Waits for all ranks."""
        import torch.distributed as dist

        dist.barrier(group=self._group)
