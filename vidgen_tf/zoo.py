"""The zoo: weights that ship with the course, each with a record of how it was trained.

A recipe says how a model is built, trained, sampled and examined. `train` follows it, `ship` puts the result into the zoo with
its provenance, `load` builds the model from the course's code and fills in the weights, after their sha256 was checked.
"""

import datetime
import hashlib
import importlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

from .errors import CourseError
from .files import atomic_path

FOLDER = Path(__file__).with_name("zoo")
MANIFEST = FOLDER / "manifest.json"
EXPERIMENTS = FOLDER / "experiments.json"

# Name -> "module:class". A recipe has the attributes `title`, `dataset` (name, split), `seed`, `steps` (a dict from budget to
# training steps), and the methods build() -> model, train(model, steps, checkpoint) -> history,
# sample(model, count, seed) -> list of clips, examine(model) -> dict of numbers. Where its clips sit the exam of another world
# than its dataset's, it has `world`, a name in `exam.WORLDS`; a judge has `makes_clips` = False. A predictor
# has `context_frames`, and truth(count, seed) -> `LabelledClips`, from whose first frames sample(model, count, seed) goes on.
RECORDED = {"file", "sha256", "bytes", "command", "seed", "steps", "commit", "dataset", "minutes", "machine", "date", "exam"}
RECIPES = {
    "dense-faces": "vidgen_tf.models.dense:DenseFaces",
    "judge-digits": "vidgen_tf.models.judge:JudgeDigits",
    "judge-digits-32": "vidgen_tf.models.judge:JudgeMovingDigits",
    "judge-faces": "vidgen_tf.models.judge:JudgeFaces",
    "judge-shapes": "vidgen_tf.models.judge:JudgeShapes",
    "judge-motion-digits": "vidgen_tf.models.motion:JudgeMotionDigits",
    "judge-motion-shapes": "vidgen_tf.models.motion:JudgeMotionShapes",
    "mlp-gan-digits": "vidgen_tf.models.gan:MLPGANDigits",
    "dcgan-faces": "vidgen_tf.models.dcgan:DCGANFaces",
    "latent-gru-digits": "vidgen_tf.models.latent_rnn:LatentGRUDigits",
    "svg-digits": "vidgen_tf.models.latent_rnn:SVGDigits",
    "vae-digits": "vidgen_tf.models.vae:VAEDigits",
    "vae-digits-low-beta": "vidgen_tf.models.vae:VAEDigitsLowBeta",
    "vae-shapes": "vidgen_tf.models.vae:VAEShapes",
    "convlstm-digits": "vidgen_tf.models.convlstm:ConvLSTMDigits",
    "simvp-digits": "vidgen_tf.models.convlstm:SimVPDigits",
    "diffusion-digits": "vidgen_tf.models.diffusion:DiffusionDigits",
    "diffusion-shapes": "vidgen_tf.models.diffusion:DiffusionShapes",
    "text-to-video-digits": "vidgen_tf.models.text_to_video:TextToVideoDigits",
    "text-to-video-shapes": "vidgen_tf.models.text_to_video:TextToVideoShapes",
}


def recipe(name):
    """The recipe of a model of the zoo.

    Args:
        name: a name in `RECIPES`.

    Returns:
        An object with the attributes and methods that the comment above `RECIPES` lists.

    Raises:
        CourseError: unknown name.
    """
    if name not in RECIPES:
        raise CourseError(f"There is no model {name!r} in the zoo; there are {', '.join(RECIPES)}.")
    module, _, attribute = RECIPES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)()


def manifest():
    """The zoo's records.

    Returns:
        dict from a model's name to its file, sha256, bytes, provenance and exam; empty where nothing has been shipped.

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


def load(name):
    """A model of the zoo with its shipped weights.

    Args:
        name: a name in `RECIPES`.

    Returns:
        `keras.Model`, built by the recipe.

    Raises:
        CourseError: unknown name, or a weight file that is missing or not the one recorded. It is refused before Keras reads it.
    """
    maker = recipe(name)
    path = checked(name)
    model = maker.build()
    read_weights(model, path)
    return model


def checked(name):
    """A model's shipped weight file, once its sha256 is found to be the recorded one.

    Args:
        name: a name in `RECIPES`.

    Returns:
        Path.

    Raises:
        CourseError: nothing shipped, a missing file, or another one than the record describes.
    """
    entry = manifest().get(name)
    if entry is None:
        raise CourseError(f"{name} has no shipped weights yet: train them with python -m vidgen_tf train {name}")
    path = FOLDER / entry["file"]
    if not path.is_file():
        raise CourseError(f"{path} is missing: restore it with git checkout, or train it: python -m vidgen_tf train {name}")
    if sha256(path) != entry["sha256"]:
        raise CourseError(
            f"{path} is not the file that the zoo's manifest describes, so it is not read: restore it with git checkout."
        )
    return path


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
    folder = workplace(folder)
    checkpoint = folder / f"{name}-{budget}.checkpoint.npz"
    if checkpoint.is_file() and not resume:
        checkpoint.unlink()
    begun = origin()  # the commit of the code that trains, whatever is edited meanwhile
    import keras

    keras.utils.set_random_seed(maker.seed)
    model = maker.build()
    history = maker.train(model, maker.steps[budget], checkpoint)
    path = folder / f"{name}.weights.h5"
    write_weights(model, path)
    shipped = maker.build()
    read_weights(shipped, path)  # the exam sits the weights as they ship, rounded to half precision
    record = _record(name, maker, budget, history, path) | begun | {"exam": maker.examine(shipped)}
    with atomic_path(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    return path


def workplace(folder):
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


def ship(name, folder="build/train"):
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
        begun: what `origin` gave when it began.
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


def origin():
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


def write_weights(model, path):
    """Writes a model's weights as .weights.h5 in half precision: half the size, and no exam result has been seen to move.

    Args:
        model: built `keras.Model`.
        path: str or Path of the file.
    """
    import h5py
    import numpy as np

    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for i, weight in enumerate(model.weights):
            file.create_dataset(f"{i:04d}", data=weight.numpy().astype(np.float16))


def read_weights(model, path):
    """Fills a built model with weights from a file of `write_weights`.

    Args:
        model: built `keras.Model`.
        path: str or Path of the file.

    Raises:
        CourseError: the file is damaged, has another form, or belongs to another model.
    """
    import h5py
    import numpy as np

    try:
        with h5py.File(path, "r") as file:
            values = [np.asarray(file[key][()], np.float32) for key in sorted(file)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CourseError(f"{path} can't be read as weights: is it damaged, or not made by `train`?") from error
    if [value.shape for value in values] != [tuple(weight.shape) for weight in model.weights]:
        raise CourseError(f"{path} holds weights of another model than {model.name}.")
    if not all(np.isfinite(value).all() for value in values):
        raise CourseError(f"{path} holds weights that are not finite: train the model again.")
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)


def sha256(path):
    """sha256 of a file.

    Args:
        path: str or Path.

    Returns:
        str, 64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
