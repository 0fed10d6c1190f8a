"""Weight files: Keras' own .weights.h5 with the numbers in half precision, checked before they reach a model."""

import h5py
import numpy as np

from ..errors import CourseError
from ..files import atomic_path


def write_weights(model, path):
    """Writes a model's weights in half precision: half the size, and no score has been seen to move.

    Args:
        model: built `keras.Model`.
        path: str or Path of the file, its name ending in .weights.h5.

    Raises:
        CourseError: another ending, a full disk, or a place that can't be written to.
    """
    if not str(path).endswith(".weights.h5"):
        raise CourseError(f"Weights go to a file whose name ends in .weights.h5, not to {path}.")
    with atomic_path(path) as temporary:
        whole = temporary.with_name(temporary.name.removesuffix(".h5") + ".weights.h5")  # Keras insists on this ending
        try:
            model.save_weights(whole)
            with h5py.File(whole) as source, h5py.File(temporary, "w") as target:
                source.visititems(lambda name, item: _copy_in_half(name, item, target))
        finally:
            whole.unlink(missing_ok=True)


def _copy_in_half(name, item, target):
    """Copies a group or a dataset of a weight file, floats as half precision."""
    if isinstance(item, h5py.Group):
        target.require_group(name).attrs.update(item.attrs)
    else:
        values = item[()]
        target.create_dataset(name, data=values.astype(np.float16) if values.dtype.kind == "f" else values)


def read_weights(model, path):
    """Fills a built model with the weights of a file of `write_weights`.

    Args:
        model: built `keras.Model`.
        path: str or Path of the file.

    Raises:
        CourseError: the file is damaged, has another form, or belongs to another model.
    """
    try:
        with h5py.File(path, "r") as file:
            finite = []
            file.visititems(lambda _, item: finite.append(_is_finite(item)) if isinstance(item, h5py.Dataset) else None)
    except OSError as error:
        raise CourseError(f"{path} can't be read as weights: is it damaged, or not made by `train`?") from error
    if not all(finite):
        raise CourseError(f"{path} holds weights that are not finite: train the model again.")
    try:
        model.load_weights(path)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CourseError(f"{path} holds weights of another model than {model.name}.") from error


def _is_finite(item):
    return item.dtype.kind != "f" or bool(np.isfinite(item[()]).all())
