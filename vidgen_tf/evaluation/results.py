"""Results of all shipped models: the README's table and figure."""

import concurrent.futures
import math
import multiprocessing
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from .. import zoo
from ..errors import CourseError
from ..files import atomic_path
from ..pipelines.baselines import BASELINES
from ..pipelines.cost import sample_with_cost
from ..pipelines.prediction import context_clips
from .copies import TrainingClips
from .inputs import MIN_CLIPS
from .protocol import evaluate

README = Path(__file__).parents[2] / "README.md"  # of a checkout
FIGURE = README.parent / "assets" / "results.png"
PREDICTORS = ("simvp-digits", "svg-digits")  # whose test clips and context frames the baselines get, one of each data set
MARKERS = "<!-- results -->", "<!-- /results -->"
WEIGHTS_MARKERS = "<!-- weights -->", "<!-- /weights -->"
COLUMNS = {  # heading -> metric; (real): what real clips score stands behind it; [low, high] is a 95 % interval
    "frame Fréchet distance (real)": "frame_frechet_distance",
    "video Fréchet distance (real)": "video_frechet_distance",
    "recall (real)": "recall",
    "warping error (real)": "warping_error",
    "memorised": "memorized_share",
    "SSIM to the future": "ssim",
    "parameters": "parameters",
    "minutes": "training_minutes",
    "clips/s": "clips_per_second",
    "MB": "peak_memory_mb",
}


def evaluate_all(count=500, seed=1):
    """The evaluation of every shipped model that generates or predicts clips.

    Args:
        count: int, how many clips of each, at least 100.
        seed: non-negative int, of the sampling.

    Yields:
        `Report`, one after another: the models of one data set together.

    Raises:
        CourseError: as `protocol.evaluate`.
    """
    yield from evaluate_baselines(count, seed)
    references = {name: entry["reference"] for name, entry in zoo.manifest().items() if entry["reference"]}
    for name in sorted(references, key=references.get):  # what real clips score is kept for the next model of a data set
        yield evaluate_model(name, count, seed)


def evaluate_model(name, count=500, seed=1):
    """The evaluation of a model of the zoo. It samples in a process of its own, so that its memory can be measured.

    Args:
        name: str, a name in the zoo.
        count: int, how many clips, at least 100.
        seed: non-negative int, of the sampling.

    Returns:
        `Report`.

    Raises:
        CourseError: too few clips, a model that isn't shipped, or that generates no clips; otherwise as `protocol.evaluate`.
    """
    if count < MIN_CLIPS:
        raise CourseError(f"At least {MIN_CLIPS} clips are needed to estimate how they are distributed, got {count}.")
    record = zoo.record(name)
    if record["reference"] is None:
        raise CourseError(f"{name} generates no clips, so there is nothing to evaluate.")
    zoo.verified_path(name)  # complains here, not in the other process
    ahead = {}
    if record["pipeline"] in ("frame_prediction", "latent_rollout"):
        num_context_frames = record["sampling"]["num_context_frames"]
        ahead = {"reference": context_clips(record, count, seed), "num_context_frames": num_context_frames}
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        clips, cost = process.submit(sample_with_cost, name, count, seed).result()
    return evaluate(clips, record["reference"], **ahead, training=TrainingClips.of(record), cost=cost, name=name)


def evaluate_baselines(count=500, seed=1):
    """The evaluation of predictions that need no training, of the clips and context that the shipped predictors get.

    Args:
        count, seed: as for `evaluate_model`.

    Yields:
        `Report`, one for each baseline and data set.
    """
    for model in PREDICTORS:
        record = zoo.record(model)
        clips, num_context_frames = context_clips(record, count, seed), record["sampling"]["num_context_frames"]
        for name, predict in BASELINES.items():
            future = predict(clips.frames[:, :num_context_frames], clips.frames.shape[1] - num_context_frames)
            frames = np.concatenate([clips.frames[:, :num_context_frames], future], axis=1)
            yield evaluate(frames, record["reference"], clips, num_context_frames=num_context_frames, name=f"*{name}*")


def write_results(reports, readme=README, figure=FIGURE):
    """Puts results between the two markers in the README, and beside them a figure: quality against minutes of training.

    Args:
        reports: list of `Report`.
        readme: path of a text with both of `MARKERS`, each on a line of its own; what stands between them is replaced.
        figure: path of the PNG, in the README's folder or below.

    Raises:
        CourseError: no markers, no results, or a place that can't be written to.
    """
    if not reports:
        raise CourseError("The table needs at least one result.")
    readme = Path(readme)
    picture = f"![Frame Fréchet distance against minutes of training]({Path(figure).relative_to(readme.parent).as_posix()})"
    text = _between(readme, MARKERS, f"{markdown(reports)}\n\n{picture}")
    _draw_figure(reports, figure)
    with atomic_path(readme) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_weights_table(readme=README):
    """Puts a table of the shipped weights and their scores between two markers in the README.

    Args:
        readme: path of a text with both of `WEIGHTS_MARKERS`, each on a line of its own.

    Raises:
        CourseError: no markers, or a place that can't be written to.
    """
    lines = ["| weights | MB | minutes | scores |", "|---|---|---|---|"]
    for name, record in zoo.manifest().items():
        if all(key.startswith("accuracy") for key in record["scores"]):
            scores = f"accuracy {min(record['scores'].values()):.2%} or more"
        else:
            scores = ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in sorted(record["scores"].items()))
        lines.append(f"| {name} | {record['bytes'] / 1e6:.1f} | {record['minutes']:.1f} | {scores} |")
    text = _between(Path(readme), WEIGHTS_MARKERS, "\n".join(lines))
    with atomic_path(readme) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _between(path, markers, content):
    """A file's text with what stands between two markers replaced."""
    text = path.read_text(encoding="utf-8")
    first, last = markers
    if text.count(first) != 1 or text.count(last) != 1 or text.index(first) > text.index(last):
        raise CourseError(f"{path} needs the lines {first} and {last}, once each and in this order.")
    return f"{text[: text.index(first) + len(first)]}\n{content}\n{text[text.index(last) :]}"


def markdown(reports):
    """Results as a table in Markdown, the smaller frame Fréchet distance first within a data set.

    Args:
        reports: list of `Report`.

    Returns:
        str, a line for each report.
    """
    lines = ["| model | data set | n | " + " | ".join(COLUMNS) + " |", "|---|---|---|" + "---|" * len(COLUMNS)]
    for report in sorted(reports, key=lambda report: (report.dataset, report.scores.get("frame_frechet_distance", math.inf))):
        cells = [_cell(report, heading, metric) for heading, metric in COLUMNS.items()]
        lines.append("| " + " | ".join([report.name, report.dataset, str(report.count), *cells]) + " |")
    return "\n".join(lines)


def _cell(report, heading, metric):
    value, real = report.scores.get(metric), report.real.get(metric)
    if value is None:
        return "-"
    text = f"{value:,}" if isinstance(value, int) else _number(value)
    if report.intervals.get(metric):
        text += " [{}, {}]".format(*map(_number, report.intervals[metric]))
    return f"{text} ({real:.3g})" if heading.endswith("(real)") and real is not None else text


def _number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _draw_figure(reports, path):
    """Frame Fréchet distance, as a multiple of the real-to-real distance, against minutes of training."""
    figure = Figure(figsize=(7, 4), layout="constrained")  # without pyplot: a notebook's figures are left alone
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, dataset in enumerate(sorted({report.dataset for report in reports})):
        shown = [
            r
            for r in reports
            if r.dataset == dataset and r.scores.get("training_minutes") and r.real.get("frame_frechet_distance")
        ]
        if not shown:
            continue
        minutes = [report.scores["training_minutes"] for report in shown]
        times_real = [report.scores["frame_frechet_distance"] / report.real["frame_frechet_distance"] for report in shown]
        color = axes.scatter(minutes, times_real, label=dataset).get_facecolor()[0]
        for report, minute in zip(shown, minutes):
            low, high = report.intervals.get("frame_frechet_distance") or (math.nan, math.nan)
            ends = [max(end / report.real["frame_frechet_distance"], 0.1) for end in (low, high)]
            axes.plot([minute, minute], ends, color=color, linewidth=1.5)
        for report, *point in zip(shown, minutes, times_real):
            # neighbours from two data sets can both be read
            offset, side = ((-6, -11), "right") if place % 2 else ((6, 3), "left")
            axes.annotate(report.name, point, xytext=offset, textcoords="offset points", ha=side, fontsize=9, color=color)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(
        xscale="log", yscale="log", xlabel="minutes of training, two CPU cores", ylabel="frame Fréchet distance / real-to-real"
    )
    axes.margins(0.3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # tens alone would be a single label where all took minutes
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.legend(title="data set")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
