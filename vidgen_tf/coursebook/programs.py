"""Other programs run over a clone of the repository: JupyterLab, the linter and pytest."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from pathlib import Path

# Tests and notebooks often wait for graphs to be traced and compiled, which keeps one core busy: two processes share them out.
TESTS_SIDE_BY_SIDE = ["-n", "2", "--dist", "worksteal"]
NOTEBOOKS_SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile"]  # the cells of one belong together


def lab(root, folder, arguments):
    """JupyterLab on a clone with one folder open, on this machine only and with its token, until Ctrl-C.

    Args:
        root: Path of the clone, all of which JupyterLab serves: the notebooks have links to files beside their folder.
        folder: str, name of the folder in it that is opened.
        arguments: list of str, JupyterLab's own options.

    Returns:
        bool, True if it ended well.
    """
    command = ["-m", "jupyterlab", "--ServerApp.ip=localhost", "--ServerApp.answer_yes=True"]  # Ctrl-C asks no question
    command += [f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{folder}"]
    with contextlib.suppress(KeyboardInterrupt):
        return _call([sys.executable, *command, *arguments], root) == 0
    return True


def test(root, arguments, fast):
    """The linter, the unit tests, and every notebook against its stored outputs.

    Every part runs, whatever became of those before it. The last line of all has the totals over both pytest runs.

    Args:
        root: Path of the clone.
        arguments: list of str, options and paths for pytest; paths narrow it down to these.
        fast: bool, True to leave out the notebooks and the tests marked slow.

    Returns:
        bool, True if every part passed.
    """
    rows = []
    os.environ.update(VIDGEN_QUIET="1", VIDGEN_BUDGET="fast")
    if not _split_paths(arguments)[0]:  # two processes share the cores: on two cores that saves a sixth of the time
        for library in ("TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(library, str(max(1, (os.cpu_count() or 1) // 2)))
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, command, is_pytest) in enumerate(_parts(root, arguments, fast)):
            print("\n=== " + title, flush=True)
            report = Path(folder) / f"{number}.xml"
            started = time.monotonic()
            status = _call([sys.executable, "-m", *command, *([f"--junitxml={report}"] if is_pytest else [])], root)
            counts = _counts(report, status) if is_pytest else {}
            rows.append((title, (time.monotonic() - started) / 60, status, counts))
    nothing_found = all(status == 5 for _, _, status, counts in rows if counts)
    good = (0, 5) if arguments and not nothing_found else (0,)  # pytest's 5: the options leave no test of this part over
    _print_summary(rows, good)
    return all(status in good for _, _, status, _ in rows)


def _parts(root, arguments, fast):
    """(title, arguments of python -m, whether it is a pytest run), in order."""
    paths, others = _split_paths(arguments)
    notebooks = [path for path in paths if _is_notebook(root, path)]
    tests = [path for path in paths if not _is_notebook(root, path)]
    if not paths:
        yield "ruff check", ["ruff", "check", str(root)], False
        yield "ruff format", ["ruff", "format", "--check", str(root)], False
    if tests or not paths:
        chosen = ["-m", "not slow"] if fast else []
        chosen += [] if tests else TESTS_SIDE_BY_SIDE
        yield "unit tests", ["pytest", *chosen, *others, *(tests or [str(root / "tests")])], True
    if notebooks or not (paths or fast):
        strict = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "--timeout=0", "-p", "no:cacheprovider"]
        strict += ["-p", "vidgen_tf.coursebook.kernel_starts"]
        strict += [] if notebooks else NOTEBOOKS_SIDE_BY_SIDE
        yield "notebooks", ["pytest", *strict, *others, *(notebooks or [str(root / "notebooks")])], True


def _split_paths(arguments):
    """Existing paths, made absolute because pytest runs in the clone's root, and all other arguments, in order."""
    paths, others = [], []
    for before, argument in zip(["", *arguments], arguments):
        path, colons, test_name = argument.partition("::")
        if os.path.exists(path) and before not in ("-k", "-m", "--deselect", "--ignore"):  # `-k tests` is an expression
            paths.append(os.path.abspath(path) + colons + test_name)
        else:
            others.append(argument)
    return paths, others


def _is_notebook(root, path):
    return path.partition("::")[0].endswith(".ipynb") or Path(path) == root / "notebooks"


def _counts(report, status):
    """Tests passed, failed and skipped as in pytest's report; a run that broke off without one counts as one failed."""
    try:
        suite = next(xml.etree.ElementTree.parse(report).iter("testsuite"))
    except (OSError, xml.etree.ElementTree.ParseError):
        return {"passed": 0, "failed": int(status not in (0, 5)), "skipped": 0}
    tests, failures, errors, skipped = (int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped"))
    return {"passed": tests - failures - errors - skipped, "failed": failures + errors, "skipped": skipped}


def _print_summary(rows, good):
    keys = ("passed", "failed", "skipped")
    print(f"\n{'part':<14}{'minutes':>8}" + "".join(f"{key:>9}" for key in keys) + "  ok")
    for title, minutes, status, counts in rows:
        numbers = "".join(f"{counts.get(key, ''):>9}" for key in keys)
        print(f"{title:<14}{minutes:>8.1f}{numbers}  {'yes' if status in good else 'NO'}")
    passed, failed, skipped = (sum(counts.get(key, 0) for _, _, _, counts in rows) for key in keys)
    print(f"\n{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))


def _call(command, root):
    """Exit status of a command that runs in the clone's root and shows its output."""
    process = subprocess.Popen(command, cwd=root)
    try:
        return process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)  # Ctrl-C reached it too: let it shut down its kernels
        process.kill()
        raise
