"""What configured models share: frozen configurations, and models that Keras saves and loads by their constructor's arguments."""

import dataclasses
import inspect
import typing

import keras

from ..errors import CourseError, check_whole


class Config:
    """Base of the models' configurations: frozen dataclasses of sizes that Keras can write into a saved model.

    Every field annotated as `int` must be at least 1, and so must every entry of a tuple; lists become tuples.

    Raises:
        CourseError: a size that is no whole number or below 1.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int:
                check_whole(1, **{field.name: value})
            elif typing.get_origin(field.type) is tuple:
                if not isinstance(value, (tuple, list)):
                    raise CourseError(f"{field.name} must be a tuple of whole numbers, got {field.name}={value!r}.")
                for size in value:
                    check_whole(1, **{field.name: size})
                object.__setattr__(self, field.name, tuple(value))  # a file holds lists

    def get_config(self):
        """The fields, as Keras writes them into a file.

        Returns:
            dict.
        """
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_config(cls, config):
        """The configuration of these fields.

        Args:
            config: dict that `get_config` returned.

        Returns:
            An instance of this class.
        """
        return cls(**config)


class ConfiguredModel(keras.Model):
    """Base of the subclassed models: Keras saves their constructor's arguments, and builds them from these again.

    A subclass keeps each argument of its constructor in an attribute of the same name, and ends the constructor with
    `self.build(shape)`: its weights then exist from the start, and Keras knows the shape to export it with.

    Args:
        **options: `name` and the other options of `keras.Model`.
    """

    def __init__(self, **options):
        super().__init__(**options)

    def get_config(self):
        """The constructor's arguments and the dtype policy, as Keras writes them into a file.

        Returns:
            dict.
        """
        names = list(inspect.signature(type(self).__init__).parameters)[1:]  # without self
        arguments = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}
        return arguments | {"dtype": keras.dtype_policies.serialize(self.dtype_policy)}

    @classmethod
    def from_config(cls, config):
        """A new model from what `get_config` returned, computing in the same precision.

        Args:
            config: dict.

        Returns:
            An instance of this class, with newly initialised weights.
        """
        arguments = {name: keras.saving.deserialize_keras_object(value) for name, value in config.items()}
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(arguments.pop("dtype"))
        try:
            return cls(**arguments)
        finally:
            keras.config.set_dtype_policy(before)


def check_multiple(image_size, factor, reason):
    """Refuses an image size that a network can't halve or cut into patches evenly.

    Args:
        image_size: int, height and width, px.
        factor: int that must divide it.
        reason: str, where the factor comes from.

    Raises:
        CourseError: it doesn't.
    """
    if image_size % factor:
        larger = -(-image_size // factor) * factor
        raise CourseError(f"image_size must be a multiple of {factor} ({reason}), got {image_size}: choose {larger} for example.")


def check_float_frames(frames):
    """Refuses frames whose pixels are whole numbers: models compute with floats in [-1, 1].

    Args:
        frames: tensor.

    Raises:
        CourseError: its dtype is no float.
    """
    dtype = keras.backend.standardize_dtype(frames.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise CourseError(f"A model reads float frames in [-1, 1], got {dtype}: convert pixels with vidgen_tf.video.to_float.")
