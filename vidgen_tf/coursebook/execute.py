"""Executes notebooks, each in a kernel of its own: copies into a folder of results, none twice from the same sources."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

from ..errors import CourseError
from .gallery import index
from .notebook import (
    as_text,
    clock,
    code_cells,
    describe_cell,
    last_run,
    normalize,
    read,
    shorten,
    stated_seconds,
    title_of,
    write,
)
from .pages import glossary_page, page

REPAINT_S = 0.5  # between two states of the line on a terminal
REPORT_S = 30  # between two lines where there is no terminal


def run(paths, build_dir, budget, again=False):
    """Executes notebooks into `build_dir`: NN_name.ipynb, NN_name.html, and index.html, a gallery of all that lies there.

    The glossary goes beside them, glossary.html, where the clone has one.

    A notebook that can't be read, executed or shown is reported with the reason, and has that for its page; the others go on.
    One that passed before is not executed again as long as everything that its outputs depend on is the same: so a second call
    goes on where one was interrupted. The notebooks themselves stay as they are.

    Args:
        paths: list of Path of notebooks.
        build_dir: str or Path of the folder for the results.
        budget: "fast" or "full": how long the models train.
        again: bool, True to execute what passed before as well.

    Returns:
        bool, True if every notebook ran to its end, now or before.

    Raises:
        CourseError: the results can't be written.
    """
    build_dir = Path(build_dir)
    glossary = paths[0].parent.parent / "GLOSSARY.md"
    if glossary.is_file():
        write(glossary_page(glossary), build_dir / "glossary.html")
    rows, expected = {}, 0
    surroundings = _surroundings(budget)
    for path in paths:
        notebook, failure = _read_or_stand_in(path)
        if not (again or failure):
            rows[path] = _row_of_earlier_run(notebook, path, build_dir, surroundings)
        expected += 0 if rows.get(path) else _expected_seconds(notebook, budget)
    waiting = [path for path in paths if not rows.get(path)]
    print(_plan(len(waiting), len(paths), expected), flush=True)
    for path in waiting:
        rows[path] = _run(path, build_dir, budget)
        write(index(build_dir), build_dir / "index.html")  # each time: whoever looks early, or interrupts, sees what is done
    if not waiting:
        write(index(build_dir), build_dir / "index.html")
    _print_table(("no.", "notebook", "minutes", "passed"), [rows[path] for path in paths])
    print(f"\nOpen {build_dir / 'index.html'} in a browser: every page, with its clips playing.")
    return all(row[-1] == "yes" for row in rows.values())


def execute(notebook, path, budget):
    """Runs every code cell in a new kernel, in the notebook's folder, and reports on the way. The outputs go into `notebook`.

    Args:
        notebook: nbformat.NotebookNode.
        path: Path of its file.
        budget: "fast" or "full": how long the models train.

    Returns:
        (failure, seconds): None or str, a sentence about the cell that failed and its error; and float, how long it took.
    """
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    with _Progress(notebook, path, budget) as progress:
        failure = _execute_cells(notebook, path.parent, budget, progress)
    return failure, progress.elapsed


def _run(path, build_dir, budget):
    """Executes one notebook and writes its page and the copy. Returns the notebook's row of the table."""
    surroundings = _surroundings(budget)  # before the kernel reads the package, which may be edited meanwhile
    notebook, failure = _read_or_stand_in(path)
    sources = _fingerprint(notebook, surroundings)
    normalize(notebook)
    seconds = 0
    if not failure:
        failure, seconds = execute(notebook, path, budget)
    try:
        html = page(notebook, path)
    except CourseError as error:
        failure = failure or str(error)
        html = page(_stand_in(path, error), path)
    took = f"{clock(seconds)} ({_about(_expected_seconds(notebook, budget))})"
    print(f"{_name(notebook, path)}: {'FAILED' if failure else 'passed'} in {took}", flush=True)
    if failure:
        print(f"    {failure}", flush=True)
    noted = {"passed": not failure, "seconds": round(seconds, 1), "sources": sources}
    notebook.metadata.setdefault("vidgen", {})["run"] = noted
    write(html, build_dir / f"{path.stem}.html")
    write(as_text(notebook), build_dir / path.name)  # last: with it the run is done
    return _row(notebook, path, seconds, not failure)


def _row(notebook, path, seconds, passed):
    return path.stem[:2], title_of(notebook, path), clock(seconds), "yes" if passed else "NO"


def _name(notebook, path):
    return f"{path.stem[:2]}  {title_of(notebook, path)}"


def _read_or_stand_in(path):
    """(notebook, None), or one that says why the one in the file can't be shown, and the reason."""
    try:
        return read(path), None
    except CourseError as error:
        return _stand_in(path, error), str(error)  # not to leave an older run's page in its place


def _stand_in(path, reason):
    from nbformat import v4

    title = f"# {path.stem[:2]} · {path.stem[3:].replace('_', ' ')}"
    return v4.new_notebook(cells=[v4.new_markdown_cell(title), v4.new_markdown_cell(f"```\n{reason}\n```")])


def _row_of_earlier_run(notebook, path, build_dir, surroundings):
    """The row of a notebook that passed before from the same sources, and whose page is there. None for every other."""
    try:
        noted = last_run(read(build_dir / path.name))
    except CourseError:
        return None
    same = noted and noted["passed"] and noted["sources"] == _fingerprint(notebook, surroundings)
    if not (same and (build_dir / f"{path.stem}.html").is_file()):
        return None
    print(f"{_name(notebook, path)}: passed before from the same sources, in {clock(noted['seconds'])}", flush=True)
    return _row(notebook, path, noted["seconds"], True)


def _fingerprint(notebook, surroundings):
    """Changes with what an executed copy and its page depend on, but for the image files that its prose shows."""
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
    return hashlib.sha256(f"{surroundings} {cells}".encode()).hexdigest()


def _surroundings(budget):
    """Changes with the budget, the package, its weights and data included, and the versions of what is installed."""
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}  # not sys.path: what is imported may lengthen it
    installed = {found.name for folder in folders for found in Path(folder).glob("*.dist-info")}  # numpy-2.3.1.dist-info
    digest = hashlib.sha256(f"{budget} {sys.version} {sorted(installed)}".encode())
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(package).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _execute_cells(notebook, folder, budget, progress):
    """Cells are given to the client one by one, to count them, and because its own `execute` answers Ctrl-C with a dead
    kernel's error instead of KeyboardInterrupt."""
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    try:
        with kernel_of(notebook, folder, budget) as client:
            for position, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    client.execute_cell(cell, position)
                    progress.done += 1
    except CellExecutionError as error:
        return f"{describe_cell(progress.done + 1, cell)} failed with {error.ename}: {shorten(error.evalue)}"
    except DeadKernelError:
        what = describe_cell(progress.done + 1, cell)
        return f"{what} killed its kernel: the memory may be full, close other programs and run again."
    except RuntimeError as error:
        return f"Its kernel did not start ({shorten(str(error))}): delete .venv and run again."
    return None


@contextlib.contextmanager
def kernel_of(notebook, folder, budget):
    """A kernel for the cells of a notebook, which ends with the context.

    Args:
        notebook: nbformat.NotebookNode.
        folder: Path, the kernel's working directory.
        budget: "fast" or "full": how long the models train.

    Yields:
        `nbclient.NotebookClient`, whose `execute_cell` executes a cell.

    Raises:
        RuntimeError: no kernel starts.
    """
    from nbclient import NotebookClient

    client = NotebookClient(notebook, timeout=None, record_timing=False, shutdown_kernel="immediate")
    # What libraries print past Python would land in the middle of the live line.
    with client.setup_kernel(env=_kernel_environment(budget), cwd=str(folder), stderr=subprocess.DEVNULL):
        yield client


def _kernel_environment(budget):
    """The same surroundings as under nbval, or else outputs would differ."""
    return os.environ | {
        "PYTEST_CURRENT_TEST": "notebook",  # ipykernel then leaves C-level log lines out of the outputs
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "VIDGEN_QUIET": "1",
        "VIDGEN_BUDGET": budget,
    }


class _Progress:
    """What a notebook at work is doing: on a terminal one line that is repainted, elsewhere a line at the start and now and then.

    tqdm counts items and guesses the time from them; here cells take from nothing to a minute, and the notebook states its time.
    """

    def __init__(self, notebook, path, budget):
        self.name = _name(notebook, path)
        self.expected = _expected_seconds(notebook, budget)
        self.cells = len(code_cells(notebook))
        self.done = 0
        self.live = sys.stdout.isatty()

    def __enter__(self):
        self.started = time.perf_counter()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._report, daemon=True)
        if not self.live:
            print(f"{self.name}: {self.cells} code cell{'s' if self.cells != 1 else ''}, {_about(self.expected)}", flush=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.elapsed = time.perf_counter() - self.started
        self.stopped.set()
        self.thread.join()
        if self.live:
            print("\r\x1b[K", end="", flush=True)

    def _report(self):
        while not self.stopped.wait(REPAINT_S if self.live else REPORT_S):
            state = _state(self.done, self.cells, time.perf_counter() - self.started, self.expected)
            try:
                if self.live:
                    line = f"{self.name}: {state}"[: shutil.get_terminal_size().columns - 1]
                    print("\r\x1b[K" + line, end="", flush=True)
                else:
                    print(f"    {state}", flush=True)
            except OSError:  # nobody reads any more: the next line of the main thread says so
                return


def _state(done, cells, elapsed, expected):
    """How far a notebook is: cells done, time since its start, and time left by what it states. Seconds."""
    state = f"{clock(elapsed)}, {done} of {cells} cells done"
    if not expected:
        return state
    if elapsed > expected:
        return f"{state}, {clock(elapsed - expected)} over the {clock(expected)} that it states"
    return f"{state}, about {clock(expected - elapsed)} left"


def _expected_seconds(notebook, budget):
    """What a notebook states holds for the fast budget; 0 where nothing is known."""
    return stated_seconds(notebook) if budget == "fast" else 0


def _about(seconds):
    return f"expected {clock(seconds)}" if seconds else "no time stated"


def _plan(waiting, asked, expected):
    """What `run` is about to do: how many of the notebooks that were asked for, and how long by what they state."""
    if not waiting:
        return "Nothing is left to execute: --again executes it anew."
    which = f"{waiting} of {asked} notebooks" if waiting < asked else f"{asked} notebook{'s' if asked != 1 else ''}"
    time_needed = f", about {clock(expected)} minutes" if expected else ""
    again = "; --again executes the others anew too" if waiting < asked else ""
    return f"Executing {which}{time_needed}{again}."


def _print_table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    print()
    for row in [head, tuple("-" * width for width in widths), *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
