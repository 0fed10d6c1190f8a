"""course.py in a folder of its own: the first call, what can go wrong with it, and the commands as far as they are its work.

The installer is a stand-in named uv that makes a real .venv without a network. The real one runs wherever the tests do:
it is what made their environment.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a script that starts with #!")

# Its venv sees the packages of the Python that runs the tests, and the folder's vidgen_tf once that is "installed".
UV = """#!{python}
import os, pathlib, subprocess, sys, sysconfig, time
here = pathlib.Path({folder!r})
with open(here / "calls", "a") as calls:
    print(os.getpid(), *sys.argv[1:], file=calls)
if sys.argv[1] == "--version":
    print("uv 1")
site = here / ".venv/lib/python{minor}/site-packages"
if sys.argv[1] == "venv":
    subprocess.run([sys.argv[3], "-m", "venv", "--without-pip", sys.argv[4]], check=True)
elif "-r" in sys.argv:
    print("Resolved 160 packages")
    if "hang" in os.environ["FAKE"]:
        time.sleep(60)
    if os.environ["FAKE"]:
        sys.exit(os.environ["FAKE"])
    (site / "packages.pth").write_text(sysconfig.get_path("purelib"))
elif "-e" in sys.argv:
    (site / "vidgen_tf.pth").write_text(str(here))
"""


# The least that pip takes for a builder of editable packages; setuptools would have to come from the network.
BUILD = """
import pathlib, zipfile
def build_editable(folder, settings=None, metadata=None):
    name, info = "vidgen_tf-1-py3-none-any.whl", "vidgen_tf-1.dist-info/"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("vidgen_tf.pth", str(pathlib.Path(__file__).parent))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: vidgen-tf\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""


class Folder:
    """A copy of what a newcomer clones, and a PATH with nothing but the stand-in installer on it."""

    def __init__(self, path):
        self.path = path / "course"
        self.venv = self.path / ".venv"
        self.tools = path / "tools"
        self.tools.mkdir(parents=True)
        shutil.copytree(ROOT / "vidgen_tf", self.path / "vidgen_tf", ignore=shutil.ignore_patterns("__pycache__", "*.h5"))
        for name in ("course.py", "pyproject.toml", "requirements-lock.txt"):
            shutil.copy(ROOT / name, self.path)
        (self.path / "notebooks").mkdir()
        (self.path / "notebooks" / "00_tiny.ipynb").touch()
        uv = self.tools / "uv"
        uv.write_text(UV.format(python=sys.executable, folder=str(self.path), minor="{}.{}".format(*sys.version_info)))
        uv.chmod(0o755)

    def start(self, *arguments, python=sys.executable, fake="", **environment):
        ours = ("VIDGEN_", "PYTEST_", "KERAS_", "JUPYTER_", "PYTHONPATH", "COV_")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        clean |= {"PATH": str(self.tools), "FAKE": fake} | environment
        command = [str(python), str(self.path / "course.py"), *arguments]
        return subprocess.Popen(command, cwd=self.tools, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def call(self, *arguments, **options):
        process = self.start(*arguments, **options)
        process.out, process.err = process.communicate(timeout=120)
        assert "Traceback" not in process.err, process.err
        return process

    def installer_calls(self):
        calls = self.path / "calls"
        return [line.split() for line in calls.read_text().splitlines() if "--version" not in line] if calls.exists() else []

    def wait_for_packages(self):
        """Until the installer is at its work; its process id."""
        for _ in range(400):
            found = [int(call[0]) for call in self.installer_calls() if "-r" in call]
            if found:
                return found[-1]
            time.sleep(0.05)
        raise AssertionError("The installer was not called.")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """One folder whose first call is done, with what that call said."""
    folder = Folder(tmp_path_factory.mktemp("installed"))
    folder.first = folder.call("run", "99")
    return folder


def one_sentence(text, *words):
    lines = text.strip().splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), text


@posix
def test_first_call_installs_from_the_lock_and_says_so(installed):
    out = installed.first.out
    assert out.startswith("First call: making .venv and installing up to 1") and "Installed in " in out
    assert out.splitlines()[1] in (ROOT / "README.md").read_text(encoding="utf-8"), "what it costs is said in the same words"
    assert [call[1] for call in installed.installer_calls()] == ["venv", "pip", "pip"]
    assert str(installed.path / "requirements-lock.txt") in installed.installer_calls()[1]
    assert "Resolved" in (installed.path / "build" / "install.log").read_text()
    config = installed.venv / "etc" / "ipython" / "ipython_kernel_config.py"
    assert "capture_fd_output = False" in config.read_text()  # TensorFlow's log goes to the terminal, not to the page
    one_sentence(installed.first.err, "99")  # and then does what was asked for: there is no notebook 99
    assert installed.first.returncode == 1


@posix
def test_later_calls_add_less_than_half_a_second(installed):
    def seconds(command):
        started = time.perf_counter()
        subprocess.run(command, cwd=installed.tools, capture_output=True)
        return time.perf_counter() - started

    before = installed.installer_calls()
    assert installed.call("run", "99").out == ""
    assert installed.installer_calls() == before
    python = installed.venv / "bin" / "python"
    alone = min(seconds([python, "-c", "import vidgen_tf.notebooks"]) for _ in range(3))
    through_the_door = min(seconds([sys.executable, installed.path / "course.py", "run", "99"]) for _ in range(3))
    assert through_the_door - alone < 0.5


@posix
def test_the_command_runs_under_the_environment_with_keras_on_tensorflow(installed):
    (installed.path / "vidgen_tf" / "notebooks.py").write_text(
        "import json, os, sys\n"
        "def find(numbers): return numbers\n"
        "def refresh(paths): print(json.dumps([paths, sys.prefix, dict(os.environ)])); return paths == ['00']\n"
        "def student(paths, build): raise KeyboardInterrupt\n"
    )
    good = installed.call("refresh", "00", PYTHONPATH="/elsewhere", KERAS_BACKEND="jax", JUPYTER_PATH="/elsewhere")
    paths, prefix, environment = json.loads(good.out)
    assert (paths, prefix, good.returncode) == (["00"], str(installed.venv), 0)
    assert environment["KERAS_BACKEND"] == "tensorflow" and "PYTHONPATH" not in environment
    assert environment["JUPYTER_PATH"].split(os.pathsep) == [str(installed.venv / "share" / "jupyter"), "/elsewhere"]
    assert environment["PATH"].startswith(str(installed.venv / "bin"))
    assert installed.call("refresh").returncode == 1  # what a command returns decides the exit status
    interrupted = installed.call("student")
    one_sentence(interrupted.err, "Interrupted", "run the same command")
    assert interrupted.returncode == 130


@posix
def test_killed_install_is_made_again_and_not_by_two_at_once(folder):
    process = folder.start("run", "99", fake="hang")
    installer = folder.wait_for_packages()
    process.kill()
    process.communicate()
    try:
        second = folder.call("run", "99")
        one_sentence(second.err, "Another install", "run the same command again")
        assert second.returncode == 1
    finally:
        os.kill(installer, signal.SIGKILL)
    (folder.venv / "half").touch()
    third = folder.call("run", "99")
    assert "The last install was interrupted" in third.out and "Installed in" in third.out
    assert not (folder.venv / "half").exists()
    assert folder.call("run", "99").out == ""


@posix
def test_ctrl_c_during_the_install(folder):
    process = folder.start("run", "99", fake="hang")
    installer = folder.wait_for_packages()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    one_sentence(err, "Interrupted", "next call")
    with pytest.raises(ProcessLookupError):
        os.kill(installer, 0)
    one_sentence(folder.call("run", "99", fake="error: dns error").err, "can't be reached")  # one mishap after the other
    assert "Installed in" in folder.call("run", "99").out


@posix
@pytest.mark.parametrize(
    "said, words",
    [
        ("error: cause: dns error: failed to lookup address information", ("can't be reached", "network")),
        (
            "WARNING: Retrying: NewConnectionError\nERROR: No matching distribution found for six==1.17.0",
            ("can't be reached", "network"),
        ),
        ("error: failed to write: No space left on device (os error 28)", ("disk is full", "free")),
        ("ERROR: No matching distribution found for tensorflow==2.21.0", ("no build for this computer",)),
        ("error: the moon is in the way", ("the moon is in the way",)),
    ],
)
def test_failed_install_names_cause_remedy_and_log(folder, said, words):
    failed = folder.call("run", "99", fake=said)
    one_sentence(failed.err, "install stopped", "run the same command again", str(folder.path / "build" / "install.log"), *words)
    assert failed.returncode == 1


@posix
def test_a_changed_lock_is_installed_in_place_and_a_broken_environment_made_again(folder):
    folder.call("run", "99")
    (folder.venv / "mine").touch()
    with (folder.path / "requirements-lock.txt").open("a") as lock:
        lock.write("# changed\n")
    assert "Bringing .venv up to date" in folder.call("run", "99").out
    assert (folder.venv / "mine").exists()
    for python in (folder.venv / "bin").glob("python*"):
        python.unlink()
    assert "no Python that works" in folder.call("run", "99").out
    assert not (folder.venv / "mine").exists()
    assert folder.call("run", "99").out == ""


def test_too_little_disk_space_is_said_before_anything_is_installed(folder):
    little = "import shutil, types\nshutil.disk_usage = lambda path: types.SimpleNamespace(free=1.2e9)\n"
    (folder.tools / "sitecustomize.py").write_text(little)
    full = folder.call("run", "99", PYTHONPATH=str(folder.tools))
    one_sentence(full.err, "1.2 GB free", "4 GB needed", "Free some")
    assert full.returncode == 1 and not folder.venv.exists()


@posix
def test_without_uv_pip_installs(folder):
    (folder.tools / "uv").unlink()
    (folder.path / "requirements-lock.txt").write_text("# nothing\n")
    (folder.path / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n')
    (folder.path / "build.py").write_text(BUILD)
    first = folder.call("run", "99", PIP_NO_INDEX="1")
    assert "with pip" in first.out and "Installed in" in first.out, (folder.path / "build" / "install.log").read_text()
    one_sentence(first.err, "99")
    assert folder.call("run", "99").out == ""


def interpreters(minors):
    """Pythons of this machine with these minor versions; a name on PATH may be an empty shim, so each is asked."""
    names = [shutil.which(f"python3.{minor}") for minor in minors]
    names += [str(path) for minor in minors for path in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")]
    asked = "import sys; print(sys.executable, sys.version_info[1])"
    answers = [subprocess.run([name, "-c", asked], capture_output=True, text=True).stdout.split() for name in names if name]
    return {int(answer[1]): answer[0] for answer in answers if answer}


OLD = interpreters((6, 7, 8, 9, 10))


@pytest.mark.skipif(not OLD, reason="no Python older than 3.11 here")
def test_an_old_python_gets_one_sentence_or_a_newer_one(folder):
    for minor, python in OLD.items():
        refused = folder.call("run", "99", python=python)
        one_sentence(refused.err, f"Python 3.{minor} can't", "3.11, 3.12 or 3.13", "Install Python 3.12")
        assert refused.returncode == 1 and not folder.venv.exists()
        assert "NN" in folder.call("run", "--help", python=python).out
    (folder.tools / "python3.11").write_text("#!/bin/false\n")  # there by name only
    (folder.tools / f"python3.{sys.version_info[1]}").unlink(missing_ok=True)
    (folder.tools / f"python3.{sys.version_info[1]}").symlink_to(sys.executable)
    assert "Installed in" in folder.call("run", "99", python=python).out


def test_the_current_environment_is_used_as_it_is(folder, tmp_path):
    used = folder.call("run", "99", VIDGEN_ENV="current")
    one_sentence(used.err, "99")
    assert not folder.venv.exists() and not folder.installer_calls()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bare = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    refused = folder.call("run", "99", python=bare, VIDGEN_ENV="current")
    one_sentence(refused.err, "VIDGEN_ENV=current", "vidgen_tf, keras, tensorflow", "pip install -e")
    assert refused.returncode == 1
    one_sentence(folder.call("run", VIDGEN_ENV="curent").err, "'curent'", "current")


LAB = """
import json, os, signal, sys, time
print(json.dumps([os.getcwd(), sys.argv[1:]]), flush=True)
if "--ctrl-c" in sys.argv:
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(0.2)
sys.exit(0 if "--good" in sys.argv else 3)
"""


def test_lab_opens_the_notebooks_on_this_machine_only_with_its_token(folder):
    (folder.path / "jupyterlab.py").write_text(LAB)
    opened = folder.call("lab", "--no-browser", "--port=8899", "--good", VIDGEN_ENV="current")
    where, arguments = json.loads(opened.out)
    assert where == str(folder.path) and arguments[-1] == str(folder.path / "notebooks") and opened.returncode == 0
    assert arguments[2:-1] == ["--no-browser", "--port=8899", "--good"]
    assert arguments[:2] == ["--ServerApp.ip=localhost", "--ServerApp.answer_yes=True"]  # no word on a token: Jupyter makes one
    assert folder.call("lab", VIDGEN_ENV="current").returncode == 1


@posix
def test_ctrl_c_ends_lab_quietly(folder):
    (folder.path / "jupyterlab.py").write_text(LAB)
    closed = folder.call("lab", "--ctrl-c", VIDGEN_ENV="current")
    assert (closed.returncode, closed.err, len(closed.out.splitlines())) == (0, "", 1)


def test_a_file_in_the_place_of_the_build_folder_is_named(folder):
    (folder.path / "build").touch()
    for command in ("test", "run"):
        refused = folder.call(command, VIDGEN_ENV="current")
        one_sentence(refused.err, str(folder.path / "build"), "is a file", "move it")
        assert (refused.returncode, refused.out) == (1, "")
    one_sentence(folder.call("test").err, "is a file")  # before anything is installed
    assert not folder.venv.exists()


@pytest.mark.parametrize("command", ["run", "test", "lab", "refresh", "student"])
def test_help_needs_no_environment(folder, command):
    shown = folder.call(command, "--help")
    assert shown.returncode == 0 and f"course.py {command}" in shown.out and not folder.venv.exists()
    assert f"\n    {command} " in folder.call().out  # and no command at all shows them all


def test_a_mistyped_option_is_refused_before_anything_happens(folder):
    refused = folder.call("run", "--bugdet", "full")
    assert refused.returncode == 2 and "--bugdet" in refused.err and not folder.venv.exists()


@pytest.fixture
def project(folder):
    """A tiny project: a test that passes, one that fails, one that is skipped, and a notebook that knows its kernel."""
    (folder.path / "tests").mkdir()
    (folder.path / "tests" / "test_tiny.py").write_text(
        "import pytest\n\n\ndef test_good():\n    pass\n\n\ndef test_bad():\n    assert 1 == 2\n\n\n"
        "@pytest.mark.slow\ndef test_skipped():\n    pytest.skip()\n"
    )
    shutil.rmtree(folder.path / "vidgen_tf")
    code = (
        "import os\nimport sys\n\nos.environ['KERAS_BACKEND'], os.environ['VIDGEN_QUIET'], sys.prefix == os.environ['EXPECTED']"
    )
    cell = nbformat.v4.new_code_cell(code, execution_count=1, id="a")
    cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "('tensorflow', '1', True)"}, execution_count=1)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": spec}), folder.path / "notebooks" / "00_tiny.ipynb"
    )
    decoy = folder.tools / "decoy" / "kernels" / "python3"  # another Python's kernel of the same name
    decoy.mkdir(parents=True)
    (decoy / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "decoy", "language": "python"}')
    folder.current = {"VIDGEN_ENV": "current", "EXPECTED": sys.prefix, "JUPYTER_PATH": str(folder.tools / "decoy")}
    return folder


def rows(out):
    """The summary: part -> whether it was all right."""
    table = out[out.rindex("part  ") :].splitlines()[1:]
    return {line[:14].strip(): line.split()[-1] for line in table if line and line[-1] in "sO"}


def test_the_test_command_goes_on_after_a_failure_and_counts_everything(project):
    done = project.call("test", **project.current)
    assert done.out.splitlines()[-1] == "2 passed, 1 failed, 1 skipped"
    assert rows(done.out) == {"ruff check": "yes", "ruff format": "yes", "unit tests": "NO", "notebooks": "yes"}, done.out
    assert done.returncode == 1


def test_the_test_command_passes_options_on(project):
    good = project.call("test", "--deselect", "tests/test_tiny.py::test_bad", "-k", "good", **project.current)
    assert good.out.splitlines()[-1] == "1 passed, 0 failed" and good.returncode == 0  # no notebook matches: no failure
    quick = project.call("test", "--fast", **project.current)
    assert quick.out.splitlines()[-1] == "1 passed, 1 failed" and set(rows(quick.out)) == {
        "ruff check",
        "ruff format",
        "unit tests",
    }


def test_the_test_command_fails_where_no_test_ran(project):
    tests = str(project.path / "tests")
    nothing = project.call("test", tests, "-k", "nothing_like_it", **project.current)
    assert nothing.out.splitlines()[-1] == "0 passed, 0 failed" and nothing.returncode == 1
    assert rows(nothing.out) == {"unit tests": "NO"}  # only the path that was given
    broken = project.call("test", tests, "--no-such-option", **project.current)
    assert broken.out.splitlines()[-1] == "0 passed, 1 failed" and broken.returncode == 1


def test_the_test_command_runs_only_the_paths_it_is_given(project):
    notebook = os.path.relpath(project.path / "notebooks" / "00_tiny.ipynb", project.tools)  # as seen from where it is called
    changed = project.call("test", notebook, **project.current | {"EXPECTED": "another"})
    assert changed.out.splitlines()[-1] == "0 passed, 1 failed" and rows(changed.out) == {"notebooks": "NO"}
