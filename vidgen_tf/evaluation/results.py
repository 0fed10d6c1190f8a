"""Results of all shipped models: the README's table and figure."""

import concurrent.futures
import math
import multiprocessing
from pathlib import Path
from .. import zoo
from ..atomic import atomic_path
from ..errors import CourseError
from .protocol import evaluate
from ..pipelines.cost import sample_clips


README = Path(__file__).parents[1] / "README.md"


FIGURE = README.parent / "assets" / "scoreboard.png"


MARKERS = "<!-- print_table -->", "<!-- /print_table -->"


COLUMNS = {  # heading -> measure; those in brackets stand beside what real clips score
    "content distance (real)": "content_distance",
    "motion distance (real)": "motion_distance",
    "recall (real)": "recall",
    "warping error (real)": "warping_error",
    "copies": "copies",
    "SSIM to the future": "ssim",
    "parameters": "parameters",
    "minutes": "training_minutes",
    "clips/s": "clips_per_second",
    "MB": "peak_memory_mb",
}


def evaluate_all(count=500, seed=1):
    """The exam of every model that the zoo ships and that makes clips.

    Args:
        count: how many clips each makes, at least 100.
        seed: of the sampling.

    Yields:
        `Report`, one after another: the models of one world together.

    Raises:
        CourseError: as `exam.examine`.
    """
    makers = [name for name in zoo.RECIPES if name in zoo.manifest() and makes_clips(name)]
    for name in sorted(makers, key=world_of):  # what is measured of a world's real clips is kept for its next model
        yield evaluate_model(name, count, seed)


def evaluate_model(name, count=500, seed=1):
    """The exam of a model of the zoo. It samples in a process of its own, so that its memory can be told.

    Args:
        name: a name in `zoo.RECIPES`.
        count: how many clips, at least 100.
        seed: of the sampling.

    Returns:
        `Report`.

    Raises:
        CourseError: a model that isn't load_pretrained, or that makes no clips; otherwise as `evaluate`.
    """
    if not makes_clips(name):
        raise CourseError(f"{name} looks at clips and makes none, so there is nothing to evaluate.")
    zoo.checked(name)  # complains here, not in the other process
    maker, ahead = zoo.recipe(name), {}
    if hasattr(maker, "truth"):
        ahead = {"reference": maker.truth(count, seed), "context_frames": maker.context_frames}
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        clips, cost = process.submit(sample_clips, name, count, seed).result()
    return evaluate(clips, world_of(name), **ahead, cost=cost, name=name)


def write_results(reports, readme=README, figure=FIGURE):
    """Puts results between the two markers in the README, and beside them a figure: quality against minutes of training.

    Args:
        reports: list of `Report`.
        readme: path of a text with both of `MARKERS`, each on a line of its own; what stands between them is replaced.
        figure: path of the PNG, in the README's folder or below.

    Raises:
        CourseError: no markers, no results, or a place that can't be written to.
    """
    readme = Path(readme)
    text = readme.read_text(encoding="utf-8")
    first, last = MARKERS
    if not reports or text.count(first) != 1 or text.count(last) != 1 or text.index(first) > text.index(last):
        raise CourseError(f"A print_table needs a result, and the lines {first} and {last} in {readme}, once each.")
    before, after = text[: text.index(first) + len(first)], text[text.index(last) :]
    _draw_figure(reports, figure)
    with atomic_path(readme) as temporary:
        picture = f"![Content distance against minutes of training]({Path(figure).relative_to(readme.parent).as_posix()})"
        temporary.write_text(f"{before}\n{markdown(reports)}\n\n{picture}\n{after}", encoding="utf-8")


def markdown(reports):
    """Results as a table in Markdown, the better content first within a world.

    Args:
        reports: list of `Report`.

    Returns:
        str, a line for each report.
    """
    lines = ["| model | world | n | " + " | ".join(COLUMNS) + " |", "|---|---|---|" + "---|" * len(COLUMNS)]
    for report in sorted(reports, key=lambda report: (report.world, report.scores.get("content_distance", math.inf))):
        cells = [_cell(report, heading, measure) for heading, measure in COLUMNS.items()]
        lines.append("| " + " | ".join([report.name, report.world, str(report.count), *cells]) + " |")
    return "\n".join(lines)


def _cell(report, heading, measure):
    value, real = report.scores.get(measure), report.real.get(measure)
    if value is None:
        return "-"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} ({real:.3g})" if heading.endswith("(real)") and real is not None else text


def _draw_figure(reports, path):
    """Content distance, as a multiple of what as many real clips score, against minutes of training."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(7, 4), layout="constrained")  # drop_attribute pyplot: a notebook's figures are left alone
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, world in enumerate(sorted({report.world for report in reports})):
        shown = [r for r in reports if r.world == world and r.scores.get("training_minutes") and r.real.get("content_distance")]
        if not shown:
            continue
        minutes = [report.scores["training_minutes"] for report in shown]
        times_real = [report.scores["content_distance"] / report.real["content_distance"] for report in shown]
        color = axes.scatter(minutes, times_real, label=world).get_facecolor()[0]
        for report, *point in zip(shown, minutes, times_real):
            offset, side = ((-6, -11), "right") if place % 2 else ((6, 3), "left")  # neighbours from two worlds can both be read
            axes.annotate(report.name, point, xytext=offset, textcoords="offset points", ha=side, fontsize=8, color=color)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="minutes of training, two CPU cores", ylabel="content distance / real clips'")
    axes.margins(0.2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # tens alone would be a single label where all took minutes
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.legend(title="world")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
