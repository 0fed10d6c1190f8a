"""Notebooks of a few cells, and waiting for what another process does: for the tests of the coursebook."""

import os
import sys
import time
from pathlib import Path

import nbformat
import nbformat.v4 as v4

from vidgen_tf.coursebook.notebook import IGNORED, code_cells, normalize, source_text


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


def good_notebook():
    """A notebook that keeps every rule of the course."""
    leads = "**You will be able to**\n\n- see\n- say\n- do\n\n**You need first** nothing\n\n"
    leads += "**Time**: about 30 seconds on two CPU cores\n\n**The number to reach**: 3"
    source = v4.new_code_cell(source_text("vidgen_tf.errors:CourseError"), metadata={"source": "vidgen_tf.errors:CourseError"})
    trained = v4.new_code_cell("import random\n\n\nloss = random.random()\nSTEPS = 3\nprint(loss)", metadata={"tags": [IGNORED]})
    check = v4.new_code_cell(
        "def double(x):\n    return [x for _ in range(2 * STEPS)]\n\n\n"
        "total = sum([loss * x for x in double(1)])\nassert total < 7, loss"
    )
    cells = [v4.new_markdown_cell("# 07 · A title\n\n" + leads), source, trained, check]
    cells.append(v4.new_markdown_cell("With $x_t \\leq 1$ and `$\\code$`. " + "Some more words of prose are here. " * 80))
    for i, heading in enumerate(("Remember", "Results", "Exercises", "Check yourself", "References")):
        text = {"Check yourself": "<details>answer</details>\n" * 5, "References": "Doe, 2020, A title."}.get(heading, "")
        cells.append(v4.new_markdown_cell(f"## {heading}\n\n{text}"))
        cells += [cell for k in range(3) for cell in _exercise(f"task-{k}")] if i == 2 else []
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata.vidgen = {"minutes": 0.5}
    normalize(notebook)
    for i, cell in enumerate(code_cells(notebook), 1):
        cell.execution_count = i
    return notebook


def _exercise(name):
    common = {"schema_version": 3, "task": False, "grade_id": name}
    solution = {**common, "grade": False, "solution": True, "locked": False}
    grader = {**common, "grade": True, "solution": False, "locked": True, "points": 1, "grade_id": name + "-test"}
    answer = name.replace("-", "_")
    return [
        v4.new_code_cell(
            f"### BEGIN SOLUTION\n{answer} = 1\n### END SOLUTION\nassert True\n{answer}", metadata={"nbgrader": solution}
        ),
        v4.new_code_cell(
            f"assert {answer}, 'say one'\n### BEGIN HIDDEN TESTS\nassert {answer} < 2, 'less'\n### END HIDDEN TESTS",
            metadata={"nbgrader": grader},
        ),
    ]


def wait_for(condition):
    """Until it holds; two minutes are not how long it takes, but when it is given up."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_running(pid):
    """Whether a process of this number is at work; a zombie has ended."""
    status = Path(f"/proc/{pid}/status")
    if status.parent.parent.is_dir() and sys.platform == "linux":
        try:
            return "State:\tZ" not in status.read_text()
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
