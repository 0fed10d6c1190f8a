"""Several workers of one training on this machine: processes that are started, watched, and ended together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ..errors import CourseError
from ..files import check_writable

GRACE_S = 45.0  # for the others to notice by themselves that a worker is gone, and to stop
PROGRAM = (sys.executable, "-m", "vidgen_tf")


def launch(arguments, count, folder, program=None):
    """Runs a command in several processes that know each other by TF_CONFIG, and waits for their end.

    The first is the chief: it prints to this process' streams. What the others print goes to files in `folder`.

    Args:
        arguments: list of str, the command's.
        count: int, how many processes.
        folder: where the files `worker-1.log` and so on go.
        program: list of str, what is run with the arguments; this package when None.

    Raises:
        CourseError: a worker died and the chief hasn't said so itself.
        KeyboardInterrupt: on Ctrl-C, when all have stopped.
    """
    folder = check_writable(folder)
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    print(f"{count} workers: {', '.join(addresses)}", flush=True)
    processes = [_start([*(program or PROGRAM), *arguments], addresses, index, folder) for index in range(count)]
    try:
        lost = _wait(processes)
    except KeyboardInterrupt:  # the workers, which Ctrl-C reaches too, write a checkpoint and stop
        _stop(processes, GRACE_S)
        raise
    finally:
        _stop(processes, 0)
    if lost is None:
        return
    if processes[0].returncode == 130:
        raise KeyboardInterrupt
    if processes[0].returncode == 1:  # its own sentence is on the screen
        sys.exit(1)
    status = processes[lost].returncode
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    where = f" Its last words are in {_log(folder, lost)}." if lost else ""
    again = "the same command with --resume goes on from the last checkpoint"
    raise CourseError(f"Worker {lost} of {count} {how}, so all have stopped: {again}.{where}")


def _start(command, addresses, index, folder):
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    threads = str(max(1, (os.cpu_count() or 1) // len(addresses)))
    environment = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads} | os.environ
    environment |= {"TF_CONFIG": json.dumps(task)}
    if index == 0:
        return subprocess.Popen(command, env=environment)
    with open(_log(folder, index), "wb") as log:
        environment |= {"VIDGEN_QUIET": "1"}  # one bar is enough
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


def _log(folder, index):
    return Path(folder) / f"worker-{index}.log"


def _free_ports(count):
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _wait(processes):
    """Waits for all; returns the number of the first that failed, after the others had time to stop, or None."""
    while any(process.poll() is None for process in processes):
        failed = [i for i, process in enumerate(processes) if process.poll() not in (None, 0)]
        if failed:
            _stop(processes, GRACE_S)
            return failed[0]
        time.sleep(0.1)
    return next((i for i, process in enumerate(processes) if process.returncode), None)


def _stop(processes, grace_s):
    """Ends what still runs after a time."""
    until = time.monotonic() + grace_s
    while time.monotonic() < until and any(process.poll() is None for process in processes):
        time.sleep(0.1)
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
