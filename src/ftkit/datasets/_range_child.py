"""A process that looks at ranges of a file (`_ranges`): it is told which, line by line, and says what it found.

python -m ftkit.datasets._range_child
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ftkit.datasets._locating import Format, Located
from ftkit.datasets._passing import Pass
from ftkit.datasets.watching import made
from ftkit.models import DatasetRules, RecordKind


def main() -> None:
    """Answers until there is nobody left to ask."""
    order = json.loads(sys.stdin.buffer.readline())
    path = Path(order["path"])
    source = Located(order["name"], path, Format.JSONL, (path,))
    rules = DatasetRules.model_validate(order["rules"])
    counter = made(order["count_tokens"]) if order["count_tokens"] else None
    for question in sys.stdin.buffer:
        start, end = map(int, question.split())
        watches = [made(watch) for watch in order["watches"]]
        part = Pass(source.name, rules, None, watches, counter, measures=order["measures"])
        part.begin(RecordKind(order["kind"]))
        part.run(part.lines_of(source, start, end))
        sys.stdout.write(f"{json.dumps(part.told())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
