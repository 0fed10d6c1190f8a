"""Chapter 08's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones by name."""

from graders import GraderTests

MATRIX = """
place = np.arange(len(line))
distance = place[:, None] - place - s
mixed = np.maximum(0, 1 - np.abs(distance)) @ line
return mixed, (np.sign(distance) * (np.abs(distance) < 1)) @ line
"""
RIGHT = [
    ("shift_line", MATRIX),
    (
        "count_lookalikes",
        "from itertools import permutations\n"
        "names = [frame.tobytes() for frame in np.asarray(clip)]\n"
        "return len(set(permutations(names)))",
    ),
    (
        "vgan_clip",
        "still = np.repeat(background[:, None], mask.shape[1], axis=1)\n"
        "return still + mask * (foreground - still), sparsity_weight * np.abs(mask).sum() / mask.size",
    ),
    (
        "difference_discriminator",
        "changes = (frames[:, 1:] - frames[:, :-1]) / 2",
        "changes = ops.diff(frames, axis=1) / 2",
    ),
    (
        "difference_discriminator",
        '    if max(first) < min(second):\n        return "first"\n'
        '    return "second" if max(second) < min(first) else "no difference"',
        "    ahead = {np.sign(b - a) for a in first for b in second}\n"
        '    return {1: "first", -1: "second"}.get(ahead.pop(), "no difference") if len(ahead) == 1 else "no difference"',
    ),
]

WRONG = [
    (
        "shift_line",
        "rest * at(place - 1), at(place - 1) - at(place)",
        "rest * at(place + 1), at(place + 1) - at(place)",
        "to the right",
    ),
    (
        "shift_line",
        "(1 - rest) * at(place) + rest * at(place - 1)",
        "rest * at(place) + (1 - rest) * at(place - 1)",
        "three quarters",
    ),
    ("shift_line", "at(place - 1) - at(place)\n", "at(place) - at(place - 1)\n", "the sign"),
    (
        "shift_line",
        "np.where(inside, np.asarray(line, float)[np.clip(where, 0, len(line) - 1)], 0.0)",
        "line[where % len(line)]",
        "wraps",
    ),
    ("shift_line", "np.where(inside,", "np.where(inside | True,", "0 comes in"),
    ("count_lookalikes", "return int(orders //", "return int(orders - 1 //", "the clip itself|equal frames"),
    ("count_lookalikes", "return len(clip)", "not only those that begin elsewhere"),
    ("count_lookalikes", "return int(np.prod(np.arange(1, len(clip) + 1)))", "equal frames change places"),
    ("count_lookalikes", "np.prod([np.prod(np.arange(1, n + 1)) for n in times])", "times.max()", "equal frames|each group"),
    ("vgan_clip", "mask * foreground + (1 - mask) * still", "(1 - mask) * foreground + mask * still", "where the mask is 1"),
    ("vgan_clip", "np.mean(np.abs(mask))", "np.sum(np.abs(mask))", "the penalty"),
    ("vgan_clip", "background[:, None]", "background[:1, None]", "its own still picture"),
    ("vgan_clip", "sparsity_weight * np.mean", "0.1 * np.mean", "the weight that it is given"),
    ("difference_discriminator", "(frames[:, 1:] - frames[:, :-1]) / 2", "frames[:, 1:]", "a still picture added"),
    (
        "difference_discriminator",
        "(frames[:, 1:] - frames[:, :-1]) / 2",
        "ops.abs(frames[:, 1:] - frames[:, :-1]) / 2",
        "keep the sign",
    ),
    ("difference_discriminator", "(config.num_motions,)", "(1,)", "told the motion"),
    (
        "difference_discriminator",
        "kinds[:, :1], (config.num_motions,)",
        "kinds, (config.num_motions, config.num_contents)",
        "the digit",
    ),
    (
        "difference_discriminator",
        'return "first"\n    return "second"',
        'return "second"\n    return "first"',
        "smaller is better",
    ),
    ("difference_discriminator", "if max(first) < min(second):", "if sum(first) < sum(second):", "every seed"),
    ("difference_discriminator", " or len(first) < 3", "", "fewer than three"),
    ("difference_discriminator", "planes = ", "planes = 0 * ", "when the frames begin"),
]


class TestGraders(GraderTests):
    chapters = ("08_video_gan",)
    right = RIGHT
    wrong = WRONG
    is_hidden_part_needed = True
