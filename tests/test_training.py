"""Training that resumes to the same weights, keeps nothing half-written, and is quiet when nobody looks."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from vidgen_tf import datasets, training
from vidgen_tf.errors import CourseError
from vidgen_tf.models.dense import DenseConfig, LatentFrames

# A training run of 12 steps in chunks of 2, with dropout so that random state matters. It kills itself with the signal
# given as its second argument (0: never) at the end of step 7, in the middle of a chunk. After SIGKILL the last checkpoint is
# that of step 6; SIGINT lets the chunk end at step 8 and writes one then.
SCRIPT = """
    import os, sys, keras, numpy as np
    from vidgen_tf import datasets, training
    checkpoint, sign, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    training.set_seed(3)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2), loss="mse")
    x = np.random.default_rng(0).normal(size=(20, 6)).astype("float32")

    class Killer(keras.callbacks.Callback):
        seen = 0
        def on_train_batch_end(self, batch, logs=None):
            Killer.seen += 1
            if sign and Killer.seen == 7:
                os.kill(os.getpid(), sign)

    fit = model.fit
    model.fit = lambda *args, callbacks, **more: fit(*args, callbacks=[*callbacks, Killer()], **more)
    batches = lambda first: datasets.pipeline(x, x[:, :1], batch_size=4, seed=5, first_step=first)
    history = training.fit(model, batches, 12, checkpoint=checkpoint, every=60 if sign == 2 else 0, log_steps=2)
    np.savez(out, *[w.numpy() for w in model.weights], loss=history["loss"], step=history["step"], seen=Killer.seen)
"""


def run_script(checkpoint, sign, out):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), checkpoint, str(int(sign)), out], env=os.environ | {"VIDGEN_QUIET": "1"}
    ).returncode


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert run_script(folder / "c.npz", 0, folder / "out.npz") == 0
    return dict(np.load(folder / "out.npz"))


@pytest.mark.parametrize("sign, remaining", [(signal.SIGKILL, 6), (signal.SIGINT, 4)])
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(sign, remaining, uninterrupted, tmp_path):
    checkpoint, out = tmp_path / "c.npz", tmp_path / "out.npz"
    assert run_script(checkpoint, sign, out) != 0 and not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"], "the checkpoint, and nothing half-written"
    assert run_script(checkpoint, 0, out) == 0
    resumed = dict(np.load(out))
    assert resumed.pop("seen") == remaining and uninterrupted["seen"] == 12
    for key, value in resumed.items():
        np.testing.assert_array_equal(value, uninterrupted[key], err_msg=key)


def tiny_model(num_frames=8):
    training.set_seed(0)
    model = LatentFrames(num_frames, DenseConfig(latent_dim=4, hidden=(8,), frame_size=4))
    model.compile(keras.optimizers.Adam(1e-2), loss="mse")
    return model


def tiny_batches(first):
    frames = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)
    return datasets.pipeline(np.arange(8), frames, batch_size=4, first_step=first)


def test_history_has_an_entry_per_log_steps_and_the_loss_falls():
    history = training.fit(tiny_model(), tiny_batches, 60, log_steps=20)
    np.testing.assert_array_equal(history["step"], [20, 40, 60])
    assert history["loss"][-1] < history["loss"][0] and (np.diff(history["seconds"]) > 0).all()


def test_the_clock_leaves_out_what_other_callbacks_do_between_rounds():
    class Slow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            time.sleep(0.5)

    seconds = training.fit(tiny_model(), tiny_batches, 60, log_steps=10, callbacks=[Slow()])["seconds"]
    assert (np.diff(seconds) < 0.4).all()


def test_a_finished_run_trains_no_further(tmp_path):
    path = tmp_path / "c.npz"
    model = tiny_model()
    first = training.fit(model, tiny_batches, 10, log_steps=5, checkpoint=path)
    before = model.get_weights()
    again = tiny_model()
    second = training.fit(again, tiny_batches, 10, log_steps=5, checkpoint=path)
    for a, b in zip(before, again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first["loss"], second["loss"])


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "c.npz"
    training.fit(tiny_model(), tiny_batches, 4, log_steps=2, checkpoint=path)
    with pytest.raises(CourseError, match="another model"):
        training.fit(tiny_model(num_frames=9), tiny_batches, 4, checkpoint=path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CourseError, match=r"c\.npz is damaged: delete it"):
        training.fit(tiny_model(), tiny_batches, 4, checkpoint=path)


def test_progress_is_silent_under_test_and_speaks_to_a_person(capsys, monkeypatch):
    training.fit(tiny_model(), tiny_batches, 4, log_steps=2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.delenv("VIDGEN_QUIET", raising=False)
    training.fit(tiny_model(), tiny_batches, 4, log_steps=2)
    shown = capsys.readouterr().err
    assert "4/4" in shown and "loss=" in shown and "step/s" in shown


def test_budget_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("VIDGEN_BUDGET", raising=False)
    assert training.budget() == "fast"
    monkeypatch.setenv("VIDGEN_BUDGET", "full")
    assert training.budget() == "full"
    monkeypatch.setenv("VIDGEN_BUDGET", "huge")
    with pytest.raises(CourseError, match="must be one of fast, full"):
        training.budget()


def test_importing_the_package_is_fast_and_brings_no_tensorflow():
    modules = "sys, vidgen_tf, vidgen_tf.video, vidgen_tf.worlds.shapes, vidgen_tf.__main__"
    code = f"import {modules}; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_snapshots_keep_what_the_model_makes_at_each_entry_of_the_history():
    x = np.ones((8, 2), "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    kept = training.Snapshots(lambda: model.get_weights()[0])
    history = training.fit(
        model, lambda first: datasets.pipeline(x, x[:, :1], batch_size=4, first_step=first), 6, log_steps=2, callbacks=[kept]
    )
    assert len(kept.kept) == len(history["loss"]) == 3
    np.testing.assert_array_equal(kept.kept[-1], model.get_weights()[0])
    assert not np.array_equal(kept.kept[0], kept.kept[1])
