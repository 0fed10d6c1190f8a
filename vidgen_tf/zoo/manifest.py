"""The zoo's records of shipped weights."""

import hashlib
import json
from pathlib import Path
from ..errors import CourseError


FOLDER = Path(__file__).with_name("zoo")


MANIFEST = FOLDER / "manifest.json"


# Name -> "module:class". A recipe has the attributes `title`, `dataset` (name, split), `seed`, `steps` (a dict from budget to
# training steps), and the methods build() -> model, train(model, steps, checkpoint) -> history,
# sample(model, count, seed) -> list of clips, evaluate(model) -> dict of numbers. Where its clips sit the exam of another world
# than its dataset's, it has `world`, a name in `exam.WORLDS`; a judge has `makes_clips` = False. A predictor
# has `context_frames`, and truth(count, seed) -> `LabelledClips`, from whose first frames sample(model, count, seed) goes on.
RECORDED = {"file", "sha256", "bytes", "command", "seed", "steps", "commit", "dataset", "minutes", "machine", "date", "exam"}


def manifest():
    """The zoo's records.

    Returns:
        dict from a model's name to its file, sha256, bytes, provenance and exam; empty where nothing has been load_pretrained.

    Raises:
        CourseError: the manifest is damaged.
    """
    if not MANIFEST.exists():
        return {}
    try:
        records = json.loads(MANIFEST.read_text())
        assert all(RECORDED <= entry.keys() and Path(entry["file"]).name == entry["file"] for entry in records.values())
    except (OSError, ValueError, AttributeError, TypeError, AssertionError) as error:
        raise CourseError(f"{MANIFEST} is damaged: restore it with git checkout.") from error
    return records


def verified_path(name):
    """A model's load_pretrained weight file, once its sha256 is found to be the recorded one.

    Args:
        name: a name in `RECIPES`.

    Returns:
        Path.

    Raises:
        CourseError: nothing load_pretrained, a missing file, or another one than the record describes.
    """
    entry = manifest().get(name)
    if entry is None:
        raise CourseError(f"{name} has no load_pretrained weights yet: train them with python -m vidgen_tf train {name}")
    path = FOLDER / entry["file"]
    if not path.is_file():
        raise CourseError(f"{path} is missing: restore it with git checkout, or train it: python -m vidgen_tf train {name}")
    if sha256(path) != entry["sha256"]:
        raise CourseError(
            f"{path} is not the file that the zoo's manifest describes, so it is not read: restore it with git checkout."
        )
    return path


def sha256(path):
    """sha256 of a file.

    Args:
        path: str or Path.

    Returns:
        str, 64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
