"""What holds for every test."""

import gc
import os
import signal
import sys

import numpy as np
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # beside other processes, more threads than cores would wait for each other
    for library in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(library, "1")


gc.disable()  # until all is imported: that makes half a million objects, and all of them stay


def pytest_collection_finish():
    """From here on garbage is collected, and what was imported isn't gone through again each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def sigint_is_open():
    """A shell that starts the tests in the background has Ctrl-C ignored, and every process that they start inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def random_numbers_start_anew(request):
    """A test draws the same numbers whatever ran before it: those of its module's `RNG`, and Keras' weights and noise."""
    if hasattr(request.module, "RNG"):
        request.module.RNG = np.random.default_rng(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
