"""Chapter 10's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones."""

import re
from pathlib import Path

import numpy as np
import pytest

from vidgen_tf.coursebook.notebook import code_cells, read
from vidgen_tf.simulation.path_tracer import develop, dot

NOTEBOOK = read(Path(__file__).parents[1] / "notebooks" / "10_physics_rendering.ipynb")
CELLS = {cell.metadata.nbgrader.grade_id: cell.source for cell in code_cells(NOTEBOOK) if "nbgrader" in cell.metadata}


def grade(exercise, old=None, new=None):
    """Runs the notebook's solution, with a part of it replaced, through its grader."""
    solution = CELLS[exercise]
    if old is not None:
        assert old in solution
        solution = solution.replace(old, new)
    names = {"np": np, "develop": develop, "dot": dot}
    exec(solution, names)
    exec(CELLS[f"{exercise}_test"], names)


@pytest.mark.parametrize("exercise", ["bounce_factor", "restitution_from_heights", "blend_pictures", "scatter_glass"])
def test_the_solution_passes(exercise):
    grade(exercise)


def test_another_right_answer_passes():
    factors = {"cosine": "albedo", "hemisphere": "2 * albedo * cosine", "sphere": "4 * albedo * cosine"}
    table = ", ".join(f"{name!r}: {factor} * (cosine > 0)" for name, factor in factors.items())
    grade("bounce_factor", "    ### BEGIN SOLUTION", f"    return {{{table}}}[density]")
    slope = "    slope = np.polyfit(np.arange(len(fallen)), np.log(fallen), 1)[0]"
    grade("restitution_from_heights", slope, "    slope = np.log(fallen[-1] / fallen[0]) / (len(fallen) - 1)")


WRONG = [
    ("bounce_factor", "        return np.where(cosine > 0, albedo, 0.0)", "        return albedo * cosine", "cancel"),
    ("bounce_factor", "albedo / np.pi * cosine", "albedo * cosine", "albedo / pi"),
    ("bounce_factor", "2 * np.pi if density", "4 * np.pi if density", "albedo / pi"),
    ("bounce_factor", "    cosine = np.maximum(cosine, 0)\n", "", "from below"),
    ("bounce_factor", "else 4 * np.pi", "else 2 * np.pi", "mean must be the albedo"),
    ("restitution_from_heights", "slope / 2", "slope", "squared"),
    ("restitution_from_heights", "np.asarray(heights) - radius", "np.asarray(heights)", "lowest point"),
    (
        "restitution_from_heights",
        "fallen = np.asarray(heights) - radius",
        "fallen = np.asarray(heights)[:2] - radius",
        "all heights",
    ),
    ("blend_pictures", "** gamma", "** 1.0", "decode as they were encoded"),
    (
        "blend_pictures",
        "    radiance = (pictures / 255.0) ** gamma\n",
        "    return np.uint8(pictures.mean(axis=0))\n",
        "not its code",
    ),
    ("blend_pictures", "pictures / 255.0", "pictures", "186"),
    (
        "blend_pictures",
        "return develop(radiance.mean(axis=0), gamma=gamma)",
        "return np.uint8(255 * radiance.mean(axis=0) ** (1 / gamma) - 0.3)",
        "round",
    ),
    ("blend_pictures", "** gamma\n", "** 2.2\n", "gamma that is given|alike"),
    (
        "scatter_glass",
        "np.where(leaves, index_of_refraction, 1 / index_of_refraction)",
        "1 / index_of_refraction",
        "change places|negative",
    ),
    ("scatter_glass", "np.where(leaves, -normals, normals)", "normals", "change places|negative|reflected"),
    ("scatter_glass", "(first**2 + second**2) / 2", "0.04 + 0.96 * (1 - cos) ** 5", "Schlick"),
    ("scatter_glass", "(first**2 + second**2) / 2", "first**2", "Fresnel"),
    ("scatter_glass", "ratio * directions + (ratio * cos - inner_cos) * facing", "directions / index_of_refraction", "unit"),
    ("scatter_glass", "squared < 0, 1.0,", "squared < 0, 0.0,", "critical|negative"),
    ("scatter_glass", "rng.random(len(cos)) < share", "share > 0.5", "4 %"),
]


@pytest.mark.parametrize("exercise, old, new, said", WRONG, ids=range(len(WRONG)))
def test_a_plausible_wrong_answer_is_refused_by_name(exercise, old, new, said):
    with pytest.raises(AssertionError, match=said):
        grade(exercise, old, new)


@pytest.mark.parametrize("exercise", ["bounce_factor", "restitution_from_heights", "blend_pictures", "scatter_glass"])
def test_no_answer_is_refused(exercise):
    empty = re.sub(r"### BEGIN SOLUTION.*### END SOLUTION", "pass", CELLS[exercise], flags=re.DOTALL)
    with pytest.raises((AssertionError, TypeError, AttributeError)):
        names = {"np": np, "develop": develop, "dot": dot}
        exec(empty, names)
        exec(CELLS[f"{exercise}_test"], names)
