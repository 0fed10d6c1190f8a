"""HTML of the page: what was made, how far a job is, and what went wrong, so that a screen reader can tell it as well."""

import base64
import html

from ..video_io import encode_image, repeat_pixels
from .mark import draw_mark
from .texts import say

PREVIEW_SIZE = 128  # px: smaller than results, as previews come several a second
FILES = "gradio_api/file="  # where the server gives out the files of the history
CSS = """
.studio-figures { display: flex; flex-wrap: wrap; gap: 1rem; }
.studio-figures figure { margin: 0; max-width: 100%; width: 272px; }
.studio-figures video, .studio-figures img { width: 100%; image-rendering: pixelated; background: #808080; }
.studio-gallery figure { width: 192px; }
.studio-people { display: flex; flex-wrap: wrap; gap: 0.5rem; }
.studio-people figure { margin: 0; width: 72px; text-align: center; }
.studio-people img { width: 72px; }
.studio-status { min-height: 3rem; }
.studio-status progress { width: 100%; }
.studio-error { border-left: 4px solid #b91c1c; padding-left: 0.75rem; }
"""


def escape(text):
    """Text that is shown as it is, wherever it stands in HTML, and that no template takes for its own.

    Args:
        text: str.

    Returns:
        str.
    """
    return html.escape(str(text)).replace("{", "&#123;").replace("$", "&#36;")


def status(text, done=None, total=None, is_error=False):
    """A line about a job.

    Args:
        text: str.
        done, total: int, of its steps; None without a bar.
        is_error: whether it is about something that can't be done.

    Returns:
        str, HTML.
    """
    bar = f'<progress value="{done}" max="{total}" aria-label="{escape(text)}"></progress>' if total else ""
    role, kind = ("alert", " studio-error") if is_error else ("status", "")
    return f'<div class="studio-status{kind}" role="{role}" aria-live="polite"><p>{escape(text)}</p>{bar}</div>'


def preview(clip, title):
    """A clip as it is so far, with the visible mark, inside the page itself.

    Args:
        clip: `Clip` of at most 128 px.
        title: str.

    Returns:
        str, HTML.
    """
    return f'<div class="studio-figures"><figure>{_picture(preview_picture(clip), title)}</figure></div>'


def preview_picture(clip):
    """A small moving picture of a clip, with the visible mark.

    Args:
        clip: `Clip` of at most 128 px.

    Returns:
        str: an animated WebP in base 64.
    """
    return _encode(draw_mark(repeat_pixels(clip.frames, max(1, PREVIEW_SIZE // clip.frames.shape[1]))), clip.fps)


def _encode(frames, fps):
    return base64.b64encode(encode_image(frames, fps, None, ".webp")).decode()


def _picture(data, title):
    return f'<img alt="{escape(title)}" src="data:image/webp;base64,{data}">'


def gallery(entries, language):
    """Examples of what the tabs make.

    Args:
        entries: list of dict of str: "tab", its key; "title"; "picture", of `preview_picture`.
        language: str.

    Returns:
        str, HTML.
    """
    shown = []
    for one in entries:
        caption = f"<b>{say(one['tab'], language)}</b><br>{escape(one['title'])}"
        shown.append(f"<figure>{_picture(one['picture'], one['title'])}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="studio-figures studio-gallery">{"".join(shown)}</div>'


def figures(entries, language, autoplay=True, names=None):
    """Results of the history, with links to their files.

    Args:
        entries: list of `Entry`.
        language: str.
        autoplay: whether clips play at once; they have controls to pause them.
        names: list of str that stand in place of models and links, or None.

    Returns:
        str, HTML.
    """
    shown = [
        _figure(entry, language, autoplay, name) for entry, name in zip(entries, names or [None] * len(entries), strict=True)
    ]
    return f'<div class="studio-figures">{"".join(shown)}</div>'


def _figure(entry, language, autoplay, name):
    title, address = escape(entry.title), {suffix: FILES + escape(path) for suffix, path in entry.files.items()}
    if ".mp4" in address:
        options = "controls loop muted playsinline" + (" autoplay" if autoplay else ' preload="metadata"')
        shown = f'<video {options} aria-label="{title}" src="{address[".mp4"]}"></video>'
    else:
        shown = f'<img alt="{title}" src="{address[".png"]}">'
    if name is not None:
        return f"<figure>{shown}<figcaption><b>{escape(name)}</b> {title}</figcaption></figure>"
    links = " ".join(
        f'<a href="{place}" download="{escape(entry.id + suffix)}">{suffix[1:]}</a>' for suffix, place in address.items()
    )
    made = ", ".join(
        [*entry.settings.get("models", []), *[f"{key} {entry.settings[key]}" for key in ("seed",) if key in entry.settings]]
    )
    caption = f"{title}<br>{escape(made)}<br>{say('files', language)}: {links}"
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def people(frames):
    """The drawn people, numbered.

    Args:
        frames: uint8 `(N, H, W, 3)`.

    Returns:
        str, HTML.
    """
    pictures = [_picture(_encode(frame[None], 8), f"{i}") for i, frame in enumerate(frames, 1)]
    shown = [f"<figure>{picture}<figcaption>{i}</figcaption></figure>" for i, picture in enumerate(pictures, 1)]
    return f'<div class="studio-people">{"".join(shown)}</div>'
