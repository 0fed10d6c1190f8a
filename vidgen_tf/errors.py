"""The one kind of error that a user can put right, and the check that most often raises it."""

from numbers import Integral


class CourseError(ValueError):
    """A user's mistake or a machine's accident, told in one plain sentence that names the remedy.

    Commands print its text without a traceback and exit with status 1.
    """


def check_whole(lowest, **arguments):
    """Refuses arguments that must be whole numbers and are not, or are too small.

    Args:
        lowest: smallest int allowed.
        **arguments: values under the names that the user knows them by.

    Raises:
        CourseError: the first argument that is no int (NumPy's are allowed) or below `lowest`.
    """
    for name, value in arguments.items():
        if not isinstance(value, Integral) or value < lowest:
            raise CourseError(f"{name} must be a whole number, at least {lowest}, got {name}={value!r}.")
