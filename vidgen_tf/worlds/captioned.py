"""Your own videos with captions: the clips of the files world, and what is said of each file.

A folder may be laid out in three ways, also mixed:

- a text file beside each video: `walk.mp4` and `walk.txt`, a caption in each line;
- a table: `metadata.csv`, or any other .csv or .jsonl file in the folder, with a column for the file (file_name, file, path,
  video) and one for its caption (text, caption, prompt), as in Hugging Face's VideoFolder;
- .tar files of WebDataset, in which `000.mp4` and `000.txt`, or `000.json` with a "caption", belong together.
"""

import csv
import json
import os
import tarfile
import warnings
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import CourseError
from ..files import atomic_path
from ..video_io import IMAGES, VIDEOS
from . import files

FILE_COLUMNS = ("file_name", "file", "path", "video")
CAPTION_COLUMNS = ("text", "caption", "prompt")
SUFFIXES = (*VIDEOS, *IMAGES)
MAX_CLIPS = 10_000  # 2 GB of 16 frames of 64x64 px


def load(folder, *, unpacked, size=64, num_frames=16, fps=8):
    """The clips of a folder of captioned videos, each frame's central square in another size.

    Args:
        folder: str or Path, see above.
        unpacked: str or Path of a folder into which .tar files are unpacked; those that stand there already are left alone.
        size: height and width of the clips, px.
        num_frames: length of the clips; a longer video gives several, a shorter one none.
        fps: frames per second of the clips.

    Returns:
        `LabelledClips` whose state "file" names the video; and a list of the captions of each clip, a list of str.

    Raises:
        CourseError: no such folder, no captions in it, no video that can be read, or none that has a caption.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}: give one that holds videos and their captions.")
    roots = [folder, *(unpack(path, Path(unpacked)) for path in sorted(folder.glob("*.tar")))]
    captions = {name: found for root in roots for name, found in captions_of(root).items()}
    if not captions:
        raise CourseError(
            f"{folder} holds no captions: put a text file beside each video (walk.mp4, walk.txt), or a metadata.csv with the "
            "columns file_name and text, or .tar files of WebDataset."
        )
    found = [files.make(MAX_CLIPS, root, size=size, num_frames=num_frames, fps=fps) for root in roots if _has_videos(root)]
    if not found:
        raise CourseError(f"{folder} holds no videos: expected files that end in {', '.join(VIDEOS)} or .gif.")
    clips = found[0] if len(found) == 1 else _joined(found)
    named = [captions.get(name, ()) for name in clips.states["file"]]
    told = np.flatnonzero([len(each) > 0 for each in named])
    if not len(told):
        raise CourseError(f"No video in {folder} has a caption: {clips.states['file'][0]} has none, nor has any other.")
    if missing := len({*clips.states["file"]} - captions.keys()):
        warnings.warn(f"{missing} videos in {folder} have no caption and are left out.", stacklevel=2)
    if len(clips) >= MAX_CLIPS:
        warnings.warn(f"The first {MAX_CLIPS} clips of {folder} are taken.", stacklevel=2)
    return clips[told], [list(named[i]) for i in told]


def captions_of(folder):
    """What is said of the videos of a folder, beside them and in its tables.

    Args:
        folder: Path.

    Returns:
        dict from a video's path as `files.stream` gives it, the folder's name first, to a list of its captions.

    Raises:
        CourseError: a text file or table that can't be read.
    """
    captions = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.with_suffix(".txt").is_file():
            _add(captions, folder, path.relative_to(folder), _read(path.with_suffix(".txt")).splitlines())
    for path in sorted(folder.glob("*")):
        for row in _rows(path):
            file = next((row[name] for name in FILE_COLUMNS if row.get(name)), None)
            text = next((row[name] for name in CAPTION_COLUMNS if row.get(name)), None)
            if file and text:
                _add(captions, folder, PurePosixPath(str(file).replace("\\", "/")), [str(text)])
    return captions


def _add(captions, folder, file, lines):
    """Adds the captions of a file that aren't empty."""
    name = (PurePosixPath(Path(os.path.abspath(folder)).name) / PurePosixPath(Path(file).as_posix())).as_posix()
    if told := [line.strip() for line in lines if line.strip()]:
        captions.setdefault(name, []).extend(told)


def _rows(path):
    """The rows of a table, as dicts; none of a file that is no table."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            return list(csv.DictReader(_read(path).splitlines()))
        if suffix == ".jsonl":
            rows = [json.loads(line) for line in _read(path).splitlines() if line.strip()]
            return [row for row in rows if isinstance(row, dict)]
    except (csv.Error, ValueError) as error:
        raise CourseError(f"{path} can't be read as a table: {error}.") from error
    return []


def _read(path):
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} can't be read as a text file: save it as UTF-8.") from error


def unpack(path, folder):
    """Unpacks the videos and captions of a .tar file of WebDataset; nothing else in it is written.

    Args:
        path: Path of the .tar file.
        folder: Path; what is in the file goes into a folder in it that is named as the file is.

    Returns:
        Path of that folder.

    Raises:
        CourseError: the file is damaged or cut short; a full disk.
    """
    target = folder / path.name
    done = target / ".unpacked"
    if done.is_file():
        return target
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                parts = [part for part in PurePosixPath(member.name).parts if part not in ("/", "..")]
                name = "_".join(parts)  # flat, so that none leads out of the folder
                suffix = Path(name).suffix.lower()
                if not member.isfile() or name.startswith(".") or suffix not in (*SUFFIXES, ".txt", ".json"):
                    continue
                data = archive.extractfile(member).read()
                if suffix == ".json":
                    name, data = name[: -len(".json")] + ".txt", _caption(data, path).encode()
                with atomic_path(target / name) as temporary:
                    temporary.write_bytes(data)
            if 0 < path.stat().st_size - archive.offset < tarfile.BLOCKSIZE:  # tarfile stops in silence there
                raise EOFError
    except (tarfile.TarError, EOFError) as error:
        raise CourseError(f"{path} is damaged or cut short: copy it again, or take it out of the folder.") from error
    done.touch()
    return target


def _caption(data, path):
    """The caption of a .json file in a .tar file; empty where it has none."""
    try:
        content = json.loads(data)
    except ValueError as error:
        raise CourseError(f"{path} holds a .json file that can't be read: {error}.") from error
    return next((str(content[name]) for name in CAPTION_COLUMNS if isinstance(content, dict) and content.get(name)), "")


def _has_videos(root):
    return any(path.suffix.lower() in SUFFIXES for path in root.rglob("*"))


def _joined(parts):
    """Labelled clips of several folders as one."""
    joined = {name: np.concatenate([part.states[name] for part in parts]) for name in parts[0].states}
    frames, captions = np.concatenate([part.frames for part in parts]), np.concatenate([part.captions for part in parts])
    return type(parts[0])(frames, captions, captions, joined, parts[0].world, parts[0].fps)
