"""What sampling costs: clips per second and memory."""

import re
import sys
import time
from pathlib import Path

from .. import zoo
from .sampling import sample


def sample_with_cost(name, count, seed):
    """Clips of a model of the zoo, and what they cost.

    Args:
        name: str, a name in the zoo.
        count: int, how many clips.
        seed: non-negative int, of the sampling.

    Returns:
        list of `Clip`, and a dict of the costs that `evaluation.protocol.evaluate` takes; "peak_memory_mb" is missing where the
        system doesn't tell.
    """
    model, record = zoo.load(name), zoo.record(name)
    sample(model, record, 2, seed)  # the first call builds what later ones use
    start = time.perf_counter()
    clips = sample(model, record, count, seed)
    cost = {"clips_per_second": count / (time.perf_counter() - start), "parameters": model.count_params()}
    cost["training_minutes"] = record["minutes"]
    peak = peak_memory_mb()
    return clips, cost if peak is None else cost | {"peak_memory_mb": peak}


def peak_memory_mb():
    """The most memory that this process has had at once.

    Returns:
        float, MB; None on Windows, which doesn't tell.
    """
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss of a new process is at least what the process that started it had
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
