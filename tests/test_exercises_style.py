"""Chapter 15's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones by name."""

from graders import GraderTests

ROOTS = """    def root(matrix, power):
        values, vectors = np.linalg.eigh(matrix)
        return vectors @ np.diag(np.maximum(values, 1e-6) ** power) @ vectors.T

    pixels, wanted = style.reshape(-1, 3), content.reshape(-1, 3)
    matrix = root(np.cov(wanted.T, bias=True), 0.5) @ root(np.cov(pixels.T, bias=True), -0.5)
    return (style - pixels.mean(axis=0)) @ matrix.T + wanted.mean(axis=0)
"""
BY_CHANNEL = """    mean, std = style.mean(axis=(0, 1)), style.std(axis=(0, 1))
    return (style - mean) / std * content.std(axis=(0, 1)) + content.mean(axis=(0, 1))
"""
FIRST_SOLUTION_OF_RECOLOUR = "    pixels, wanted = style.reshape(-1, 3).astype(float), content.reshape(-1, 3).astype(float)\n"
RIGHT = [
    (
        "gram_after",
        "    cross = np.outer(scale * mean, shift)\n"
        "    return np.outer(scale, scale) * gram + cross + cross.T + np.outer(shift, shift)",
        "    new_mean = scale * mean + shift\n"
        "    covariance = np.diag(scale) @ (gram - np.outer(mean, mean)) @ np.diag(scale)\n"
        "    return covariance + np.outer(new_mean, new_mean)",
    ),
    (
        "adain_between",
        "shares = np.array(weights) / sum(weights)\n"
        "std = features.std(axis=(0, 1)) + 1e-6\n"
        "normal = (features - features.mean(axis=(0, 1))) / std\n"
        "return sum(share * (normal * s + m) for share, (m, s) in zip(shares, styles))",
    ),
    (
        "nearest_visible",
        "taken, left = [], np.ones(visible.shape[1:], bool)\n"
        "for mask in visible:\n"
        "    taken.append(mask & left)\n"
        "    left = left & ~mask\n"
        "return np.stack(taken)",
    ),
    (
        "nearest_visible",
        "each = visible.astype(float)\nreturn np.maximum(each - (np.cumsum(each, axis=0) - each), 0) > 0",
    ),
    ("keep_colours", FIRST_SOLUTION_OF_RECOLOUR, ROOTS),
    (
        "keep_colours",
        "    return content + ((stylised - content) @ LUMA_WEIGHTS)[..., None]",
        "    chroma = content - np.sum(LUMA_WEIGHTS * content, axis=-1, keepdims=True)\n"
        "    return np.sum(LUMA_WEIGHTS * stylised, axis=-1, keepdims=True) + chroma",
    ),
]

WRONG = [
    ("gram_after", "gram - np.outer(mean, mean)", "gram", "variances"),
    ("gram_after", "gram - np.outer(mean, mean)", "gram - mean**2", "each pair of channels|variances"),
    ("gram_after", "gram - np.outer(mean, mean)", "gram - np.diag(mean**2)", "each pair of channels"),
    ("gram_after", "gram - np.outer(mean, mean)", "(gram - np.outer(mean, mean)) * 50 / 49", "divide by N"),
    ("gram_after", "np.outer(scale, scale) * gram", "np.diag(scale**2) * gram", "not the diagonal alone"),
    ("gram_after", "+ cross + cross.T", "+ 2 * cross", "symmetric"),
    ("gram_after", "+ cross + cross.T ", "", "cross terms"),
    ("gram_after", "np.outer(scale * mean, shift)", "np.outer(mean, shift)", "scaled means"),
    (
        "adain_between",
        "    std = sum(share * np.asarray(style[1])",
        "    std = sum(share * np.asarray(style[1]) ** 2",
        "first style alone",
    ),
    (
        "adain_between",
        "return mean + std *",
        "std = np.sqrt(sum(w * s**2 for w, (_, s) in zip(shares, styles)))\n    return mean + std *",
        "not variances",
    ),
    ("adain_between", "np.asarray(weights, float) / np.sum(weights)", "np.asarray(weights, float)", "divided by their sum"),
    (
        "adain_between",
        "for _m, s in styles:\n    pass\n"
        "for (mean, std), w in zip(styles, weights):\n"
        "    normal = (features - features.mean(axis=(0, 1))) / (features.std(axis=(0, 1)) + 1e-6)\n"
        "    features = (1 - w) * features + w * (normal * std + mean)\n"
        "return features",
        "halfway",
    ),
    ("nearest_visible", "return visible", "no other"),
    ("nearest_visible", "np.cumsum(visible, axis=0) == 1", "np.cumsum(visible[::-1], axis=0)[::-1] == 1", "stands first"),
    (
        "nearest_visible",
        "before = np.concatenate([np.zeros_like(visible[:1]), visible[:-1]])\nreturn visible & ~before",
        "nearer masks",
    ),
    (
        "nearest_visible",
        "taken = visible & (np.cumsum(visible, axis=0) == 1)\ntaken[-1] |= ~visible.any(axis=0)\nreturn taken",
        "never visible",
    ),
    ("keep_colours", "content + ((stylised - content)", "stylised + ((content - stylised)", "luma is that of the stylised"),
    ("keep_colours", "content + ((stylised - content) @ LUMA_WEIGHTS)[..., None]", "stylised * 1.0", "chroma is the content's"),
    (
        "keep_colours",
        "content + ((stylised - content) @ LUMA_WEIGHTS)[..., None]",
        "content + (stylised - content).mean(axis=-1, keepdims=True)",
        "green most",
    ),
    ("keep_colours", FIRST_SOLUTION_OF_RECOLOUR, BY_CHANNEL, "channel by channel"),
    ("keep_colours", FIRST_SOLUTION_OF_RECOLOUR, "    style, content = content, style\n" + ROOTS, "mean of the content"),
    ("keep_colours", "chroma = difference - (difference @ LUMA_WEIGHTS)[..., None]", "chroma = difference", "brighter"),
    ("keep_colours", "np.abs(cells.mean(axis=(1, 3))).mean()", "np.abs(cells).mean()", "means of cells"),
    ("keep_colours", "np.abs(cells.mean(axis=(1, 3))).mean()", "np.abs(cells.mean(axis=(0, 1, 2, 3))).mean()", "opposite sign"),
]


class TestGraders(GraderTests):
    chapters = ("15_style_transfer",)
    right = RIGHT
    wrong = WRONG
