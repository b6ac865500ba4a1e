"""A process that looks at ranges of a file (`_ranges`): it is told which, line by line, and says what it found.

python -m ftkit.datasets._range_child
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ftkit.datasets._locating import Format, Located
from ftkit.datasets._passing import Pass
from ftkit.models import DatasetRules, RecordKind


def main() -> None:
    """Answers until there is nobody left to ask."""
    order = json.loads(sys.stdin.buffer.readline())
    path = Path(order["path"])
    source = Located(order["name"], path, Format.JSONL, (path,))
    rules = DatasetRules.model_validate(order["rules"])
    for question in sys.stdin.buffer:
        start, end = map(int, question.split())
        part = Pass(source.name, rules, measures=order["measures"])
        part.begin(RecordKind(order["kind"]))
        for _ in part.lines_of(source, start, end):
            pass
        sys.stdout.write(f"{json.dumps(part.told())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
