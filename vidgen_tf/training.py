"""Training that can be watched, stopped and resumed: `fit`, its callbacks, seeds and budgets."""

import contextlib
import math
import os
import re
import signal
import sys
import threading
import time
from numbers import Integral, Real
from pathlib import Path

import keras
import numpy as np

from . import workers
from .errors import CourseError, check_whole
from .files import atomic_path, check_writable, is_interactive, progress

BUDGETS = ("fast", "full")


def budget():
    """The budget that $VIDGEN_BUDGET names: "fast" (the default; about a minute a chapter) or "full" (ten times that).

    Returns:
        str, one of `BUDGETS`.

    Raises:
        CourseError: the variable holds something else.
    """
    name = os.environ.get("VIDGEN_BUDGET") or "fast"
    if name not in BUDGETS:
        raise CourseError(f"VIDGEN_BUDGET is {name!r}, but must be one of {', '.join(BUDGETS)}.")
    return name


def set_seed(seed):
    """Seeds Python, NumPy and Keras, so that the same machine gives the same run to the bit.

    Args:
        seed: int in [0, 2**32).

    Raises:
        CourseError: something else.
    """
    if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
        raise CourseError(f"seed must be a whole number from 0 to 2**32 - 1, got seed={seed!r}.")
    keras.utils.set_random_seed(int(seed))


def fit(model, batches, steps, *, checkpoint=None, checkpoint_interval_s=60.0, log_interval=25, sample=None, callbacks=()):
    """Trains a compiled model for a number of steps, with a progress bar, and resumes from a checkpoint.

    A resumed run ends with the same weights, to the bit, as an uninterrupted one on the same machine. A process that has joined
    others (`workers.join`) trains together with them, and worker 0 writes the checkpoints.

    Args:
        model: compiled and built `keras.Model`. One that trains with several optimizers lists them in a property `optimizers`.
        batches: function from the number of the first step to a `tf.data.Dataset` that gives the batches from there on, as
            `datasets.pipeline(..., first_step=...)` does.
        steps: training steps in all, earlier runs included; a multiple of `log_interval`.
        checkpoint: file (.npz) for weights, optimizer state, random seeds and history; None keeps nothing.
        checkpoint_interval_s: seconds between two checkpoints; one is also written at the end. Ctrl-C waits for the next entry
            of the history, writes a checkpoint, and stops; a second Ctrl-C stops at once.
        log_interval: steps between two entries of the history.
        sample: None, or a function without arguments that gives a `Clip`, shown live while the model trains.
        callbacks: list of further `keras.callbacks.Callback`s, `SnapshotCallback` for instance.

    Returns:
        dict of float arrays, an entry per `log_interval`: "step", "seconds" of training so far, and the mean of each metric
        since the entry before. A resumed run has the entries of all runs.

    Raises:
        CourseError: an argument of the wrong kind; `steps` is no multiple of `log_interval`; the checkpoint is damaged, belongs
            to another model or can't be written; the data run out before the last step; a metric, a weight or an optimizer's
            variable is not finite, in which case the last checkpoint is kept; another worker is gone.
        KeyboardInterrupt: on Ctrl-C, once the checkpoint is written.
    """
    _check_arguments(model, batches, steps, log_interval, sample, callbacks)
    state = _TrainingState(model, checkpoint, checkpoint_interval_s)
    steps_done = state.restore()
    log_interval = min(log_interval, steps)
    if steps % log_interval or steps_done % log_interval:
        done = f"{steps} steps, {steps_done} of them done,"
        raise CourseError(f"{done} can't be trained with log_interval={log_interval}: choose a divisor of both.")
    if steps_done < steps:
        state.check_writable()
        bar = ProgressCallback(steps, steps_done)
        callbacks = [state, *callbacks, bar]
        if sample and is_interactive():
            callbacks.append(SampleCallback(sample))
        data = workers.read(batches, steps_done)
        if data is None:
            raise CourseError("batches gave None: it must return a dataset.")
        epochs = {"initial_epoch": steps_done // log_interval, "epochs": steps // log_interval, "steps_per_epoch": log_interval}
        shared = state.shared_with_workers()
        with _deferred_interrupt(state), contextlib.closing(bar), shared, _told_by_the_data(), _schedules_traced_once(model):
            model.fit(data, **epochs, callbacks=callbacks, shuffle=False, verbose=0)
        state.save()
        state.stop_if_interrupted()
    return {key: np.array(values) for key, values in state.history.items()}


def _check_arguments(model, batches, steps, log_interval, sample, callbacks):
    if not isinstance(model, keras.Model) or not model.compiled:
        raise CourseError("fit trains a compiled keras.Model: call model.compile(optimizer, loss) first.")
    if model.steps_per_execution != 1:
        raise CourseError("fit counts single steps: compile the model without steps_per_execution.")
    if not callable(batches):
        got = type(batches).__name__
        raise CourseError(f"batches must be a function from the number of the first step to a dataset, got a {got}.")
    check_whole(1, steps=steps, log_interval=log_interval)
    if sample is not None and not callable(sample):
        raise CourseError(f"sample must be a function without arguments that gives a Clip, got {sample!r}.")
    if not isinstance(callbacks, list | tuple) or not all(isinstance(c, keras.callbacks.Callback) for c in callbacks):
        raise CourseError(f"callbacks must be a list of keras.callbacks.Callback, got {callbacks!r}.")


@contextlib.contextmanager
def _told_by_the_data():
    """A `CourseError` of code that runs inside of a `tf.data` pipeline, which TensorFlow wraps into its own error."""
    try:
        yield
    except Exception as error:
        found = re.search(r"CourseError: ([^\n]+)", getattr(error, "message", None) or "")
        if not found:
            raise
        raise CourseError(found[1]) from error


class ProgressCallback(keras.callbacks.Callback):
    """A progress bar with the metrics and the time left; it draws nothing where `files.is_interactive` is False.

    Args:
        steps: training steps in all.
        initial_step: steps of earlier runs among them.
    """

    def __init__(self, steps, initial_step=0):
        super().__init__()
        self.steps, self.initial_step, self.bar = steps, initial_step, None

    def on_train_begin(self, logs=None):
        self.bar = progress(label=self.model.name, unit="step", total=self.steps)
        self.bar.update(self.initial_step)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.set_postfix({key: f"{value:.4g}" for key, value in (logs or {}).items()})

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Ends the bar's line, also where training ends in an error."""
        if self.bar is not None:
            self.bar.close()


class SnapshotCallback(keras.callbacks.Callback):
    """Keeps the result of a function at each entry of the history, samples from fixed noise for instance, in `snapshots`.

    Args:
        function: function without arguments that gives an array, always of one shape.
    """

    def __init__(self, function):
        super().__init__()
        self.function, self.snapshots = function, []

    def on_epoch_end(self, epoch, logs=None):
        self.snapshots.append(np.asarray(self.function()))


class SampleCallback(keras.callbacks.Callback):
    """Shows a sample of the model in the notebook, in place of the one before, every few seconds.

    Args:
        sample: function without arguments that gives a `Clip`.
        interval_s: seconds between two samples.
    """

    def __init__(self, sample, interval_s=10.0):
        super().__init__()
        self.sample, self.interval_s, self.last_shown, self.handle = sample, interval_s, -math.inf, None

    def on_epoch_end(self, epoch, logs=None):
        from IPython.display import display

        if time.monotonic() - self.last_shown < self.interval_s:
            return
        self.last_shown = time.monotonic()
        if self.handle is None:
            self.handle = display(self.sample(), display_id=True)
        else:
            self.handle.update(self.sample())


@contextlib.contextmanager
def _deferred_interrupt(state):
    """Turns the first Ctrl-C into a stop at the next moment from which a resumed run ends like an uninterrupted one."""
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number, frame):
        state.is_interrupted = True  # and no message from here: the bar may be in the middle of writing one
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _TrainingState(keras.callbacks.Callback):
    """Checkpoints of all that decides how training goes on: weights, optimizers, random seeds, history and steps done.

    `keras.callbacks.BackupAndRestore` leaves out the random seeds (dropout, latents drawn in a train step), and so resumes to
    other weights. An epoch of Keras is here the steps between two entries of the history.
    """

    def __init__(self, model, path, interval_s):
        super().__init__()
        if path is not None and (not isinstance(path, str | os.PathLike) or not os.fspath(path)):
            raise CourseError(f"checkpoint must be the path of a file or None, got {path!r}.")
        if not isinstance(interval_s, Real) or not interval_s >= 0:
            raise CourseError(f"checkpoint_interval_s must be a number of seconds, at least 0, got {interval_s!r}.")
        self.owner, self.path, self.interval_s = model, None if path is None else Path(path), interval_s
        if self.path and self.path.is_dir():
            raise CourseError(f"The checkpoint {self.path} is a folder: name a file in it.")
        self.history, self.steps_done, self.steps_saved, self.steps_made = {}, 0, 0, 0
        self.is_interrupted = self.is_announced = self.is_stopping = False
        self.last_saved = self.start = time.monotonic()
        self.epoch_ended = None

    def on_train_batch_end(self, batch, logs=None):
        self.steps_made += 1
        if self.is_interrupted and not self.is_announced:
            self.is_announced = True
            print("\nStopping at the next entry of the history; Ctrl-C once more stops at once.", file=sys.stderr)

    def on_epoch_begin(self, epoch, logs=None):
        self.stop_if_interrupted()
        self.steps_made = 0
        if self.epoch_ended is not None:
            self.start += time.monotonic() - self.epoch_ended  # what other callbacks do between epochs is no training

    @contextlib.contextmanager
    def shared_with_workers(self):
        """Training is that of all workers, if there are any."""
        group = workers.current()
        if group is None:
            yield
            return
        with workers.told_when_one_is_gone(self._kept), group.data_parallel(self.owner):
            group.share_state(self._variables(), self.steps_done)
            yield

    def _kept(self):
        if self.path is None or not self.path.exists():
            return "no checkpoint was written yet, so start again"
        return f"the same command with --resume goes on from {self.path}"

    def _agreed(self, logs):
        """The means of all workers' metrics; and if one is interrupted, all are."""
        group = workers.current()
        if group is None:
            return logs
        names = sorted(logs)
        *values, interrupted = group.all_reduce([np.float64(logs[name]) for name in names] + [np.float64(self.is_interrupted)])
        self.is_stopping = bool(interrupted > 0)
        return {name: float(value) for name, value in zip(names, values)}

    def on_epoch_end(self, epoch, logs=None):
        self.epoch_ended = time.monotonic()
        logs = self._agreed(logs or {})
        self._check_epoch(logs)
        self.steps_done += self.steps_made
        for key, value in {"step": self.steps_done, "seconds": self.epoch_ended - self.start, **logs}.items():
            self.history.setdefault(key, []).append(float(value))
        if self.is_interrupted or time.monotonic() - self.last_saved > self.interval_s:
            self.save()

    def _check_epoch(self, logs):
        """Refuses steps that were not made, and a model that further training can't mend."""
        steps, is_short = self.steps_done + self.steps_made, self.steps_made < self.params["steps"]
        if is_short and not self.model.stop_training:
            remedy = "batches must give endless data, as datasets.pipeline or a dataset's repeat() does"
            raise CourseError(f"The data ran out after {steps} steps: {remedy}.")
        broken = [f"{key} is {value}" for key, value in logs.items() if not math.isfinite(value)]
        if not broken and not _is_finite(variables := self._variables(), [v.numpy() for v in variables]):
            broken = ["a weight is not finite"]
        if broken:
            kept = f"; {self.path} keeps the state after {self.steps_saved} steps" if self.steps_saved else ""
            remedy = "lower the learning rate, or look for values in the data that are not finite"
            raise CourseError(f"After {steps} steps {broken[0]}: {remedy}{kept}.")
        if is_short:
            raise CourseError(
                f"A callback stopped after {steps} steps: let it stop in on_epoch_end, with an entry of the history."
            )

    def stop_if_interrupted(self):
        is_stopping = self.is_interrupted if workers.current() is None else self.is_stopping
        if is_stopping and self.steps_done:  # between epochs, when the other callbacks have seen the end of the last one
            self.save()
            raise KeyboardInterrupt

    def check_writable(self):
        """Notices before the first step that no checkpoint can be written."""
        if self.path is not None:
            check_writable(self.path.parent)

    def save(self):
        if self.path is None or self.steps_saved == self.steps_done or not workers.is_chief():
            return
        arrays = {f"variable_{i}": v.numpy() for i, v in enumerate(self._variables())}
        arrays |= {f"history_{key}": np.array(values) for key, values in self.history.items()}
        with atomic_path(self.path) as temporary, open(temporary, "wb") as file:  # np.savez appends .npz to other names
            np.savez(file, done=self.steps_done, **arrays)
        self.steps_saved, self.last_saved = self.steps_done, time.monotonic()

    def restore(self):
        """Puts the checkpoint's state into the model; returns how many steps it has behind it."""
        if self.path is None or not self.path.exists():
            return 0
        if not self.owner.built and not self.owner.trainable_variables:
            raise CourseError(f"The model is not built: call it on a batch before it resumes from {self.path}.")
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = dict(file)
            steps_done = int(arrays.pop("done"))
            history = {key.removeprefix("history_"): list(arrays.pop(key)) for key in list(arrays) if key.startswith("history_")}
            seconds = history["seconds"][-1]
        except Exception as error:
            raise CourseError(f"The checkpoint {self.path} is damaged: delete it to start anew.") from error
        variables = self._variables()
        values = [arrays.get(f"variable_{i}") for i in range(len(variables))]
        if len(arrays) != len(variables) or not all(map(_fits, variables, values)):
            raise CourseError(f"The checkpoint {self.path} belongs to another model: delete it or choose another file.")
        values = [value.view(v.numpy().dtype) for v, value in zip(variables, values)]  # bfloat16 is stored as raw bytes
        if not _is_finite(variables, values):
            raise CourseError(f"The checkpoint {self.path} holds weights that are not finite: delete it to start anew.")
        for variable, value in zip(variables, values):
            variable.assign(value)
        self.history, self.steps_done, self.steps_saved = history, steps_done, steps_done
        self.start -= seconds  # the clock of all runs together
        return steps_done

    def _variables(self):
        """All variables, the optimizers' included, each once and in an order that the model's code fixes."""
        optimizers = workers.optimizers_of(self.owner)
        for optimizer in optimizers:
            if not optimizer.built:
                optimizer.build(self.owner.trainable_variables)
        found = [*self.owner.variables, *(v for optimizer in optimizers for v in optimizer.variables)]
        return list({id(variable): variable for variable in found}.values())


@contextlib.contextmanager
def _schedules_traced_once(model):
    """While a model is trained: AdamW asks for its learning rate at every variable, and to trace a schedule takes longer than
    the rest of the update."""
    optimizers = [getattr(o, "inner_optimizer", o) for o in workers.optimizers_of(model)]  # the inner one where losses are scaled
    rates = [(optimizer, optimizer._learning_rate) for optimizer in optimizers]
    schedules = [each for each in rates if isinstance(each[1], keras.optimizers.schedules.LearningRateSchedule)]
    for optimizer, schedule in schedules:
        optimizer.learning_rate = _TracedOnce(schedule)
    try:
        yield
    finally:
        for optimizer, schedule in schedules:
            optimizer.learning_rate = schedule


@keras.saving.register_keras_serializable(package="vidgen_tf")
class _TracedOnce(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule with one value for all that ask for it in one graph; saved and loaded, it is the schedule itself."""

    def __init__(self, schedule):
        self.schedule, self.graph, self.value = schedule, None, None

    def __call__(self, step):
        import tensorflow as tf

        if not tf.inside_function():
            return self.schedule(step)
        if self.graph is not (graph := tf.compat.v1.get_default_graph()):
            self.graph, self.value = graph, self.schedule(step)
        return self.value

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule)}

    @classmethod
    def from_config(cls, config):
        return keras.saving.deserialize_keras_object(config["schedule"])


def _fits(variable, value):
    """Whether a checkpoint's array has the shape and the bytes per number of a variable."""
    own = variable.numpy()
    return value is not None and (value.shape, value.dtype.itemsize) == (own.shape, own.dtype.itemsize)


def _is_finite(variables, values):
    """Whether weights that train are finite, and nothing else is NaN: a constant may be infinite, as in a mask."""
    pairs = zip(variables, values)
    return all(np.isfinite(value).all() if variable.trainable else not np.isnan(value).any() for variable, value in pairs)
