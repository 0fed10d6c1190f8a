"""Training that a person can watch, stop and resume: `fit`, its callbacks, seeds and budgets."""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np

from .errors import CourseError
from .files import atomic_path, is_interactive, progress

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
        seed: non-negative int.
    """
    keras.utils.set_random_seed(seed)


def fit(model, batches, steps, *, checkpoint=None, every=60.0, log_steps=25, sample=None, callbacks=()):
    """Trains a compiled model for a number of steps, with a live bar, and resumes where a checkpoint left off.

    Args:
        model: compiled and built `keras.Model`.
        batches: function from the number of the first step to a `tf.data.Dataset` that gives the batches from there on, as
            `datasets.pipeline(..., first_step=...)` does.
        steps: training steps in all, earlier runs included; a multiple of `log_steps`.
        checkpoint: file (.npz) to keep the whole state in; None keeps nothing.
        every: seconds between two checkpoints; one is also written at the end. Ctrl-C waits for the next entry of the history,
            writes a checkpoint, and stops; a second Ctrl-C stops at once.
        log_steps: steps between two entries of the history.
        sample: None, or a function without arguments that gives a `Clip`, shown live while the model trains.
        callbacks: more `keras.callbacks.Callback`s, `Snapshots` for instance.

    Returns:
        dict of float arrays, an entry per `log_steps`: "step", "seconds" of training so far, and the mean of each metric since
        the entry before. A resumed run has the entries of all runs.

    Raises:
        CourseError: the checkpoint is damaged or belongs to another model; `steps` is no multiple of `log_steps`.
        KeyboardInterrupt: on Ctrl-C, once the checkpoint is written.
    """
    state = _State(model, checkpoint, every)
    done = state.restore()
    log_steps = min(log_steps, steps)
    if log_steps < 1 or steps % log_steps or done % log_steps:
        raise CourseError(f"{steps} steps, {done} of them done, can't be trained in rounds of {log_steps}: choose a multiple.")
    if done < steps:
        callbacks = [state, *callbacks, Progress(steps, done)]
        if sample and is_interactive():
            callbacks.append(LiveSample(sample))
        data = batches(done)
        rounds = {"initial_epoch": done // log_steps, "epochs": steps // log_steps, "steps_per_epoch": log_steps}
        with _patient_interrupt(state):
            model.fit(data, **rounds, callbacks=callbacks, shuffle=False, verbose=0)
        state.save()
        state.stop_if_interrupted()
    return {key: np.array(values) for key, values in state.history.items()}


class Progress(keras.callbacks.Callback):
    """A bar with the loss and the time left. It draws nothing where nobody looks.

    Args:
        steps: training steps in all.
        done: steps of earlier runs among them.
    """

    def __init__(self, steps, done=0):
        super().__init__()
        self.steps, self.done = steps, done

    def on_train_begin(self, logs=None):
        self.bar = progress(label=self.model.name, unit="step", total=self.steps)
        self.bar.update(self.done)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.set_postfix({key: f"{value:.4g}" for key, value in (logs or {}).items()})

    def on_train_end(self, logs=None):
        self.bar.close()


class Snapshots(keras.callbacks.Callback):
    """Keeps what the model makes now, at each entry of the history: a picture of its training.

    Args:
        make: function without arguments that gives an array, always of one shape.
    """

    def __init__(self, make):
        super().__init__()
        self.make, self.kept = make, []

    def on_epoch_end(self, epoch, logs=None):
        self.kept.append(np.asarray(self.make()))


class LiveSample(keras.callbacks.Callback):
    """Shows what the model makes now, in place of what it made before, every few seconds.

    Args:
        sample: function without arguments that gives a `Clip`.
        seconds: time between two samples.
    """

    def __init__(self, sample, seconds=10.0):
        super().__init__()
        self.sample, self.seconds, self.last, self.handle = sample, seconds, 0.0, None

    def on_epoch_end(self, epoch, logs=None):
        from IPython.display import display

        if time.monotonic() - self.last < self.seconds:
            return
        self.last = time.monotonic()
        if self.handle is None:
            self.handle = display(self.sample(), display_id=True)
        else:
            self.handle.update(self.sample())


@contextlib.contextmanager
def _patient_interrupt(state):
    """Turns the first Ctrl-C into a stop at the next moment from which a resumed run ends like an uninterrupted one."""
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number, frame):
        state.interrupted = True  # and no word from here: the bar may be in the middle of writing one
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _State(keras.callbacks.Callback):
    """Everything that decides how training goes on: weights, optimizer slots, random seeds, history and progress."""

    def __init__(self, model, path, every):
        super().__init__()
        self.owner, self.path, self.every = model, path and Path(path), every
        self.history, self.done, self.saved = {}, 0, 0
        self.interrupted = self.told = False
        self.last = self.start = time.monotonic()
        self.stopped = None  # when the last round ended

    def on_train_batch_end(self, batch, logs=None):
        if self.interrupted and not self.told:
            self.told = True
            print("\nStopping after this round of steps; Ctrl-C once more stops at once.", file=sys.stderr)

    def on_epoch_begin(self, epoch, logs=None):
        self.stop_if_interrupted()
        if self.stopped is not None:
            self.start += time.monotonic() - self.stopped  # what other callbacks measure or draw between rounds is no training

    def on_epoch_end(self, epoch, logs=None):
        self.stopped = time.monotonic()
        self.done = (epoch + 1) * self.params["steps"]
        for key, value in {"step": self.done, "seconds": self.stopped - self.start, **(logs or {})}.items():
            self.history.setdefault(key, []).append(float(value))
        if self.interrupted or time.monotonic() - self.last > self.every:
            self.save()

    def stop_if_interrupted(self):
        if self.interrupted and self.done:  # between rounds, when the other callbacks have seen the end of the last one
            self.save()
            raise KeyboardInterrupt

    def save(self):
        if self.path is None or self.saved == self.done:
            return
        arrays = {f"variable_{i}": v.numpy() for i, v in enumerate(self._variables())}
        arrays |= {f"history_{key}": np.array(values) for key, values in self.history.items()}
        with atomic_path(self.path) as temporary:
            np.savez(temporary, done=self.done, **arrays)
        self.saved, self.last = self.done, time.monotonic()

    def restore(self):
        """Puts the checkpoint's state into the model; returns how many steps it has behind it."""
        if self.path is None or not self.path.exists():
            return 0
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = dict(file)
            self.done = self.saved = int(arrays.pop("done"))
        except Exception as error:
            raise CourseError(f"The checkpoint {self.path} is damaged: delete it to start anew.") from error
        variables = self._variables()
        values = [arrays.get(f"variable_{i}") for i in range(len(variables))]
        if f"variable_{len(variables)}" in arrays or any(
            value is None or value.shape != tuple(v.shape) for v, value in zip(variables, values, strict=True)
        ):
            raise CourseError(f"The checkpoint {self.path} belongs to another model: delete it or choose another file.")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.history = {key[8:]: list(value) for key, value in arrays.items() if key.startswith("history_")}
        self.start -= self.history["seconds"][-1]  # the clock of all runs together
        return self.done

    def _variables(self):
        """All variables, optimizers' included, each once and in an order that the model's code fixes."""
        optimizers = [value for value in vars(self.owner).values() if isinstance(value, keras.optimizers.Optimizer)]
        for optimizer in optimizers:
            if not optimizer.built:
                optimizer.build(self.owner.trainable_variables)
        found = [*self.owner.variables, *(v for optimizer in optimizers for v in optimizer.variables)]
        return list({id(variable): variable for variable in found}.values())
