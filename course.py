#!/usr/bin/env python3
"""The one door to the course: python course.py run | test | lab | refresh | student.

The first call makes .venv and installs requirements-lock.txt into it; every call then goes on under .venv's Python.
Standard library only, in syntax that any Python 3 reads: an unsupported one gets a sentence, not a SyntaxError.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which refuses to delete the files of a running install anyway
    fcntl = None

ROOT = Path(__file__).resolve().parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
LOCK = ROOT / "requirements-lock.txt"
PROJECT = ROOT / "pyproject.toml"
LOG = BUILD / "install.log"  # outside .venv, which a broken install takes down with it

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "course-stamp.txt"  # absent: not made here; UNFINISHED; or the fingerprint of what is installed
UNFINISHED = "unfinished"

SUPPORTED = (11, 12, 13)  # minor versions of Python 3 that TensorFlow and Keras support
DISK_GB = 4  # .venv takes 2.9 GB, what is downloaded for it another 1 GB

# What an environment of the user's own must have: module names, because these are what a notebook asks for.
MODULES = ["vidgen_tf", "keras", "tensorflow", "numpy", "sklearn", "av", "imageio", "matplotlib", "PIL", "skimage", "tqdm"]
MODULES += ["ipykernel", "ipywidgets", "jupyterlab", "nbclient", "nbconvert", "nbformat"]
TEST_MODULES = ["nbgrader", "nbval", "pytest", "pytest_timeout", "ruff", "scipy", "yaml"]


def main():
    """Does what the command line says.

    Returns:
        int, the exit status: 0 success, 1 failure, 2 nothing that can be understood, 130 Ctrl-C.
    """
    door = parser()
    options, options.rest = door.parse_known_args()
    if options.command is None:
        door.print_help()
        return 2
    if options.rest and not options.passes_on:
        door.error("unrecognized arguments: " + " ".join(options.rest))
    try:
        enter_environment(options.name)
        from vidgen_tf.errors import CourseError

        try:
            return 0 if options.command(options) else 1
        except CourseError as error:
            sys.exit(str(error))
    except KeyboardInterrupt:
        print("\nInterrupted: no file is left half written; run the same command to begin again.", file=sys.stderr)
        return 130


def parser():
    """The command line, for all commands.

    Returns:
        argparse.ArgumentParser; what it parses has `command`, a function of these options, `name` and `passes_on`.
    """
    door = argparse.ArgumentParser(
        prog="course.py",
        description="A course on video generation. The first call makes .venv and installs everything into it.",
        epilog="With VIDGEN_ENV=current in the environment, the Python that runs this is used as it is (conda, Colab).",
    )
    door.set_defaults(command=None)
    commands = door.add_subparsers(title="commands", metavar="COMMAND")

    def add(command, summary, passes_on=None, numbers=False):
        entry = commands.add_parser(
            command.__name__,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=passes_on and "All other options go to " + passes_on + ".",
            allow_abbrev=False,
        )
        entry.set_defaults(command=command, name=command.__name__, passes_on=passes_on)
        if numbers:
            entry.add_argument(
                "numbers", nargs="*", metavar="NN", help="numbers of notebooks, such as 00 2; all where none is given"
            )
        return entry

    entry = add(run, "execute notebooks into build/ and write build/index.html", numbers=True)
    entry.add_argument("--budget", choices=("fast", "full"), default="fast", help="how long models train (default: fast)")
    entry = add(test, "run the linter, the unit tests, and every notebook against its stored outputs", passes_on="pytest")
    entry.add_argument("--fast", action="store_true", help="leave out the notebooks and the tests marked slow")
    add(lab, "open the notebooks in JupyterLab, on this machine only", passes_on="JupyterLab")
    add(refresh, "fill the source cells of notebooks and execute them in place", numbers=True)
    add(student, "write the students' versions of notebooks to build/student/", numbers=True)
    return door


# The commands. Each takes the parsed options, an argparse.Namespace, and returns a bool, True on success.


def run(options):
    """Executes notebooks into build/.

    Args:
        options: argparse.Namespace with numbers, list of str, and budget, "fast" or "full".

    Returns:
        bool, True if every notebook ran to its end.
    """
    from vidgen_tf import notebooks

    return notebooks.run(notebooks.find(options.numbers), BUILD, options.budget)


def refresh(options):
    """Fills the source cells of notebooks and executes them in place.

    Args:
        options: argparse.Namespace with numbers, list of str.

    Returns:
        bool, True if none was refused.
    """
    from vidgen_tf import notebooks

    return notebooks.refresh(notebooks.find(options.numbers))


def student(options):
    """Writes the students' versions of notebooks to build/student/.

    Args:
        options: argparse.Namespace with numbers, list of str.

    Returns:
        bool, True if every version was written.
    """
    from vidgen_tf import notebooks

    return notebooks.student(notebooks.find(options.numbers), BUILD)


def lab(options):
    """JupyterLab on notebooks/, on this machine only and with its token, until Ctrl-C.

    Args:
        options: argparse.Namespace with rest, list of str, JupyterLab's own options.

    Returns:
        bool, True if it ended well.
    """
    command = ["-m", "jupyterlab", "--ServerApp.ip=localhost", "--ServerApp.answer_yes=True"]  # Ctrl-C asks no question
    with contextlib.suppress(KeyboardInterrupt):
        return _call([sys.executable] + command + options.rest + [str(NOTEBOOKS)]) == 0
    return True


def test(options):
    """Every part runs, whatever became of those before it. The last line of all has the totals over both pytest runs.

    Args:
        options: argparse.Namespace with fast, bool, and rest, list of str: options and paths for pytest.

    Returns:
        bool, True if every part passed.
    """
    rows, total = [], {"passed": 0, "failed": 0, "skipped": 0}
    os.environ.update(VIDGEN_QUIET="1", VIDGEN_BUDGET="fast")
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, command, is_pytest) in enumerate(_test_parts(options)):
            print("\n=== " + title, flush=True)
            report = Path(folder) / "{}.xml".format(number)
            started = time.time()
            status = _call([sys.executable, "-m"] + command + (["--junitxml={}".format(report)] if is_pytest else []))
            counts = _counts(report, status) if is_pytest else {}
            for key in counts:
                total[key] += counts[key]
            rows.append((title, (time.time() - started) / 60, status, counts))
    nothing_found = all(status == 5 for _, _, status, counts in rows if counts)
    good = (0, 5) if options.rest and not nothing_found else (0,)  # pytest's 5: the options leave no test of this part over
    print("\n{:<14}{:>8}{:>9}{:>9}{:>9}  ok".format("part", "minutes", "passed", "failed", "skipped"))
    for title, minutes, status, counts in rows:
        numbers = "".join("{:>9}".format(counts.get(key, "")) for key in ("passed", "failed", "skipped"))
        print("{:<14}{:>8.1f}{}  {}".format(title, minutes, numbers, "yes" if status in good else "NO"))
    skipped = ", {skipped} skipped" if total["skipped"] else ""
    print(("\n{passed} passed, {failed} failed" + skipped).format(**total))
    return all(status in good for _, _, status, _ in rows)


# How `test` does it.


def _test_parts(options):
    """(title, arguments of python -m, whether it is a pytest run), in order. Paths among the options narrow it down to these."""
    paths, others = _split_paths(options.rest)
    notebooks = [path for path in paths if _is_notebook(path)]
    tests = [path for path in paths if not _is_notebook(path)]
    parts = []
    if not paths:
        parts.append(("ruff check", ["ruff", "check", str(ROOT)], False))
        parts.append(("ruff format", ["ruff", "format", "--check", str(ROOT)], False))
    if tests or not paths:
        chosen = ["-m", "not slow"] if options.fast else []
        parts.append(("unit tests", ["pytest"] + chosen + others + (tests or [str(ROOT / "tests")]), True))
    if notebooks or not (paths or options.fast):
        strict = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "--timeout=0", "-p", "no:cacheprovider"]
        parts.append(("notebooks", ["pytest"] + strict + others + (notebooks or [str(NOTEBOOKS)]), True))
    return parts


def _split_paths(arguments):
    """Existing paths, made absolute because pytest runs in the repository's root, and all other arguments, in order."""
    paths, others = [], []
    for before, argument in zip([""] + arguments, arguments):
        path, colons, test_name = argument.partition("::")
        if os.path.exists(path) and before not in ("-k", "-m", "--deselect", "--ignore"):  # `-k tests` is an expression
            paths.append(os.path.abspath(path) + colons + test_name)
        else:
            others.append(argument)
    return paths, others


def _is_notebook(path):
    return path.partition("::")[0].endswith(".ipynb") or Path(path) == NOTEBOOKS


def _counts(report, status):
    """Tests passed, failed and skipped as in pytest's report; a run that broke off without one counts as one failed."""
    try:
        suite = next(xml.etree.ElementTree.parse(str(report)).iter("testsuite"))
    except (OSError, xml.etree.ElementTree.ParseError):
        return {"passed": 0, "failed": int(status not in (0, 5)), "skipped": 0}
    tests, failures, errors, skipped = (int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped"))
    return {"passed": tests - failures - errors - skipped, "failed": failures + errors, "skipped": skipped}


def _call(command):
    """Exit status of a command that runs in the repository's root and shows its output."""
    process = subprocess.Popen(command, cwd=str(ROOT))
    try:
        return process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)  # Ctrl-C reached it too: let it shut down its kernels
        process.kill()
        raise


# The environment.


def enter_environment(command):
    """Goes on under the Python of the course's environment, which is made first, or mended, where that is needed.

    Args:
        command: str, the command to come, which may need more than the others.
    """
    choice = os.environ.get("VIDGEN_ENV", "")
    if choice not in ("", "current"):
        sys.exit("VIDGEN_ENV is {!r}: set it to current to use the Python that runs this, or leave it unset.".format(choice))
    if os.path.lexists(str(BUILD)) and not BUILD.is_dir():
        sys.exit("{} is a file, and results go into a folder of this name: move it and run the same command again.".format(BUILD))
    if choice == "current":
        _check_current(command)
    elif not _is_installed():
        _install()
    if choice == "" and Path(sys.prefix).resolve() != VENV.resolve():
        _go_on_under_venv()
    _prepend("PATH", os.path.dirname(sys.executable))
    _prepend("JUPYTER_PATH", os.path.join(sys.prefix, "share", "jupyter"))  # the kernel python3 is ours, whoever has one too
    os.environ["KERAS_BACKEND"] = "tensorflow"


def _prepend(variable, folder):
    os.environ[variable] = os.pathsep.join(filter(None, [folder, os.environ.get(variable)]))


def _check_current(command):
    if not _is_supported(sys.version_info):
        sys.exit(_unsupported() + " The environment that VIDGEN_ENV=current stands for needs one of these.")
    everywhere = sys.path
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]  # kernels start elsewhere
    needed = MODULES + {"test": TEST_MODULES, "student": ["nbgrader"]}.get(command, [])
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    sys.path = everywhere
    if missing:
        remedy = 'cd "{}" && "{}" -m pip install -e ".[test,teach]"'.format(ROOT, sys.executable)
        sys.exit("VIDGEN_ENV=current, but {} has no {}: run {}".format(sys.executable, ", ".join(missing), remedy))


def _go_on_under_venv():
    os.environ["PYTHONUTF8"] = "1"
    for name in ("PYTHONPATH", "PYTHONHOME"):  # another installation's packages don't belong here
        os.environ.pop(name, None)
    command = [str(VENV_PYTHON), str(ROOT / "course.py")] + sys.argv[1:]
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    try:  # on Windows exec would hand the terminal back before the command is done
        sys.exit(subprocess.Popen(command).wait())
    except KeyboardInterrupt:
        sys.exit(130)  # the command has said so itself


def _is_installed():
    return VENV_PYTHON.exists() and _read(STAMP) == _fingerprint()


def _fingerprint():
    """Changes with what should be installed, with the Python it is installed for, and with the folder, which it points to."""
    parts = [str(ROOT)] + [_read(path) for path in (LOCK, PROJECT, VENV / "pyvenv.cfg")]
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()


def _read(path):
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


# How .venv is made.


def _install():
    """Makes .venv or brings it up to date. The stamp says `unfinished` until all is done, so the next call can tell."""
    creator = _find_python()
    uv = _works(["uv", "--version"])
    try:
        BUILD.mkdir(exist_ok=True)
        with LOG.open("ab") as log:
            _refuse_second(log)
            log.truncate(0)
            started = time.time()
            fresh = _prepare("uv" if uv else "pip")
            if fresh:
                make = ["uv", "venv", "--python"] if uv else [creator, "-m", "venv", "--without-pip"]
                _step("making .venv", make + ([creator] if uv else []) + [str(VENV)], log)
            STAMP.write_text(UNFINISHED, encoding="utf-8")
            for title, command in _install_steps(uv):
                _step(title, command, log)
            _keep_logs_off_the_page()
            STAMP.write_text(_fingerprint(), encoding="utf-8")
    except OSError as error:
        sys.exit("Can't install into {}: {}. Put that right and run the same command again.".format(VENV, error))
    except KeyboardInterrupt:
        print("\nInterrupted: .venv is not complete yet; the next call of course.py starts the install again.", file=sys.stderr)
        sys.exit(130)
    print("Installed in {}.".format(_duration(time.time() - started)), flush=True)


def _prepare(installer):
    """Says what is going to happen; returns whether .venv has to be made anew, after deleting what is left of the old one."""
    if not (LOCK.exists() and PROJECT.exists()):
        sys.exit("requirements-lock.txt or pyproject.toml is missing in {}: clone the repository again.".format(ROOT))
    packages = sum(1 for line in _read(LOCK).splitlines() if line and not line.startswith("#"))
    if not VENV.exists():
        reason = "First call: making .venv and installing"
    elif _read(STAMP) == UNFINISHED:
        reason = "The last install was interrupted: making .venv again and installing"
    elif not ((VENV / "pyvenv.cfg").exists() and _works([str(VENV_PYTHON), "-c", PROBE])):
        reason = ".venv has no Python that works: making it again and installing"
    else:
        print("Bringing .venv up to date with requirements-lock.txt, with {}.".format(installer), flush=True)
        return False
    if VENV.exists():
        shutil.rmtree(str(VENV))
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < DISK_GB:
        sys.exit(
            "Too little disk space in {}: {:.1f} GB free, {} GB needed. Free some and run again.".format(ROOT, free, DISK_GB)
        )
    print("{} up to {} packages with {}.".format(reason, packages, installer))
    print(
        "Making the environment happens once and takes 3 GB of disk and 1 to 10 minutes, by the speed of your connection.",
        flush=True,
    )
    return True


def _install_steps(uv):
    """(what it does, command). The lock is complete, so nothing is resolved; and it has the setuptools that builds vidgen_tf."""
    pip = [str(VENV_PYTHON), "-m", "pip"]
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    with_uv = ["uv", "pip", "install", "--python", str(VENV_PYTHON), "--compile-bytecode"]  # else each kernel's start may compile
    install = with_uv if uv else pip + ["install"] + options
    if not uv:
        yield "installing pip", pip[:2] + ["ensurepip"]
    yield "installing packages", install + ["--no-deps", "-r", str(LOCK)]
    yield "installing vidgen_tf", install + ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]


def _keep_logs_off_the_page():
    """TensorFlow's compiled part logs a dozen lines at its import: into the terminal with them, not into a learner's notebook."""
    config = VENV / "etc" / "ipython" / "ipython_kernel_config.py"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("c = get_config()\nc.IPKernelApp.capture_fd_output = False\n", encoding="utf-8")


def _step(title, command, log):
    """Runs an installer with its output in the log, and a live line meanwhile: what, how long so far, the log's last line."""
    started = time.time()
    width = shutil.get_terminal_size().columns - 1
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=str(ROOT), env=environment
    )
    try:
        while process.poll() is None:
            if sys.stdout.isatty():
                line = "  {}: {}  {}".format(title, _duration(time.time() - started), _last_line())
                print("\r" + line[:width].ljust(width), end="", flush=True)
            time.sleep(0.05 if time.time() - started < 1 else 0.5)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    done = "  {}: {}".format(title, _duration(time.time() - started))
    print("\r" + done.ljust(width) if sys.stdout.isatty() else done, flush=True)
    if process.returncode != 0:
        sys.exit("The install stopped: {}, then run the same command again. The whole log is {}".format(_cause(), LOG))


def _refuse_second(log):
    """The installer inherits the lock with its log, so one that outlived its course.py still holds it."""
    if fcntl:
        try:
            fcntl.flock(log.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("Another install into .venv is under way: wait for its end, then run the same command again.")


CAUSES = (
    ("No space left|not enough space|quota exceeded", "the disk is full: free about 4 GB"),
    (
        "dns error|name resolution|getaddrinfo|NewConnectionError|unreachable|error sending request|timed out|ProxyError",
        "the package index can't be reached: check the network, and the proxy where there is one",
    ),
    ("ensurepip", "this Python comes without ensurepip: install uv, or the package python3-venv on Debian and Ubuntu"),
    (
        "No matching distribution|no version of|no wheels",
        "a package has no build for this computer (TensorFlow has none for Intel Macs): use another one, or Colab",
    ),
)


def _cause():
    tail = _read(LOG)[-4000:]  # the end: an error that was got over lies further up
    found = (sentence for pattern, sentence in CAUSES if re.search(pattern, tail))
    return next(found, "the installer says `{}`: put that right".format(_last_line()))


def _last_line():
    with LOG.open("rb") as log:
        log.seek(max(0, LOG.stat().st_size - 1000))
        lines = log.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _duration(seconds):
    return "{:.0f} s".format(seconds) if seconds < 100 else "{:.0f} min {:.0f} s".format(seconds // 60, seconds % 60)


# Which Python.

PROBE = "import sys; assert sys.version_info[0] == 3 and sys.version_info[1] in {}; print(sys.executable)".format(SUPPORTED)


def _find_python():
    """The Python that runs this where it is supported, else one that is found."""
    if _is_supported(sys.version_info):
        return sys.executable
    for minor in (12, 11, 13):
        for command in (["python3.{}".format(minor)], ["py", "-3.{}".format(minor)]):
            found = _works(command + ["-c", PROBE])
            if found:
                return found
    return sys.exit(_unsupported() + " Install Python 3.12 from python.org and run the same command again.")


def _is_supported(version):
    return version[0] == 3 and version[1] in SUPPORTED


def _unsupported():
    return "Python {}.{} can't run the course: TensorFlow and Keras need 3.11, 3.12 or 3.13.".format(*sys.version_info)


def _works(command):
    """What a command prints, or "" where it isn't there or fails: a name on PATH may be an empty shim."""
    try:
        output = subprocess.check_output(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, universal_newlines=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return output.strip()


if __name__ == "__main__":
    sys.exit(main())
