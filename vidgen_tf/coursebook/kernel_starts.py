"""Plugin of pytest for nbval's runs: a kernel that dies as it starts is started again.

A kernel is told its five free ports before it opens them. Where several kernels start at once, another program may have taken one
by then, and the kernel ends before its first cell: all cells of that notebook would count as failed.
"""

import functools

START_ATTEMPTS = 3


def pytest_configure():
    """Makes nbval start kernels by `retry_start`."""
    import nbval.kernel

    nbval.kernel.start_new_kernel = retry_start(nbval.kernel.start_new_kernel)


def retry_start(start):
    """Wraps a function that starts a kernel, so that it has several attempts.

    Args:
        start: function that raises RuntimeError if the kernel dies before it answers, or does not answer in time.

    Returns:
        Function with the arguments and the result of start.
    """

    @functools.wraps(start)
    def start_again(*arguments, **options):
        for _ in range(START_ATTEMPTS - 1):
            try:
                return start(*arguments, **options)
            except RuntimeError:
                continue
        return start(*arguments, **options)

    return start_again
