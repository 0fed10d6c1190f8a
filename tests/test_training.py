"""Training that resumes to the same weights, keeps nothing half-written or broken, and is quiet when nobody looks."""

import os
import signal
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf import datasets, training
from vidgen_tf.errors import CourseError
from vidgen_tf.files import check_writable

# A training run of 12 steps in epochs of 2, with dropout so that random state matters. It kills itself with the signal given as
# its second argument (0: never) at the end of step 7, in the middle of an epoch. After SIGKILL the last checkpoint is that of
# step 6; SIGINT lets the epoch end at step 8 and writes one then.
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
    interval_s = 60 if sign == 2 else 0
    history = training.fit(model, batches, 12, checkpoint=checkpoint, checkpoint_interval_s=interval_s, log_interval=2)
    np.savez(out, *[w.numpy() for w in model.weights], loss=history["loss"], step=history["step"], seen=Killer.seen)
"""


def killed_script(checkpoint, sign, out):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), checkpoint, str(int(sign)), out], env=os.environ | {"VIDGEN_QUIET": "1"}
    ).returncode


def run_script(checkpoint, out):
    """The whole of it, in this process: another one would load TensorFlow first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["script", checkpoint, "0", out])
        exec(textwrap.dedent(SCRIPT), {})
    return dict(np.load(out))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return run_script(folder / "c.npz", folder / "out.npz")


@pytest.mark.parametrize("sign, remaining", [(signal.SIGKILL, 6), (signal.SIGINT, 4)])
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(sign, remaining, uninterrupted, tmp_path):
    checkpoint, out = tmp_path / "c.npz", tmp_path / "out.npz"
    assert killed_script(checkpoint, sign, out) != 0 and not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"], "the checkpoint, and nothing half-written"
    resumed = run_script(checkpoint, out)
    assert resumed.pop("seen") == remaining and uninterrupted["seen"] == 12
    for key, value in resumed.items():
        np.testing.assert_array_equal(value, uninterrupted[key], err_msg=key)


X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")


def tiny_model(units=4, compiled=True, **options):
    training.set_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(units, **options), keras.layers.Dense(1, **options)])
    if compiled:
        model.compile(keras.optimizers.Adam(1e-2), loss="mse")
    return model


def tiny_batches(first, x=X):
    return datasets.pipeline(x, X[:, :1], batch_size=8, first_step=first)


def broken_from(step):
    """Batches that hold NaN from a step on."""

    def batches(first):
        good = tiny_batches(first).take(max(0, step - first))
        return good.concatenate(tiny_batches(max(first, step), np.full_like(X, np.nan)))

    return batches


def assert_same_state(model, other):
    for a, b in zip(model.variables + model.optimizer.variables, other.variables + other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


class TwoOptimizers(keras.Model):
    """Two networks with dropout whose outputs are added, each with an optimizer of its own, as in a GAN."""

    def __init__(self):
        super().__init__()
        parts = [[keras.Input((6,)), keras.layers.Dense(8), keras.layers.Dropout(0.5), keras.layers.Dense(1)] for _ in range(2)]
        self.parts = [keras.Sequential(layers) for layers in parts]

    def compile(self, optimizers, **options):
        super().compile(**options)  # with an optimizer that Keras makes, and nothing uses
        self.optimizers = optimizers
        for optimizer, part in zip(optimizers, self.parts):
            optimizer.build(part.trainable_variables)

    def call(self, x, training=False):
        return sum(part(x, training=training) for part in self.parts)

    def train_step(self, data):
        for optimizer, part in zip(self.optimizers, self.parts):
            with tf.GradientTape() as tape:
                loss = keras.ops.mean(keras.ops.square(self(data[0], training=True) - data[1]))
            optimizer.apply(tape.gradient(loss, part.trainable_variables), part.trainable_variables)
        return {"loss": loss}


def test_a_model_with_two_optimizers_resumes_to_the_bit(tmp_path):
    def train(steps, path=None):
        training.set_seed(0)
        model = TwoOptimizers()
        model.compile([keras.optimizers.Adam(1e-2), keras.optimizers.SGD(1e-2, momentum=0.9)])
        history = training.fit(model, tiny_batches, steps, log_interval=2, checkpoint=path)
        adam, sgd = (optimizer.variables for optimizer in model.optimizers)
        return history["loss"], [v.numpy() for v in [*model.variables, *adam, *sgd]]

    path = tmp_path / "c.npz"
    expected_loss, expected = train(12)
    train(6, path)
    with np.load(path) as file:
        assert len([key for key in file if key.startswith("variable_")]) == len(expected)
    loss, state = train(12, path)
    np.testing.assert_array_equal(loss, expected_loss)
    for a, b in zip(state, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_history_has_an_entry_per_log_interval_and_the_loss_falls():
    history = training.fit(tiny_model(), tiny_batches, 60, log_interval=20)
    np.testing.assert_array_equal(history["step"], [20, 40, 60])
    assert history["loss"][-1] < history["loss"][0] and (np.diff(history["seconds"]) > 0).all()


def test_the_clock_leaves_out_what_other_callbacks_do_between_entries(monkeypatch, tmp_path):
    """With a clock that moves by 1 s a step and by 100 s in a callback: 10 s an entry, over two runs."""
    clock = types.SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(training, "time", clock)

    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            clock.now += 1

        def on_epoch_end(self, epoch, logs=None):
            clock.now += 100

    for steps in (30, 60):
        options = {"log_interval": 10, "callbacks": [Slow()], "checkpoint": tmp_path / "c.npz"}
        seconds = training.fit(tiny_model(), tiny_batches, steps, **options)["seconds"]
        np.testing.assert_array_equal(seconds, np.arange(10, steps + 1, 10))


def test_a_finished_run_trains_no_further(tmp_path):
    path = tmp_path / "c.npz"
    model, again = tiny_model(), tiny_model()
    first = training.fit(model, tiny_batches, 10, log_interval=5, checkpoint=path)
    second = training.fit(again, tiny_batches, 10, log_interval=5, checkpoint=path)
    assert_same_state(model, again)
    np.testing.assert_array_equal(first["loss"], second["loss"])


def test_a_checkpoint_needs_no_suffix(tmp_path):
    model, again = tiny_model(), tiny_model()
    training.fit(model, tiny_batches, 10, log_interval=5)
    training.fit(tiny_model(), tiny_batches, 5, log_interval=5, checkpoint=str(tmp_path / "c"))
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    training.fit(again, tiny_batches, 10, log_interval=5, checkpoint=str(tmp_path / "c"))
    assert_same_state(model, again)


def test_weights_of_half_precision_resume_to_the_bit(tmp_path):
    models = [tiny_model(dtype="bfloat16") for _ in range(3)]
    training.fit(models[0], tiny_batches, 10, log_interval=5)
    training.fit(models[1], tiny_batches, 5, log_interval=5, checkpoint=tmp_path / "c.npz")
    training.fit(models[2], tiny_batches, 10, log_interval=5, checkpoint=tmp_path / "c.npz")
    assert models[0].weights[0].dtype == "bfloat16"
    assert_same_state(models[0], models[2])


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "c.npz"
    training.fit(tiny_model(), tiny_batches, 4, log_interval=2, checkpoint=path)
    with pytest.raises(CourseError, match="another model"):
        training.fit(tiny_model(units=5), tiny_batches, 4, checkpoint=path)
    unbuilt = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
    unbuilt.compile("adam", "mse")
    with pytest.raises(CourseError, match="not built: call it on a batch"):
        training.fit(unbuilt, tiny_batches, 8, log_interval=2, checkpoint=path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CourseError, match=r"c\.npz is damaged: delete it"):
        training.fit(tiny_model(), tiny_batches, 4, checkpoint=path)
    np.savez(path, done=4)
    with pytest.raises(CourseError, match=r"c\.npz is damaged: delete it"):
        training.fit(tiny_model(), tiny_batches, 4, checkpoint=path)


@pytest.mark.filterwarnings("ignore:.*input ran out of data")
@pytest.mark.parametrize("count, log_interval", [(8, 25), (8, 5), (10, 5), (0, 5)])
def test_steps_that_were_not_made_for_want_of_data_are_not_counted(count, log_interval, tmp_path):
    path = tmp_path / "c.npz"
    options = {"log_interval": log_interval, "checkpoint": path, "checkpoint_interval_s": 0}
    with pytest.raises(CourseError, match=rf"ran out after {count} steps: batches must give endless data"):
        training.fit(tiny_model(), lambda first: tiny_batches(first).take(count), 100, **options)
    if count < log_interval:
        assert not path.exists()
    else:
        with np.load(path) as file:
            assert file["done"] == count - count % log_interval
            np.testing.assert_array_equal(file["history_step"], np.arange(log_interval, count + 1, log_interval))


def test_a_callback_that_stops_within_an_entry_is_no_want_of_data():
    class Stopper(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    with pytest.raises(CourseError, match="A callback stopped after 3 steps"):
        training.fit(tiny_model(), tiny_batches, 10, log_interval=5, callbacks=[Stopper()])


def test_a_callback_may_stop_at_an_entry(tmp_path):
    class Stopper(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    path = tmp_path / "c.npz"
    history = training.fit(tiny_model(), tiny_batches, 20, log_interval=5, callbacks=[Stopper()], checkpoint=path)
    np.testing.assert_array_equal(history["step"], [5, 10])
    with np.load(path) as file:
        assert file["done"] == 10


def test_the_last_good_checkpoint_outlives_a_loss_that_is_not_finite(tmp_path):
    path = tmp_path / "c.npz"
    options = {"log_interval": 2, "checkpoint": path, "checkpoint_interval_s": 0}
    model, resumed = tiny_model(), tiny_model()
    with pytest.raises(CourseError, match=r"After 6 steps loss is nan: lower the learning rate.*keeps the state after 4 steps"):
        training.fit(model, broken_from(5), 50, **options)
    assert np.isnan(model.get_weights()[0]).all() and int(model.optimizer.iterations) == 6, "it stopped at once"
    history = training.fit(resumed, tiny_batches, 10, **options)
    whole = tiny_model()
    expected = training.fit(whole, tiny_batches, 10, log_interval=2)
    assert_same_state(whole, resumed)
    np.testing.assert_array_equal(history["loss"], expected["loss"])


def test_without_a_checkpoint_none_is_promised(tmp_path):
    for path in (None, tmp_path / "c.npz"):
        with pytest.raises(CourseError, match=r"After 2 steps loss is nan.* not finite\.$"):
            training.fit(tiny_model(), broken_from(0), 4, log_interval=2, checkpoint=path)
    assert not list(tmp_path.iterdir())


def test_weights_that_break_in_the_last_step_of_an_entry_are_noticed(tmp_path):
    """Their loss was measured before: it is finite."""

    class Breaker(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 4:
                self.model.weights[0].assign(np.full((6, 4), np.inf))

    path, model = tmp_path / "c.npz", tiny_model()
    with pytest.raises(CourseError, match=r"After 4 steps a weight is not finite.*keeps the state after 2 steps"):
        training.fit(model, tiny_batches, 4, log_interval=2, checkpoint=path, checkpoint_interval_s=0, callbacks=[Breaker()])
    with np.load(path) as file:
        assert file["done"] == 2 and np.isfinite(file["variable_0"]).all()


def test_a_checkpoint_that_is_not_finite_is_refused(tmp_path):
    path = tmp_path / "c.npz"
    training.fit(tiny_model(), tiny_batches, 2, log_interval=2, checkpoint=path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"variable_0": np.full_like(arrays["variable_0"], np.nan)})
    with pytest.raises(CourseError, match="not finite: delete it"):
        training.fit(tiny_model(), tiny_batches, 4, log_interval=2, checkpoint=path)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"steps": 25.0}, "steps must be a whole number, at least 1"),
        ({"steps": "25"}, "steps must be a whole number"),
        ({"steps": 0}, "steps must be a whole number, at least 1"),
        ({"steps": 7}, "7 steps, 0 of them done, can't be trained with log_interval=2: choose a divisor"),
        ({"log_interval": 2.5}, "log_interval must be a whole number"),
        ({"log_interval": None}, "log_interval must be a whole number"),
        ({"batches": tf.data.Dataset.range(3)}, "batches must be a function from the number of the first step to a dataset"),
        ({"batches": lambda first: None}, "batches gave None: it must return a dataset"),
        ({"model": None}, "compiled keras.Model"),
        ({"model": keras.Sequential([keras.layers.Dense(1)])}, r"call model.compile\(optimizer, loss\) first"),
        ({"checkpoint": 5}, "checkpoint must be the path of a file or None, got 5"),
        ({"checkpoint": ""}, "checkpoint must be the path of a file or None, got ''"),
        ({"checkpoint": Path(__file__).parent}, "tests is a folder: name a file in it"),
        ({"checkpoint_interval_s": "60"}, "checkpoint_interval_s must be a number of seconds, at least 0, got '60'"),
        ({"checkpoint_interval_s": float("nan")}, "checkpoint_interval_s must be a number"),
        ({"checkpoint_interval_s": -1}, "checkpoint_interval_s must be a number"),
        ({"sample": 3}, "sample must be a function"),
        ({"callbacks": keras.callbacks.Callback()}, "callbacks must be a list of keras.callbacks.Callback"),
        ({"callbacks": [print]}, "callbacks must be a list of keras.callbacks.Callback"),
    ],
)
def test_arguments_of_the_wrong_kind_are_told_in_a_sentence(change, said):
    arguments = {"model": tiny_model(), "batches": tiny_batches, "steps": 4, "log_interval": 2} | change
    with pytest.raises(CourseError, match=said):
        training.fit(arguments.pop("model"), arguments.pop("batches"), arguments.pop("steps"), **arguments)


def test_several_steps_at_once_are_refused_as_they_cannot_be_counted():
    model = tiny_model(compiled=False)
    model.compile("sgd", "mse", steps_per_execution=2)
    with pytest.raises(CourseError, match="without steps_per_execution"):
        training.fit(model, tiny_batches, 4, log_interval=2)


@pytest.mark.parametrize("seed", [-1, 2**32, "3", 1.5, None])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(CourseError, match="seed must be a whole number from 0 to 2"):
        training.set_seed(seed)


def test_a_seed_of_numpy_is_a_seed():
    draws = []
    for seed in (7, np.int64(7), 8):
        training.set_seed(seed)
        draws.append(float(keras.random.uniform(())))
    assert draws[0] == draws[1] != draws[2]


UNWRITABLE = ["/proc"] if sys.platform == "linux" else []  # there, and not to be written to, not even by root


def test_a_folder_that_can_be_written_to_is_made_and_left_empty(tmp_path):
    assert check_writable(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert check_writable(tmp_path / "a" / "b").is_dir() and not list((tmp_path / "a" / "b").iterdir())


@pytest.mark.parametrize("folder", UNWRITABLE)
def test_a_folder_that_cannot_be_written_to_is_noticed_before_the_first_step(folder):
    with pytest.raises(CourseError, match=f"Can't write {folder}: .*Choose another place"):
        check_writable(folder)
    model = tiny_model()
    with pytest.raises(CourseError, match=f"Can't write {folder}: "):
        training.fit(model, tiny_batches, 4, log_interval=2, checkpoint=f"{folder}/c.npz")
    assert int(model.optimizer.iterations) == 0


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").write_text("x")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(CourseError, match="Can't write"):
            check_writable(folder)
    model = tiny_model()
    with pytest.raises(CourseError, match="a: it is no folder"):
        training.fit(model, tiny_batches, 4, log_interval=2, checkpoint=tmp_path / "a" / "c.npz")
    assert int(model.optimizer.iterations) == 0


def test_progress_is_silent_under_test_and_speaks_to_a_person(capsys, monkeypatch):
    training.fit(tiny_model(), tiny_batches, 4, log_interval=2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.delenv("VIDGEN_QUIET", raising=False)
    training.fit(tiny_model(), tiny_batches, 4, log_interval=2)
    shown = capsys.readouterr().err
    assert "4/4" in shown and "loss=" in shown and "step/s" in shown


def test_the_bar_ends_its_line_before_an_error_is_told(capsys, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.delenv("VIDGEN_QUIET", raising=False)
    with pytest.raises(CourseError, match="loss is nan"):
        training.fit(tiny_model(), broken_from(0), 4, log_interval=2)
    assert capsys.readouterr().err.endswith("\n")


def test_budget_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("VIDGEN_BUDGET", raising=False)
    assert training.budget() == "fast"
    monkeypatch.setenv("VIDGEN_BUDGET", "full")
    assert training.budget() == "full"
    monkeypatch.setenv("VIDGEN_BUDGET", "huge")
    with pytest.raises(CourseError, match="must be one of fast, full"):
        training.budget()


def test_importing_the_package_brings_no_tensorflow():
    modules = "sys, vidgen_tf, vidgen_tf.video, vidgen_tf.worlds.shapes, vidgen_tf.__main__"
    code = f"import {modules}; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_snapshots_hold_what_the_function_gives_at_each_entry_of_the_history():
    model = tiny_model()
    callback = training.SnapshotCallback(lambda: model.get_weights()[0])
    history = training.fit(model, tiny_batches, 6, log_interval=2, callbacks=[callback])
    assert len(callback.snapshots) == len(history["loss"]) == 3
    np.testing.assert_array_equal(callback.snapshots[-1], model.get_weights()[0])
    assert not np.array_equal(callback.snapshots[0], callback.snapshots[1])


def test_samples_are_shown_every_few_seconds_in_one_place(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    handle = types.SimpleNamespace(update=lambda sample: shown.append(("updated", sample)))

    def show(sample, display_id):
        shown.append(("displayed", sample))
        return handle

    monkeypatch.setattr(display, "display", show)
    clock = types.SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(training, "time", clock)
    callback = training.SampleCallback(lambda: clock.now, interval_s=10.0)
    for clock.now in (3.0, 8.0, 13.0, 22.0, 40.0):
        callback.on_epoch_end(0)
    assert shown == [("displayed", 3.0), ("updated", 13.0), ("updated", 40.0)]
