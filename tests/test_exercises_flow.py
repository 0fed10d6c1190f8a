"""Chapter 09's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones by name."""

import re
from pathlib import Path

import numpy as np
import pytest

from vidgen_tf.coursebook.notebook import code_cells, read
from vidgen_tf.models.optical_flow import warp

NOTEBOOK = read(Path(__file__).parents[1] / "notebooks" / "09_flow_gan.ipynb")
CELLS = {cell.metadata.nbgrader.grade_id: cell.source for cell in code_cells(NOTEBOOK) if "nbgrader" in cell.metadata}
TENSOR = next(cell.source for cell in code_cells(NOTEBOOK) if cell.source.startswith("def structure_tensor"))
EXERCISES = [name for name in CELLS if not name.endswith("_test")]


def grade(exercise, old=None, new=None):
    """Runs the notebook's solution, with a part of it replaced, through its grader."""
    solution, names = CELLS[exercise], {"np": np, "warp": warp}
    if old is not None:
        assert old in solution
        solution = solution.replace(old, new)
    exec(re.match(r"def structure_tensor.*?\n\n", TENSOR + "\n\n", re.DOTALL)[0], names)
    exec(solution, names)
    exec(CELLS[f"{exercise}_test"], names)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_solution_passes_and_no_answer_is_refused(exercise):
    grade(exercise)
    empty = re.sub(r"### BEGIN SOLUTION.*?### END SOLUTION", "pass", CELLS[exercise], flags=re.DOTALL)
    with pytest.raises((AssertionError, TypeError, IndexError)):
        grade(exercise, CELLS[exercise], empty)


def test_another_right_answer_passes():
    slopes = "    a = np.stack([ix.ravel(), iy.ravel()], axis=1)\n    return np.linalg.lstsq(a, -it.ravel(), rcond=1e-2)[0]"
    grade("solve_window", "    ### BEGIN SOLUTION", slopes)
    moved = "    flow = np.zeros((1, *picture.shape[:2], 2), 'float32') - np.asarray(velocity, 'float32')"
    grade("next_frame", "    flow = np.broadcast_to(-np.float32(velocity), (1, *picture.shape[:2], 2))", moved)
    grade(
        "known_components", "    ### BEGIN SOLUTION", "    return sum(np.linalg.eigvals(structure_tensor(window)).real >= least)"
    )


WRONG = [
    ("solve_window", "right = -np", "right = np", "sign"),
    (
        "solve_window",
        "np.linalg.pinv(matrix, rcond=1e-3) @ right",
        "(np.linalg.pinv(matrix, rcond=1e-3) @ right)[::-1]",
        "along x",
    ),
    (
        "solve_window",
        "    return np.linalg.pinv(matrix, rcond=1e-3) @ right",
        "    if abs(np.linalg.det(matrix)) < 1e-6:\n        return np.zeros(2)\n    return np.linalg.solve(matrix, right)",
        "pseudo-inverse",
    ),
    ("solve_window", "    matrix =", "    ix, iy, it = ix[:3], iy[:3], it[:3]\n    matrix =", "all pixels"),
    ("next_frame", "-np.float32(velocity)", "np.float32(velocity)", "looks the other way"),
    ("next_frame", "-np.float32(velocity)", "-np.float32(velocity)[::-1]", "along the columns"),
    ("next_frame", "-np.float32(velocity)", "-np.rint(np.float32(velocity))", "half a pixel"),
    (
        "known_components",
        "int(np.sum(np.linalg.eigvalsh(structure_tensor(window)) >= least))",
        "2 * int(np.linalg.det(structure_tensor(window)) >= least)",
        "determinant",
    ),
    (
        "known_components",
        "int(np.sum(np.linalg.eigvalsh(structure_tensor(window)) >= least))",
        "int(np.trace(structure_tensor(window)) >= least)",
        "trace",
    ),
    ("known_components", ">= least", ">= 1e-9", "edge everywhere|threshold"),
    ("splat", "x + flow[..., 0], y + flow[..., 1]", "x - flow[..., 0], y - flow[..., 1]", "along the arrow"),
    (
        "splat",
        "place_x, place_y = x + flow[..., 0], y + flow[..., 1]",
        "place_x, place_y = np.rint(x + flow[..., 0]), y",
        "rounded|mean of two",
    ),
    ("splat", "total / np.where(weight > 0, weight, 1)[..., None]", "total", "mean of two|mean counts"),
    ("splat", "np.add.at(weight, where, share[inside])", "weight[where] = share[inside]", "middle one|weight|mean"),
    (
        "splat",
        "        where = row[inside], column[inside]",
        "        inside = inside | True\n        where = row.ravel() % height, column.ravel() % width",
        "wraps|weight 0",
    ),
    ("splat", "landed = weight > 0.5", "landed = weight > -1", "holes|same pixels"),
    ("splat", "-flow[None].astype", "flow[None].astype", "by minus the flow"),
]


@pytest.mark.parametrize("exercise, old, new, said", WRONG, ids=range(len(WRONG)))
def test_a_plausible_wrong_answer_is_refused_by_name(exercise, old, new, said):
    with pytest.raises(AssertionError, match=said):
        grade(exercise, old, new)
