"""Weight files: half precision, checked before they are read."""

from ..atomic import atomic_path
from ..errors import CourseError


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
