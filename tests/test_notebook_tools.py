"""Reading, refreshing and handing out notebooks, on toy notebooks made here."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import nbformat.v4 as v4
import pytest
from toy_notebooks import write_notebook

from vidgen_tf.coursebook.notebook import read, source_text
from vidgen_tf.coursebook.refresh import _warning, refresh
from vidgen_tf.coursebook.student import write_versions
from vidgen_tf.errors import CourseError

IMAGE = "import os\nfrom IPython.display import Image\nImage(data=os.urandom(9), format='png')"  # another one each time


REFUSED = {
    "stderr": (
        ("x = 1", "import sys\nprint('oh no', file=sys.stderr)"),
        2.0,
        r"Code cell 2 .'import sys'. writes to stderr: 'oh no'",
    ),
    "not executed": ((("x = 1", {"tags": ["skip-execution"]}), "y = 2"), 2.0, r"Code cell 1 .'x = 1'. was not executed"),
    "failed": (("x = 1", "1 / 0"), 2.0, r"Code cell 2 .'1 / 0'. failed with ZeroDivisionError: division by zero"),
    "dead": (("import os\nos._exit(1)",), 2.0, r"Code cell 1 .'import os'. killed its kernel"),
    "too large": (("print('x' * 1_600_000)",), 2.0, r"1\.6 MB, over the limit of 1\.5 MB"),
    "no time": (("x = 1",), None, "states no time"),
    "no such source": (
        (("", {"source": "vidgen_tf.errors:Nothing"}),),
        2.0,
        "vidgen_tf.errors defines no function or class 'Nothing'",
    ),
    "no such module": ((("", {"source": "vidgen_tf.nowhere:x"}),), 2.0, "no module 'vidgen_tf.nowhere'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refresh_refuses_and_leaves_the_file(tmp_path, capsys, case):
    cells, minutes, reason = REFUSED[case]
    path = write_notebook(tmp_path / "07_refused.ipynb", *cells, minutes=minutes)
    before = path.read_bytes()
    assert refresh([path]) is False
    out = capsys.readouterr().out
    assert "07_refused.ipynb: refused" in out
    assert re.search(reason, out), out
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_refresh_brings_into_normal_form_and_then_says_unchanged(tmp_path, capsys):
    chance = ("import random; print(random.random())", {"tags": ["nbval-ignore-output"], "scrolled": True})
    filled = ("old text", {"source": "vidgen_tf.errors:CourseError", "execution": {"iopub.status.busy": "2026"}})
    path = write_notebook(
        tmp_path / "08_all.ipynb",
        ("md", "# 08 · All"),
        filled,
        chance,
        "import sys\nfor i in range(3):\n    print(i)\n    sys.stdout.flush()",
        IMAGE,
        widgets={"application/vnd.jupyter.widget-state+json": {}},
        language_info={"name": "python", "version": "3.9.9"},
    )
    without_ids = nbformat.read(path, as_version=4)
    without_ids.nbformat_minor = 4
    for cell in without_ids.cells:
        del cell["id"]
    path.write_text(v4.writes(without_ids))

    assert refresh([path]) is True
    assert "refreshed in" in capsys.readouterr().out
    first = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(first, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"vidgen", "kernelspec", "language_info"} and notebook.metadata.language_info == {
        "name": "python"
    }
    assert [cell.id for cell in notebook.cells] == [f"cell-{i}" for i in range(5)]
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3, 4]
    assert notebook.cells[1].source.startswith('class CourseError(ValueError):\n    """')  # the package's definition
    assert notebook.cells[1].metadata == {"source": "vidgen_tf.errors:CourseError"}
    assert [output.text for output in notebook.cells[3].outputs] == ["0\n1\n2\n"]
    assert set(notebook.cells[4].outputs[0].data) == {"image/png", "text/plain"}

    assert refresh([path]) is True  # other random numbers, another image
    assert capsys.readouterr().out.endswith("08_all.ipynb: unchanged\n") and path.read_text(encoding="utf-8") == first
    changed = read(path)
    changed.cells[3].outputs[0].text = "0\n1\n7\n"
    path.write_text(v4.writes(changed) + "\n", encoding="utf-8")
    assert refresh([path]) is True
    assert "unchanged" not in capsys.readouterr().out
    again = read(path)
    assert again.cells[3].outputs[0].text == "0\n1\n2\n" and again.cells[2].outputs != notebook.cells[2].outputs


def test_refresh_warns_of_a_notebook_that_takes_longer_than_it_states(tmp_path, capsys):
    path = write_notebook(tmp_path / "07_slow.ipynb", ("md", "# 07 · Slow"), "x = 1", minutes=1e-9)
    warned = r" \(WARNING: it took \d:\d\d and states 0:00; unless the machine was busy, make it quicker or state more\)\n$"
    for verdict in (r"refreshed in \d:\d\d", "unchanged"):  # and is written all the same
        assert refresh([path]) is True
        assert re.search(r"07_slow\.ipynb: " + verdict + warned, capsys.readouterr().out)
    assert read(path).cells[1].execution_count == 1
    assert _warning(60, 60) == "" and "it took 1:01 and states 1:00" in _warning(61, 60)


MODULE = '''
"""A module."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes.

    Args:
        width: how wide.
    """

    width: int = 3  # in pixels


class Model(Config):
    r"""
    The model, with \\alpha.

    More.
    """

    def call(self, x):
        """Calls.

        Returns:
            x.
        """
        return x  # unchanged

    def short(self): "Short."


def build(config):
    """Builds it."""
    # why: a comment that stays
    text = """not
    a docstring"""
    return text
'''


def test_source_text_keeps_comments_and_cuts_docstrings(tmp_path, monkeypatch):
    (tmp_path / "made_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    assert source_text("made_module:Config") == textwrap.dedent('''\
        @dataclasses.dataclass(frozen=True)
        class Config:
            """Sizes."""

            width: int = 3  # in pixels''')
    assert source_text("made_module:Model") == textwrap.dedent('''\
        class Model(Config):
            r"""The model, with \\alpha."""

            def call(self, x):
                """Calls."""
                return x  # unchanged

            def short(self): "Short."''')
    assert source_text("made_module:build") == MODULE[MODULE.index("def build") :].rstrip("\n")


def test_read_names_what_is_no_notebook(tmp_path):
    for text in ("", "{", "[]", "{}", '"text"'):
        (tmp_path / "a.ipynb").write_text(text)
        with pytest.raises(CourseError, match=r"a\.ipynb is no notebook"):
            read(tmp_path / "a.ipynb")
    with pytest.raises(CourseError, match="There is no notebook"):
        read(tmp_path / "b.ipynb")
    with pytest.raises(CourseError, match="can't be read"):
        read(tmp_path)


def test_read_names_metadata_that_cannot_be_used(tmp_path):
    def flaw_of(metadata, **of_cell):
        path = write_notebook(tmp_path / "09_odd.ipynb", ("x = 1", of_cell), **metadata)
        with pytest.raises(CourseError, match=r"09_odd\.ipynb has metadata that can't be used") as caught:
            read(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "'x'" in flaw_of({"vidgen": {"minutes": "x"}}) and '{"minutes": 2.0}' in flaw_of({"vidgen": "fast"})
    assert '"source" of cell 0 is 5, and must be "module:name"' in flaw_of({}, source=5)
    assert '"nbgrader" of cell 0' in flaw_of({}, nbgrader=[])


def test_read_refuses_cells_that_are_none(tmp_path):
    good = v4.writes(v4.new_notebook(cells=[v4.new_code_cell("x = 1", id="a")]))
    for old, new in (('"metadata": {}', '"metadata": 1'), ('"code"', '"poem"'), ('"outputs": [],', "")):
        assert old in good
        (tmp_path / "a.ipynb").write_text(good.replace(old, new))
        with pytest.raises(CourseError, match=r"a\.ipynb is no notebook"):
            read(tmp_path / "a.ipynb")


SOLUTION = {"schema_version": 3, "grade": False, "solution": True, "locked": False, "task": False, "grade_id": "double"}
GRADER = {
    "schema_version": 3,
    "grade": True,
    "solution": False,
    "locked": True,
    "task": False,
    "grade_id": "double-test",
    "points": 2,
}
EXERCISE = (
    ("md", "# 02 · Exercise"),
    (
        "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION",
        {"nbgrader": SOLUTION},
    ),
    (
        "assert double(1) == 2, f'double(1) should be 2, yours gives {double(1)}'\n"
        "### BEGIN HIDDEN TESTS\nassert double(-3) == -6, 'try a negative number'\n### END HIDDEN TESTS",
        {"nbgrader": GRADER},
    ),
)


def test_student_takes_out_solutions_hidden_tests_and_outputs(tmp_path):
    path = write_notebook(tmp_path / "02_exercise.ipynb", *EXERCISE, "print('kept')")
    executed = read(path)
    executed.cells[3].outputs = [v4.new_output("stream", text="kept\n")]
    executed.cells[3].execution_count = 3
    path.write_text(v4.writes(executed))
    assert write_versions([path], tmp_path / "build") is True
    made = read(tmp_path / "build/student/02_exercise.ipynb")
    nbformat.validate(made)
    assert "raise NotImplementedError" in made.cells[1].source and "2 * x" not in made.cells[1].source
    assert "should be 2" in made.cells[2].source and "negative" not in made.cells[2].source
    assert made.cells[3].outputs == [] and made.cells[3].execution_count is None

    unmarked = write_notebook(tmp_path / "03_unmarked.ipynb", EXERCISE[1][0])
    with pytest.raises(CourseError, match="03_unmarked.ipynb makes no student's version"):
        write_versions([unmarked], tmp_path / "build")


@pytest.mark.slow
def test_nbgrader_makes_the_assignment_and_grades_right_missing_and_wrong_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # nbgrader calls alembic by name
    course = tmp_path / "course"
    source = write_notebook(
        course / "source/ps1/02_exercise.ipynb", *EXERCISE, kernelspec={"name": "python3", "display_name": "Python 3"}
    )
    (course / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'demo'\nc.Exchange.root = 'exchange'\n"
    )
    nbgrader(course, "generate_assignment", "ps1")
    released = (course / "release/ps1/02_exercise.ipynb").read_text()
    wrong = released.replace("# YOUR CODE HERE\\n", "return x + 1\\n")
    assert "2 * x" not in released and "BEGIN HIDDEN" not in released and wrong != released
    for name, text in {"complete": source.read_text(), "student": released, "wrong": wrong}.items():
        target = course / "submitted" / name / "ps1/02_exercise.ipynb"
        target.parent.mkdir(parents=True)
        target.write_text(text)
    nbgrader(course, "autograde", "ps1")

    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        scores = {name: book.find_submission("ps1", name).score for name in ("complete", "student", "wrong")}
    assert scores == {"complete": 2, "student": 0, "wrong": 0}
    graded = read(course / "autograded/wrong/ps1/02_exercise.ipynb")
    (failure,) = [output for output in graded.cells[2].outputs if output.output_type == "error"]
    assert failure.evalue == "try a negative number", "x + 1 passes the visible test, and the hidden one says what to try"


def nbgrader(course, *arguments):
    done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=course, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
