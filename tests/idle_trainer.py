"""A trainer that never does a thing: `python idle_trainer.py FOLDER`. What becomes of its job, a witness writes."""

from __future__ import annotations

import signal

if __name__ == "__main__":
    while True:
        signal.pause()
