"""course.py in a folder of its own: the first call, what can go wrong with it, and the commands as far as they are its work."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from toy_course import BUILD, ROOT, Folder, one_sentence
from toy_notebooks import is_running, wait_for, write_notebook

posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a script that starts with #!")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """One folder whose first call is done, with what that call said."""
    folder = Folder(tmp_path_factory.mktemp("installed"))
    folder.first = folder.call("run", "99")
    return folder


@posix
def test_first_call_installs_from_the_lock_and_says_so(installed):
    out = installed.first.out
    count = len(re.findall(r"^[\w.\[\]-]+==", (ROOT / "requirements-lock.txt").read_text(encoding="utf-8"), re.MULTILINE))
    assert out.startswith(f"First call: making .venv and installing up to {count} packages with ") and "Installed in " in out
    assert out.splitlines()[1] in (ROOT / "README.md").read_text(encoding="utf-8"), "what it costs is said in the same words"
    assert [call[1] for call in installed.installer_calls()] == ["venv", "pip", "pip"]
    assert str(installed.path / "requirements-lock.txt") in installed.installer_calls()[1]
    assert "Resolved" in (installed.path / "build" / "install.log").read_text()
    config = installed.venv / "etc" / "ipython" / "ipython_kernel_config.py"
    assert "capture_fd_output = False" in config.read_text()  # TensorFlow's log goes to the terminal, not to the page
    one_sentence(installed.first.err, "99")  # and then does what was asked for: there is no notebook 99
    assert installed.first.returncode == 1


@posix
def test_a_later_call_starts_no_other_program(installed):
    before = (installed.path / "calls").read_text()
    assert installed.call("run", "99").out == ""
    assert (installed.path / "calls").read_text() == before, "not even to ask uv for its version"


@posix
def test_the_command_runs_under_the_environment_with_keras_on_tensorflow(folder):
    (folder.path / "vidgen_tf/coursebook/notebook.py").write_text("def find(numbers, folder): return [*numbers, str(folder)]\n")
    (folder.path / "vidgen_tf/coursebook/refresh.py").write_text(
        "import json, os, sys\n"
        "def refresh(paths): print(json.dumps([paths, sys.prefix, dict(os.environ)])); return paths[0] == '00'\n"
    )
    (folder.path / "vidgen_tf/coursebook/student.py").write_text("def write_versions(paths, build): raise KeyboardInterrupt\n")
    good = folder.call("refresh", "00", PYTHONPATH="/elsewhere", KERAS_BACKEND="jax", JUPYTER_PATH="/elsewhere")
    paths, prefix, environment = json.loads(good.out.splitlines()[-1])
    assert (paths, prefix, good.returncode) == (["00", str(folder.path / "notebooks")], str(folder.venv), 0)
    assert environment["KERAS_BACKEND"] == "tensorflow"
    assert environment["PYTHONPATH"] == str(folder.path), "kernels import the package of this clone, and nothing from elsewhere"
    assert environment["JUPYTER_PATH"].split(os.pathsep) == [str(folder.venv / "share" / "jupyter"), "/elsewhere"]
    assert environment["PATH"].startswith(str(folder.venv / "bin"))
    assert folder.call("refresh").returncode == 1  # what a command returns decides the exit status
    interrupted = folder.call("student")
    one_sentence(interrupted.err, "Interrupted", "run the same command to go on")
    assert interrupted.returncode == 130


@posix
def test_a_killed_run_shuts_its_kernel_down_and_the_next_call_goes_on(folder):
    waiting = "import os, time\nopen('pid', 'w').write(f'{os.getpid()} ')\nwhile not os.path.exists('go'): time.sleep(0.02)"
    notebooks = folder.path / "notebooks"
    where = f"import vidgen_tf\nassert vidgen_tf.__file__.startswith({str(folder.path)!r}), vidgen_tf"
    write_notebook(notebooks / "00_tiny.ipynb", ("md", "# 00 · \N{CJK UNIFIED IDEOGRAPH-7B2C}"), where)
    write_notebook(notebooks / "01_waits.ipynb", ("md", "# 01 · Waits"), waiting)
    process = folder.start("run", VIDGEN_ENV="current", PYTHONIOENCODING="ascii")
    wait_for(lambda: (notebooks / "pid").exists() and (notebooks / "pid").read_text().endswith(" "))
    process.terminate()
    out, err = process.communicate(timeout=60)
    one_sentence(err, "Interrupted", "run the same command to go on")
    assert process.returncode == 130 and "00  \\u7b2c: passed in" in out, "what can't be printed is escaped"
    wait_for(lambda: not is_running(int((notebooks / "pid").read_text())))
    (notebooks / "go").touch()
    second = folder.call("run", VIDGEN_ENV="current", PYTHONIOENCODING="ascii")
    assert second.returncode == 0, second.out + second.err
    assert "00  \\u7b2c: passed before from the same sources" in second.out and "01  Waits: passed in" in second.out


@posix
@pytest.mark.parametrize("reader", ["closed", "full"])
def test_output_that_nobody_takes_ends_without_a_traceback(folder, reader):
    (folder.path / "vidgen_tf/coursebook/student.py").write_text(
        "def write_versions(*_):\n    print('a' * 100000)\n    return True\n"
    )
    if reader == "full" and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    ends = os.pipe() if reader == "closed" else (None, os.open("/dev/full", os.O_WRONLY))
    if reader == "closed":
        os.close(ends[0])
    write_notebook(folder.path / "notebooks/00_tiny.ipynb")
    process = folder.start("student", VIDGEN_ENV="current", stdout=ends[1])
    os.close(ends[1])
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == ("" if reader == "closed" else "No space left on the disk: free some and run the same command again.\n")


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
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    one_sentence(err, "Interrupted", "next call")
    assert not is_running(installer)
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
    one_sentence(full.err, "1.2 GB free", "5 GB needed", "Free some")
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


def test_a_file_in_the_place_of_the_build_folder_is_named(folder):
    (folder.path / "build").touch()
    for command in ("test", "run"):
        refused = folder.call(command, VIDGEN_ENV="current")
        one_sentence(refused.err, str(folder.path / "build"), "is a file", "move it")
        assert (refused.returncode, refused.out) == (1, "")
    one_sentence(folder.call("test").err, "is a file")  # before anything is installed
    assert not folder.venv.exists()


@pytest.mark.parametrize("command", ["run", "test", "lab", "check", "refresh", "student"])
def test_help_needs_no_environment(folder, command):
    shown = folder.call(command, "--help")
    assert shown.returncode == 0 and f"course.py {command}" in shown.out and not folder.venv.exists()
    assert f"\n    {command} " in folder.call().out  # and no command at all shows them all


def test_a_mistyped_option_is_refused_before_anything_happens(folder):
    refused = folder.call("run", "--bugdet", "full")
    assert refused.returncode == 2 and "--bugdet" in refused.err and not folder.venv.exists()


def test_a_second_install_is_refused_on_windows_too(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    asked = []

    def locking(handle, mode, count):
        asked.append((os.lseek(handle, 0, os.SEEK_CUR), mode, count))
        if len(asked) > 1:
            raise OSError(36, "Resource deadlock avoided")

    monkeypatch.setattr(course, "fcntl", None)
    monkeypatch.setattr(course, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2), raising=False)
    path = tmp_path / "install.log"
    path.write_text("an older log")
    with path.open("ab") as log:
        course._refuse_second(log)
        assert asked == [(course.LOCKED_BYTE, 2, 1)] and course.LOCKED_BYTE > 1e9, "far from what is written"
        log.seek(0)  # as _install does
        log.truncate()
        os.write(log.fileno(), b"new")  # as an installer does that inherits it
        with pytest.raises(SystemExit, match="Another install into .venv is under way: wait"):
            course._refuse_second(log)
    assert path.read_text() == "new"
