"""From one provider to another: an old job is read, its data and settings are carried over, and it is trained anew.

    from ftkit.migrate import migrate

    moved = migrate(Client("openai"), "ftjob-...", Client("huggingface"), model="small")
    print(moved.evaluation)

The old job is read from its provider, or from an archive that `ftkit export` wrote. `plan` alone sends nothing: it says
what is carried over, what is lost, and what the new job costs.
"""

from __future__ import annotations

from ftkit.migrate.comparing import Comparison
from ftkit.migrate.planning import Move, Source, plan
from ftkit.migrate.running import Moved, migrate, run

__all__ = ["Comparison", "Move", "Moved", "Source", "migrate", "plan", "run"]
