"""The zoo: weights that ship with the course, each with a record of what it is and how it was trained.

A record says which model of the course it is and with which configuration, so that `load` needs nothing else to build it; the
weights are read after their sha256 was checked. Importing this package is fast: Keras comes with the first model.
"""

from .experiments import experiment, record_experiment, run_rows
from .records import RENAMED, current_name, manifest, record, verified_path

__all__ = [
    "RENAMED",
    "build",
    "current_name",
    "experiment",
    "load",
    "manifest",
    "record",
    "record_experiment",
    "run_rows",
    "verified_path",
]


def load(name):
    """A model of the zoo with its shipped weights.

    Args:
        name: str, a name in `manifest()`, or the name that it had in the last version.

    Returns:
        `keras.Model`, built from the record.

    Raises:
        CourseError: unknown name, or a weight file that is missing or not the one recorded. It is refused before Keras reads it.
    """
    from .weights import read_weights

    path = verified_path(name)
    model = build(record(name))
    read_weights(model, path)
    return model


def build(entry):
    """The untrained model that a record describes.

    Args:
        entry: dict with "model", a name in `loading.MODELS`, "config", a dict, and "seed", an int.

    Returns:
        `keras.Model`.

    Raises:
        CourseError: the record names a model or a configuration that this version doesn't know.
    """
    from .loading import build_model

    return build_model(entry["model"], entry["config"], entry["seed"])
