"""Trains a model of the zoo by its recipe, evaluates it, and puts it into the zoo."""

import datetime
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from ..atomic import atomic_path
from ..errors import CourseError
from ..zoo import recipe
from ..zoo.manifest import FOLDER, MANIFEST, manifest, sha256
from ..zoo.weights import read_weights, write_weights


def train(name, budget="full", folder="build/train", resume=False):
    """Trains a model of the zoo by its recipe; weights and record appear in `folder`.

    Args:
        name: a name in `RECIPES`.
        budget: "fast" or "full".
        folder: where `NAME.weights.h5`, `NAME.json` (the record) and the checkpoint go.
        resume: go on from the checkpoint there; otherwise it is removed first.

    Returns:
        Path of the weight file.

    Raises:
        CourseError: unknown name or budget, a folder that can't be written to, a damaged checkpoint.
    """
    maker = recipe(name)
    if budget not in maker.steps:
        raise CourseError(f"There is no budget {budget!r}; there are {', '.join(maker.steps)}.")
    folder = check_writable(folder)
    checkpoint = folder / f"{name}-{budget}.checkpoint.npz"
    if checkpoint.is_file() and not resume:
        checkpoint.unlink()
    begun = provenance()  # the commit of the code that trains, whatever is edited meanwhile
    import keras

    keras.utils.set_random_seed(maker.seed)
    model = maker.build()
    history = maker.train(model, maker.steps[budget], checkpoint)
    path = folder / f"{name}.weights.h5"
    write_weights(model, path)
    load_pretrained = maker.build()
    read_weights(load_pretrained, path)  # the exam sits the weights as they release, rounded to half precision
    record = _record(name, maker, budget, history, path) | begun | {"exam": maker.examine(load_pretrained)}
    with atomic_path(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    return path


def check_writable(folder):
    """The folder of a training, made now and not after minutes of it.

    Args:
        folder: str or Path.

    Returns:
        Path.

    Raises:
        CourseError: it can't be written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(f"Can't write to {folder}: {error.strerror}. Choose another folder.") from error
    return folder


def release(name, folder="build/train"):
    """Puts trained weights and their record into the zoo.

    Args:
        name: a name in `RECIPES`.
        folder: where `train` has put them.

    Raises:
        CourseError: there is no record, because nothing has been trained there.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError) as error:
        raise CourseError(f"{folder} has no record of {name}: train it first, python -m vidgen_tf train {name}") from error
    with atomic_path(FOLDER / record["file"]) as temporary:
        shutil.copyfile(folder / record["file"], temporary)
    with atomic_path(MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest() | {name: record}, indent=1, sort_keys=True) + "\n")


def provenance():
    """Where and with what something is trained now.

    Returns:
        dict of "commit", "machine", "versions" and "date".
    """
    import keras
    import tensorflow as tf

    return {
        "commit": _commit(),
        "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
        "date": datetime.date.today().isoformat(),
    }


def _record(name, maker, budget, history, path):
    from . import datasets

    dataset, split = maker.dataset
    return {
        "file": path.name,
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "command": f"python -m vidgen_tf train {name} --budget {budget}",
        "seed": maker.seed,
        "steps": maker.steps[budget],
        "dataset": {"name": dataset, "split": split, "sha256": datasets.checksum(dataset, split)},
        "minutes": round(float(history["seconds"][-1]) / 60, 1),
    }


def _commit():
    """The commit that the code stands at, "+" behind it where files other than the zoo's differ; None outside git."""
    git = ["git", "-C", str(FOLDER)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "-uno", "--", ":/", ":!/vidgen_tf/zoo"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if dirty else "")
