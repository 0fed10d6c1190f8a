"""Your own videos with captions: the clips of the files world, and what is said of each file.

A folder may be laid out in three ways, also mixed:

- a text file beside each video: `walk.mp4` and `walk.txt`, a caption in each line;
- a table, in any of its folders: `metadata.csv`, or another .csv or .jsonl file with a column for the file (file_name, file,
  path, video) and one for its caption (text, caption, prompt), as in Hugging Face's VideoFolder;
- .tar files of WebDataset, in which `000.mp4` and `000.txt`, or `000.json` with a "caption", belong together.

Hidden files are left out.
"""

import csv
import io
import json
import os
import shutil
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
MAX_CLIPS = 5000  # 1 GB of 16 frames of 64x64 px, and up to three times that while they are read


def load(folder, *, unpacked, size=64, num_frames=16, fps=8):
    """The clips of a folder of captioned videos, each frame's central square in another size.

    Args:
        folder: str or Path, see above.
        unpacked: str or Path of a folder elsewhere, into which .tar files are unpacked.
        size: height and width of the clips, px.
        num_frames: length of the clips; a longer video gives several, a shorter one none.
        fps: frames per second of the clips.

    Returns:
        `LabelledClips` whose state "file" names the video; and a list of the captions of each clip, a list of str.

    Raises:
        CourseError: no such folder, no captions in it, no video that can be read, or none that has a caption.
    """
    folder, unpacked = Path(os.path.abspath(folder)), Path(os.path.abspath(unpacked))
    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}: give one that holds videos and their captions.")
    if unpacked.is_relative_to(folder):
        raise CourseError(f"{unpacked} is inside of {folder}: let the results go elsewhere, or they are taken for videos.")
    tars = [path for path in sorted(folder.glob("*.tar")) if path.is_file() and not path.name.startswith(".")]
    roots = [folder, *(unpack(path, unpacked) for path in tars)]
    captions = {name: found for root in roots for name, found in captions_of(root).items()}
    if not captions:
        raise CourseError(
            f"{folder} holds no captions: put a text file beside each video (walk.mp4, walk.txt), or a metadata.csv with the "
            "columns file_name and text, or .tar files of WebDataset."
        )
    clips = _clips(folder, roots, {"size": size, "num_frames": num_frames, "fps": fps})
    named = [captions.get(name, ()) for name in clips.states["file"]]
    told = np.flatnonzero([len(each) > 0 for each in named])
    if not len(told):
        raise CourseError(f"No video in {folder} has a caption: {clips.states['file'][0]} has none, nor has any other.")
    if missing := len({*clips.states["file"]} - captions.keys()):
        warnings.warn(f"{missing} videos in {folder} have no caption and are left out.", stacklevel=2)
    return clips[told], [list(named[i]) for i in told]


def _clips(folder, roots, options):
    """The first clips of all roots; one root without any is no error as long as another has some."""
    found, causes, left = [], [], MAX_CLIPS
    for root in roots:
        if not left or not any(path.suffix.lower() in SUFFIXES for path in _shown(root)):
            continue
        try:
            found.append(files.make(left, root, **options))
        except CourseError as error:
            causes.append(str(error))
            continue
        left -= len(found[-1])
    if not found:
        raise CourseError(causes[0] if causes else f"{folder} holds no videos: expected {', '.join(VIDEOS)} or .gif.")
    for cause in causes:
        warnings.warn(f"Skipped: {cause}", stacklevel=3)
    if not left:
        warnings.warn(f"The first {MAX_CLIPS} clips of {folder} are taken.", stacklevel=3)
    return found[0] if len(found) == 1 else _joined(found)


def _joined(parts):
    """Labelled clips of several folders as one."""
    states = {name: np.concatenate([part.states[name] for part in parts]) for name in parts[0].states}
    frames, captions = np.concatenate([part.frames for part in parts]), np.concatenate([part.captions for part in parts])
    return type(parts[0])(frames, captions, captions, states, parts[0].world, parts[0].fps)


def _shown(folder):
    """The files of a folder and of its subfolders that aren't hidden."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def captions_of(folder):
    """What is said of the videos of a folder, beside them and in its tables.

    Args:
        folder: Path.

    Returns:
        dict from a video's path as `files.stream` gives it, the folder's name first, to a list of its captions.

    Raises:
        CourseError: a text file or table that can't be read.
    """
    captions, shown = {}, _shown(folder)
    texts = {path.with_suffix("").as_posix(): path for path in shown if path.suffix.lower() == ".txt"}
    for path in shown:
        if path.suffix.lower() in SUFFIXES and (text := texts.get(path.with_suffix("").as_posix())):
            _add(captions, folder, path, _read(text).splitlines())
        for row in _rows(path):
            file = next((row[name] for name in FILE_COLUMNS if row.get(name)), None)
            text = next((row[name] for name in CAPTION_COLUMNS if row.get(name)), None)
            if file and text:
                _add(captions, folder, path.parent / str(file).replace("\\", "/"), _lines(text))
    return captions


def _add(captions, folder, path, lines):
    """Adds the captions of a file that aren't empty."""
    path = Path(os.path.abspath(path))
    if path.is_relative_to(folder.parent):
        name = path.relative_to(folder.parent).as_posix()
        if told := [" ".join(line.split()) for line in lines if line.strip()]:
            captions.setdefault(name, []).extend(told)


def _lines(text):
    """The captions in a cell of a table, which is a text or a list of texts."""
    return [str(part) for part in text] if isinstance(text, list) else [str(text)]


def _rows(path):
    """The rows of a table, as dicts whose keys are small letters; none of a file that is no table."""
    suffix, rows = path.suffix.lower(), []
    try:
        if suffix == ".csv":
            text = _read(path)
            head = text.partition("\n")[0]
            rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
        elif suffix == ".jsonl":
            rows = (json.loads(line) for line in _read(path).split("\n") if line.strip())
        rows = [row for row in rows if isinstance(row, dict)]
    except (csv.Error, ValueError) as error:
        raise CourseError(f"{path} can't be read as a table: {error}.") from error
    return [{str(key).strip().lower(): value for key, value in row.items()} for row in rows]


def _read(path):
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} can't be read as a text file: save it as UTF-8.") from error


def unpack(path, folder):
    """Unpacks the videos and captions of a .tar file of WebDataset; nothing else in it is written.

    What belongs to one key, the name up to its first dot, is written under that key: 000.caption.txt as 000.txt.

    Args:
        path: Path of the .tar file.
        folder: Path; what is in the file goes into a folder in it that is named as the file is, unless it stands there already.

    Returns:
        Path of that folder.

    Raises:
        CourseError: the file is damaged, cut short or compressed; a full disk.
    """
    target, facts = folder / path.name, path.stat()
    stamp, state = target / ".unpacked", f"{path} {facts.st_size} {facts.st_mtime_ns}"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == state:
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                _unpack_member(archive, member, target)
            if 0 < facts.st_size - archive.offset < tarfile.BLOCKSIZE:  # tarfile stops in silence there
                raise EOFError
    except (tarfile.TarError, EOFError) as error:
        raise CourseError(f"{path} is damaged, cut short or compressed: copy it again, or take it out of the folder.") from error
    stamp.write_text(state, encoding="utf-8")
    return target


def _unpack_member(archive, member, target):
    """Writes a video, or the captions of a text or .json file."""
    parts = [part for part in PurePosixPath(member.name).parts if part not in ("/", "..")]
    suffix = PurePosixPath(member.name).suffix.lower()
    if not member.isfile() or not parts or any(part.startswith(".") for part in parts):
        return
    key = "_".join([*parts[:-1], parts[-1].partition(".")[0]])  # flat, so that none leads out of the folder
    data = archive.extractfile(member).read()
    if suffix in (".txt", ".json"):
        told = _captions_in(data, suffix, f"{archive.name}: {member.name}")
        with open(target / f"{key}.txt", "a", encoding="utf-8", errors="replace") as file:  # a key may have both
            file.write("".join(f"{' '.join(line.split())}\n" for line in told if line.strip()))
    elif suffix in SUFFIXES:
        with atomic_path(target / f"{key}{suffix}") as temporary:
            temporary.write_bytes(data)


def _captions_in(data, suffix, name):
    """The captions in the bytes of a text or .json file."""
    try:
        text = data.decode("utf-8-sig")
        content = json.loads(text) if suffix == ".json" else None
    except ValueError as error:
        raise CourseError(f"{name} can't be read: {error}.") from error
    if suffix == ".txt":
        return text.splitlines()
    return next((_lines(content[name]) for name in CAPTION_COLUMNS if isinstance(content, dict) and content.get(name)), [])
