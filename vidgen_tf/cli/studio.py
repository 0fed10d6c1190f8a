"""python -m vidgen_tf studio: the web page."""

import getpass
import os
import sys
import time

from ..errors import CourseError
from .arguments import filled, whole

PASSWORD = "VIDGEN_STUDIO_PASSWORD"  # an environment variable: an argument could be read by every user of the machine


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    studio = commands.add_parser("studio", help="a web page on this machine that makes clips", allow_abbrev=False)
    studio.add_argument("--port", type=whole(0, 65535), default=7860, help="(default: 7860; 0: any that is free)")
    studio.add_argument(
        "-o", "--output-dir", type=filled, default="build/studio", help="where results are kept (default: build/studio)"
    )
    studio.add_argument(
        "--history-limit", type=whole(1, 10**7), default=2000, help="MB of results; then it makes no more (default: 2000)"
    )
    studio.add_argument(
        "--share-on-lan",
        action="store_true",
        help=f"serve the local network too, unencrypted, to user `studio` with a password: from {PASSWORD}, or asked for",
    )
    studio.set_defaults(run=_studio)


def _studio(options):
    password = None
    if options.share_on_lan:
        password = os.environ.get(PASSWORD) or _asked()
    from ..studio import server

    blocks = server.start(options.output_dir, options.port, password, history_megabytes=options.history_limit)
    print(f"The studio is at {blocks.local_url} ; Ctrl-C ends it. Results: {options.output_dir}", flush=True)
    try:
        while True:
            time.sleep(3600)
    finally:
        blocks.close(verbose=False)


def _asked():
    if not sys.stdin.isatty():
        raise CourseError(f"--share-on-lan needs a password: set {PASSWORD}.")
    return getpass.getpass("Password for the local network, at least 10 characters: ")
