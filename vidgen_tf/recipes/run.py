"""Trains a model of the zoo by its recipe, evaluates it, and releases it into the zoo."""

import datetime
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import keras
import tensorflow as tf

from .. import datasets, workers
from ..errors import CourseError
from ..evaluation.scores import evaluate_trained
from ..files import atomic_path, check_writable
from ..zoo.records import FOLDER, current_name, sha256, write_record
from ..zoo.weights import read_weights, write_weights
from . import RECIPES


def find(name):
    """The recipe of a model of the zoo.

    Args:
        name: str, a name in `RECIPES`, or the one that it had in the last version.

    Returns:
        `Recipe`.

    Raises:
        CourseError: unknown name.
    """
    name = current_name(name)
    if name not in RECIPES:
        raise CourseError(f"There is no recipe for {name!r}; there are {', '.join(RECIPES)}.")
    return RECIPES[name]


def train(name, budget="full", folder="build/train", resume=False):
    """Trains a model of the zoo by its recipe; weights and record appear in `folder`.

    Args:
        name: str, a name in `RECIPES`.
        budget: "fast" or "full".
        folder: where `NAME.weights.h5`, `NAME.json` (the record) and the checkpoint go.
        resume: go on from the checkpoint there; otherwise it is removed first.

    Returns:
        Path of the weight file; None in a worker that isn't the chief, which writes and evaluates nothing.

    Raises:
        CourseError: unknown name or budget, a folder that can't be written to, a damaged checkpoint, a worker that is gone.
    """
    recipe = find(name)
    if budget not in recipe.steps:
        raise CourseError(f"There is no budget {budget!r}; there are {', '.join(recipe.steps)}.")
    folder = check_writable(folder)
    checkpoint = folder / f"{recipe.name}-{budget}.checkpoint.npz"
    if checkpoint.is_file() and not resume:
        checkpoint.unlink(missing_ok=True)  # another worker may have been faster
    begun = provenance()  # the commit of the code that trains, whatever is edited meanwhile
    keras.utils.set_random_seed(recipe.seed)
    model = recipe.build()
    history = recipe.train(recipe, model, recipe.steps[budget], checkpoint)
    if not workers.is_chief():
        return None
    path = folder / f"{recipe.name}.weights.h5"
    clean = recipe.build()  # without optimizers, which don't ship
    clean.set_weights(model.get_weights())
    write_weights(clean, path)
    read_weights(clean, path)  # evaluated as it ships, in half precision
    record = _record(recipe, budget, history, path) | begun
    record["scores"] = evaluate_trained(clean, record)
    with atomic_path(folder / f"{recipe.name}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    return path


def _record(recipe, budget, history, path):
    """The record of trained weights, but for the scores."""
    dataset, split = recipe.dataset
    group = workers.current()
    together = f" --workers {group.count}" if group else ""
    return recipe.record() | {
        "file": path.name,
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "command": f"python -m vidgen_tf train {recipe.name} --budget {budget}{together}",
        "steps": recipe.steps[budget],
        "dataset": {"name": dataset, "split": split, "sha256": datasets.checksum(dataset, split)},
        "minutes": round(float(history["seconds"][-1]) / 60, 1),
    }


def release(name, folder="build/train"):
    """Puts trained weights and their record into the zoo.

    Args:
        name: str, a name in `RECIPES`.
        folder: where `train` has put them.

    Raises:
        CourseError: there is no record, because nothing has been trained there.
    """
    folder, name = Path(folder), current_name(name)
    try:
        record = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError) as error:
        raise CourseError(f"{folder} has no record of {name}: train it first, python -m vidgen_tf train {name}") from error
    with atomic_path(FOLDER / record["file"]) as temporary:
        shutil.copyfile(folder / record["file"], temporary)
    write_record(name, record)


def provenance():
    """Where and with what something is trained now.

    Returns:
        dict of "commit", "machine", "versions" and "date".
    """
    return {
        "commit": _commit(),
        "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
        "date": datetime.date.today().isoformat(),
    }


def _commit():
    """The commit that the code stands at, "+" behind it where files other than the zoo's differ; None outside git."""
    git = ["git", "-C", str(FOLDER)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "-uno", "--", ":/", f":!/{FOLDER.parent.parent.name}/zoo/files"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if dirty else "")
