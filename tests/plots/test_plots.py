"""Pictures, by what is in them: labels, curves, marks and colours."""

from __future__ import annotations

import json
import math
import random
import time
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.image import imread

from ftkit import AsyncClient, Checkpoint, Client, ConfigurationError, Metrics, NotFoundError
from ftkit.plots import Run, draw, figure, save
from ftkit.plots.themes import THEMES
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOSS, ACCURACY = "loss (nats per token)", "accuracy (share of tokens)"


def rows(losses: Sequence[float], **more: Any) -> list[Metrics]:
    return [Metrics(step=step, train_loss=loss, **more) for step, loss in enumerate(losses, start=1)]


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(id=f"c{step}", job_id="j", step=step, model="m")


def noisy(count: int, seed: int = 1) -> list[Metrics]:
    dice = random.Random(seed)  # noqa: S311 - noise that is the same every time
    return rows([3 / (1 + n / 800) + dice.random() for n in range(count)])


def axes_of(*runs: Run, **how: Any) -> list[Any]:
    drawn: Any = figure(*runs, **how)
    return list(drawn.axes)


def line(axes: Any, label: str) -> Any:
    return next(each for each in axes.lines if each.get_label().strip() == label)


def legend(*runs: Run, **how: Any) -> list[str]:
    drawn: Any = figure(*runs, **how)
    return [text.get_text().strip() for text in drawn.legends[0].get_texts()]


# -- runs --------------------------------------------------------------------------------------------------------------


class Measured(MemoryProvider):
    """Has metrics, as the vendor in memory has none."""

    def results(self, job_id: str) -> list[Metrics]:
        self.get_job(job_id)
        return rows([2.0, 1.0])


@pytest.fixture
def client() -> Client:
    return Client(Measured(MemoryVendor(account="tests")))


@pytest.fixture
def train(tmp_path: Path) -> Path:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    path = tmp_path / "train.jsonl"
    path.write_text((json.dumps({"messages": turns}) + "\n") * 12)
    return path


def test_a_run_is_read_from_a_client_by_job_or_by_id(client: Client, train: Path) -> None:
    job = client.fine_tune("base", train, suffix="blue", progress=False)
    run = Run.of(client, job)
    assert run == Run.of(client, job.id)
    assert run.name == f"blue (..{job.id[-6:]})"
    assert [row.train_loss for row in run.metrics] == [2.0, 1.0]
    assert {each.step for each in run.checkpoints} == {each.step for each in client.list_checkpoints(job)} != set()


def test_a_job_without_a_suffix_is_called_by_its_id(client: Client, train: Path) -> None:
    job = client.fine_tune("base", train, progress=False)
    assert Run.of(client, job).name == job.id


def test_what_cannot_be_read_is_a_clear_error(client: Client) -> None:
    with pytest.raises(NotFoundError):
        Run.of(client, "job-nowhere")
    with pytest.raises(ConfigurationError, match=r"given a AsyncClient[\s\S]*await client.results"):
        Run.of(AsyncClient(Measured(MemoryVendor(account="tests"))), "job")  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", [draw, figure])
def test_what_is_no_run_is_a_clear_error(verb: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"given nothing[\s\S]*Run.of"):
        verb()
    with pytest.raises(ConfigurationError, match="given a list"):
        verb(rows([1.0]))
    with pytest.raises(ConfigurationError, match="a dict in place of Metrics"):
        Run("a", [{"step": 1}])  # type: ignore[list-item]


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_curves_show_what_was_measured() -> None:
    measured = [
        Metrics(step=1, train_loss=2.0, train_mean_token_accuracy=0.1, valid_loss=9.0),
        Metrics(step=2, train_loss=1.0, train_mean_token_accuracy=0.3, valid_loss=9.0, full_valid_loss=1.5),
        Metrics(step=4, train_loss=0.5, full_valid_loss=1.25),
    ]
    loss, accuracy = axes_of(Run("a", measured[::-1], [checkpoint(4), checkpoint(2)]))
    assert (loss.get_ylabel(), accuracy.get_ylabel(), accuracy.get_xlabel()) == (LOSS, ACCURACY, "step")
    training, validation = line(loss, "a: training"), line(loss, "a: validation")
    assert [*zip(*training.get_data(), strict=True)] == [(1, 2.0), (2, 1.0), (4, 0.5)]
    assert [*zip(*validation.get_data(), strict=True)] == [(2, 1.5), (4, 1.25)]
    assert [*line(accuracy, "a: training").get_ydata()] == [0.1, 0.3]
    assert training.get_linestyle() == "-" != validation.get_linestyle()
    assert validation.get_marker() not in {"", "None", None}
    for axes in (loss, accuracy):
        assert [*line(axes, "_checkpoints").get_xdata()] == [2, 4]
    assert legend(Run("a", measured, [checkpoint(2)])) == ["a: training", "a: validation", "checkpoint"]


def test_accuracy_is_drawn_only_if_somebody_measured_it() -> None:
    assert [axes.get_ylabel() for axes in axes_of(Run("a", rows([1.0, 0.5])))] == [LOSS]
    both = axes_of(Run("a", rows([1.0, 0.5])), Run("b", rows([1.0], train_mean_token_accuracy=0.5)))
    assert [axes.get_ylabel() for axes in both] == [LOSS, ACCURACY]


def test_validation_on_batches_is_said_to_be_that() -> None:
    batches = [Metrics(step=n, valid_loss=1.0, full_valid_loss=2.0 if n == 3 else None) for n in (1, 2, 3)]
    axes = axes_of(Run("a", batches))[0]  # one point of the whole file is no curve
    assert [*line(axes, "a: validation (batches)").get_ydata()] == [1.0, 1.0, 1.0]
    whole = axes_of(Run("a", [Metrics(step=3, full_valid_loss=2.0)]))[0]
    assert [*line(whole, "a: validation").get_ydata()] == [2.0]


def test_each_run_has_a_colour_and_a_name_of_its_own() -> None:
    runs = [Run("twin", rows([n + 1.0, n + 0.5])) for n in range(3)]
    axes = axes_of(*runs)[0]
    names = ["twin: training", "twin (2): training", "twin (3): training"]
    assert legend(*runs) == names
    assert len({line(axes, name).get_color() for name in names}) == 3


def test_where_colours_begin_anew_there_are_marks() -> None:
    count = len(THEMES["light"].runs) + 1
    axes = axes_of(*(Run(f"r{n}", rows([1.0, 0.5])) for n in range(count)))[0]
    first, again = line(axes, "r0: training"), line(axes, f"r{count - 1}: training")
    assert first.get_color() == again.get_color()
    assert first.get_marker() != again.get_marker()


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_themes_have_contrast(theme: str) -> None:
    def luminance(color: str) -> float:  # as WCAG 2.2 defines it
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted([luminance(one), luminance(other)])
        return (high + 0.05) / (low + 0.05)

    colors = THEMES[theme]
    assert contrast(colors.ink, colors.paper) >= 7
    assert all(contrast(color, colors.paper) >= 3 for color in colors.runs)
    assert len({*colors.runs}) == len(colors.runs)


def test_a_dark_picture_is_dark_and_its_text_is_light(tmp_path: Path) -> None:
    run = Run("a", rows([1.0, 0.5]))
    save(tmp_path / "dark.png", run, theme="dark")
    save(tmp_path / "light.png", run)
    dark, light = (imread(tmp_path / f"{theme}.png")[0, 0, :3] for theme in ("dark", "light"))
    assert max(dark) < 0.15
    assert min(light) > 0.95
    drawn: Any = figure(run, theme="dark", title="t")
    axes = drawn.axes[0]
    texts = [
        drawn._suptitle,
        axes.xaxis.label,
        axes.yaxis.label,
        *axes.get_xticklabels(),
        *drawn.legends[0].get_texts(),
    ]
    assert {to_hex(text.get_color()).upper() for text in texts} == {THEMES["dark"].ink}


def test_a_long_curve_is_smoothed_and_says_so() -> None:
    run = Run("a", noisy(10_000))
    axes = axes_of(run)[0]
    each, mean = line(axes, "a: training, each"), line(axes, "a: training")
    assert len(each.get_xdata()) == 10_000
    assert each.get_linewidth() < mean.get_linewidth()
    assert (mean.get_xdata()[0], mean.get_xdata()[-1]) == (1, 10_000)
    window = [row.train_loss for row in run.metrics[4900:5101]]
    here = [*mean.get_xdata()].index(5001)
    assert mean.get_ydata()[here] == pytest.approx(sum(x for x in window if x is not None) / 201)
    assert legend(run) == ["a: training (mean of 201 points; thin: each)"]
    assert legend(Run("a", noisy(200))) == ["a: training"]


def test_long_curves_are_drawn_quickly(tmp_path: Path) -> None:
    runs = [Run(f"r{n}", noisy(10_000, n)) for n in range(3)]
    begun = time.monotonic()
    save(tmp_path / "long.png", *runs)
    draw(*runs)
    assert time.monotonic() - begun < 15  # about two seconds on one core


def test_what_is_no_number_is_left_out_and_told() -> None:
    run = Run("a", rows([2.0, math.nan, math.inf, 1e300, 1.0]))
    drawn: Any = figure(run)
    assert [*line(drawn.axes[0], "a: training").get_xdata()] == [1, 5]
    told = "a: 3 values left out, from step 2 on: no number, or beyond all bounds"
    assert drawn.legends[0].get_title().get_text() == told
    assert draw(run).splitlines()[-1] == told


def test_a_run_of_which_nothing_is_known_is_named() -> None:
    empty = Run("waiting", [Metrics(step=1, learning_rate=0.1)])
    drawn: Any = figure(empty)
    assert [text.get_text() for text in drawn.axes[0].texts] == ["waiting: nothing was measured so far"]
    assert draw(empty) == "waiting: nothing was measured so far"
    assert draw(Run("a", rows([1.0])), empty).endswith("waiting: nothing was measured so far")


@pytest.mark.parametrize("name", ["_hidden", "$x^$ of", "a\nb\x1b[31m", "x" * 300, "", "sk-" + "a" * 40])
def test_any_name_is_drawn_as_it_is(name: str, tmp_path: Path) -> None:
    run = Run(name, rows([1.0, 0.5]))
    save(tmp_path / "a.svg", run, title=name[:50])
    (label,) = legend(run)
    assert len(label) < 60
    assert not [letter for letter in draw(run) if unicodedata.category(letter) == "Cc" and letter != "\n"]
    assert "a" * 40 not in label + draw(run)
    shown = {"_hidden": "_hidden: training", "$x^$ of": "$x^$ of: training", "": "run: training"}
    assert label == shown.get(name, label)


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".SVG", b"<?xml"), (".pdf", b"%PDF")])
def test_a_suffix_says_what_kind_of_file(suffix: str, begins: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"curves{suffix}"
    save(path, Run("a", rows([1.0])))
    assert path.read_bytes().startswith(begins)


def test_a_file_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    run = Run("a", rows([1.0]))
    (tmp_path / "folder.png").mkdir()
    for path, message in (("a.bmp", ".png, .svg or .pdf"), ("no/a.png", "no folder"), ("folder.png", "be written")):
        with pytest.raises(ConfigurationError, match=message):
            save(tmp_path / path, run)
    with pytest.raises(ConfigurationError, match="did you mean 'dark'"):
        save(tmp_path / "a.png", run, theme="drak")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_the_users_own_pyplot_is_left_alone() -> None:
    from matplotlib import pyplot as plt

    figure(Run("a", rows([1.0])))
    assert plt.get_fignums() == []


# -- the terminal ------------------------------------------------------------------------------------------------------


def test_the_terminal_shows_the_same() -> None:
    measured = [*rows([2.0, 1.5, 1.0], train_mean_token_accuracy=0.5), Metrics(step=2, full_valid_loss=1.8)]
    lines = draw(Run("a", measured, [checkpoint(2), checkpoint(3)]), width=80, height=12).splitlines()
    assert [n for n, line in enumerate(lines) if line in {LOSS, ACCURACY}] == [0, 12]
    assert lines[-1] == "a: \N{BRAILLE PATTERN DOTS-25} training, o validation, ^ checkpoints at 2, 3"
    assert max(map(len, lines)) <= 80
    assert [line.count("^") for line in lines[7:10]] == [0, 2, 0]  # on the lowest line, above the axis
    assert "\x1b" not in "\n".join(lines)


def test_curves_of_the_terminal_are_where_they_belong() -> None:
    lines = draw(Run("a", rows([4.0, 4.0, 4.0])), Run("b", rows([1.0, 1.0, 1.0]))).splitlines()
    places = {mark: [n for n, line in enumerate(lines[1:14]) if mark in line] for mark in "ab"}
    assert len(places["a"]) == len(places["b"]) == 1
    assert places["a"] < places["b"]
    assert lines[-2:] == ["a: a training", "b: b training"]


def test_colours_only_on_request() -> None:
    run = Run("a", rows([2.0, 1.0]))
    assert "\x1b[" in draw(run, color=True)
    assert "\x1b" not in draw(run)


def test_a_smoothed_curve_is_told_in_the_terminal() -> None:
    assert "* mean of 201 points of it" in draw(Run("a", noisy(10_000)))
    assert "b training (mean of 9 points)" in draw(Run("a", noisy(100)), Run("b", noisy(400)))


def test_a_drawing_has_the_size_that_was_asked_for() -> None:
    lines = draw(Run("a", rows([2.0, 1.0])), width=40, height=9).splitlines()
    assert len(lines) == 10  # and the legend
    assert max(map(len, lines)) == 40
    with pytest.raises(ConfigurationError, match="width=30"):
        draw(Run("a", rows([1.0])), width=10)


def test_a_terminal_that_is_smaller_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    lines = draw(Run("a", rows([2.0, 1.0])), width=70, height=20).splitlines()
    assert (len(lines), max(map(len, lines))) == (21, 70)
