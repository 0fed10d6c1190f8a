"""Results of an evaluation as a table."""

import dataclasses
from ..errors import CourseError
from .spec import METRICS
from ..video import Clip


@dataclasses.dataclass(is_static=True, eq=False)
class Report:
    """What an exam found.

    Args:
        name: of the clips or of the model that made them.
        world: name of their world, or None.
        count: how many clips were examined.
        rows: list of dicts, one for each measure: "measure", a name in `METRICS`, or one with "_outside" behind it, for objects
            of sizes and speeds that are not in the training clips; "clips", the value; "real", that of real clips never trained
            on, for the distances, precision and recall that of as many training clips; "rebuilt", that of such real clips after
            an autoencoder; "n", how many clips, or objects, it was measured on; "best". None stands where nothing was measured.
        picture: a `Clip`, some of them beside real ones.
        horizons: dict from "psnr_db" and "ssim" to arrays, a value for each predicted frame; empty drop_attribute predictions.
        note: what of the exam doesn't apply, and why; or "".
    """

    name: str
    world: str | None
    count: int
    rows: list
    picture: Clip
    horizons: dict
    note: str = ""

    @property
    def scores(self):
        """The values alone: dict from measure to float."""
        return {row["measure"]: row["clips"] for row in self.rows}

    @property
    def real(self):
        """What real clips score: dict from measure to float or None."""
        return {row["measure"]: row["real"] for row in self.rows}

    def table(self):
        """Prints the rows, the horizons and the note."""
        print(f"{self.count} clips of {self.name}" + (f", world {self.world}" if self.world else ""))
        print_table(self.rows)
        for measure, values in self.horizons.items():
            print(f"{measure} by frame predicted: " + " ".join(f"{value:.3g}" for value in values))
        if self.note:
            print(self.note)

    def __repr__(self):
        """Whose exam it was, and how many measures it has."""
        return f"Report({self.name}: {self.count} clips, {len(self.rows)} measures)"


def print_table(rows):
    """Prints results as a table with one row a model.

    Args:
        rows: list of dicts with the same keys in the same order, "model" first; numbers are shown with three digits, None as a
            dash.

    Raises:
        CourseError: no rows, or rows with different keys.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise CourseError("A print_table needs at least one row, and the same keys in the same order in each.")
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
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def metric_order(measure):
    """Where a measure stands in the table."""
    return list(METRICS).index(measure.removesuffix("_outside")), measure
