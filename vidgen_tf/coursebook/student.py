"""The students' versions of notebooks, and their copies to work in."""

import hashlib
import itertools
import re
from pathlib import Path

from ..errors import CourseError
from .notebook import as_text, normalize, read, write

HIDDEN = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME).*?### END \1", re.DOTALL)


def write_versions(paths, build_dir):
    """Writes the student's version of notebooks to `build_dir`/student: no solutions, no hidden tests, no outputs.

    The steps are those of `nbgrader generate_assignment`, without its database.

    Args:
        paths: list of Path of notebooks.
        build_dir: str or Path; the versions go to its subfolder student.

    Returns:
        bool, True: every version was written.

    Raises:
        CourseError: a notebook can't be read, its markers or nbgrader metadata are wrong, or nbgrader is missing.
    """
    for path in paths:
        target = Path(build_dir) / "student" / path.name
        write(as_text(_without_solutions(read(path), path)), target)
        print(f"{path.name}: student's version in {target}", flush=True)
    return True


def write_copies(paths, work_dir):
    """Writes a student's copy of each notebook to work in, where there is none yet of this version of the chapter.

    No file is ever overwritten: where a chapter has changed since its copy was made, the new version goes beside the old copy,
    as NN_name_v2.ipynb. A copy says in its metadata which version it was made from.

    Args:
        paths: list of Path of notebooks.
        work_dir: Path of the folder of the copies.

    Returns:
        bool, True if every notebook has a copy, from now or before.

    Raises:
        CourseError: a copy can't be written, or nbgrader is missing.
    """
    good, made = True, 0
    for path in paths:
        try:
            notebook = read(path)
            version = chapter_version(notebook)
            old = copies_of(path, work_dir)
            if version in [_made_from(copy) for copy in old]:
                continue
            copy = _without_solutions(notebook, path)
        except CourseError as error:  # the others can be worked on
            print(f"{path.name}: no copy to work in. {error}", flush=True)
            good = False
            continue
        copy.metadata.setdefault("vidgen", {})["made_from"] = version
        target = _free_path(path, work_dir)
        write(as_text(copy), target)
        made += 1
        if old:
            beside = f"the new version is {_named(target)}, and {_named(old[-1])} stays as you left it"
            print(f"{path.name} has changed: {beside}.", flush=True)
    if made:
        print(f"{made} new {'copy' if made == 1 else 'copies'} to work in, without solutions, in {work_dir}", flush=True)
    return good


def copies_of(path, work_dir):
    """The student's copies of a chapter.

    Args:
        path: Path of the chapter's notebook, for its number.
        work_dir: Path of the folder of the copies.

    Returns:
        list of Path, the one that was saved last at the end.
    """
    return sorted(Path(work_dir).glob(f"{path.name[:2]}_*.ipynb"), key=lambda copy: (copy.stat().st_mtime, copy.name))


def chapter_version(notebook):
    """What tells one version of a chapter from another for a student: the cells without solutions, hidden tests and rubrics.

    Args:
        notebook: nbformat.NotebookNode of a complete notebook.

    Returns:
        str.
    """
    seen = [(cell.cell_type, HIDDEN.sub("", cell.source)) for cell in notebook.cells]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _made_from(copy):
    """The version that a copy was made from; None where it doesn't say so, or can't be read."""
    try:
        return read(copy).metadata.get("vidgen", {}).get("made_from")
    except CourseError:
        return None


def _free_path(path, work_dir):
    names = itertools.chain([path.name], (f"{path.stem}_v{k}.ipynb" for k in itertools.count(2)))
    return next(Path(work_dir) / name for name in names if not (Path(work_dir) / name).exists())


def _named(path):
    return f"{path.parent.name}/{path.name}"


def _without_solutions(notebook, path):
    try:
        from nbgrader import preprocessors as steps
    except ImportError:
        raise CourseError('Making student\'s versions needs nbgrader: install it with pip install -e ".[teach]".') from None
    normalize(notebook)
    resources = {"nbgrader": {}}
    try:
        for step in (
            steps.LockCells,
            steps.ClearSolutions,
            steps.ClearOutput,
            steps.ClearHiddenTests,
            steps.ClearMarkScheme,
            steps.CheckCellMetadata,
        ):
            notebook, resources = step().preprocess(notebook, resources)
    except (RuntimeError, ValueError) as error:  # nbgrader's own checks: markers without an end, ids twice
        raise CourseError(
            f"{path.name} makes no student's version, its markers or nbgrader metadata are wrong: {error}"
        ) from error
    return notebook
