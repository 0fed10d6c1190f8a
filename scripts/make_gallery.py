"""Makes the studio's gallery anew: what its tabs give with the shipped models, with the visible mark.

python scripts/make_gallery.py
"""

import dataclasses
import json

from vidgen_tf.studio import makers, view
from vidgen_tf.studio.page import GALLERY

SHOWN = [
    ("prompt_to_video", lambda: makers.prompt_to_video("someone with curly red hair and glasses smiles", 0, None, no_steps)),
    ("prompt_to_video", lambda: makers.prompt_to_video("一个人，金色的长头发，开口说话", 0, None, no_steps)),
    ("prompt_to_video", lambda: makers.prompt_to_video("a large red circle falls and bounces", 0, None, no_steps)),
    ("prompt_to_video", lambda: makers.prompt_to_video("数字7先向左再向右移动。", 0, None, no_steps)),
    ("image_to_video", lambda: makers.image_to_video(None, 6, "surprise", 0, no_steps)),
    ("transfer_motion", lambda: makers.transfer_motion(None, 4, None, 3, no_steps)),
    ("stylize", lambda: makers.stylize_clip(None, 2, "watercolour", None, no_steps)),
    ("predict_next", lambda: makers.predict_next("simvp-spheres", 2, 0, no_steps)),
]


def no_steps(step):
    """Nobody watches."""


def main():
    entries = []
    for tab, make in SHOWN:
        (result,) = make()
        clip = result.clip
        if tab == "stylize":  # strokes are large files
            clip = dataclasses.replace(clip, frames=clip.frames[:6])
        entries.append({"tab": tab, "title": result.title, "picture": view.preview_picture(clip)})
        print(tab, result.title, f"{len(entries[-1]['picture']) / 1e3:.0f} kB")
    GALLERY.write_text(json.dumps(entries, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
