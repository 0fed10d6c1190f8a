"""Files that appear whole or not at all, and progress bars that only a person sees."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from .errors import CourseError

FULL = "No space left on the disk while writing {}: free some and run again."


@contextlib.contextmanager
def atomic_path(path):
    """A temporary path beside `path` to write to; renamed to `path` on success, removed on any failure.

    The temporary name keeps the suffix, because encoders choose the format by it.

    Args:
        path: str or Path of the file to appear; its folder is made when missing.

    Yields:
        Path of the temporary file.

    Raises:
        CourseError: the disk is full, the path is a folder, or its folder can't be written to.
    """
    path = Path(path)
    with _told_in_a_sentence(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp's 0600 would outlive the rename
    temporary = Path(name)
    try:
        try:
            yield temporary
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise CourseError(FULL.format(path)) from error
            raise
        with _told_in_a_sentence(path):
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _told_in_a_sentence(path):
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CourseError(FULL.format(path)) from error
        raise CourseError(f"Can't write {path}: {error.strerror}. Choose another place.") from error


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def is_interactive():
    """Whether somebody may be looking: neither a test nor an executed notebook, whose stored output a moving bar would spoil.

    Returns:
        bool.
    """
    return not (os.environ.get("VIDGEN_QUIET") or os.environ.get("PYTEST_CURRENT_TEST"))


def progress(items=None, *, label, unit="it", total=None, delay=0.0):
    """A progress bar on stderr, or in a notebook where there is one. It draws nothing where nobody is looking.

    Args:
        items: iterable whose items are counted; None for a bar that is moved by its `update`.
        label: str, what is being done.
        unit: str, what is counted.
        total: number of items, where `items` doesn't know its length.
        delay: seconds before the bar appears, so that short work shows none.

    Returns:
        tqdm bar; iterating over it gives the items.
    """
    from tqdm.auto import tqdm

    options = {"delay": delay, "leave": delay == 0, "disable": not is_interactive()}
    return tqdm(items, desc=label, unit=unit, total=total, **options)


def check_writable(folder):
    """A folder, made where it is missing, to which files can be written: one was, and is removed again.

    Args:
        folder: str or Path.

    Returns:
        Path.

    Raises:
        CourseError: it can't be written to, the disk is full, or the path is a file.
    """
    folder = Path(folder)
    with _told_in_a_sentence(folder):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is no folder", str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".part-", dir=folder) as file:  # mkdir and permission bits prove nothing
            file.write(b"x")
            file.flush()
    return folder
