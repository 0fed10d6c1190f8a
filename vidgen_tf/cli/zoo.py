"""python -m vidgen_tf zoo list | verify."""

import sys

from ..errors import CourseError


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    zoo = commands.add_parser("zoo", help="the shipped weights").add_subparsers(required=True, metavar="ACTION")
    zoo.add_parser("list", help="what there is, and how it was trained").set_defaults(run=_list)
    zoo.add_parser("verify", help="check the files against the manifest").set_defaults(run=_verify)


def _list(options):
    from ..zoo import manifest

    for name, entry in manifest().items():
        print(f"{name:24} {entry['model']}, {entry['bytes'] / 1e6:.1f} MB")
        scores = ", ".join(f"{key} {value:.3g}" for key, value in entry["scores"].items())
        print(f"  {entry['minutes']} minutes on {entry['machine']}, {entry['date']}; {scores}")
        print(f"  made by: {entry['command']}")


def _verify(options):
    from ..zoo import manifest, verified_path

    failed = 0
    for name in manifest():
        try:
            print(f"{name}: good, {verified_path(name).stat().st_size / 1e6:.1f} MB")
        except CourseError as error:
            failed = 1
            print(f"error: {error}", file=sys.stderr)
    return failed
