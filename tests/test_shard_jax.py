"""Eight virtual devices train the transformer as one does; where JAX is not installed, that test is left out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "shard_jax.py"


def call(*arguments, **environment):
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_eight_devices_train_as_one_does():
    pytest.importorskip("jax")
    done = call("--steps", "3", KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    one, data, model = done.stdout.splitlines()
    assert one.startswith("one device: loss 0.9")
    assert data.startswith("data parallel") and data.endswith("a device holds 100% of them")
    held = int(model.split("holds ")[1].split("%")[0])
    assert model.startswith("model parallel") and 25 < held < 60, "a quarter of the large kernels, and all of the small ones"


def test_another_backend_is_refused():
    done = call(KERAS_BACKEND="tensorflow")
    assert done.returncode == 2 and "set KERAS_BACKEND=jax" in done.stderr
