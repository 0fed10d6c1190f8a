"""A copy of what a newcomer clones, for the tests of course.py.

The installer is a stand-in named uv that makes a real .venv without a network. The real one runs wherever the tests do:
it is what made their environment.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from toy_notebooks import wait_for

ROOT = Path(__file__).parents[1]

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
        time.sleep(600)
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
        shutil.copytree(ROOT / "vidgen_tf" / "coursebook", self.path / "vidgen_tf" / "coursebook")
        for name in ("__init__.py", "errors.py", "files.py"):  # all of the package that the commands themselves need
            shutil.copy(ROOT / "vidgen_tf" / name, self.path / "vidgen_tf")
        for name in ("course.py", "pyproject.toml", "requirements-lock.txt"):
            shutil.copy(ROOT / name, self.path)
        (self.path / "notebooks").mkdir()
        (self.path / "notebooks" / "00_tiny.ipynb").touch()
        uv = self.tools / "uv"
        uv.write_text(UV.format(python=sys.executable, folder=str(self.path), minor="{}.{}".format(*sys.version_info)))
        uv.chmod(0o755)

    def start(self, *arguments, python=sys.executable, fake="", stdout=subprocess.PIPE, **environment):
        ours = ("VIDGEN_", "PYTEST_", "KERAS_", "JUPYTER_", "PYTHONPATH", "COV_")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        clean |= {"PATH": str(self.tools), "FAKE": fake} | environment
        command = [str(python), str(self.path / "course.py"), *arguments]
        return subprocess.Popen(command, cwd=self.tools, env=clean, text=True, stdout=stdout, stderr=subprocess.PIPE)

    def call(self, *arguments, **options):
        process = self.start(*arguments, **options)
        process.out, process.err = process.communicate(timeout=240)
        assert "Traceback" not in process.err, process.err
        return process

    def installer_calls(self):
        calls = self.path / "calls"
        return [line.split() for line in calls.read_text().splitlines() if "--version" not in line] if calls.exists() else []

    def wait_for_packages(self):
        """Until the installer is at its work; its process id."""
        wait_for(lambda: any("-r" in call for call in self.installer_calls()))
        return next(int(call[0]) for call in reversed(self.installer_calls()) if "-r" in call)


def one_sentence(text, *words):
    lines = text.strip().splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), text
