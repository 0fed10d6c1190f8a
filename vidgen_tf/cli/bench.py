"""python -m vidgen_tf bench: what this machine can do."""

from .arguments import number


def add_parser(commands):
    """Adds the command to the command line.

    Args:
        commands: subparsers of argparse.
    """
    bench = commands.add_parser(
        "bench", help="measure this machine: matrix products, data, pipeline, training steps", allow_abbrev=False
    )
    bench.add_argument("--seconds", type=number(0.01, 600), default=3.0, help="about how long to measure each row (default: 3)")
    bench.set_defaults(run=_bench)


def _bench(options):
    from ..bench import bench

    bench(options.seconds)
