"""Makes notebooks fit to be committed."""

import copy

from ..errors import CourseError
from .execute import execute
from .notebook import (
    IGNORED,
    MAX_BYTES,
    as_text,
    clock,
    code_cells,
    describe_cell,
    normalize,
    read,
    shorten,
    source_text,
    stated_seconds,
    write,
)


def refresh(paths):
    """Fills the source cells of notebooks from the package, executes all cells, and writes all in normal form.

    A notebook is refused, and its file left as it was, when a cell fails, writes to stderr or isn't executed, and when the file
    would be over 1.5 MB. One that takes longer than the minutes that it states is written, with a warning: the machine may be
    busy. Where neither the cells nor any output that nbval compares has changed, the file keeps its images and its training
    results too and is `unchanged`; clear its outputs to have those made anew.

    Args:
        paths: list of Path of notebooks.

    Returns:
        bool, True if none was refused.
    """
    refused = 0
    for path in paths:
        try:
            print(f"{path.name}: {_refresh(path)}", flush=True)
        except CourseError as error:
            refused += 1
            print(f"{path.name}: refused, and left as it was. {error}", flush=True)
    return not refused


def _refresh(path):
    """Refreshes one notebook; returns what the line about it says."""
    old = read(path)
    normalize(old)
    new = copy.deepcopy(old)
    stated = stated_seconds(new)
    if not stated:
        raise CourseError('It states no time: give its metadata "vidgen": {"minutes": ...}.')
    for cell in new.cells:
        if "source" in cell.metadata:
            cell.source = source_text(cell.metadata.source)
    failure, seconds = execute(new, path, "fast")
    if failure:
        raise CourseError(failure)
    _refuse_blemishes(new)
    normalize(new)
    if _as_nbval_sees(new) == _as_nbval_sees(old):
        for cell, before in zip(code_cells(new), code_cells(old), strict=True):
            cell.outputs = before.outputs
    text = as_text(new)
    size = len(text.encode())
    if size > MAX_BYTES:
        raise CourseError(
            f"Its file would have {size / 1e6:.1f} MB, over the limit of {MAX_BYTES / 1e6} MB: make its clips smaller."
        )
    unchanged = text == path.read_text(encoding="utf-8")
    if not unchanged:
        write(text, path)
    return ("unchanged" if unchanged else f"refreshed in {clock(seconds)}") + _warning(seconds, stated)


def _warning(seconds, stated):
    """What is wrong with the time that a notebook took, if anything."""
    if seconds <= stated:
        return ""
    remedy = "unless the machine was busy, make it quicker or state more"
    return f" (WARNING: it took {clock(seconds)} and states {clock(stated)}; {remedy})"


def _refuse_blemishes(notebook):
    for number, cell in enumerate(code_cells(notebook), 1):
        if cell.execution_count is None:
            raise CourseError(f"{describe_cell(number, cell)} was not executed: fill it, untag it or delete it.")
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                what = f"{describe_cell(number, cell)} writes to stderr: {shorten(output.text)!r}"
                raise CourseError(f"{what}. Remove the cause.")


def _as_nbval_sees(notebook):
    """All that makes a notebook another one: its cells, and of the outputs what a strict nbval run compares."""
    return [
        (cell.cell_type, cell.id, cell.source, cell.metadata, cell.get("execution_count"), _compared_outputs(cell))
        for cell in notebook.cells
    ]


def _compared_outputs(cell):
    outputs = cell.get("outputs", [])
    if IGNORED in cell.metadata.get("tags", []):
        return bool(outputs)
    compared = copy.deepcopy(outputs)
    for output in compared:
        output.pop("traceback", None)
        for kind in ("image/png", "image/jpeg"):
            if kind in output.get("data", {}):
                output.data[kind] = ""
    return compared
