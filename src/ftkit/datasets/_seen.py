"""Remembers what was seen, in a memory with a bound: sixteen bytes for each row, however long the rows are."""

from __future__ import annotations

from array import array

MOST_ROWS = 3_000_000
"""Rows that are remembered. Those after them are still looked for among these."""
_FEWEST_SLOTS = 4096
_LOAD = 0.72
_MARK = 2**32 - 1


class Seen:
    """A table of keys of 64 bits, each with the line on which it came first, and a mark of 32 bits.

    At most `most` keys are kept, which take 64 MiB, and 96 while the table grows.

    Args:
        most: Keys that are kept.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = MOST_ROWS if most is None else most
        self.kept = 0
        self.left_out = 0
        self._make(_FEWEST_SLOTS)

    def first(self, key: int, line: int, mark: int = 0) -> tuple[int, int] | None:
        """Returns the line and the mark of an earlier row with this key; remembers this one if there is none."""
        slot = self._slot(key)
        if self._keys[slot]:
            return self._lines[slot], self._marks[slot]
        if self.kept >= self._most:
            self.left_out += 1
            return None
        self._keys[slot], self._lines[slot], self._marks[slot] = key, line, mark & _MARK
        self.kept += 1
        if self.kept >= self._room:
            self._grow()
        return None

    def find(self, key: int) -> tuple[int, int] | None:
        """Returns the line and the mark of a row with this key; None if none was seen."""
        slot = self._slot(key)
        return (self._lines[slot], self._marks[slot]) if self._keys[slot] else None

    def _slot(self, key: int) -> int:
        """Returns where a key is, or the free place where it would be."""
        keys, last = self._keys, self._last
        slot = key & last
        while (there := keys[slot]) != 0 and there != key:
            slot = (slot + 1) & last
        return slot

    def _make(self, slots: int) -> None:
        self._keys = array("Q", bytes(8)) * slots
        self._lines = array("I", bytes(4)) * slots
        self._marks = array("I", bytes(4)) * slots
        self._last = slots - 1
        self._room = int(slots * _LOAD)

    def _grow(self) -> None:
        old = zip(self._keys, self._lines, self._marks, strict=True)
        self._make(2 * (self._last + 1))
        keys, lines, marks = self._keys, self._lines, self._marks
        for key, line, mark in old:
            if key:
                slot = self._slot(key)
                keys[slot], lines[slot], marks[slot] = key, line, mark
