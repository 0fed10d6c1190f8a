"""python -m vidgen_tf inspect: what a file says of its origin."""

from .arguments import filled


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    inspect = commands.add_parser("inspect", help="read the labels of generated content in a file", allow_abbrev=False)
    inspect.add_argument("file", type=filled, help="a video or picture")
    inspect.set_defaults(run=_inspect)


def _inspect(options):
    """Prints the labels; the status is 0 where any was found, 1 where none was."""
    from ..studio.labels import DETECTED, inspect_file

    found = inspect_file(options.file)
    z, aigc = found["watermark"], found["aigc"]
    is_marked = z >= DETECTED
    print(f"origin (IPTC DigitalSourceType): {found['source_type'] or 'not stated'}")
    print(
        f"AIGC (GB 45438-2025): {', '.join(f'{key} {value}' for key, value in aigc.items() if value) if aigc else 'not stated'}"
    )
    print(f"written by: {found['tool'] or 'not stated'}")
    print(f"watermark of this studio: {'found' if is_marked else 'not found'}, z = {z:.1f} (found from {DETECTED:g} on)")
    signed = found["credentials"]
    print("content credentials (C2PA):", f"{signed['state']}, signed by: {signed['issuer']}" if signed else "none")
    if not (found["source_type"] or aigc or is_marked or signed):
        print("No label was found. That proves nothing: labels can be removed.")
        return 1
    return 0
