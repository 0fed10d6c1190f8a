"""Chapter 18's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones by name."""

from graders import GraderTests

ITERATED = """    wins = np.asarray(wins, float)
    played, strengths = wins + wins.T, np.full(len(wins), 1 / len(wins))
    for _ in range(num_steps):
        strengths = wins.sum(axis=1) / np.sum(played / (strengths[:, None] + strengths), axis=1)
        strengths /= strengths.sum()
    return strengths
"""
ASCENDED = """    wins, logits = np.asarray(wins, float), np.zeros(len(wins))
    for _ in range(num_steps):
        chance = 1 / (1 + np.exp(logits[None] - logits[:, None]))
        gradient = np.sum(wins - (wins + wins.T) * chance, axis=1)
        logits = logits + 2 * gradient / (1 + (wins + wins.T).sum(axis=1))
    return np.exp(logits) / np.exp(logits).sum()
"""
RIGHT = [
    (
        "smallest_strength",
        "return scale * (stats.norm.isf(false_alarm) - stats.norm.isf(found)) / count**0.5",
    ),
    (
        "remove_watermark",
        """sequence, band = watermark_sequence(key)
spectrum = np.zeros(band.shape)
spectrum[band] = sequence
pattern = idctn(spectrum, norm="ortho")
pattern *= strength / pattern.std()
return np.clip(np.rint(frames - pattern[:, :, None]), 0, 255).astype(np.uint8)""",
    ),
    (
        "find_shifted",
        """best, tries = -np.inf, 0
for down in range(-reach, reach + 1):
    for right in range(-reach, reach + 1):
        best, tries = max(best, detect_watermark(np.roll(np.roll(frames, down, 1), right, 2), key)), tries + 1
return best, -stats.norm.ppf(false_alarm / tries)""",
    ),
    ("bradley_terry", ITERATED, ASCENDED),
]
WRONG = [
    ("smallest_strength", "threshold + stats.norm.ppf(found)", "threshold - stats.norm.ppf(found)", "above the threshold"),
    ("smallest_strength", "threshold + stats.norm.ppf(found)", "threshold", "threshold 3, and 2 more"),
    ("smallest_strength", "stats.norm.isf(false_alarm)", "stats.norm.ppf(false_alarm)", "the threshold itself"),
    ("smallest_strength", "mean * scale / np.sqrt(count)", "mean * scale / count", "the threshold itself"),
    ("remove_watermark", "return frames", "still the marked clip"),
    ("remove_watermark", "return np.full_like(frames, 128)", "change little"),
    (
        "remove_watermark",
        "embed_watermark(frames, key, strength)",
        "embed_watermark(frames, key + 1, strength)",
        "still finds it",
    ),
    ("remove_watermark", "np.clip(frames - pattern, 0, 255)", "np.clip(frames - 3 * pattern, 0, 255)", "too much|change little"),
    ("remove_watermark", ".astype(np.uint8)\n    ### END", "\n    ### END", "uint8"),
    ("find_shifted", "range(-reach, reach + 1)", "range(reach + 1)", "positive and negative"),
    ("find_shifted", "false_alarm / len(found)", "false_alarm", "25th"),
    ("find_shifted", "false_alarm / len(found)", "false_alarm / len(shifts)", "squared"),
    (
        "bradley_terry",
        "wins = np.asarray(wins, float)\n    played",
        "wins = np.asarray(wins, float).T\n    played",
        "the row won",
    ),
    (
        "bradley_terry",
        "return strengths\n    ### END",
        "return wins.sum(axis=1) / wins.sum()\n    ### END",
        "aren't strength",
    ),
    ("bradley_terry", "        strengths /= strengths.sum()\n", "", "sum to 1"),
    (
        "bradley_terry",
        "comparisons[rng.integers(len(comparisons), size=len(comparisons))]",
        "comparisons[rng.permutation(len(comparisons))]",
        "with replacement",
    ),
]


class TestGraders(GraderTests):
    chapters = ("18_studio",)
    right, wrong = RIGHT, WRONG
