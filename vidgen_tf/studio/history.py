"""What was made, on the disk: a folder for each result, which appears whole or not at all and outlives the server."""

import dataclasses
import datetime
import json
import re
import secrets
import shutil
from pathlib import Path

from ..errors import CourseError
from ..files import atomic_path, check_writable
from ..video import Clip
from ..video_io import repeat_pixels
from .credentials import sign
from .labels import LABELLED, Label, write_label
from .mark import CORNERS, draw_mark
from .texts import Refused
from .watermark import SIZE, embed_watermark

ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")  # names of the folders: what is no such name is never looked up on the disk
PICTURE_FORMATS = (".png", ".webp")  # of results of a single frame


@dataclasses.dataclass(frozen=True)
class Entry:
    """A result in the history.

    Args:
        id: str, also the product's number in its label.
        title: str, what was asked for.
        settings: dict of what makes it again.
        files: dict from suffix to `Path`.
    """

    id: str
    title: str
    settings: dict
    files: dict


def finish(clip, corner=CORNERS[0]):
    """A clip as it leaves the studio: enlarged to 256 px, with the visible mark and the watermark on every frame.

    Args:
        clip: `Clip` of a height and width that divide 256.
        corner: see `draw_mark`.

    Returns:
        `Clip`.

    Raises:
        CourseError: another size, or as `draw_mark`.
    """
    height, width = clip.frames.shape[1:3]
    if height != width or SIZE % height:
        raise CourseError(f"The studio finishes square clips whose side divides {SIZE}, not {width}x{height}.")
    frames = draw_mark(repeat_pixels(clip.frames, SIZE // height), corner)
    return Clip(embed_watermark(frames), clip.fps, clip.caption)


class History:
    """Results of the studio in a folder.

    Args:
        folder: str or Path; made where it is missing. What an interrupted write has left in it is removed. The certificate that
            results are signed with lies beside it.
        most_megabytes: number, of results that it takes; None for as many as the disk holds. Nothing is ever deleted.

    Raises:
        CourseError: a folder that can't be written to.
    """

    def __init__(self, folder, most_megabytes=None):
        self.folder, self.most_megabytes = check_writable(folder).resolve(), most_megabytes
        for rest in self.folder.glob(".part-*"):
            shutil.rmtree(rest, ignore_errors=True)

    def add(self, result, corner=CORNERS[0]):
        """Writes a result in all formats, labelled and signed.

        Args:
            result: `jobs.Result`.
            corner: of the visible mark.

        Returns:
            `Entry`.

        Raises:
            CourseError: a full history or disk, or as `finish`.
        """
        if self.most_megabytes is not None and self.usage()[1] >= self.most_megabytes:
            raise Refused("full_history", megabytes=self.most_megabytes)
        now = datetime.datetime.now()
        name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        part = self.folder / f".part-{name}"
        clip = finish(dataclasses.replace(result.clip, caption=result.title), corner)
        record = {"title": result.title, "made": now.isoformat(timespec="seconds"), "settings": result.settings}
        try:
            for suffix in LABELLED if len(clip) > 1 else PICTURE_FORMATS:
                path, label = clip.save(part / f"clip{suffix}"), Label(name, result.is_composite)
                write_label(path, label)
                sign(path, label, self.folder.with_name("certificate"))  # beside the results, which visitors may download
            with atomic_path(part / "record.json") as path:
                path.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
            part.rename(self.folder / name)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return self.get(name)

    def get(self, name):
        """One result.

        Args:
            name: str, its id.

        Returns:
            `Entry`.

        Raises:
            CourseError: there is none of this id, or its record is damaged.
        """
        folder = self.folder / str(name) if ID.fullmatch(str(name)) else None
        try:
            record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            files = {path.suffix: path for path in sorted(folder.glob("clip.*"))}
            return Entry(folder.name, str(record["title"]), dict(record["settings"]), files)
        except (AttributeError, TypeError, KeyError, ValueError, OSError) as error:
            raise CourseError("There is no such result in the history.") from error

    def entries(self, most=50):
        """The latest results.

        Args:
            most: int, how many at most.

        Returns:
            list of `Entry`, the latest first; damaged ones are left out.
        """
        found = []
        names = [path.name for path in self.folder.iterdir() if ID.fullmatch(path.name)]
        for name in sorted(names, reverse=True):
            try:
                found.append(self.get(name))
            except CourseError:
                continue
            if len(found) == most:
                break
        return found

    def usage(self):
        """How much there is.

        Returns:
            (int, float): results, and their megabytes.
        """
        files = [path for path in Path(self.folder).glob("*/*") if ID.fullmatch(path.parent.name)]
        return len({path.parent for path in files}), sum(path.stat().st_size for path in files) / 1e6
