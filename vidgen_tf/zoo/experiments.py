"""The zoo's records of experiments that take too long for a notebook."""

import json
from ..atomic import atomic_path
from ..errors import CourseError
from .manifest import FOLDER


EXPERIMENTS = FOLDER / "experiments.json"


def experiment(name):
    """The record of an experiment that takes too long for a notebook.

    Args:
        name: of the experiment.

    Returns:
        dict of "command", which does it again, "seed", "commit", "machine", "versions", "date", and "rows", a list of dicts.

    Raises:
        CourseError: it hasn't been recorded, or the file is damaged.
    """
    try:
        records = json.loads(EXPERIMENTS.read_text()) if EXPERIMENTS.exists() else {}
        record = records.get(name)
        assert record is None or {"command", "rows"} <= record.keys()
    except (OSError, ValueError, AttributeError, AssertionError) as error:
        raise CourseError(f"{EXPERIMENTS} is damaged: restore it with git checkout.") from error
    if record is None:
        raise CourseError(f"No experiment {name!r} has been recorded; there are {', '.join(records) or 'none'}.")
    return record


def record_experiment(name, rows, command, seed, begun):
    """Keeps what an experiment has found, with its provenance.

    Args:
        name: of the experiment.
        rows: list of dicts of str and float.
        command: what does it again.
        seed: of the experiment.
        begun: what `provenance` gave when it began.
    """
    records = json.loads(EXPERIMENTS.read_text()) if EXPERIMENTS.exists() else {}
    records[name] = {"command": command, "seed": seed} | begun | {"rows": rows}
    with atomic_path(EXPERIMENTS) as temporary:
        temporary.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n")


def rows_of(path, recipes, make):
    """The rows of an experiment, one after the other; an interrupted one goes on with the rows that it has.

    Args:
        path: Path of the file (.json) that keeps the rows until all are there.
        recipes: names of what is compared.
        make: function from such a name to a dict of float.

    Returns:
        list of dicts: "recipe", the name, and what `make` gave for it.
    """
    rows = read_rows(path) if path.is_file() else []
    for name in list(recipes)[len(rows) :]:
        rows.append({"recipe": name} | make(name))
        write_rows(path, rows)
    path.unlink()
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
        assert all(isinstance(row, dict) for row in rows)
    except (OSError, ValueError, TypeError, AssertionError) as error:
        raise CourseError(f"{path} is damaged: delete it to start anew.") from error
    return rows
