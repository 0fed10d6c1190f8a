"""Finding, executing and showing notebooks, on toy notebooks made here."""

import base64
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat.v4 as v4
import numpy as np
import pytest
from toy_notebooks import is_running, wait_for, write_notebook

import vidgen_tf
from vidgen_tf.coursebook import execute, gallery
from vidgen_tf.coursebook.notebook import find, last_run, read
from vidgen_tf.coursebook.pages import self_contained
from vidgen_tf.errors import CourseError
from vidgen_tf.video import Clip

PACKAGE = Path(vidgen_tf.__file__).parent
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals to a child are POSIX")


def apng(height, width, number=0, frames=2):
    """An animated PNG in base64, as a Clip in a notebook shows itself; a still one of one frame."""
    pixels = np.arange(frames, dtype=np.uint8).reshape(-1, 1, 1, 1) + np.uint8(9 * number)
    return base64.b64encode(Clip(np.broadcast_to(pixels, (frames, height, width, 1)))._repr_png_()).decode()


def showing(image):
    return f"import base64\nfrom IPython.display import Image\nImage(base64.b64decode('{image}'), format='png')"


def table(out):
    """Number -> the last column of what `run` prints at its end."""
    return {line[:2]: line.split()[-1] for line in out[out.index("no.") :].splitlines() if re.match(r"\d\d ", line)}


def test_find_takes_numbers_in_any_spelling_and_keeps_the_order_of_the_course(tmp_path):
    with pytest.raises(CourseError, match="no notebook in"):
        find([], tmp_path)
    a, b, c = (write_notebook(tmp_path / name) for name in ("00_a.ipynb", "02_b.ipynb", "10_c.ipynb"))
    (tmp_path / "draft.ipynb").write_text("")
    assert find([], tmp_path) == [a, b, c]
    assert find(["10", "2", "02"], tmp_path) == [b, c]
    for wrong in ("3", "x", "-1", "²"):
        with pytest.raises(CourseError, match="choose from 00, 02, 10"):
            find([wrong], tmp_path)
    write_notebook(tmp_path / "02_again.ipynb")
    with pytest.raises(CourseError, match=r"02_again\.ipynb and 02_b\.ipynb have the same number: rename"):
        find(["0"], tmp_path)


def test_find_says_that_an_installed_package_has_no_notebooks(tmp_path):
    with pytest.raises(CourseError, match="There is no folder .*notebooks come with the repository.*clone it") as caught:
        find([], tmp_path / "site-packages" / "notebooks")
    assert "\n" not in str(caught.value)


def test_the_coursebook_needs_two_modules_of_the_package_and_imports_nothing_that_takes_long(tmp_path):
    modules = sorted(path.stem for path in (PACKAGE / "coursebook").glob("[a-z]*.py"))
    assert {"notebook", "execute", "refresh", "student", "check", "pages", "gallery", "programs"} <= set(modules)
    program = f"import sys; from vidgen_tf.coursebook import {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert not imported & {"tensorflow", "keras", "numpy", "matplotlib", "nbformat", "nbclient", "nbconvert"}
    ours = {name for name in imported if name.startswith("vidgen_tf.") and "coursebook" not in name}
    assert ours == {"vidgen_tf.errors", "vidgen_tf.files"}


def test_run_goes_on_after_a_failure_and_leaves_the_notebooks_alone(tmp_path, capsys):
    clip = apng(8, 8)
    good = write_notebook(
        tmp_path / "in/00_good.ipynb", ("md", "# 00 · A <good> one\n\n[next](01_bad.ipynb) $x^2$"), showing(clip)
    )
    bad = write_notebook(tmp_path / "in/01_bad.ipynb", ("md", "# 01 · A bad one"), "x = 1", "y = x +\\\n 'a'", "z = 3")
    last = write_notebook(
        tmp_path / "in/02_last.ipynb",
        ("md", "# 02 · Last"),
        "import os\nassert os.path.exists('00_good.ipynb'), 'the kernel works in the folder of the notebooks'\n"
        "assert os.environ['VIDGEN_BUDGET'] == 'full' and os.environ['VIDGEN_QUIET'] and os.environ['PYTEST_CURRENT_TEST']",
    )
    before = {path: path.read_bytes() for path in (good, bad, last)}
    assert execute.run([good, bad, last], tmp_path / "build", "full") is False
    assert {path: path.read_bytes() for path in before} == before
    out = capsys.readouterr().out
    assert "Code cell 2 ('y = x +\\\\') failed with TypeError: unsupported operand" in out
    assert table(out) == {"00": "yes", "01": "NO", "02": "yes"}

    executed = read(tmp_path / "build/01_bad.ipynb")
    assert [cell.execution_count for cell in executed.cells[1:]] == [1, 2, None]
    index = (tmp_path / "build/index.html").read_text()
    assert "2 of 3 notebooks passed" in index and 'href="01_bad.html"' in index and "A &lt;good&gt; one" in index
    assert clip in index, "the gallery plays the notebook's clip"
    page = (tmp_path / "build/00_good.html").read_text()
    assert clip in page.replace("\n", "") and 'href="01_bad.html"' in page and "svg+xml" in page
    assert "All notebooks</a>" in page and ".gallery {" in page and ".card {" in index, "templates and styles are filled in"
    for loaded in ("<script src", '<link rel="stylesheet"', "@import", "url(http", 'src="http', "{{", "{%"):
        assert loaded not in page + index, "a page must not need the network"
    assert sorted(p.name for p in (tmp_path / "build").iterdir() if p.name.startswith(".")) == []


def test_run_goes_on_after_what_it_cannot_read_or_show(tmp_path, capsys):
    stale = write_notebook(tmp_path / "in/01_damaged.ipynb", ("md", "# 01 · Once whole"))
    assert execute.run([stale], tmp_path / "build", "fast") is True
    stale.write_text("{")
    unseen = write_notebook(tmp_path / "in/02_unseen.ipynb", ("md", "# 02 · Unseen\n\n![a](nowhere.png)"), "x = 1")
    folder = tmp_path / "in/03_folder.ipynb"
    folder.mkdir()
    good = write_notebook(tmp_path / "in/04_good.ipynb", ("md", "# 04 · Good"), "x = 1", minutes=None)
    (tmp_path / "build/05_not_ours.ipynb").write_text("{")
    write_notebook(tmp_path / "build/06_odd.ipynb", ("md", "# 06 · Odd"), vidgen={"run": 5})
    capsys.readouterr()
    assert execute.run([stale, unseen, folder, good], tmp_path / "build", "fast") is False
    out = capsys.readouterr().out
    assert table(out) == {"01": "NO", "02": "NO", "03": "NO", "04": "yes"}
    reasons = {"01_damaged": "is no notebook", "02_unseen": "nowhere.png, which is missing", "03_folder": "Is a directory"}
    for name, reason in reasons.items():
        assert out.count(reason) == 1 and reason in (tmp_path / f"build/{name}.html").read_text()
    assert read(tmp_path / "build/02_unseen.ipynb").cells[1].execution_count == 1, "what it computed is kept"
    index = (tmp_path / "build/index.html").read_text()
    assert "1 of 4 notebooks passed" in index and "Once whole" not in index
    assert re.findall(r"<td>(\d\d)</td>", index) == ["01", "02", "03", "04"], "what is damaged or another's is left out"


def start(program, **options):
    """A child that has `Path` and the coursebook's commands, in the folder where the package is."""
    program = f"from pathlib import Path; from vidgen_tf.coursebook import execute, refresh; {program}"
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


NOTING = "open('executed', 'a').write('{} ')"  # each execution leaves a word
WAITING = "import os, time\nopen('pid', 'w').write(f'{os.getpid()} ')\nwhile not os.path.exists('go'): time.sleep(0.02)"


def pid_in(folder):
    """The process number that WAITING wrote, once it is complete."""
    wait_for(lambda: (folder / "pid").exists() and (folder / "pid").read_text().endswith(" "))
    return int((folder / "pid").read_text())


@posix
def test_a_second_call_executes_only_what_the_interrupted_one_left(tmp_path, capsys, monkeypatch):
    first = write_notebook(tmp_path / "00_first.ipynb", ("md", "# 00 · First"), NOTING.format("first"))
    second = write_notebook(tmp_path / "01_second.ipynb", ("md", "# 01 · Second"), NOTING.format("second"), WAITING)
    build = tmp_path / "build"

    def executed(*arguments):
        capsys.readouterr()
        (tmp_path / "executed").write_text("")
        assert execute.run([first, second], build, *arguments) is True
        out = capsys.readouterr().out
        assert table(out) == {"00": "yes", "01": "yes"}
        return (tmp_path / "executed").read_text().split(), out

    child = start(f"execute.run([Path({str(first)!r}), Path({str(second)!r})], {str(build)!r}, 'fast')")
    pid_in(tmp_path)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert (tmp_path / "executed").read_text() == "first second " and "00  First: passed in" in out
    assert sorted(path.name for path in build.iterdir()) == ["00_first.html", "00_first.ipynb", "index.html"]
    assert "1 of 1 notebooks passed" in (build / "index.html").read_text()

    (tmp_path / "go").touch()
    (tmp_path / "vendored" / "other-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "vendored")  # as some libraries do once they are imported
    again, out = executed("fast")
    assert again == ["second"]
    assert (
        "00  First: passed before from the same sources, in 0:0" in out
        and "Executing 1 of 2 notebooks, about 2:00 minutes; --again" in out
    )
    nothing, out = executed("fast")
    assert nothing == [] and "Nothing is left to execute: --again executes it anew." in out
    assert execute.run([first], build, "fast", again=True) and (tmp_path / "executed").read_text() == "first "

    write_notebook(first, ("md", "# 00 · First"), NOTING.format("changed"))
    assert executed("fast")[0] == ["changed"]
    (build / "01_second.html").unlink()
    assert executed("fast")[0] == ["second"]


def test_what_failed_is_executed_again(tmp_path, capsys):
    path = write_notebook(tmp_path / "00_fails.ipynb", "import os\nassert os.path.exists('mended')")
    assert execute.run([path], tmp_path / "build", "fast") is False
    (tmp_path / "mended").touch()
    assert execute.run([path], tmp_path / "build", "fast") is True
    assert "passed before" not in capsys.readouterr().out


def test_what_the_outputs_depend_on_is_the_package_the_budget_and_the_installed_versions(tmp_path, monkeypatch):
    package = tmp_path / "vidgen_tf"
    shutil.copytree(PACKAGE / "coursebook", package / "coursebook", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(execute, "__file__", str(package / "coursebook" / "execute.py"))
    original = execute._surroundings("fast")
    seen = {original, execute._surroundings("full")}

    def put(name, text):
        path = package / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return execute._surroundings("fast")

    assert put("__pycache__/layers.pyc", "1") == original
    for name, text in (("layers.py", "1"), ("layers.py", "2"), ("zoo/weights.h5", "1"), ("zoo/weights.h5", "2")):
        seen.add(put(name, text))
    (package / "layers.py").rename(package / "metrics.py")
    seen.add(execute._surroundings("fast"))
    assert len(seen) == 7
    (package / "zoo/weights.h5").unlink()
    (package / "metrics.py").unlink()
    assert execute._surroundings("fast") == original
    installed = tmp_path / "installed" / "another-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1.0\n")
    monkeypatch.setattr(execute.sysconfig, "get_path", lambda name: str(installed.parent))
    assert execute._surroundings("fast") not in seen


@posix
@pytest.mark.parametrize("command", ["execute.run([path], path.parent / 'build', 'fast')", "refresh.refresh([path])"])
@pytest.mark.parametrize("number", [signal.SIGINT, getattr(signal, "SIGKILL", None)], ids=["ctrl-c", "kill"])
def test_an_interrupted_command_leaves_no_kernel_and_no_half_file(tmp_path, command, number):
    path = write_notebook(tmp_path / "05_waits.ipynb", WAITING)
    before = path.read_bytes()
    child = start(f"path = Path({str(path)!r}); {command}")
    kernel = pid_in(tmp_path)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert "Interrupted" not in out, "course.py says so, once for all commands"
    assert (err.rstrip().endswith("KeyboardInterrupt") if number == signal.SIGINT else err == "") and child.returncode != 0
    wait_for(lambda: not is_running(kernel))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["05_waits.ipynb", "pid"] and path.read_bytes() == before


@pytest.mark.parametrize(
    "done, elapsed, expected, said",
    [
        (0, 0.4, 90, "0:00, 0 of 41 cells done, about 1:29 left"),
        (7, 30, 90, "0:30, 7 of 41 cells done, about 1:00 left"),
        (40, 100.2, 90, "1:40, 40 of 41 cells done, 0:10 over the 1:30 that it states"),
        (7, 30, 0, "0:30, 7 of 41 cells done"),
    ],
)
def test_the_state_of_a_notebook_at_work(done, elapsed, expected, said):
    assert execute._state(done, 41, elapsed, expected) == said


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_a_live_line_on_a_terminal_and_a_line_now_and_then_elsewhere(capsys, monkeypatch, is_terminal):
    monkeypatch.setattr(execute, "REPAINT_S", 0.01)
    monkeypatch.setattr(execute, "REPORT_S", 0.01)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    monkeypatch.setenv("COLUMNS", "200")
    cells = [v4.new_markdown_cell("# 07 · Some title"), *(v4.new_code_cell("1") for _ in range(3))]
    notebook = v4.new_notebook(cells=cells, metadata={"vidgen": {"minutes": 100}})
    out = ""

    def said(text):
        nonlocal out
        out += capsys.readouterr().out
        return text in out

    with execute._Progress(notebook, Path("07_x.ipynb"), "fast") as progress:
        wait_for(lambda: said(" 0 of 3 cells done, about "))
        progress.done = 2
        wait_for(lambda: said(" 2 of 3 cells done, about "))
    said("")
    if is_terminal:
        assert re.match(r"\r\x1b\[K07  Some title: \d:\d\d, 0 of 3", out) and out.endswith("\r\x1b[K") and "\n" not in out
    else:
        first, *others = out.splitlines()
        assert first == "07  Some title: 3 code cells, expected 100:00"
        assert all(re.fullmatch(r"    \d+:\d\d, [02] of 3 cells done, about \d+:\d\d left", line) for line in others)


def test_the_full_budget_has_no_stated_time(tmp_path, capsys):
    path = write_notebook(tmp_path / "07_short.ipynb", ("md", "# 07 · Short"), "1")
    assert execute.run([path], tmp_path / "build", "full")
    assert "07  Short: 1 code cell, no time stated\n" in capsys.readouterr().out
    assert execute.run([path], tmp_path / "build", "fast")
    out = capsys.readouterr().out
    assert out.startswith("Executing 1 notebook, about 2:00 minutes.\n07  Short: 1 code cell, expected 2:00\n")
    noted = last_run(read(tmp_path / "build/07_short.ipynb"))
    assert noted["passed"] is True and noted["seconds"] > 0 and re.fullmatch("[0-9a-f]{64}", noted["sources"])


def test_a_gallery_card_shows_large_and_late_clips_and_a_figure_only_where_nothing_moves():
    def notebook(*images):
        cells = [v4.new_code_cell("", outputs=[v4.new_output("display_data", {"image/png": image})]) for image in images]
        return v4.new_notebook(cells=cells)

    small, early, late, large = moving = [apng(*size, i) for i, size in enumerate([(64, 64), (96, 96), (96, 96), (192, 400)])]
    still = [apng(200, width, frames=1) for width in (900, 901)]
    assert gallery.representative_clips(notebook(*moving, *still)) == [large, late, early]
    assert gallery.representative_clips(notebook(small, small)) == [small]
    assert gallery.representative_clips(notebook(*still)) == [still[1]]


def test_equations_become_images_but_code_and_money_stay(tmp_path):
    ready = self_contained("a $z_t \\le 1$ b `$c$` and $5 or $6\n```\n$d$\n```\n$$\\lVert e \\rVert$$ $\\nonsense{x}$", tmp_path)
    assert ready.count("<img") == 2 and ready.count('class="display"') == 1
    for kept in ("`$c$`", "$5 or $6", "```\n$d$\n```", "$\\nonsense{x}$"):
        assert kept in ready
    with pytest.raises(CourseError, match="missing"):
        self_contained("![a](nowhere.png)", tmp_path)
