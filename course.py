#!/usr/bin/env python3
"""The one door to the course: python course.py run | test | lab | check | refresh | student.

The first call makes .venv and installs requirements-lock.txt into it; every call then goes on under .venv's Python.
Standard library only, in syntax that any Python 3 reads: an unsupported one gets a sentence, not a SyntaxError.
"""

import argparse
import errno
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

ROOT = Path(__file__).resolve().parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
WORK = ROOT / "work"  # a student's copies
LOCK = ROOT / "requirements-lock.txt"
PROJECT = ROOT / "pyproject.toml"
LOG = BUILD / "install.log"  # outside .venv, which a broken install takes down with it

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "course-stamp.txt"  # absent: not made here; UNFINISHED; or the fingerprint of what is installed
UNFINISHED = "unfinished"
LOCKED_BYTE = 1 << 30  # of the log, on Windows, where what is locked can't be written: beyond all that it will hold

SUPPORTED = (11, 12, 13)  # minor versions of Python 3 that TensorFlow and Keras support
DISK_GB = 5  # .venv takes 3.1 GB, what is downloaded for it another 1 GB

# What an environment of the user's own must have: module names, because these are what a notebook asks for.
MODULES = ["vidgen_tf", "keras", "tensorflow", "numpy", "h5py", "sklearn", "av", "imageio", "matplotlib", "PIL", "skimage"]
MODULES += ["scipy", "platformdirs", "tqdm", "gradio", "c2pa", "cryptography"]
MODULES += ["ipykernel", "ipywidgets", "jupyterlab", "nbclient", "nbconvert", "nbformat"]
TEST_MODULES = ["axe_core_python", "hypothesis", "importlinter", "nbgrader", "nbval", "pytest", "pytest_timeout"]
TEST_MODULES += ["ruff", "xdist", "yaml"]


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
    _clean_up_when_killed()
    try:
        enter_environment(options.name)
        from vidgen_tf.errors import CourseError

        try:
            good = options.command(options)
            sys.stdout.flush()
            return 0 if good else 1
        except CourseError as error:
            sys.exit(str(error))
    except KeyboardInterrupt:
        print("\nInterrupted: no file is left half written; run the same command to go on.", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to print would fail again at the exit
        sys.exit("No space left on the disk: free some and run the same command again." if error.errno == errno.ENOSPC else 1)


def _clean_up_when_killed():
    """`kill`, and the terminal's end, then do what Ctrl-C does: kernels are shut down, temporary files deleted."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup's choice stays
            signal.signal(number, signal.default_int_handler)


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
        entry = commands.add_parser(command.__name__, help=summary, allow_abbrev=False)
        entry.description = summary[0].upper() + summary[1:] + "."
        entry.epilog = passes_on and "All other options go to " + passes_on + "."
        entry.set_defaults(command=command, name=command.__name__, passes_on=passes_on)
        if numbers:
            about = "numbers of notebooks, such as 00 2; all where none is given"
            entry.add_argument("numbers", nargs="*", metavar="NN", help=about)
        return entry

    entry = add(run, "execute notebooks into build/ and write build/index.html", numbers=True)
    entry.epilog = "A notebook that passed before isn't executed again as long as its cells, the package, the budget and the "
    entry.epilog += "installed versions are the same: after Ctrl-C the same command goes on where it stopped."
    entry.add_argument("--budget", choices=("fast", "full"), default="fast", help="how long models train (default: fast)")
    entry.add_argument("--again", action="store_true", help="execute what passed before from the same sources as well")
    entry = add(test, "run the linter, the unit tests, and every notebook against its stored outputs", passes_on="pytest")
    entry.add_argument("--fast", action="store_true", help="leave out the notebooks and the tests marked slow")
    entry = add(lab, "open your copies of the notebooks in JupyterLab, on this machine only", passes_on="JupyterLab")
    entry.description += COPIES
    entry.add_argument("--solutions", action="store_true", help="open the complete notebooks instead")
    entry = add(check, "grade your copies of notebooks: points and a message for each question")
    entry.add_argument("names", nargs="*", metavar="NN", help="numbers, or paths of copies; all of work/ where none is given")
    entry.add_argument("--limit", type=int, default=60, metavar="S", help="seconds to grade an answer (default: %(default)s)")
    entry.epilog = CHECKING
    add(refresh, "fill the source cells of notebooks and execute them in place", numbers=True)
    add(student, "write the students' versions of notebooks to build/student/", numbers=True)
    return door


COPIES = """ They have no solutions, and are made in work/ where they are missing. None is ever overwritten: a new version of a
chapter goes beside the old copy, and the command says so."""

CHECKING = """
Each question is graded in a fresh kernel, hidden tests included. What the chapter defines comes from the chapter; your answers,
and the helpers and imports that they read, from your copy. So no other cell of it matters, broken, deleted or changed, and no
more than an answer reads is executed: all of the chapter above it only where it reads a variable that the chapter computes. An
answer that is wrong, takes too long, crashes or is gone gets one line. Of several copies of a chapter, the one that you saved
last and have answered something in counts. The exit status is 0 if every question has all of its points, 1 if something isn't
right yet.
"""

# The commands. Each takes the parsed options, an argparse.Namespace, and returns a bool, True if all went well.


def run(options):
    """Executes notebooks into build/."""
    from vidgen_tf.coursebook import execute, notebook

    return execute.run(notebook.find(options.numbers, NOTEBOOKS), BUILD, options.budget, options.again)


def refresh(options):
    """Fills the source cells of notebooks and executes them in place."""
    from vidgen_tf.coursebook import notebook, refresh

    return refresh.refresh(notebook.find(options.numbers, NOTEBOOKS))


def student(options):
    """Writes the students' versions of notebooks to build/student/."""
    from vidgen_tf.coursebook import notebook, student

    return student.write_versions(notebook.find(options.numbers, NOTEBOOKS), BUILD)


def lab(options):
    """Opens the student's copies, or the complete notebooks, in JupyterLab, with the options that course.py doesn't know."""
    from vidgen_tf.coursebook import notebook, programs, student

    if not options.solutions:
        student.write_copies(notebook.find([], NOTEBOOKS), WORK)
    return programs.lab(ROOT, (NOTEBOOKS if options.solutions else WORK).name, options.rest)


def check(options):
    """Grades the student's copies."""
    from vidgen_tf.coursebook import check

    return check.grade_copies(options.names, NOTEBOOKS, WORK, options.limit)


def test(options):
    """Runs the linter, the unit tests, and every notebook against its stored outputs; pytest gets the other options."""
    from vidgen_tf.coursebook import programs

    return programs.test(ROOT, options.rest, options.fast)


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
    _prepend("PYTHONPATH", str(ROOT))  # kernels start in notebooks/, and may have another clone's package installed
    os.environ["KERAS_BACKEND"] = "tensorflow"
    for stream in (sys.stdout, sys.stderr):  # a title that the terminal can't show is shown escaped
        stream.reconfigure(errors="backslashreplace")


def _prepend(variable, folder):
    os.environ[variable] = os.pathsep.join(filter(None, [folder, os.environ.get(variable)]))


def _check_current(command):
    if not _is_supported(sys.version_info):
        sys.exit(_unsupported() + " The environment that VIDGEN_ENV=current stands for needs one of these.")
    everywhere = sys.path
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]  # kernels start elsewhere
    needed = MODULES + {"test": TEST_MODULES, "student": ["nbgrader"], "lab": ["nbgrader"]}.get(command, [])
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
            log.seek(0)
            log.truncate()
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
        message = "Too little disk space in {}: {:.1f} GB free, {} GB needed. Free some and run again."
        sys.exit(message.format(ROOT, free, DISK_GB))
    print("{} up to {} packages with {}.".format(reason, packages, installer))
    once = "Making the environment happens once and takes 3 GB of disk and 1 to 10 minutes, by the speed of your connection."
    print(once, flush=True)
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
    """On POSIX the installer inherits the lock with its log, so one that outlived its course.py still holds it."""
    try:
        if fcntl:
            fcntl.flock(log.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(log.fileno(), LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(log.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        sys.exit("Another install into .venv is under way: wait for its end, then run the same command again.")


CAUSES = (
    ("No space left|not enough space|quota exceeded", "the disk is full: free about {} GB".format(DISK_GB)),
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
