"""Results of an evaluation as a table."""

import dataclasses

from ..errors import CourseError
from ..video import Clip
from .spec import METRICS, OUT


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """What an evaluation found.

    Args:
        name: str, of the clips or of the model that made them.
        dataset: str, name of their data set, or None.
        count: int, how many clips were evaluated.
        rows: list of dicts, one for each metric: "metric", a name in `spec.METRICS`, or one with "_out_of_distribution" behind
            it, for objects of sizes and speeds that are not in the training clips; "clips", the value; "interval", its 95 %
            interval (low, high), by prompts where there are any; "real", that of real clips never trained on, for the distances,
            precision and recall that of as many other real clips; "reconstruction", that of such real clips after an autoencoder;
            "n", how many clips, or objects, it was measured on; "best". None stands where nothing was measured.
        picture: `Clip`, some of them beside real ones.
        horizons: dict from "psnr_db" and "ssim" to arrays, a value for each predicted frame; empty without predictions.
        note: str, what of the evaluation doesn't apply, and why; or "".
        num_prompts: int, how many different prompts the clips were sampled for, or None.
    """

    name: str
    dataset: str | None
    count: int
    rows: list
    picture: Clip
    horizons: dict
    note: str = ""
    num_prompts: int | None = None

    @property
    def scores(self):
        """The values alone: dict from metric to float."""
        return {row["metric"]: row["clips"] for row in self.rows}

    @property
    def intervals(self):
        """95 % intervals: dict from metric to (low, high) or None."""
        return {row["metric"]: row["interval"] for row in self.rows}

    @property
    def real(self):
        """What real clips score: dict from metric to float or None."""
        return {row["metric"]: row["real"] for row in self.rows}

    @property
    def reconstruction(self):
        """What real clips score after an autoencoder: dict from metric to float or None."""
        return {row["metric"]: row["reconstruction"] for row in self.rows}

    def table(self):
        """Prints the rows, the horizons and the note."""
        prompts = f" for {self.num_prompts} different prompts" if self.num_prompts else ""
        print(f"{self.count} clips of {self.name}{prompts}" + (f", data set {self.dataset}" if self.dataset else ""))
        print_table(self.rows)
        for metric, values in self.horizons.items():
            print(f"{metric} by frame predicted: " + " ".join(f"{value:.3g}" for value in values))
        if self.note:
            print(self.note)

    def __repr__(self):
        """Whose evaluation it was, and how many metrics it has."""
        return f"Report({self.name}: {self.count} clips, {len(self.rows)} metrics)"


def metric_order(metric):
    """Where a metric stands in the table.

    Args:
        metric: str, a name in `spec.METRICS`, with or without "_out_of_distribution" behind it.

    Returns:
        tuple that sorts.
    """
    return list(METRICS).index(metric.removesuffix(OUT)), metric


def print_table(rows):
    """Prints results as a table with one row a model.

    Args:
        rows: list of dicts with the same keys in the same order; numbers are shown with three digits, a pair as an
            interval, None as a dash.

    Raises:
        CourseError: no rows, or rows with different keys.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise CourseError("A table needs at least one row, and the same keys in the same order in each.")
    cells = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip())


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return f"[{', '.join(f'{end:.3g}' for end in value)}]"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
