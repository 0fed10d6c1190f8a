"""What holds for every test."""

import gc
import os
import signal

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # beside other processes, more threads than cores would wait for each other
    for library in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(library, "1")


def pytest_collection_finish():
    """What has been imported by now stays: half a million objects that no garbage collection need go through again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def sigint_is_open():
    """A shell that starts the tests in the background has Ctrl-C ignored, and every process that they start inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
