"""The notebooks as files: find, run, refresh them, and make the student's versions.

find(numbers)                  paths of the notebooks with these numbers
run(paths, build_dir, budget)  executes copies into `build_dir`, with pages to read and a gallery
refresh(paths)                 fills the source cells, executes in place, writes what is fit to be committed
student(paths, build_dir)      takes solutions, hidden tests and outputs out

read(path), source_text(spec)  the two things that the tests of the notebooks need as well
"""

import ast
import copy
import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

from .errors import CourseError
from .files import atomic_path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
MAX_BYTES = 1_000_000  # of a committed notebook
IGNORED = "nbval-ignore-output"  # the tag of a cell whose output depends on training


def find(numbers):
    """The notebooks with these numbers.

    Args:
        numbers: list of str such as "2" or "02"; empty for all notebooks.

    Returns:
        list of Path in the order of the course, each once.

    Raises:
        CourseError: there is no notebook with such a number, or two notebooks have the same one.
    """
    there = {}
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        first = there.setdefault(int(path.name[:2]), path)
        if first != path:
            raise CourseError(
                f"{first.name} and {path.name} have the same number: rename one of them, or move it out of {NOTEBOOKS}."
            )
    if not there:
        raise CourseError(f"There is no notebook in {NOTEBOOKS}: is the repository complete?")
    wanted = set()
    for number in numbers:
        if not (number.isdecimal() and int(number) in there):
            names = ", ".join(f"{n:02d}" for n in there)
            raise CourseError(f"There is no notebook {number}; choose from {names}.")
        wanted.add(int(number))
    return [path for n, path in there.items() if n in wanted or not numbers]


def run(paths, build_dir, budget):
    """Executes notebooks into `build_dir`: NN_name.ipynb, NN_name.html, and index.html, a gallery of all that lies there.

    A notebook that can't be read, executed or shown is reported with the reason, and has that for its page; the others go on.
    The notebooks themselves stay as they are.

    Args:
        paths: list of Path of notebooks.
        build_dir: str or Path of the folder for the results.
        budget: "fast" or "full": how long the models train.

    Returns:
        bool, True if every notebook ran to its end.

    Raises:
        CourseError: the results can't be written.
    """
    from . import gallery

    build_dir = Path(build_dir)
    rows = [_run(path, build_dir, budget) for path in paths]
    _write(gallery.index(build_dir), build_dir / "index.html")
    _print_table(("no.", "notebook", "minutes", "passed"), rows)
    print(f"\nOpen {build_dir / 'index.html'} in a browser: every page, with its clips playing.")
    return all(row[-1] == "yes" for row in rows)


def refresh(paths):
    """Makes notebooks fit to be committed: source cells from the package, all cells executed, all in normal form.

    A notebook is refused, and its file left as it was, when a cell fails, writes to stderr or isn't executed, when the file
    would be over 1 MB, and when it takes longer than the minutes that it states. Where neither the cells nor any output that
    nbval compares has changed, the file keeps its pictures and its training results too and is `unchanged`; clear its outputs
    to have those made anew.

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


def student(paths, build_dir):
    """Writes the student's version of notebooks to `build_dir`/student: no solutions, no hidden tests, no outputs.

    The steps are those of `nbgrader generate_assignment`, without its database.

    Args:
        paths: list of Path of notebooks.
        build_dir: str or Path; the versions go to its subfolder student.

    Returns:
        bool, True: every version was written.

    Raises:
        CourseError: a notebook can't be read, its markers or nbgrader metadata are wrong, or nbgrader is missing.
    """
    for path in paths:
        target = Path(build_dir) / "student" / path.name
        _write(_as_text(_without_solutions(read(path), path)), target)
        print(f"{path.name}: student's version in {target}", flush=True)
    return True


def read(path):
    """The notebook in a file, in nbformat 4.5, every cell with an id of its own.

    Args:
        path: Path of an .ipynb file.

    Returns:
        nbformat.NotebookNode.

    Raises:
        CourseError: the file can't be read, is no notebook, or has metadata that the course can't use.
    """
    import nbformat

    try:
        notebook = nbformat.v4.reads(path.read_text(encoding="utf-8"))
        notebook.nbformat_minor = 5
        _give_ids(notebook.cells)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise CourseError(f"There is no notebook {path}.") from None
    except OSError as error:
        raise CourseError(f"{path} can't be read, {error.strerror}: restore it from git, or move it away.") from error
    except (ValueError, TypeError, AttributeError, KeyError, nbformat.ValidationError) as error:  # no JSON, or other JSON
        raise CourseError(f"{path} is no notebook of format 4: restore it from git.") from error
    flaw = _flaw_of_metadata(notebook)
    if flaw:
        raise CourseError(f"{path} has metadata that can't be used: {flaw}.")
    return notebook


def source_text(spec):
    """A definition of the package as a notebook shows it: its source with comments, docstrings cut to their first lines.

    Args:
        spec: "module:name" of a function or class at the top level of a module, such as "vidgen_tf.models.dense:build_generator".

    Returns:
        str, decorators included, without a newline at its end.

    Raises:
        CourseError: there is no such module or name.
    """
    module, _, name = spec.partition(":")
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.origin:
        raise CourseError(f"There is no module {module!r} for a source cell: correct the cell's metadata.")
    text = Path(found.origin).read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(text).body if getattr(node, "name", None) == name]
    if not nodes:
        raise CourseError(f"{module} defines no function or class {name!r} for a source cell: correct the cell's metadata.")
    node = nodes[-1]
    first = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
    lines = text.splitlines()[: node.end_lineno]
    for docstring in sorted(_docstrings(node), key=lambda d: -d.lineno):  # from below, so that line numbers above stay true
        start, end = docstring.lineno - 1, docstring.end_lineno
        lines[start:end] = [_first_line(lines[start:end])]
    return "\n".join(lines[first - 1 :])


def title_of(notebook, path):
    """What stands behind the number in the notebook's first heading, `# 02 · A dense frame generator`.

    Args:
        notebook: nbformat.NotebookNode.
        path: Path of its file, whose name serves where there is no such heading.

    Returns:
        str.
    """
    heading = re.search(r"^#\s+(?:\d+\s*·\s*)?(.+)", notebook.cells[0].source if notebook.cells else "", re.MULTILINE)
    return heading[1].strip() if heading else path.stem[3:].replace("_", " ")


def clock(seconds):
    """Seconds as minutes:seconds.

    Args:
        seconds: int or float.

    Returns:
        str such as "1:05".
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _run(path, build_dir, budget):
    """Executes one notebook and writes the copy and its page. Returns the notebook's row of the table."""
    from . import gallery

    failure = None
    try:
        notebook = read(path)
    except CourseError as error:
        failure = str(error)
        notebook = _stand_in(path, failure)  # not to leave an older run's page in its place
    _normalise(notebook)
    with _Progress(notebook, path) as progress:
        failure = failure or _execute(notebook, path.parent, budget, progress)
    try:
        page = gallery.page(notebook, path)
    except CourseError as error:
        failure = failure or str(error)
        page = gallery.page(_stand_in(path, error), path)
    print(progress.done("FAILED" if failure else "passed"), flush=True)
    if failure:
        print(f"    {failure}", flush=True)
    notebook.metadata.setdefault("vidgen", {})["run"] = {"passed": not failure, "seconds": round(progress.elapsed, 1)}
    _write(_as_text(notebook), build_dir / path.name)
    _write(page, build_dir / f"{path.stem}.html")
    return path.stem[:2], title_of(notebook, path), clock(progress.elapsed), "NO" if failure else "yes"


def _stand_in(path, reason):
    """A notebook that says why the one in a file can't be shown."""
    from nbformat import v4

    title = f"# {path.stem[:2]} · {path.stem[3:].replace('_', ' ')}"
    return v4.new_notebook(cells=[v4.new_markdown_cell(title), v4.new_markdown_cell(f"```\n{reason}\n```")])


def _give_ids(cells):
    """An id of its own for each cell that has none, or another's; those that are there stay."""
    ids = [cell.get("id") for cell in cells]
    for i, cell in enumerate(cells):
        if ids[i] is None or ids[i] in ids[:i]:
            ids[i] = cell.id = next(name for k in itertools.count(i) if (name := f"cell-{k}") not in ids)


def _flaw_of_metadata(notebook):
    """What the course can't use of the metadata that it reads, which nbformat lets pass; None where all is well."""
    vidgen = notebook.metadata.get("vidgen", {})
    if not isinstance(vidgen, dict) or not isinstance(vidgen.get("minutes") or 0, (int, float)):
        return f'"vidgen" is {vidgen!r}, and must be such as {{"minutes": 2.0}}'
    for number, cell in enumerate(notebook.cells):
        for key, kind, wanted in (("source", str, '"module:name"'), ("nbgrader", dict, "nbgrader's own")):
            if not isinstance(cell.metadata.get(key, kind()), kind):
                return f'"{key}" of cell {number} is {cell.metadata[key]!r}, and must be {wanted}'
    return None


def _refresh(path):
    old = read(path)
    _normalise(old)
    new = copy.deepcopy(old)
    minutes = new.metadata.get("vidgen", {}).get("minutes")
    if not minutes:
        raise CourseError('It states no time: give its metadata "vidgen": {"minutes": ...}.')
    for cell in new.cells:
        if "source" in cell.metadata:
            cell.source = source_text(cell.metadata.source)
    with _Progress(new, path) as progress:
        failure = _execute(new, path.parent, "fast", progress)
    if failure:
        raise CourseError(failure)
    _refuse_blemishes(new)
    if progress.elapsed > 60 * minutes:
        raise CourseError(f"It took {progress.elapsed / 60:.1f} minutes and states {minutes:g}: make it quicker or state more.")
    _normalise(new)
    if _as_nbval_sees(new) == _as_nbval_sees(old):
        for cell, before in zip(_code_cells(new), _code_cells(old), strict=True):
            cell.outputs = before.outputs
    text = _as_text(new)
    if len(text.encode()) > MAX_BYTES:
        raise CourseError(
            f"Its file would have {len(text.encode()) / 1e6:.1f} MB, over the limit of 1 MB: make its clips smaller."
        )
    if text == path.read_text(encoding="utf-8"):
        return "unchanged"
    _write(text, path)
    return f"refreshed in {clock(progress.elapsed)}"


def _refuse_blemishes(notebook):
    for number, cell in enumerate(_code_cells(notebook), 1):
        if cell.execution_count is None:
            raise CourseError(f"{_place(number, cell)} was not executed: fill it, untag it or delete it.")
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                raise CourseError(f"{_place(number, cell)} writes to stderr: {_shorten(output.text)!r}. Remove the cause.")


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
        for picture in ("image/png", "image/jpeg"):
            if picture in output.get("data", {}):
                output.data[picture] = ""
    return compared


def _normalise(notebook):
    """Takes out what differs between machines and editors, and joins what a kernel sent in pieces."""
    kept = {key: notebook.metadata[key] for key in ("vidgen",) if key in notebook.metadata}
    notebook.metadata.clear()
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata.update(_node({**kept, "kernelspec": kernel, "language_info": {"name": "python"}}))
    for cell in notebook.cells:
        cell.metadata = _node({key: cell.metadata[key] for key in ("nbgrader", "source", "tags") if cell.metadata.get(key)})
        if cell.cell_type != "code":
            continue
        joined = []
        for output in cell.outputs:
            if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
                joined[-1].text += output.text
            else:
                joined.append(output)
        cell.outputs = joined


def _execute(notebook, folder, budget, progress):
    """Runs every code cell in a new kernel, in `folder`. The outputs go into `notebook`.

    Cells are given to the client one by one, for the live line, and because its own `execute` answers Ctrl-C with a dead
    kernel's error instead of KeyboardInterrupt.

    Returns:
        None, or a sentence about the cell that failed and its error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    for cell in _code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    number = 0
    client = NotebookClient(notebook, timeout=None, record_timing=False, shutdown_kernel="immediate")
    try:
        # What libraries print past Python would land in the middle of the live line.
        with client.setup_kernel(env=_kernel_environment(budget), cwd=str(folder), stderr=subprocess.DEVNULL):
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    number += 1
                    progress.cell = number
                    client.execute_cell(cell, index)
    except CellExecutionError as error:
        return f"{_place(number, cell)} failed with {error.ename}: {_shorten(error.evalue)}"
    except DeadKernelError:
        return f"{_place(number, cell)} killed its kernel: the memory may be full, close other programs and run again."
    except RuntimeError as error:
        return f"Its kernel did not start ({_shorten(str(error))}): delete .venv and run again."
    return None


def _kernel_environment(budget):
    """The same surroundings as under nbval, or else outputs would differ."""
    return os.environ | {
        "PYTEST_CURRENT_TEST": "notebook",  # ipykernel then leaves C-level log lines out of the outputs
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "VIDGEN_QUIET": "1",
        "VIDGEN_BUDGET": budget,
    }


class _Progress:
    """The line of a notebook at work: live on a terminal, elsewhere one line at the start."""

    def __init__(self, notebook, path):
        self.name = f"{path.stem[:2]}  {title_of(notebook, path)}"
        self.expected = 60 * (notebook.metadata.get("vidgen", {}).get("minutes") or 0)
        self.cells = len(_code_cells(notebook))
        self.cell = 0
        self.live = sys.stdout.isatty()

    def __enter__(self):
        self.started = time.perf_counter()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._repaint, daemon=True)
        if self.live:
            self.thread.start()
        else:
            print(f"{self.name}: {self.cells} code cell{'s' if self.cells != 1 else ''}, {_about(self.expected)}", flush=True)
        return self

    def __exit__(self, *_):
        self.elapsed = time.perf_counter() - self.started
        if self.live:
            self.stopped.set()
            self.thread.join()
            print("\r\x1b[K", end="", flush=True)

    def done(self, verdict):
        return f"{self.name}: {verdict} in {clock(self.elapsed)} ({_about(self.expected)})"

    def _repaint(self):
        while True:
            elapsed = time.perf_counter() - self.started
            line = f"{self.name}: {clock(elapsed)}, {_about(self.expected)}, cell {self.cell} of {self.cells}"
            print("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1], end="", flush=True)
            if self.stopped.wait(0.5):
                return


def _without_solutions(notebook, path):
    try:
        from nbgrader import preprocessors as steps
    except ImportError:
        raise CourseError('Making student\'s versions needs nbgrader: install it with pip install -e ".[teach]".') from None
    _normalise(notebook)
    resources = {"nbgrader": {}}
    try:
        for step in (
            steps.LockCells,
            steps.ClearSolutions,
            steps.ClearOutput,
            steps.ClearHiddenTests,
            steps.ClearMarkScheme,
            steps.CheckCellMetadata,
        ):
            notebook, resources = step().preprocess(notebook, resources)
    except (RuntimeError, ValueError) as error:  # nbgrader's own checks: markers without an end, ids twice
        raise CourseError(
            f"{path.name} makes no student's version, its markers or nbgrader metadata are wrong: {error}"
        ) from error
    return notebook


def _docstrings(node):
    """The docstring expressions of a definition and of all definitions inside it."""
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(inner) is not None:
            yield inner.body[0]


def _first_line(lines):
    """The docstring on these source lines as one line: its opening quotes, first words and closing quotes."""
    if len(lines) == 1:
        return lines[0]
    indent, opening, first = re.match(r"(\s*)([rRuU]?(?:\"\"\"|'''))(.*)", lines[0]).groups()
    quotes = opening[-3:]
    words = first.strip() or next(line.strip() for line in lines[1:] if line.strip())
    return indent + opening + words.removesuffix(quotes) + quotes


def _code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _place(number, cell):
    return f"Code cell {number} ({_shorten(cell.source, 60)!r})"


def _shorten(text, width=150):
    """The first line of a text that says something, cut to `width` characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return textwrap.shorten(line, width, placeholder=" ...")


def _about(seconds):
    return f"expected {clock(seconds)}" if seconds else "no time stated"


def _node(value):
    import nbformat

    return nbformat.from_dict(value)


def _as_text(notebook):
    import nbformat

    return nbformat.v4.writes(notebook) + "\n"


def _write(text, path):
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _print_table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    print()
    for row in [head, tuple("-" * width for width in widths), *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
