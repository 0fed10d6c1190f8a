"""Notebooks of a few cells, and waiting for what another process does: for the tests of the coursebook."""

import os
import sys
import time
from pathlib import Path

import nbformat
import nbformat.v4 as v4


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


def wait_for(condition):
    """Until it holds; a minute is not how long it takes, but when it is given up."""
    end = time.monotonic() + 60
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
