"""pyproject.toml, the lock and environment.yml say the same, and the notebooks need nothing beyond them."""

import ast
import importlib.metadata
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements-lock.txt").read_text()
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
PIP = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# One patch release of each minor version that the course supports, on the systems that TensorFlow has wheels for.
PYTHONS = ["3.11.0", "3.11.9", "3.12.4", "3.13.1"]
SYSTEMS = {"linux": ("posix", "Linux"), "darwin": ("posix", "Darwin"), "win32": ("nt", "Windows")}


def machines():
    """An environment for markers, for each Python on each system."""
    for python in PYTHONS:
        for sys_platform, (os_name, system) in SYSTEMS.items():
            version = {"python_version": python.rsplit(".", 1)[0], "python_full_version": python}
            yield default_environment() | version | {"sys_platform": sys_platform, "os_name": os_name, "platform_system": system}


def key(requirement):
    return (
        canonicalize_name(requirement.name),
        str(requirement.specifier),
        sorted(requirement.extras),
        str(requirement.marker or ""),
    )


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def locked(text, machine):
    """name -> version of what a lock installs on a machine."""
    requirements = [Requirement(line) for line in lines(text)]
    chosen = [r for r in requirements if r.marker is None or r.marker.evaluate(machine)]
    versions = {canonicalize_name(r.name): next(iter(r.specifier)).version for r in chosen}
    assert len(versions) == len(chosen), "a package is locked twice for one machine"
    return versions


def not_locked(direct, text):
    """The requirements that a lock doesn't hold, or holds at a version outside their range, on any machine."""
    wrong = set()
    for machine in machines():
        versions = locked(text, machine)
        for requirement in direct:
            if requirement.marker is None or requirement.marker.evaluate(machine):
                version = versions.get(canonicalize_name(requirement.name))
                if version is None or version not in requirement.specifier:
                    wrong.add(str(requirement))
    return wrong


def direct_requirements(*extras):
    texts = PROJECT["dependencies"] + [text for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    return [Requirement(text) for text in texts]


def test_the_lock_holds_every_direct_requirement_within_its_range():
    assert not_locked(direct_requirements("test", "teach"), LOCK) == set()
    builder = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert not_locked([Requirement(text) for text in builder], LOCK) == set()  # course.py builds without isolation


def test_a_wrong_lock_is_found_out():
    lock = "a==1\nb==2 ; python_version < '3.13'\nc==3 ; sys_platform == 'linux'\n"
    wanted = ["a>=1", "a>=2", "b", "c<4", "d", "c ; sys_platform == 'linux'"]
    assert not_locked([Requirement(text) for text in wanted], lock) == {"a>=2", "b", "c<4", "d"}


def test_the_lock_pins_and_names_no_address():
    for line in lines(LOCK):
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+( ; .+)?", line), line
    assert "://" not in LOCK and "@" not in LOCK


def test_the_lock_is_complete():
    """course.py installs it without resolving, so each package's own requirements must be in it too."""
    versions = locked(LOCK, default_environment())
    missing = []
    for name in versions:
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                version = versions.get(canonicalize_name(requirement.name))
                if version is None or not requirement.specifier.contains(version, prereleases=True):
                    missing.append(f"{name} needs {text}")
    assert missing == []


@pytest.mark.skipif(Path(sys.prefix).resolve() != ROOT / ".venv", reason="an environment of the user's own")
def test_the_environment_is_the_locks():
    versions = locked(LOCK, default_environment())
    assert {name: importlib.metadata.version(name) for name in versions} == versions


def test_conda_gets_the_same_requirements():
    wanted = [key(requirement) for requirement in direct_requirements("test", "teach")]
    assert [key(Requirement(text)) for text in PIP[:-1]] == wanted
    assert PIP[-1] == "-e ."  # last: by then there is nothing left for it to resolve


def test_conda_gets_the_same_python():
    python = next(entry for entry in CONDA["dependencies"] if str(entry).startswith("python"))
    assert Requirement(python).specifier == Requirement("python" + PROJECT["requires-python"]).specifier
    assert CONDA["channels"][0] == "conda-forge" and "pip" in CONDA["dependencies"]
    assert CONDA["name"] == PROJECT["name"] and CONDA["variables"] == {"VIDGEN_ENV": "current"}


def test_a_wheel_holds_every_file_of_the_package():
    """Modules come along by themselves, every other file by a pattern of pyproject.toml."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["vidgen_tf"]
    packed = {path for pattern in patterns for path in (ROOT / "vidgen_tf").glob(pattern)}
    files = {path for path in (ROOT / "vidgen_tf").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(ROOT).as_posix() for path in files - packed if path.suffix != ".py"} == set()
    assert ROOT / "vidgen_tf/coursebook/templates/page.html.j2" in packed


def test_keras_and_tensorflow_have_the_ranges_that_the_course_was_written_for():
    ranges = {canonicalize_name(r.name): r.specifier for r in direct_requirements()}
    assert "3.15.0" in ranges["keras"] and "3.14.9" not in ranges["keras"]
    assert "2.21.0" in ranges["tensorflow"] and "2.22.0" not in ranges["tensorflow"]
    assert set(PROJECT["optional-dependencies"]) >= {"test", "gpu", "teach"}


def test_course_py_knows_what_an_environment_needs():
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    owners = importlib.metadata.packages_distributions() | {"vidgen_tf": [PROJECT["name"]]}

    def packages(modules):
        return {canonicalize_name(owners[module][0]) for module in modules}

    def names(requirements):
        return {canonicalize_name(requirement.name) for requirement in requirements}

    assert packages(course.MODULES) == names(direct_requirements()) | {PROJECT["name"]}
    assert packages(course.TEST_MODULES) == names(direct_requirements("test", "teach")) - names(direct_requirements())
    python = Requirement("python" + PROJECT["requires-python"]).specifier
    assert course.SUPPORTED == tuple(minor for minor in range(30) if f"3.{minor}.0" in python)


def unmet(source):
    """What a notebook's code would need beyond the environment: modules that don't import, and installers it calls."""
    installs = re.findall(r"^\s*[!%]+\s*(?:pip|conda|mamba|uv|apt|apt-get)\b.*", source, flags=re.M)
    code = "\n".join("" if line.lstrip().startswith(("!", "%")) else line for line in source.splitlines())
    modules = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module.split(".")[0])
    return sorted(modules - set(sys.stdlib_module_names) - {m for m in modules if importlib.util.find_spec(m)}) + installs


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_starts_without_pip(path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [found for source in cells for found in unmet(source)] == []


def test_a_notebook_that_needs_pip_is_found_out():
    assert unmet("import os, numpy.linalg\nfrom vidgen_tf import video") == []
    assert unmet("import nothing_like_it.sub\n!pip install it\n%pip install that") == [
        "nothing_like_it",
        "!pip install it",
        "%pip install that",
    ]
