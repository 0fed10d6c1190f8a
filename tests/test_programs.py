"""course.py lab and test, in a folder of their own."""

import ast
import json
import os
import sys

import nbformat
import pytest
from toy_course import Folder
from toy_notebooks import write_notebook

from vidgen_tf.coursebook import kernel_starts

posix = pytest.mark.skipif(os.name == "nt", reason="signals to a process are POSIX")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


LAB = """
import json, os, signal, sys, time
print(json.dumps([os.getcwd(), sys.argv[1:]]), flush=True)
if "--ctrl-c" in sys.argv:
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(0.2)
sys.exit(0 if "--good" in sys.argv else 3)
"""


def test_lab_makes_copies_and_opens_them_on_this_machine_only_with_its_token(folder):
    (folder.path / "jupyterlab.py").write_text(LAB)
    chapter = write_notebook(folder.path / "notebooks" / "00_tiny.ipynb", ("md", "# 00 · Tiny"))
    opened = folder.call("lab", "--no-browser", "--port=8899", "--good", VIDGEN_ENV="current")
    said, called = opened.out.splitlines()
    assert said == f"1 new copy to work in, without solutions, in {folder.path / 'work'}"
    where, arguments = json.loads(called)
    assert where == str(folder.path) and opened.returncode == 0
    assert arguments[:2] == ["--ServerApp.ip=localhost", "--ServerApp.answer_yes=True"]  # no word on a token: Jupyter makes one
    assert arguments[2:4] == [f"--ServerApp.root_dir={folder.path}", "--LabApp.default_url=/lab/tree/work"]
    assert arguments[4:] == ["--no-browser", "--port=8899", "--good"]
    again = folder.call("lab", VIDGEN_ENV="current")
    assert again.returncode == 1 and len(again.out.splitlines()) == 1, "nothing new to tell, and what JupyterLab ends with counts"
    write_notebook(chapter, ("md", "# 00 · Tiny and new"))
    changed = folder.call("lab", "--good", VIDGEN_ENV="current")
    assert "00_tiny.ipynb has changed: the new version is work/00_tiny_v2.ipynb, and work/00_tiny.ipynb stays" in changed.out


def test_lab_opens_the_complete_notebooks_where_it_is_asked_to(folder):
    (folder.path / "jupyterlab.py").write_text(LAB)
    opened = folder.call("lab", "--solutions", "--good", VIDGEN_ENV="current")
    _, arguments = json.loads(opened.out)
    assert arguments[3:] == ["--LabApp.default_url=/lab/tree/notebooks", "--good"] and not (folder.path / "work").exists()


@posix
def test_ctrl_c_ends_lab_quietly(folder):
    (folder.path / "jupyterlab.py").write_text(LAB)
    write_notebook(folder.path / "notebooks" / "00_tiny.ipynb", ("md", "# 00 · Tiny"))
    assert folder.call("lab", "--good", VIDGEN_ENV="current").returncode == 0
    closed = folder.call("lab", "--ctrl-c", VIDGEN_ENV="current")
    assert (closed.returncode, closed.err, len(closed.out.splitlines())) == (0, "", 1)


@pytest.fixture
def project(folder):
    """A tiny project: a test that passes, one that fails, one that is skipped, and a notebook that knows its kernel."""
    (folder.path / "tests").mkdir()
    (folder.path / "tests" / "test_tiny.py").write_text(
        "import pytest\n\n\ndef test_good():\n    pass\n\n\ndef test_bad():\n    assert 1 == 2\n\n\n"
        "@pytest.mark.slow\ndef test_skipped():\n    pytest.skip()\n"
    )
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


@pytest.mark.slow
def test_the_test_command_goes_on_after_a_failure_and_counts_everything(project):
    done = project.call("test", **project.current)
    assert done.out.splitlines()[-1] == "2 passed, 1 failed, 1 skipped"
    assert rows(done.out) == {"ruff check": "yes", "ruff format": "yes", "unit tests": "NO", "notebooks": "yes"}, done.out
    assert done.returncode == 1


# Stand-ins that say how they were called, and end as they are told to: how pytest takes options is its own affair.
LINTER = "import sys\nprint('CALLED', sys.argv[1:])\n"
PYTEST = """
import json, os, sys
print("CALLED", sys.argv[1:-1])
print("THREADS", os.environ.get("TF_NUM_INTRAOP_THREADS"), os.environ.get("OPENBLAS_NUM_THREADS"))
status, passed, failed = json.loads(os.environ["NBVAL" if "--nbval" in sys.argv else "UNIT"])
if passed + failed:
    report = sys.argv[-1].removeprefix("--junitxml=")
    suite = f'<testsuite tests="{passed + failed}" failures="{failed}" errors="0" skipped="0"/>'
    open(report, "w").write(f"<testsuites>{suite}</testsuites>")
sys.exit(status)
"""


def calls_of_test(folder, *arguments, unit=(0, 2, 0), nbval=(0, 1, 0)):
    """What `course.py test` ends with, and the arguments of the programs that it ran. The numbers: status, passed, failed."""
    (folder.path / "ruff.py").write_text(LINTER)
    (folder.path / "pytest.py").write_text(PYTEST)
    done = folder.call("test", *arguments, VIDGEN_ENV="current", UNIT=json.dumps(unit), NBVAL=json.dumps(nbval))
    done.calls = [ast.literal_eval(line[7:]) for line in done.out.splitlines() if line.startswith("CALLED ")]
    return done


def test_the_test_command_passes_options_on(folder):
    options = ["--deselect", "tests/test_tiny.py::test_bad", "-k", "good"]
    good = calls_of_test(folder, *options, nbval=(5, 0, 0))
    assert good.out.splitlines()[-1] == "2 passed, 0 failed" and good.returncode == 0  # no notebook matches: no failure
    check, layout, unit, nbval = good.calls
    assert (check, layout) == (["check", str(folder.path)], ["format", "--check", str(folder.path)])
    side_by_side = ["-n", "2", "--dist", "worksteal"]  # of the whole, not where paths are given
    assert unit == [*side_by_side, *options, str(folder.path / "tests")]
    assert nbval[0] == "--nbval" and nbval[-5:] == [*options, str(folder.path / "notebooks")]
    assert nbval[-9:-5] == ["-n", "2", "--dist", "loadfile"], "a notebook's cells stay together"
    assert nbval[-11:-9] == ["-p", "vidgen_tf.coursebook.kernel_starts"]
    half = max(1, (os.cpu_count() or 1) // 2)
    assert good.out.count(f"THREADS {half} {half}") == 2
    quick = calls_of_test(folder, "--fast", unit=(1, 1, 1))
    assert quick.out.splitlines()[-1] == "1 passed, 1 failed" and quick.returncode == 1
    assert set(rows(quick.out)) == {"ruff check", "ruff format", "unit tests"}
    assert quick.calls[2] == ["-m", "not slow", *side_by_side, str(folder.path / "tests")]


def test_the_test_command_fails_where_no_test_ran(folder):
    tests = folder.path / "tests"
    tests.mkdir()
    nothing = calls_of_test(folder, str(tests), "-k", "nothing_like_it", unit=(5, 0, 0))
    assert nothing.out.splitlines()[-1] == "0 passed, 0 failed" and nothing.returncode == 1
    assert rows(nothing.out) == {"unit tests": "NO"} and nothing.calls == [["-k", "nothing_like_it", str(tests)]]
    broken = calls_of_test(folder, str(tests), "--no-such-option", unit=(4, 0, 0))
    assert broken.out.splitlines()[-1] == "0 passed, 1 failed" and broken.returncode == 1


def test_the_test_command_runs_only_the_paths_it_is_given(folder):
    notebook = folder.path / "notebooks" / "00_tiny.ipynb"
    as_seen_by_the_caller = os.path.relpath(notebook, folder.tools)
    changed = calls_of_test(folder, as_seen_by_the_caller, nbval=(1, 0, 1))
    assert changed.out.splitlines()[-1] == "0 passed, 1 failed" and rows(changed.out) == {"notebooks": "NO"}
    assert [call[-1] for call in changed.calls] == [str(notebook)]


@pytest.mark.parametrize("deaths, ends_well", [(0, True), (2, True), (3, False)])
def test_a_kernel_that_dies_at_its_start_is_started_again(deaths, ends_well):
    calls = []

    def start(**options):
        calls.append(options)
        if len(calls) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return "manager", "client"

    start_again = kernel_starts.retry_start(start)
    if ends_well:
        assert start_again(kernel_name="python") == ("manager", "client")
    else:
        with pytest.raises(RuntimeError, match="died"):
            start_again(kernel_name="python")
    assert calls == [{"kernel_name": "python"}] * min(deaths + 1, kernel_starts.START_ATTEMPTS)


def test_nbval_starts_its_kernels_so(monkeypatch):
    kernel = pytest.importorskip("nbval.kernel")
    monkeypatch.setattr(kernel, "start_new_kernel", lambda **options: "started")
    kernel_starts.pytest_configure()
    assert kernel.start_new_kernel.__wrapped__() == "started"
