"""When nobody is looking, nothing is drawn that moves."""

import os


def quiet():
    """Whether this is a test or an executed notebook, where a moving progress bar would end up in the stored output.

    Returns:
        bool.
    """
    return bool(os.environ.get("VIDGEN_QUIET") or os.environ.get("PYTEST_CURRENT_TEST"))
