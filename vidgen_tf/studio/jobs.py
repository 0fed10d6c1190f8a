"""Work that is watched while it runs, and can be stopped: a function in a thread becomes a generator of its steps."""

import collections
import contextlib
import dataclasses
import queue
import threading

from ..video import Clip

_LOCKS, _LOCKS_LOCK = collections.defaultdict(threading.Lock), threading.Lock()
END = object()


class Stopped(Exception):
    """The user doesn't want it any more."""


@dataclasses.dataclass(frozen=True)
class Step:
    """How far a job is.

    Args:
        done: int, steps that are done.
        total: int, steps in all.
        preview: `Clip`, what the result looks like so far, or None.
    """

    done: int
    total: int
    preview: Clip | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """A clip that was made, and how.

    Args:
        clip: `Clip`, as the model gave it.
        title: str, what was asked for.
        settings: dict of what makes it again: task, models, seed and the rest, all of which JSON can hold.
        is_composite: whether parts of it were given and not generated.
    """

    clip: Clip
    title: str
    settings: dict
    is_composite: bool = False


@contextlib.contextmanager
def model_in_use(name):
    """One job at a time for a model: whoever comes second waits.

    Args:
        name: str, the model's.

    Yields:
        None.
    """
    with _LOCKS_LOCK:
        lock = _LOCKS[name]
    with lock:
        yield


def iter_steps(make, stop):
    """Runs a job in a thread of its own, step by step.

    Closing the generator stops the job as well, at its next step.

    Args:
        make: function that takes `on_step`, a function of a `Step` to be called now and then, and returns a list of `Result`.
        stop: `threading.Event`; once it is set, the job ends at its next step.

    Yields:
        `Step`; after the last one the list of `Result`.

    Raises:
        Stopped: `stop` was set. Whatever `make` raises is raised here.
    """
    steps, found = queue.Queue(), {}

    def on_step(step):
        if stop.is_set():
            raise Stopped
        steps.put(step)

    def run():
        try:
            found["results"] = make(on_step)
        except BaseException as error:  # handed to whoever waits for the results
            found["error"] = error
        steps.put(END)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (step := steps.get()) is not END:
            yield step
    finally:
        stop.set()
    if "error" in found:
        raise found["error"]
    yield found["results"]
