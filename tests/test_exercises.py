"""Each exercise states its points, those of its grader, and how long it takes; its graders are tested in test_exercises_*.py."""

import re
from pathlib import Path

import nbformat.v4 as v4
import pytest

from vidgen_tf.coursebook.notebook import read

COURSE = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
STATED = re.compile(r"\b(\d+) points?, (?:about )?(?:\d+|one|two|three)(?: to (?:\d+|two|three|four))? (?:minutes|hours?)\b")


def flaws(notebook):
    """A complaint for each exercise whose bold lead, in the prose above its cell, doesn't say what it is worth and takes."""
    for before, cell, grader in zip(notebook.cells, notebook.cells[1:], notebook.cells[2:]):
        marks = cell.metadata.get("nbgrader", {})
        if not marks.get("solution"):
            continue
        leads = re.findall(r"\*\*(.+?)\*\*", before.source) if before.cell_type == "markdown" else []
        stated = [STATED.search(lead) for lead in leads if STATED.search(lead)]
        points = grader.metadata.get("nbgrader", {}).get("points")
        if not stated:
            yield f"{marks.grade_id}: say such as **Exercise 1 (predict; {points} points, 10 minutes).**"
        elif int(stated[-1][1]) != points:
            yield f"{marks.grade_id}: it says {stated[-1][1]} points and has {points}"


def exercise(lead, points):
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell(lead),
            v4.new_code_cell(metadata={"nbgrader": {"solution": True, "grade_id": "task"}}),
            v4.new_code_cell(metadata={"nbgrader": {"grade": True, "points": points}}),
        ]
    )


def test_what_is_not_stated_is_noticed():
    for lead, points in (
        ("## Exercises\n\n**Exercise 1 (predict; 2 points, 10 minutes).** How many?", 2),
        ("**1 · Build: a thing. (1 point, 5 minutes)** Build it.", 1),
        ("**Exercise 4 (substantial; 6 points, two to four hours).** *Why?*", 6),
    ):
        assert list(flaws(exercise(lead, points))) == []
    for lead, said in (
        ("**Exercise 1 (predict).** How many?", "say such as"),
        ("Exercise 1 (predict; 2 points, 10 minutes). How many?", "say such as"),
        ("**Exercise 1 (predict; 2 points).** How many?", "say such as"),
        ("**Exercise 1 (predict; 3 points, 10 minutes).** How many?", "says 3 points and has 2"),
    ):
        assert said in " ".join(flaws(exercise(lead, 2)))


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_each_exercise_states_its_points_and_minutes(path):
    assert list(flaws(read(path))) == []
