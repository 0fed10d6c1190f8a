"""What holds for every test."""

import signal

import pytest


@pytest.fixture(autouse=True)
def sigint_is_open():
    """A shell that starts the tests in the background has Ctrl-C ignored, and every process that they start inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
