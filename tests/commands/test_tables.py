"""A table in a terminal: every cell is whole, however narrow it is."""

from __future__ import annotations

import io
import re
import sys

import pytest

from ftkit.cli._output import print_table

NAME = "huggingface:ftjob-0123456789abcdef01234567"
ROW = [NAME, "succeeded", "[red]model[/red]", "ftkit:small:0123456789abcdef01234567", "120/300", "3h 4m"]
COLUMNS = ["job", "status", "model", "tuned model", "steps", "age"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(COLUMNS, [ROW, ROW])
    return re.sub(r"\x1b\[\d*m", "", terminal.getvalue()).splitlines()


def test_what_fits_is_one_line_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    head, *rows = printed(160, monkeypatch)
    assert rows == ["  ".join([*ROW[:2], *ROW[2:]])] * 2
    assert [head.index(column) for column in COLUMNS] == [rows[0].index(cell) for cell in ROW]


@pytest.mark.parametrize("width", [80, 60, 44])
def test_what_does_not_fit_goes_on_below_and_no_cell_is_broken(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(width, monkeypatch)
    assert max(map(len, lines)) <= width
    per_row = len(lines) // 3
    assert per_row > 1
    for first in (per_row, 2 * per_row):
        assert lines[first].startswith(NAME)
        assert [cell for line in lines[first : first + per_row] for cell in line.split("  ") if cell.strip()] == ROW


def test_no_cell_is_cut_in_a_terminal_that_is_narrower_than_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NAME in printed(20, monkeypatch)
