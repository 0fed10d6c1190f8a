"""Labels of generated files: a visible mark, machine-readable metadata, and what can be read back of both.

The metadata are one XMP packet, put into a finished file as its format wants it. They say where the content comes from, in the
words of the IPTC (`DigitalSourceType`) and in those of China's standard GB 45438-2025 (`AIGC`, a JSON text of seven fields). No
pixel is encoded a second time for it.
"""

import dataclasses
import html
import json
import re
import struct
import zlib
from pathlib import Path

import av
import numpy as np
from PIL import Image

from .. import __version__
from ..errors import CourseError
from ..video_io import IMAGES, VIDEOS, iter_frames
from .credentials import read_credentials
from .watermark import SIZE, detect_watermark

LABELLED = (".mp4", ".gif", ".webp", ".png")  # suffixes that `write_label` takes
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DETECTED = 5.0  # a watermark is found from this z on: 1 false alarm in 3.5 million
MAX_FRAMES = 64  # of a file, that are looked at for the watermark
MAX_FILE_BYTES = 2**28
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the id of an XMP packet among the boxes of an mp4
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" xmp:CreatorTool="{tool}" '
    'Iptc4xmpExt:DigitalSourceType="{source}"><TC260:AIGC>{aigc}</TC260:AIGC></rdf:Description></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="r"?>'
)


@dataclasses.dataclass(frozen=True)
class Label:
    """What a file says of its origin.

    Args:
        produce_id: str, the number of this product at its producer.
        is_composite: whether parts of it were given and not generated: the first frame, say.
        producer: str, who made it.
    """

    produce_id: str
    is_composite: bool = False
    producer: str = "vidgen_tf"

    @property
    def source_type(self):
        """str, the IPTC's address of this kind of origin."""
        return SOURCE_TYPES + ("compositeWithTrainedAlgorithmicMedia" if self.is_composite else "trainedAlgorithmicMedia")

    @property
    def aigc(self):
        """dict of the seven fields of GB 45438-2025; "1" says that the content is generated for certain."""
        named = {"Label": "1", "ContentProducer": self.producer, "ProduceID": self.produce_id}
        return named | dict.fromkeys(("ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2"), "")

    def packet(self):
        """The label as an XMP packet.

        Returns:
            bytes.
        """
        aigc = html.escape(json.dumps(self.aigc), quote=False)  # ASCII: what is no letter of it is escaped
        return PACKET.format(tool=f"vidgen_tf {__version__}", source=self.source_type, aigc=aigc).encode()


def write_label(path, label):
    """Adds a label to a finished file, in place; its frames stay what they are, bit for bit.

    Args:
        path: str or Path of an mp4, gif, webp or png that `Clip.save` wrote.
        label: `Label`.

    Raises:
        CourseError: another suffix.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in LABELLED:
        raise CourseError(f"A label goes into {', '.join(LABELLED)}, not into {path.name!r}.")
    if suffix == ".mp4":
        _write_key(path, json.dumps(label.aigc))
    add = {".mp4": _with_box, ".gif": _with_extension, ".webp": _with_riff_chunk, ".png": _with_text_chunk}[suffix]
    path.write_bytes(add(path.read_bytes(), label.packet()))


def _write_key(path, aigc):
    """The metadata key AIGC of an mp4, where players and FFmpeg show it: packets are copied, nothing is decoded."""
    copy = path.with_name(f"{path.stem}-key.mp4")
    with av.open(str(path)) as source, av.open(str(copy), "w", options={"movflags": "+faststart+use_metadata_tags"}) as target:
        target.metadata.update({"comment": source.metadata.get("comment", ""), "AIGC": aigc})
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:  # the last one is empty
                packet.stream = stream
                target.mux(packet)
    copy.replace(path)


def _with_box(data, packet):
    """mp4: a box of type uuid behind the others."""
    return data + struct.pack(">I4s", 24 + len(packet), b"uuid") + XMP_BOX + packet


def _with_extension(data, packet):
    """gif: an application extension before the end; the bytes behind the packet lead readers that skip blocks to its end."""
    trailer = bytes([1, *range(255, -1, -1), 0])
    return data[:-1] + b"\x21\xff\x0bXMP DataXMP" + packet + trailer + data[-1:]


def _with_riff_chunk(data, packet):
    """webp: a chunk at the end, a bit in the header that says so, and the new length of the whole."""
    chunk = b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
    flags = bytes([data[20] | 4])  # of the chunk VP8X, which stands first in files that have metadata
    return data[:4] + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:20] + flags + data[21:] + chunk


def _with_text_chunk(data, packet):
    """png: a chunk of international text behind the header."""
    body = b"iTXt" + b"XML:com.adobe.xmp" + b"\0" * 5 + packet
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


def read_label(path):
    """What a file's metadata say of its origin; any XMP packet in it is found, whoever wrote it.

    Args:
        path: str or Path.

    Returns:
        dict: "source_type", str or None, the last part of the IPTC's address; "aigc", dict or None; "tool", str or None.

    Raises:
        CourseError: no file, or one of more than 256 MB.
    """
    path = Path(path)
    if not path.is_file():
        raise CourseError(f"There is no file {path}.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise CourseError(f"{path.name} is larger than {MAX_FILE_BYTES >> 20} MB: too large to be searched for labels.")
    found = re.search(rb"<x:xmpmeta.{0,100000}?</x:xmpmeta>", path.read_bytes(), re.DOTALL)
    text = found[0].decode(errors="replace") if found else ""
    source = re.search(r"DigitalSourceType(?:=\"|>|\s+rdf:resource=\")[^\"<]*?([A-Za-z]+)[\"<]", text)
    aigc = re.search(r"TC260:AIGC(?:>([^<]*)<|=\"([^\"]*)\")", text)
    tool = re.search(r"xmp:CreatorTool=\"([^\"]*)\"", text)
    return {
        "source_type": source[1] if source else None,
        "aigc": _parsed(html.unescape(aigc[1] or aigc[2] or "")) if aigc else _key_of_video(path),
        "tool": html.unescape(tool[1]) if tool else None,
    }


def _key_of_video(path):
    """The metadata key AIGC of a video, or None."""
    if path.suffix.lower() not in VIDEOS:
        return None
    try:
        with av.open(str(path)) as container:
            return _parsed(container.metadata.get("AIGC", ""))
    except Exception:  # whatever a damaged file makes a demuxer raise
        return None


def _parsed(text):
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def inspect_file(path):
    """What a file says and shows of its origin: its metadata, and the studio's watermark.

    Args:
        path: str or Path of a video or picture.

    Returns:
        dict of `read_label`; "watermark", the float z of `detect_watermark`; and "credentials", see `read_credentials`.

    Raises:
        CourseError: as `read_label` and `video_io.iter_frames`, or another suffix.
    """
    path = Path(path)
    label = read_label(path)
    if path.suffix.lower() not in VIDEOS + IMAGES:
        raise CourseError(f"{path.name} is neither a video nor a picture: inspect takes {', '.join(VIDEOS + IMAGES)}.")
    frames = []
    for _, _, to_image in iter_frames(path):
        image = to_image().convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        frames.append(np.asarray(image))
        if len(frames) == MAX_FRAMES:
            break
    if not frames:
        raise CourseError(f"{path.name} holds no frames: is it damaged or cut short?")
    return label | {"watermark": detect_watermark(np.stack(frames)), "credentials": read_credentials(path)}
