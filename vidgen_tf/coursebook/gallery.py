"""The gallery: one page with the clips of all executed notebooks in a folder."""

import base64
import contextlib
import datetime
import math
from pathlib import Path

from ..errors import CourseError
from .notebook import clock, last_run, read, title_of

TEMPLATES = Path(__file__).parent / "templates"
CLIPS_PER_CARD = 3


def index(build_dir):
    """The gallery: a card with the clips of each executed notebook in a folder, then a table.

    Args:
        build_dir: Path of the folder that `execute.run` filled; what else lies there is left out.

    Returns:
        str, HTML.
    """
    from jinja2 import Environment, FileSystemLoader

    executed = []
    for path in sorted(build_dir.glob("[0-9][0-9]_*.ipynb")):
        with contextlib.suppress(CourseError):  # damaged since its run, or never ours
            notebook = read(path)
            if last_run(notebook):
                executed.append((path, notebook))
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("gallery.html.j2").render(
        entries=[_entry(path, notebook) for path, notebook in executed],
        passed=sum(last_run(notebook)["passed"] for _, notebook in executed),
        minutes=clock(sum(last_run(notebook)["seconds"] for _, notebook in executed)),
        date=f"{datetime.date.today():%d %B %Y}",
        has_glossary=(build_dir / "glossary.html").is_file(),
    )


def representative_clips(notebook):
    """The images that represent a notebook: clips, else the last figure; large before small, late before early.

    Args:
        notebook: nbformat.NotebookNode with its outputs.

    Returns:
        list of str, at most three PNG files in base64.
    """
    images = [
        output.data["image/png"].replace("\n", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    moving = [data for data in images if _is_animated(data)]
    newest_first = list(dict.fromkeys(reversed(moving or images[-1:])))
    return sorted(newest_first, key=lambda data: math.prod(_size(data)), reverse=True)[:CLIPS_PER_CARD]  # sorted is stable


def _entry(path, notebook):
    """What the template shows of a notebook."""
    noted = last_run(notebook)
    clips = representative_clips(notebook)
    width, height = _size(clips[0]) if clips else (1, 1)
    return {
        "number": path.stem[:2],
        "page": f"{path.stem}.html",
        "title": title_of(notebook, path),
        "minutes": clock(noted["seconds"]),
        "verdict": "passed" if noted["passed"] else "failed",
        "clips": clips,
        "is_wide": width > 1.4 * height,
    }


def _is_animated(data):
    return b"acTL" in base64.b64decode(data).split(b"IDAT", 1)[0]  # the animation chunk comes before the first frame


def _size(data):
    header = base64.b64decode(data[:32])  # signature 8, length 4, "IHDR" 4, width 4, height 4
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])
