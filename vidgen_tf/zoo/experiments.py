"""The zoo's records of experiments that take too long for a notebook."""

import json

from ..errors import CourseError
from ..files import atomic_path
from .records import FOLDER

EXPERIMENTS = FOLDER / "experiments.json"


def experiment(name):
    """The record of an experiment.

    Args:
        name: str, of the experiment.

    Returns:
        dict of "command", which does it again, "seed", "commit", "machine", "versions", "date", and "rows", a list of dicts.

    Raises:
        CourseError: it hasn't been recorded, or the file is damaged.
    """
    records = _records()
    if name not in records:
        raise CourseError(f"No experiment {name!r} has been recorded; there are {', '.join(records) or 'none'}.")
    return records[name]


def _records():
    if not EXPERIMENTS.exists():
        return {}
    try:
        records = json.loads(EXPERIMENTS.read_text())
        whole = all({"command", "rows"} <= record.keys() for record in records.values())
    except (OSError, ValueError, AttributeError) as error:
        raise CourseError(f"{EXPERIMENTS} is damaged: restore it with git checkout.") from error
    if not whole:
        raise CourseError(f"{EXPERIMENTS} is damaged: restore it with git checkout.")
    return records


def record_experiment(name, rows, command, seed, provenance):
    """Keeps the results of an experiment, with its provenance.

    Args:
        name: str, of the experiment.
        rows: list of dicts of str and float.
        command: str, what does it again.
        seed: int, of the experiment.
        provenance: dict of "commit", "machine", "versions" and "date", see `recipes.run.provenance`.
    """
    entry = {"command": command, "seed": seed} | provenance | {"rows": rows}
    with atomic_path(EXPERIMENTS) as temporary:
        temporary.write_text(json.dumps(_records() | {name: entry}, indent=1, sort_keys=True) + "\n")


def run_rows(path, runs, make):
    """The rows of an experiment, one after the other; an interrupted one goes on with the rows that it has.

    Args:
        path: Path of the file (.json) that keeps the rows until all are there.
        runs: sequence of what is run, in a fixed order.
        make: function from an entry of `runs` to its row, a dict of str and float.

    Returns:
        list of what `make` gave.
    """
    rows = read_rows(path) if path.is_file() else []
    for run in list(runs)[len(rows) :]:
        rows.append(make(run))
        write_rows(path, rows)
    path.unlink(missing_ok=True)
    return rows


def write_rows(path, rows):
    """Keeps rows of an experiment in a file.

    Args:
        path: Path of the file, .json.
        rows: list of dicts of str and float.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")


def read_rows(path):
    """Rows that `write_rows` has kept.

    Args:
        path: Path of the file, .json.

    Returns:
        list of dicts of str and float.

    Raises:
        CourseError: the file is damaged.
    """
    try:
        rows = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CourseError(f"{path} is damaged: delete it to start anew.") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CourseError(f"{path} is damaged: delete it to start anew.")
    return rows
