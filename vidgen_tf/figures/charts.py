"""The charts that recur: losses over a training, and comparisons whose spread over seeds is shown."""

import numpy as np

from ..errors import CourseError
from .style import ROLES, series_colors

LINES = {"baseline": "--", "reference": ":"}  # what is no model of its own is not drawn solid
NAMES = {  # keys of a history -> what a legend calls them
    "loss": "training",
    "val_loss": "validation",
    "d_loss": "discriminator",
    "g_loss": "generator",
    "reconstruction_loss": "reconstruction",
    "prediction_loss": "prediction",
    "kl_loss": "KL divergence",
}


def running_mean(values, window):
    """The mean of the `window` values around each one; near the ends, of those that there are.

    Args:
        values: float array `(N,)`.
        window: odd int, at least 1.

    Returns:
        float array `(N,)`.

    Raises:
        CourseError: the window is even or below 1.
    """
    if window < 1 or window % 2 == 0:
        raise CourseError(f"A running mean needs an odd window of at least 1, got window={window}.")
    values = np.asarray(values, np.float64)
    total = np.concatenate([[0.0], np.cumsum(values)])
    place, half = np.arange(len(values)), window // 2
    first, last = np.maximum(place - half, 0), np.minimum(place + half + 1, len(values))
    return (total[last] - total[first]) / (last - first)


def loss_curves(history, labels=None, *, window=None, axes=None):
    """Losses over a training: each as a thin line as it was recorded, and as a thick one smoothed by a running mean.

    Args:
        history: dict of arrays `(N,)`, what `training.fit` returns: "step", and the mean of each metric since the entry before.
        labels: dict from keys of the history to legend entries, in the order in which they are drawn; None draws every key that
            ends in "loss".
        window: odd int, entries that the running mean takes in; None for about a tenth of them.
        axes: matplotlib axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        CourseError: a history without "step", or without what is asked for.
    """
    if labels is None:
        labels = {key: NAMES.get(key, key.replace("_", " ")) for key in history if key.endswith("loss")}
    missing = [key for key in ("step", *labels) if key not in history or not len(history[key])]
    if missing or not labels:
        what = missing[0] if missing else "loss"
        raise CourseError(f"This history has no {what!r}, only {', '.join(history)}: pass what training.fit returned.")
    axes = _axes(axes)
    steps = np.asarray(history["step"])
    window = window or 2 * (len(steps) // 20) + 1
    for key, color in zip(labels, series_colors(labels.values())):
        axes.plot(steps, history[key], color=color, linewidth=0.8, alpha=0.4)
        axes.plot(steps, running_mean(history[key], window), color=color, label=labels[key])
    axes.set(xlabel="training step", ylabel="loss")
    if len(labels) > 1:
        axes.legend()
    return axes


def compare_bars(values, *, xlabel="", reference=None, axes=None):
    """Compares by horizontal bars: each as long as the mean over seeds, with the range as a line and every seed as a dot.

    Args:
        values: dict from names to sequences of float, one for each seed; drawn from top to bottom.
        xlabel: str, the metric and its unit.
        reference: None, or a dict from names to float, dotted lines such as the real-to-real distance.
        axes: matplotlib axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        CourseError: nothing to compare, or a value that is not finite.
    """
    seeds = {name: _finite(name, np.atleast_1d(value)) for name, value in _filled(values).items()}
    axes = _axes(axes, height=0.75 + 0.375 * len(seeds))
    for place, (name, color) in enumerate(zip(seeds, series_colors(seeds))):
        runs = seeds[name]
        axes.barh(place, runs.mean(), height=0.62, color=color)
        axes.plot([runs.min(), runs.max()], [place, place], color=ROLES["real"], linewidth=1.4)
        axes.plot(runs, np.full(len(runs), place), "o", color=ROLES["real"], markersize=4, markeredgecolor="white")
    axes.set_yticks(range(len(seeds)), seeds)
    axes.set_ylim(len(seeds) - 0.5, -0.5)  # the first one on top
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    _references(axes.axvline, reference)
    axes.set_xlabel(xlabel)
    if reference:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1))  # above, where no bar is
    return axes


def compare_curves(x, values, *, xlabel="", ylabel="", reference=None, axes=None):
    """Compares by curves: the mean over seeds as a line, the range as a band.

    Args:
        x: sequence of N float, shared by all curves.
        values: dict from names to float arrays `(N,)` or `(seeds, N)`. Names with a role in `ROLES` have its colour; the
            "baseline" is dashed.
        xlabel: str.
        ylabel: str, the metric and its unit.
        reference: None, or a dict from names to float, dotted horizontal lines.
        axes: matplotlib axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        CourseError: nothing to compare, a value that is not finite, or a curve that is not as long as x.
    """
    curves = {name: _finite(name, np.atleast_2d(value)) for name, value in _filled(values).items()}
    axes = _axes(axes)
    marker = "o" if len(x) <= 25 else ""
    for (name, runs), color in zip(curves.items(), series_colors(curves)):
        if runs.shape[-1] != len(x):
            raise CourseError(f"{name!r} has {runs.shape[-1]} values for {len(x)} places on the x axis: pass one for each.")
        if len(runs) > 1:
            axes.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.18, linewidth=0)
        axes.plot(x, runs.mean(axis=0), LINES.get(name, "-"), marker=marker, markersize=4, color=color, label=name)
    _references(axes.axhline, reference)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend()
    return axes


def _references(draw_line, reference):
    for name, value in (reference or {}).items():
        draw_line(value, color=ROLES["reference"], linestyle=LINES["reference"], linewidth=1.6, label=name)


def _filled(values):
    if not values or any(np.size(value) == 0 for value in values.values()):
        raise CourseError("There is nothing to compare: give each name at least one value.")
    return values


def _finite(name, values):
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise CourseError(f"{name!r} has values that are not finite numbers: leave that run out, or say why it failed.")
    return values


def _axes(axes, height=None):
    """The axes given, or those of a new figure of the notebook."""
    if axes is not None:
        return axes
    from matplotlib import pyplot, rcParams

    width, usual = rcParams["figure.figsize"]
    return pyplot.subplots(figsize=(width, height or usual))[1]
