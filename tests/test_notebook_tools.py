"""Running, refreshing and handing out notebooks, on tiny notebooks made here."""

import base64
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import nbformat.v4 as v4
import numpy as np
import pytest

from vidgen_tf import gallery, notebooks
from vidgen_tf.errors import CourseError
from vidgen_tf.video import Clip

MOVING = "import numpy as np\nfrom vidgen_tf.video import Clip\nClip(np.arange(3 * 64, dtype='uint8').reshape(3, 8, 8, 1))"


def write_notebook(path, *cells, minutes=2.0, **metadata):
    """Cells: str for code, ("md", str) for prose, (str, dict) for code with metadata."""
    made = []
    for cell in cells:
        text, extra = (cell, {}) if isinstance(cell, str) else cell
        made.append(v4.new_markdown_cell(extra) if text == "md" else v4.new_code_cell(text, metadata=extra))
    notebook = v4.new_notebook(cells=made, metadata={"vidgen": {"minutes": minutes}, **metadata})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def test_find_takes_numbers_in_any_spelling_and_keeps_the_order_of_the_course(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    with pytest.raises(CourseError, match="no notebook in"):
        notebooks.find([])
    a, b, c = (write_notebook(tmp_path / name) for name in ("00_a.ipynb", "02_b.ipynb", "10_c.ipynb"))
    (tmp_path / "draft.ipynb").write_text("")
    assert notebooks.find([]) == [a, b, c]
    assert notebooks.find(["10", "2", "02"]) == [b, c]
    for wrong in ("3", "x", "-1", "²"):
        with pytest.raises(CourseError, match="choose from 00, 02, 10"):
            notebooks.find([wrong])
    write_notebook(tmp_path / "02_again.ipynb")
    with pytest.raises(CourseError, match=r"02_again\.ipynb and 02_b\.ipynb have the same number: rename"):
        notebooks.find(["0"])


def test_run_goes_on_after_a_failure_and_leaves_the_notebooks_alone(tmp_path, capsys):
    good = write_notebook(tmp_path / "in/00_good.ipynb", ("md", "# 00 · A <good> one\n\n[next](01_bad.ipynb) $x^2$"), MOVING)
    bad = write_notebook(tmp_path / "in/01_bad.ipynb", ("md", "# 01 · A bad one"), "x = 1", "y = x +\\\n 'a'", "z = 3")
    last = write_notebook(
        tmp_path / "in/02_last.ipynb",
        ("md", "# 02 · Last"),
        "import os\nassert os.path.exists('00_good.ipynb'), 'the kernel works in the folder of the notebooks'\n"
        "assert os.environ['VIDGEN_BUDGET'] == 'full' and os.environ['VIDGEN_QUIET'] and os.environ['PYTEST_CURRENT_TEST']",
    )
    before = {path: path.read_bytes() for path in (good, bad, last)}
    assert notebooks.run([good, bad, last], tmp_path / "build", "full") is False
    assert {path: path.read_bytes() for path in before} == before
    out = capsys.readouterr().out
    assert "Code cell 2 ('y = x +\\\\') failed with TypeError: unsupported operand" in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith(("00   ", "01   ", "02   "))] == ["yes", "NO", "yes"]

    executed = notebooks.read(tmp_path / "build/01_bad.ipynb")
    assert [cell.execution_count for cell in executed.cells[1:]] == [1, 2, None]
    index = (tmp_path / "build/index.html").read_text()
    assert "2 of 3 notebooks passed" in index and 'href="01_bad.html"' in index and "A &lt;good&gt; one" in index
    clip = notebooks.read(tmp_path / "build/00_good.ipynb").cells[1].outputs[0].data["image/png"].replace("\n", "")
    assert clip in index, "the gallery plays the notebook's clip"
    page = (tmp_path / "build/00_good.html").read_text()
    assert clip in page.replace("\n", "") and 'href="01_bad.html"' in page and "svg+xml" in page
    for loaded in ("<script src", '<link rel="stylesheet"', "@import", "url(http", 'src="http'):
        assert loaded not in page + index, "a page must not need the network"
    assert sorted(p.name for p in (tmp_path / "build").iterdir() if p.name.startswith(".")) == []


def test_run_goes_on_after_what_it_cannot_read_or_show(tmp_path, capsys):
    stale = write_notebook(tmp_path / "in/01_damaged.ipynb", ("md", "# 01 · Once whole"))
    assert notebooks.run([stale], tmp_path / "build", "fast") is True
    stale.write_text("{")
    unseen = write_notebook(tmp_path / "in/02_unseen.ipynb", ("md", "# 02 · Unseen\n\n![a](nowhere.png)"), "x = 1")
    folder = tmp_path / "in/03_folder.ipynb"
    folder.mkdir()
    good = write_notebook(tmp_path / "in/04_good.ipynb", ("md", "# 04 · Good"), "x = 1", minutes=None)
    (tmp_path / "build/05_not_ours.ipynb").write_text("{")
    capsys.readouterr()
    assert notebooks.run([stale, unseen, folder, good], tmp_path / "build", "fast") is False
    out = capsys.readouterr().out
    table = {line[:2]: line.split()[-1] for line in out[out.index("no.") :].splitlines() if line[:1] == "0"}
    assert table == {"01": "NO", "02": "NO", "03": "NO", "04": "yes"}
    reasons = {"01_damaged": "is no notebook", "02_unseen": "nowhere.png, which is missing", "03_folder": "Is a directory"}
    for name, reason in reasons.items():
        assert out.count(reason) == 1 and reason in (tmp_path / f"build/{name}.html").read_text()
    assert notebooks.read(tmp_path / "build/02_unseen.ipynb").cells[1].execution_count == 1, "what it computed is kept"
    index = (tmp_path / "build/index.html").read_text()
    assert "1 of 4 notebooks passed" in index and "Once whole" not in index and "05" not in re.findall(r"<td>(\d\d)</td>", index)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child is POSIX")
@pytest.mark.parametrize("command", ["run([path], path.parent / 'build', 'fast')", "refresh([path])"])
def test_ctrl_c_ends_the_kernel_and_leaves_no_half_file(tmp_path, command):
    path = write_notebook(
        tmp_path / "05_sleep.ipynb", "import os, time; open('pid', 'w').write(f'{os.getpid()}\\n')\ntime.sleep(100)", minutes=9
    )
    before = path.read_bytes()
    program = f"from pathlib import Path; from vidgen_tf import notebooks; path = Path({str(path)!r}); notebooks.{command}"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"), 60)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert "Interrupted" not in out, "course.py says so, once for all commands"
    assert err.rstrip().endswith("KeyboardInterrupt") and child.returncode != 0
    kernel = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_running(kernel), 10)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["05_sleep.ipynb", "pid"] and path.read_bytes() == before


def test_a_gallery_card_shows_large_and_late_clips_and_a_figure_only_where_nothing_moves():
    def shown(*sizes, frames=2):
        numbers = np.arange(frames, dtype=np.uint8).reshape(-1, 1, 1, 1)
        clips = [Clip(np.full((frames, h, w, 1), 9 * i, np.uint8) + numbers) for i, (h, w) in enumerate(sizes)]
        return [base64.b64encode(clip._repr_png_()) for clip in clips]

    def notebook(pictures):
        cells = [v4.new_code_cell("", outputs=[v4.new_output("display_data", {"image/png": p.decode()})]) for p in pictures]
        return v4.new_notebook(cells=cells)

    small, early, late, large = moving = shown((64, 64), (96, 96), (96, 96), (192, 400))
    still = shown((200, 900), (200, 901), frames=1)
    assert gallery._clips(notebook([*moving, *still])) == [p.decode() for p in (large, late, early)]
    assert gallery._clips(notebook([small, small])) == [small.decode()]
    assert gallery._clips(notebook(still)) == [still[1].decode()]


def test_equations_become_pictures_but_code_and_money_stay(tmp_path):
    ready = gallery._ready_for_paper(
        "a $z_t \\le 1$ b `$c$` and $5 or $6\n```\n$d$\n```\n$$\\lVert e \\rVert$$ $\\nonsense{x}$", tmp_path
    )
    assert ready.count("<img") == 2 and ready.count('class="display"') == 1
    for kept in ("`$c$`", "$5 or $6", "```\n$d$\n```", "$\\nonsense{x}$"):
        assert kept in ready
    with pytest.raises(CourseError, match="missing"):
        gallery._ready_for_paper("![a](nowhere.png)", tmp_path)


REFUSED = {
    "stderr": (
        ("x = 1", "import sys\nprint('oh no', file=sys.stderr)"),
        2.0,
        r"Code cell 2 .'import sys'. writes to stderr: 'oh no'",
    ),
    "not executed": ((("x = 1", {"tags": ["skip-execution"]}), "y = 2"), 2.0, r"Code cell 1 .'x = 1'. was not executed"),
    "failed": (("x = 1", "1 / 0"), 2.0, r"Code cell 2 .'1 / 0'. failed with ZeroDivisionError: division by zero"),
    "dead": (("import os\nos._exit(1)",), 2.0, r"Code cell 1 .'import os'. killed its kernel"),
    "too large": (("print('x' * 1_100_000)",), 2.0, r"1\.1 MB, over the limit of 1 MB"),
    "too slow": (("import time; time.sleep(0.5)",), 0.005, r"states 0\.005: make it quicker"),
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
    assert notebooks.refresh([path]) is False
    out = capsys.readouterr().out
    assert "07_refused.ipynb: refused" in out
    assert re.search(reason, out), out
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_refresh_normalises_and_then_says_unchanged(tmp_path, capsys):
    chance = ("import random; print(random.random())", {"tags": ["nbval-ignore-output"], "scrolled": True})
    filled = ("old text", {"source": "vidgen_tf.errors:CourseError", "execution": {"iopub.status.busy": "2026"}})
    path = write_notebook(
        tmp_path / "08_all.ipynb",
        ("md", "# 08 · All"),
        filled,
        chance,
        "import sys\nfor i in range(3):\n    print(i)\n    sys.stdout.flush()",
        "from IPython.display import Image, display\nimport matplotlib.pyplot as plt, random\nplt.plot([random.random(), 2]);",
        MOVING,
        widgets={"application/vnd.jupyter.widget-state+json": {}},
        language_info={"name": "python", "version": "3.9.9"},
    )
    without_ids = nbformat.read(path, as_version=4)
    without_ids.nbformat_minor = 4
    for cell in without_ids.cells:
        del cell["id"]
    path.write_text(v4.writes(without_ids))

    assert notebooks.refresh([path]) is True
    assert "refreshed in" in capsys.readouterr().out
    first = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(first, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"vidgen", "kernelspec", "language_info"} and notebook.metadata.language_info == {
        "name": "python"
    }
    assert [cell.id for cell in notebook.cells] == [f"cell-{i}" for i in range(6)]
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3, 4, 5]
    assert notebook.cells[1].source.startswith('class CourseError(ValueError):\n    """')  # the package's definition
    assert notebook.cells[1].metadata == {"source": "vidgen_tf.errors:CourseError"}
    assert [output.text for output in notebook.cells[3].outputs] == ["0\n1\n2\n"]
    assert set(notebook.cells[5].outputs[0].data) == {"image/png", "text/plain"}

    assert notebooks.refresh([path]) is True  # other random numbers, another figure
    assert capsys.readouterr().out.endswith("08_all.ipynb: unchanged\n") and path.read_text(encoding="utf-8") == first
    changed = notebooks.read(path)
    changed.cells[3].outputs[0].text = "0\n1\n7\n"
    path.write_text(v4.writes(changed) + "\n", encoding="utf-8")
    assert notebooks.refresh([path]) is True
    assert "unchanged" not in capsys.readouterr().out
    again = notebooks.read(path)
    assert again.cells[3].outputs[0].text == "0\n1\n2\n" and again.cells[2].outputs != notebook.cells[2].outputs


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
    assert notebooks.source_text("made_module:Config") == textwrap.dedent('''\
        @dataclasses.dataclass(frozen=True)
        class Config:
            """Sizes."""

            width: int = 3  # in pixels''')
    assert notebooks.source_text("made_module:Model") == textwrap.dedent('''\
        class Model(Config):
            r"""The model, with \\alpha."""

            def call(self, x):
                """Calls."""
                return x  # unchanged

            def short(self): "Short."''')
    assert notebooks.source_text("made_module:build") == MODULE[MODULE.index("def build") :].rstrip("\n")


def test_read_names_what_is_no_notebook(tmp_path):
    for text in ("", "{", "[]", "{}", '"text"'):
        (tmp_path / "a.ipynb").write_text(text)
        with pytest.raises(CourseError, match=r"a\.ipynb is no notebook"):
            notebooks.read(tmp_path / "a.ipynb")
    with pytest.raises(CourseError, match="There is no notebook"):
        notebooks.read(tmp_path / "b.ipynb")
    with pytest.raises(CourseError, match="can't be read"):
        notebooks.read(tmp_path)


def test_read_names_metadata_that_cannot_be_used(tmp_path):
    def flaw_of(metadata, **of_cell):
        path = write_notebook(tmp_path / "09_odd.ipynb", ("x = 1", of_cell), **metadata)
        with pytest.raises(CourseError, match=r"09_odd\.ipynb has metadata that can't be used") as caught:
            notebooks.read(path)
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
            notebooks.read(tmp_path / "a.ipynb")


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
    executed = notebooks.read(path)
    executed.cells[3].outputs = [v4.new_output("stream", text="kept\n")]
    executed.cells[3].execution_count = 3
    path.write_text(v4.writes(executed))
    assert notebooks.student([path], tmp_path / "build") is True
    made = notebooks.read(tmp_path / "build/student/02_exercise.ipynb")
    nbformat.validate(made)
    assert "raise NotImplementedError" in made.cells[1].source and "2 * x" not in made.cells[1].source
    assert "should be 2" in made.cells[2].source and "negative" not in made.cells[2].source
    assert made.cells[3].outputs == [] and made.cells[3].execution_count is None

    unmarked = write_notebook(tmp_path / "03_unmarked.ipynb", EXERCISE[1][0])
    with pytest.raises(CourseError, match="03_unmarked.ipynb makes no student's version"):
        notebooks.student([unmarked], tmp_path / "build")


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
    graded = notebooks.read(course / "autograded/wrong/ps1/02_exercise.ipynb")
    (failure,) = [output for output in graded.cells[2].outputs if output.output_type == "error"]
    assert failure.evalue == "try a negative number", "x + 1 passes the visible test, and the hidden one says what to try"


def nbgrader(course, *arguments):
    done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=course, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_running(pid):
    status = Path(f"/proc/{pid}/status")
    if status.parent.parent.is_dir() and sys.platform == "linux":
        return status.exists() and "State:\tZ" not in status.read_text()  # a zombie has ended
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
