"""The students' versions of notebooks."""

from pathlib import Path

from ..errors import CourseError
from .notebook import as_text, normalize, read, write


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
