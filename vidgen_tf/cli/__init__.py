"""The command line: python -m vidgen_tf data | train | sample | stylize | evaluate | ablate | zoo | bench | studio | inspect.

Each command is a module with `add_parser(commands)`; its `run(options)` returns an exit status or None. TensorFlow is imported by
the commands that need it, when they run: `--help` and mistakes in the command line are answered at once.
"""

import argparse
import errno
import os
import sys
import warnings

from ..errors import CourseError
from . import ablate, bench, data, evaluate, inspect, sample, studio, stylize, train, zoo

RENAMED_COMMANDS = {"exam": "evaluate"}  # the last version's names answer for one version more
RENAMED_OPTIONS = {
    "--encoder-steps": "--autoencoder-steps",
    "--folder": "--output-dir",
    "--guidance": "--guidance-scale",
    "--measures": "--list-metrics",
    "--ship": "--release",
    "--world": "--dataset",
}


def main(arguments=None):
    """Runs one command.

    Args:
        arguments: list of str; those of the process when None.

    Returns:
        int, the exit status: 0, 1 after a mistake that was told in a sentence, 130 after Ctrl-C.
    """
    _print_anything()
    options = _parser().parse_args(_renamed(sys.argv[1:] if arguments is None else list(arguments)))
    _silence_native_logs()
    try:
        status = options.run(options) or 0
        sys.stdout.flush()
        return status
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        later = " The same command with --resume goes on from here." if "resume" in options else ""
        print(f"\nstopped; files already written are whole.{later}", file=sys.stderr)
        return 130
    except OSError as error:
        return _output_failed(error)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m vidgen_tf", description="Data, models and evaluation of the course.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (data, train, sample, stylize, evaluate, ablate, zoo, bench, studio, inspect):
        command.add_parser(commands)
    return parser


def _renamed(arguments):
    """Arguments with the last version's names replaced by the present ones, and a line about it on stderr."""
    old = list(arguments)
    arguments = [RENAMED_OPTIONS.get(name, name) + equals + value for name, equals, value in (a.partition("=") for a in old)]
    if arguments and arguments[0] in RENAMED_COMMANDS:
        arguments[0] = RENAMED_COMMANDS[arguments[0]]
    if arguments[:1] == ["train"] and "--ladder" in arguments:
        arguments = ["ablate", *(argument for argument in arguments[1:] if argument != "--ladder")]
    if arguments != old:
        print(f"note: this is now called python -m vidgen_tf {' '.join(arguments)}", file=sys.stderr)
    return arguments


def _print_anything():
    """Characters that the terminal or the file behind stdout can't hold are printed escaped, and a warning as one line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = lambda message, *_, **__: print(f"note: {message}", file=sys.stderr)


def _silence_native_logs():
    """Sends what TensorFlow's compiled part logs nowhere, and leaves Python's own stderr where it is. Whoever wants to see the
    log sets TF_CPP_MIN_LOG_LEVEL."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or sys.stderr is not sys.__stderr__:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    encoding = {"encoding": sys.stderr.encoding, "errors": "backslashreplace"}
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, **encoding)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _output_failed(error):
    """The status after stdout failed: silence where nobody reads any more, a sentence where the disk is full."""
    if error.errno not in (errno.EPIPE, errno.ENOSPC):
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes stdout once more at its exit
    if error.errno == errno.EPIPE:
        return 0
    print("error: No space left on the disk for what is printed: free some and run again.", file=sys.stderr)
    return 1
