"""What objects of the spheres can be, and the captions that say so, in English and Simplified Chinese."""

import re

import numpy as np

from ...errors import CourseError

KINDS = ("ball", "box")
COLORS = {
    "red": (222, 48, 42),
    "green": (44, 168, 76),
    "blue": (42, 92, 232),
    "yellow": (250, 206, 40),
    "purple": (148, 66, 206),
    "orange": (250, 124, 22),
}
TEXTURES = ("plain", "striped", "checkered", "dotted")
SIZES = {"small": 0.68, "large": 0.94}  # radius of a ball in scene units
MOTIONS = ("left", "right", "towards", "away", "falls", "stays", "collides", "behind")

attributes = {"kind": KINDS, "color": tuple(COLORS), "texture": TEXTURES, "size": tuple(SIZES), "motion": MOTIONS}

KINDS_ZH = ("球", "方块")
COLORS_ZH = ("红色", "绿色", "蓝色", "黄色", "紫色", "橙色")
TEXTURES_ZH = ("", "条纹", "格子", "圆点")
SIZES_ZH = ("小", "大")
# By motion, of a ball and of a box; a plain object's texture isn't named.
_DIRECTIONS = ("left", "right", "towards us", "away")
VERBS = tuple([*(f"{verb} {way}" for way in _DIRECTIONS), "falls and bounces", "stays still"] for verb in ("rolls", "slides"))
_DIRECTIONS_ZH = ("向左{}动", "向右{}动", "朝我们{}来", "向远处{}去")
VERBS_ZH = tuple([*(way.format(verb) for way in _DIRECTIONS_ZH), "下落并弹起", "静止不动"] for verb in ("滚", "滑"))
COLLIDES, BEHIND, STAYS = MOTIONS.index("collides"), MOTIONS.index("behind"), MOTIONS.index("stays")


def _noun(size, color, texture, kind):
    words = [tuple(SIZES)[size], tuple(COLORS)[color], *([TEXTURES[texture]] if texture else []), KINDS[kind]]
    return f"a {' '.join(words)}", f"一个{SIZES_ZH[size]}的{COLORS_ZH[color]}{TEXTURES_ZH[texture]}{KINDS_ZH[kind]}"


NOUNS = {
    noun: (size, color, texture, kind)
    for size in range(len(SIZES))
    for color in range(len(COLORS))
    for texture in range(len(TEXTURES))
    for kind in range(len(KINDS))
    for noun in _noun(size, color, texture, kind)
}


def write_captions(states):
    """Captions, from the states alone.

    Args:
        states: dict with "objects" `(N,)`, and "kind", "color", "texture", "size" and "motion" `(N, 2)`.

    Returns:
        two str arrays `(N,)`, English and Chinese.
    """
    english, chinese = [], []
    columns = (states[key].tolist() for key in ("objects", "motion", "size", "color", "texture", "kind"))
    for objects, motion, *named in zip(*columns):
        kinds = named[-1]
        (first, first_zh), (second, second_zh) = (_noun(*(values[k] for values in named)) for k in (0, objects - 1))
        if motion[0] == COLLIDES:
            english.append(f"{first} collides with {second}")
            chinese.append(f"{first_zh}与{second_zh}相撞")
        elif motion[0] == BEHIND:
            english.append(f"{first} passes behind {second}")
            chinese.append(f"{first_zh}从{second_zh}后面经过")
        else:
            nouns = [(first, first_zh), (second, second_zh)][:objects]
            said = [
                (f"{nouns[k][0]} {VERBS[kinds[k]][motion[k]]}", nouns[k][1] + VERBS_ZH[kinds[k]][motion[k]])
                for k in range(objects)
            ]
            english.append(" and ".join(one for one, _ in said))
            chinese.append("，".join(one for _, one in said))
    return np.array(english), np.array(chinese)


def parse_captions(captions):
    """The states that captions name.

    Args:
        captions: sequence of N captions of this world, English or Chinese.

    Returns:
        dict of int8 arrays as in the states of `make`: "objects" `(N,)`; "kind", "color", "texture", "size" and "motion"
        `(N, 2)`, -1 for an object that is absent. A texture that isn't named is "plain".

    Raises:
        CourseError: a caption that this world doesn't make.
    """
    states = {"objects": np.zeros(len(captions), np.int8)}
    states |= {key: np.full((len(captions), 2), -1, np.int8) for key in attributes}
    for i, caption in enumerate(map(str, captions)):
        nouns = [NOUNS[noun] for noun in _PATTERN.findall(caption)]
        motions = _motions(caption, [kind for *_, kind in nouns])
        if len(nouns) in (1, 2) and len(motions) == len(nouns):
            states["objects"][i] = len(nouns)
            for k, noun in enumerate(nouns):
                for key, value in zip(("size", "color", "texture", "kind"), noun):
                    states[key][i, k] = value
                states["motion"][i, k] = motions[k]
    for caption, objects, *written in zip(map(str, captions), states["objects"], *write_captions(states)):
        if not objects or caption not in written:
            raise CourseError(f"{caption!r} is no caption of this world, such as 'a small red striped ball rolls left'.")
    return states


_PATTERN = re.compile("|".join(sorted(NOUNS, key=len, reverse=True)))


def _motions(caption, kinds):
    """The motion of each object of a caption; the caption is compared with the one that they give afterwards."""
    if "collides" in caption or "相撞" in caption:
        return [COLLIDES, COLLIDES]
    if "behind" in caption or "后面" in caption:
        return [BEHIND, STAYS]
    after = _PATTERN.split(caption)[1:]
    found = [
        [m for verbs in (VERBS, VERBS_ZH) for m, verb in enumerate(verbs[kind]) if verb in said]
        for kind, said in zip(kinds, after)
    ]
    return [motions[0] for motions in found if motions]
