"""Files appear whole or not at all."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from .errors import CourseError


@contextlib.contextmanager
def atomic_path(path):
    """A temporary path beside `path` to write to; renamed to `path` on success, removed on any failure.

    The temporary name keeps the suffix, because encoders choose the format by it.

    Args:
        path: str or Path of the file to appear; its folder is made when missing.

    Yields:
        Path of the temporary file.

    Raises:
        CourseError: the disk is full or the folder can't be written to.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's 0600 would outlive the rename
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CourseError(f"No space left on the disk while writing {path}: free some and run again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise CourseError(f"Can't write {path}: {error.strerror}. Choose another folder.") from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
