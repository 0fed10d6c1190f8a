"""The one kind of error that a user can put right."""


class CourseError(ValueError):
    """A user's mistake or a machine's accident, told in one plain sentence that names the remedy.

    Commands print its text without a traceback and exit with status 1.
    """
