"""When nobody is looking, nothing is drawn that moves."""

import os


def quiet():
    """True under a test or in an executed notebook, where a moving progress bar would end up in the stored output."""
    return bool(os.environ.get("VIDGEN_QUIET") or os.environ.get("PYTEST_CURRENT_TEST"))
