"""A student's copies: made once, never overwritten, and graded; on a toy chapter, and with the solutions of each real one."""

import os
import re
from pathlib import Path

import nbformat.v4 as v4
import pytest
from toy_course import Folder
from toy_notebooks import write_notebook

from vidgen_tf.coursebook.check import grade_copies, programs_of, questions_of
from vidgen_tf.coursebook.notebook import as_text, code_cells, read
from vidgen_tf.coursebook.student import _without_solutions, chapter_version, write_copies
from vidgen_tf.errors import CourseError

ROOT = Path(__file__).parents[1]
COURSE = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def question(name, solution, grader, hidden, points=1):
    """The two cells of an exercise, for `write_notebook`."""
    common = {"schema_version": 3, "task": False}
    answering = {**common, "grade": False, "solution": True, "locked": False, "grade_id": name}
    grading = {**common, "grade": True, "solution": False, "locked": True, "grade_id": name + "_test", "points": points}
    head, body = solution
    return [
        (f"{head}    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION", {"nbgrader": answering}),
        (f"{grader}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS", {"nbgrader": grading}),
    ]


DOUBLE = "def double(x):\n", "    return 2 * x"
CHAPTER = (
    ("md", "# 02 · Doubling"),
    "import math\n\nnumbers = [1, 2]\nnumbers[0] = 5",
    "open('trained', 'a').write('x')\nweights = [math.pi]",
    *question("double", DOUBLE, "assert double(1) == 2, 'not twice'", "assert double('a') == 'aa', 'try a text'", points=2),
    *question(
        "largest",
        ("def largest():\n", "    return max(numbers)"),
        "assert largest() == 5, f'the largest of {numbers}'",
        "numbers.append(9)\nassert largest() == 9, 'look anew'",
    ),
    *question(
        "circle", ("def circle(r):\n", "    return math.pi * r**2"), "assert circle(2) > 12, 'pi'", "assert circle(0) == 0, '0'"
    ),
)


@pytest.fixture
def course(tmp_path):
    """A folder with one chapter, and a student's copy of it."""
    write_notebook(tmp_path / "notebooks" / "02_doubling.ipynb", *CHAPTER, minutes=0.5)
    assert write_copies([tmp_path / "notebooks" / "02_doubling.ipynb"], tmp_path / "work")
    return tmp_path


def edit(path, change, **answers):
    """Puts answers into a copy, by the names of their questions, and does to the notebook whatever else `change` does."""
    notebook = read(path)
    for cell in code_cells(notebook):
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in answers:
            body = "".join(f"    {line}\n" for line in answers[name].splitlines())
            cell.source = re.sub(r" *# YOUR CODE HERE\n *raise NotImplementedError\(\)", lambda _, body=body: body, cell.source)
    if change:
        change(notebook)
    path.write_text(as_text(notebook), encoding="utf-8")


def grade(course, capsys, *names, limit=60):
    """What is printed for each question: name -> the rest of its line."""
    capsys.readouterr()
    good = grade_copies([*names], course / "notebooks", course / "work", limit)
    out = capsys.readouterr().out
    assert "Traceback" not in out
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines() if line.startswith("    ")}
    assert rows["all"].startswith("together") and good == (" of 4 points" in rows["all"] and "4 of 4" in rows["all"])
    return rows


RIGHT = {"double": "return x + x", "largest": "return sorted(numbers)[-1]", "circle": "return r * r * math.pi"}


def test_right_answers_have_all_points_and_nothing_else_is_executed(course, capsys):
    copy = course / "work" / "02_doubling.ipynb"
    assert grade(course, capsys) == {
        "double": "0 of 2  no answer yet",
        "largest": "0 of 1  no answer yet",
        "circle": "0 of 1  no answer yet",
        "all": "together  0 of 4 points",
    }
    edit(copy, None, **RIGHT)
    assert grade(course, capsys, "2") == {
        "double": "2 of 2  right",
        "largest": "1 of 1  right",
        "circle": "1 of 1  right",
        "all": "together  4 of 4 points",
    }
    assert not (course / "work" / "trained").exists(), "no answer needs what the chapter trains"


def test_what_the_chapter_defines_is_the_chapters_and_what_a_student_adds_is_the_copys(course, capsys):
    def play(notebook):
        first = code_cells(notebook)[0]
        first.source = "numbers = [10_000]\n1 / 0"  # an experiment, and the import is gone
        helper = v4.new_code_cell("from math import *\n%time half = tau / 2\n\ndef square(r): return r * r")
        half = v4.new_code_cell("half = tau / 2\nthis is no Python")
        notebook.cells[2:2] = [helper, half]
        twin = v4.new_code_cell("    return x + x", metadata=notebook.cells[5].metadata)  # as a cell that was split in two
        notebook.cells[5].source = "def double(x):"
        notebook.cells[5].source, twin.source = "def twice(x):\n    return 2 * x", "def double(x):\n    return twice(x)"
        notebook.cells.insert(6, twin)

    edit(course / "work" / "02_doubling.ipynb", play, largest=RIGHT["largest"], circle="return square(r) * tau / 2")
    rows = grade(course, capsys)
    assert rows["all"] == "together  4 of 4 points", rows


def test_all_of_the_chapter_is_executed_for_an_answer_that_reads_what_it_computes(course, capsys):
    edit(course / "work" / "02_doubling.ipynb", None, **{**RIGHT, "circle": "return weights[0] * r**2"})
    rows = grade(course, capsys)
    assert rows["circle"] == "1 of 1  right" and (course / "work" / "trained").read_text() == "x", "once, for this question"


def messages(course, capsys, change=None, limit=60, **answers):
    """What is said of three answers in a new copy."""
    copy = course / "work" / "02_doubling.ipynb"
    copy.unlink()
    write_copies([course / "notebooks" / copy.name], course / "work")
    edit(copy, change, **answers)
    rows = grade(course, capsys, limit=limit)
    return [rows[name].partition("  ")[2] for name in ("double", "largest", "circle")]


def test_a_wrong_answer_gets_the_graders_words(course, capsys):
    wrong = messages(course, capsys, double="return x + 2", largest="assert False", circle="return None")
    assert wrong[:2] == ["not twice", "one of the answer's own asserts fails"] and wrong[2].startswith("TypeError: ")
    wrong = messages(course, capsys, double="return 2 * float(x)", largest="return max(numbrs)", circle="return 2 r")
    assert wrong[0] == "ValueError: could not convert string to float: 'a'", "the hidden tests count"
    assert wrong[1:] == ["NameError: name 'numbrs' is not defined", "SyntaxError: invalid syntax, in line 2"]


def test_a_slow_a_crashing_and_a_deleted_answer_get_one_plain_line_each(course, capsys):
    def delete(notebook):
        del notebook.cells[3]

    wrong = messages(course, capsys, delete, limit=2, largest="import os\nos._exit(1)", circle="while True:\n    pass")
    assert "its cell is gone" in wrong[0] and "`course.py lab` make a new one" in wrong[0]
    assert wrong[1].startswith("Python itself ended")
    assert wrong[2].startswith("stopped after 2 s") and "--limit" in wrong[2]

    def help_wrongly(notebook):
        notebook.cells.insert(1, v4.new_code_cell("helper = 1 / 0"))

    wrong = messages(course, capsys, help_wrongly, double="return helper", largest="return input()")
    assert wrong[0] == "in a cell of yours above it: ZeroDivisionError: division by zero"
    assert wrong[1].startswith("StdinNotImplementedError") and wrong[2] == "no answer yet"


def test_a_copy_is_never_overwritten_and_a_new_version_goes_beside_it(course, capsys):
    chapter, copy = course / "notebooks" / "02_doubling.ipynb", course / "work" / "02_doubling.ipynb"
    assert "raise NotImplementedError" in copy.read_text() and "2 * x" not in copy.read_text()
    edit(copy, None, **RIGHT)
    mine = copy.read_bytes()
    capsys.readouterr()
    assert write_copies([chapter], course / "work") and capsys.readouterr().out == ""
    changed = [*CHAPTER[:1], ("md", "More prose."), *CHAPTER[1:]]
    hidden = [*CHAPTER[:4], (CHAPTER[4][0].replace("try a text", "texts too"), CHAPTER[4][1]), *CHAPTER[5:]]
    write_notebook(chapter, *hidden)  # a solution or a hidden test that changes is none of a student's business
    assert write_copies([chapter], course / "work") and capsys.readouterr().out == ""
    write_notebook(chapter, *changed)
    for said in (
        "02_doubling.ipynb has changed: the new version is work/02_doubling_v2.ipynb, and work/02_doubling.ipynb stays",
        "",
    ):
        assert write_copies([chapter], course / "work")
        assert capsys.readouterr().out.startswith(said)
    assert copy.read_bytes() == mine and len(list((course / "work").iterdir())) == 2
    rows = grade(course, capsys)
    assert rows["all"] == "together  4 of 4 points", "the new version has no answer in it: the old one counts"
    assert rows["This"].startswith("copy is of an older version of the chapter")
    newer = course / "work" / "02_doubling_v2.ipynb"
    edit(newer, None, double="return x")
    os.utime(copy, (1, 1))
    assert grade(course, capsys)["double"] == "0 of 2  not twice"
    assert grade(course, capsys, str(copy))["double"] == "2 of 2  right", "a copy may be named"


def test_what_cannot_be_graded_is_said_in_a_sentence(course, capsys):
    def refused(names, *words):
        with pytest.raises(CourseError) as caught:
            grade_copies(names, course / "notebooks", course / "work", 60)
        assert "\n" not in str(caught.value) and all(word in str(caught.value) for word in words), caught.value

    refused(["3"], "no notebook 3", "choose from 02")
    refused(["03_other.ipynb"], "no copy 03_other.ipynb")
    copy = course / "work" / "02_doubling.ipynb"
    copy.write_text("{")
    assert not grade_copies([], course / "notebooks", course / "work", 60)
    told = f"    {copy} is no notebook of format 4: move it away, and `course.py lab` makes a new copy."
    assert capsys.readouterr().out.splitlines()[-1] == told
    copy.unlink()
    refused(["2"], "no copy of 02_doubling.ipynb", "`course.py lab` makes one")
    refused([], "no copy to grade", "`course.py lab` makes one of each chapter")


def test_a_chapter_that_makes_no_copy_does_not_stop_the_others(course, capsys):
    (course / "notebooks" / "03_broken.ipynb").write_text("{")
    good = write_notebook(course / "notebooks" / "04_good.ipynb", ("md", "# 04 · Good"))
    assert not write_copies([course / "notebooks" / "03_broken.ipynb", good], course / "work")
    out = capsys.readouterr().out
    assert "03_broken.ipynb: no copy to work in." in out and (course / "work" / "04_good.ipynb").exists()


def test_the_command_grades_and_its_exit_status_tells(tmp_path):
    folder = Folder(tmp_path)
    (folder.path / "notebooks" / "00_tiny.ipynb").unlink()
    chapter = write_notebook(folder.path / "notebooks" / "02_doubling.ipynb", *CHAPTER[:5])
    none = folder.call("check", VIDGEN_ENV="current")
    assert none.returncode == 1 and "course.py lab" in none.err
    write_copies([chapter], folder.path / "work")
    wrong = folder.call("check", "02", VIDGEN_ENV="current")
    assert wrong.returncode == 1 and "02  Doubling: work/02_doubling.ipynb" in wrong.out
    edit(folder.path / "work" / "02_doubling.ipynb", None, double=RIGHT["double"])
    right = folder.call("check", "02", "--limit", "100", VIDGEN_ENV="current")
    assert (right.returncode, right.err) == (0, "") and "all together  2 of 2 points" in right.out
    told = " ".join(folder.call("check", "--help").out.split())
    for words in ("fresh kernel", "hidden tests included", "deleted", "takes too long", "exit status is 0", "--limit"):
        assert words in told


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_copy_holds_each_question_with_nothing_answered(path, tmp_path):
    pytest.importorskip("nbgrader")
    assert write_copies([path], tmp_path)
    copy, questions = read(tmp_path / path.name), questions_of(read(path))
    for each in questions:
        _, helpers, answer, everything = programs_of(each, copy)
        assert "raise NotImplementedError()" in answer and not helpers and not everything and each.points > 0
    assert len(questions) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["00_start_here", "06_convlstm", "09_flow_gan"])  # what they need: clips, a layer, functions
def test_the_solutions_of_a_chapter_have_all_points(name, capsys):
    """Each in its own kernel; those of all chapters pass in test_exercises_*.py, in one process."""
    good = grade_copies([str(ROOT / "notebooks" / f"{name}.ipynb")], ROOT / "notebooks", ROOT / "work", limit=280)
    assert good, capsys.readouterr().out


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem[:2])
def test_what_is_marked_by_hand_has_a_rubric_that_adds_up_and_that_no_student_sees(path):
    tasks = [cell for cell in read(path).cells if cell.metadata.get("nbgrader", {}).get("task")]
    assert len(tasks) == 1
    text, scheme = re.fullmatch(r"(.*)### BEGIN MARK SCHEME\n(.*)\n### END MARK SCHEME\s*", tasks[0].source, re.DOTALL).groups()
    points = [float(number) for number in re.findall(r"^- \*\*([\d.]+) points?\b", scheme, re.MULTILINE)]
    stated = float(re.search(r"([\d.]+) points", text)[1])
    assert len(points) >= 3 and sum(points) == stated == tasks[0].metadata.nbgrader.points
    (seen,) = [cell for cell in _without_solutions(read(path), path).cells if cell.metadata.get("nbgrader", {}).get("task")]
    assert seen.source.strip() == text.strip()


def test_points_that_are_given_by_hand_are_told_apart(course, capsys):
    path = course / "notebooks" / "02_doubling.ipynb"
    notebook = read(path)
    task = {
        "grade": False,
        "grade_id": "study",
        "locked": True,
        "points": 6,
        "schema_version": 3,
        "solution": False,
        "task": True,
    }
    scheme = "### BEGIN MARK SCHEME\n- **6 points.** All.\n### END MARK SCHEME"
    notebook.cells.append(v4.new_markdown_cell(f"Write a page.\n\n{scheme}", metadata={"nbgrader": task}))
    path.write_text(as_text(notebook), encoding="utf-8")
    assert write_copies([path], course / "work")
    capsys.readouterr()
    grade_copies(["02"], course / "notebooks", course / "work", 60)
    assert "6 more points are marked by hand" in capsys.readouterr().out
    version = chapter_version(notebook)
    notebook.cells[-1].source = notebook.cells[-1].source.replace("All.", "All of it.")
    assert chapter_version(notebook) == version, "another rubric is no new version for a student"
