"""Loss curves: in the terminal and as a picture. Needs the extra `plots`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.errors import MissingExtraError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ftkit.models import Checkpoint, Metrics

_TRAIN, _VALID = "training loss", "validation loss"


def _series(metrics: Sequence[Metrics]) -> dict[str, tuple[list[int], list[float]]]:
    """Returns the curves that there is something to draw of: (steps, losses) by name."""
    curves: dict[str, tuple[list[int], list[float]]] = {_TRAIN: ([], []), _VALID: ([], [])}
    for row in metrics:
        valid = row.full_valid_loss if row.full_valid_loss is not None else row.valid_loss
        for name, loss in ((_TRAIN, row.train_loss), (_VALID, valid)):
            if loss is not None:
                curves[name][0].append(row.step)
                curves[name][1].append(loss)
    return {name: curve for name, curve in curves.items() if curve[0]}


def loss_curve(metrics: Sequence[Metrics], *, width: int = 76, height: int = 16) -> str:
    """Draws the loss of a job as text.

    Args:
        metrics: What `client.results(job)` returns.
        width: Columns of the drawing.
        height: Lines of the drawing.

    Raises:
        MissingExtraError: plotext is not installed.
    """
    try:
        import plotext  # pyright: ignore[reportMissingTypeStubs]  # it has none
    except ImportError as error:
        raise MissingExtraError("Drawing in the terminal", "plots") from error
    plot: Any = plotext
    plot.clear_figure()
    plot.theme("clear")
    plot.plot_size(width, height)
    curves = _series(metrics)
    if _TRAIN in curves:
        plot.plot(*curves[_TRAIN], label=_TRAIN, marker="braille")
    if _VALID in curves:
        plot.scatter(*curves[_VALID], label=_VALID, marker="o")
    last = max((steps[-1] for steps, _ in curves.values()), default=0)
    plot.xticks(sorted({round(last * share / 4) for share in range(5)}))
    plot.xlabel("step")
    return str(plot.uncolorize(plot.build()))


def save_loss_curve(
    metrics: Sequence[Metrics],
    path: str | os.PathLike[str],
    *,
    checkpoints: Sequence[Checkpoint] = (),
    title: str = "",
) -> None:
    """Draws the loss of a job into a PNG, SVG or PDF file.

    Args:
        metrics: What `client.results(job)` returns.
        path: The file; its suffix says of which kind.
        checkpoints: Marked by a thin line at their step.
        title: Written above.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Drawing a picture", "plots") from error
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # drawn without a screen, and without touching the user's own pyplot state
    axes: Any = figure.add_subplot()  # matplotlib is typed in part only
    for name, (steps, losses) in _series(metrics).items():
        axes.plot(steps, losses, marker="o" if name == _VALID else None, label=name)
    for checkpoint in checkpoints:
        axes.axvline(checkpoint.step, linestyle=":", linewidth=0.8, color="grey")
    axes.set(xlabel="step", ylabel="loss (nats per token)", title=title)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)  # pyright: ignore[reportUnknownMemberType]
