"""The zoo's records of shipped weights."""

import hashlib
import json
from pathlib import Path

from ..errors import CourseError
from ..files import atomic_path

FOLDER = Path(__file__).with_name("files")
MANIFEST = FOLDER / "manifest.json"

# What a record holds. "config", "uses", "sampling", "dataset" and "scores" are dicts; the values of scores are numbers.
FIELDS = {
    "bytes": int,
    "command": str,
    "commit": (str, type(None)),
    "config": dict,
    "dataset": dict,  # "name", "split", "sha256"
    "date": str,
    "drawn": dict,  # a name in datasets.DRAWN -> how many of its clips were trained on besides the data set
    "evaluation": str,  # a name in evaluation.scores.EVALUATIONS
    "file": str,
    "machine": str,
    "minutes": (int, float),
    "model": str,  # a name in zoo.loading.MODELS
    "pipeline": (str, type(None)),  # a name in pipelines.sampling.PIPELINES; None for classifiers, which generate nothing
    "reference": (str, type(None)),  # whose real clips its own are evaluated beside, a name in evaluation.spec.SPECS or datasets
    "sampling": dict,
    "scores": dict,
    "seed": int,
    "sha256": str,
    "steps": int,
    "uses": dict,  # role -> name of another model of the zoo
}
RENAMED = {  # the last version's names answer for one version more
    "dense-faces": "glo-faces",
    "judge-digits": "classifier-digits-28",
    "judge-digits-32": "classifier-digits",
    "judge-faces": "classifier-faces",
    "judge-shapes": "classifier-shapes",
    "judge-motion-digits": "video-classifier-digits",
    "judge-motion-shapes": "video-classifier-shapes",
}


def manifest():
    """The zoo's records.

    Returns:
        dict from a model's name to its record, a dict of the `FIELDS`; empty where nothing has been shipped.

    Raises:
        CourseError: the manifest is damaged.
    """
    if not MANIFEST.exists():
        return {}
    try:
        records = json.loads(MANIFEST.read_text())
        damaged = [name for name, entry in records.items() if not _is_whole(entry)]
    except (OSError, ValueError, AttributeError) as error:
        raise CourseError(f"{MANIFEST} is damaged: restore it with git checkout.") from error
    if damaged:
        raise CourseError(f"{MANIFEST} is damaged at {', '.join(damaged)}: restore it with git checkout.")
    return records


def _is_whole(entry):
    """Whether a record has all fields, of the right types, and a file name that leads nowhere else."""
    if not isinstance(entry, dict) or any(not isinstance(entry.get(key), kind) for key, kind in FIELDS.items() if key in entry):
        return False
    numbers = all(isinstance(value, int | float) for value in entry.get("scores", {}).values())
    return entry.keys() >= FIELDS.keys() and numbers and Path(entry["file"]).name == entry["file"]


def current_name(name):
    """The present name of a model of the zoo.

    Args:
        name: str, a model's name, or the one that it had in the last version.

    Returns:
        str.
    """
    return RENAMED.get(name, name)


def record(name):
    """The record of a shipped model.

    Args:
        name: str, a name in `manifest()`, or the one that it had in the last version.

    Returns:
        dict of the `FIELDS`.

    Raises:
        CourseError: nothing of this name has been shipped.
    """
    records, name = manifest(), current_name(name)
    if name not in records:
        raise CourseError(f"There are no weights named {name!r} in the zoo; there are {', '.join(records) or 'none'}.")
    return records[name]


def verified_path(name):
    """The weight file of a shipped model, once its sha256 is found to be the recorded one.

    Args:
        name: str, a name in `manifest()`, or the one that it had in the last version.

    Returns:
        Path.

    Raises:
        CourseError: nothing shipped, a missing file, or another one than the record describes.
    """
    entry, name = record(name), current_name(name)
    path = FOLDER / entry["file"]
    if not path.is_file():
        raise CourseError(f"{path} is missing: restore it with git checkout, or train it: python -m vidgen_tf train {name}")
    if sha256(path) != entry["sha256"]:
        raise CourseError(
            f"{path} is not the file that the zoo's manifest describes, so it is not read: restore it with git checkout."
        )
    return path


def write_record(name, entry):
    """Puts a record into the manifest, in place of one that it has of this name.

    Args:
        name: str, the model's name.
        entry: dict of the `FIELDS`.
    """
    with atomic_path(MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest() | {name: entry}, indent=1, sort_keys=True) + "\n")


def sha256(path):
    """sha256 of a file.

    Args:
        path: str or Path.

    Returns:
        str, 64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
