"""Chapter 11's graders: they accept other right answers, and what a student sees refuses the wrong ones in words."""

from graders import GraderTests

BY_ROWS = """tokens = np.array(tokens)
first = (tokens < 0).sum(axis=1)
for s in range(num_steps):
    p = np.asarray(predict(tokens))
    stay = np.floor(np.cos(np.pi / 2 * (s + 1) / num_steps) * first).astype(int)
    for row, hidden in enumerate(tokens < 0):
        found = []
        for i in np.flatnonzero(hidden):
            code = rng.choice(p.shape[-1], p=p[row, i])
            found.append((p[row, i, code], i, code))
        for _, i, code in sorted(found, reverse=True)[: len(found) - stay[row]]:
            tokens[row, i] = code
return tokens"""
GUMBEL = """tokens = tokens + 0
count = int(np.sum(tokens[0] == -1))
for step in range(num_steps):
    with np.errstate(divide="ignore"):
        logits = np.log(predict(tokens))
    drawn = np.argmax(logits - np.log(-np.log(rng.uniform(1e-12, 1, logits.shape))), axis=-1)
    confidence = np.take_along_axis(logits, drawn[..., None], -1)[..., 0]
    confidence[tokens != -1] = np.inf
    stay = int(count * np.cos(np.pi * (step + 1) / 2 / num_steps))
    rank = np.argsort(np.argsort(confidence, axis=1), axis=1)
    tokens = np.where((tokens == -1) & (rank >= stay), drawn, tokens)
return tokens"""
RIGHT = [
    ("fsq_gradient", "return upstream * 4 / (np.exp(z) + np.exp(-z)) ** 2"),
    (
        "fsq_gradient",
        "share = 1 / (1 + np.exp(-2 * z))\nhighest = num_levels - 1\n"
        "return [u * (2 / highest) * highest * 2 * s * (1 - s) for u, s in zip(upstream, share)]",
    ),
    ("rate_of", "return np.exp(np.log(2.0) * np.mean(bits)), np.sum(bits) / (len(bits) * num_pixels)"),
    ("rate_of", "return np.prod(2 ** (bits / bits.size)), bits.shape[1] * np.mean(bits / num_pixels)"),
    (
        "min_p",
        """kept = []
for row in probabilities:
    row = [p if p / max(row) >= share else 0 for p in row]
    kept.append([p / sum(row) for p in row])
return np.array(kept)""",
    ),
    (
        "min_p",
        """logits = np.log(probabilities)
with np.errstate(divide="ignore"):
    least = logits.max(axis=1, keepdims=True) + np.log(share)
kept = np.exp(np.where(logits < least, -np.inf, logits))
return kept / kept.sum(axis=1)[:, None]""",
    ),
    ("decode_in_parallel", BY_ROWS),
    ("decode_in_parallel", GUMBEL),
]

SLOPE = "return upstream * (1 - np.tanh(z) ** 2)"
RATE = "return 2 ** bits.mean(), {}"
NEW, KNOWN = "drawn = (p.cumsum(axis=-1) <= uniforms).sum(axis=-1)", "tokens[rows, kept] = filled[rows, kept]"
CONFIDENCE = "np.take_along_axis(p, drawn[..., None], axis=-1)[..., 0]"
STAY = "math.floor(num_hidden * math.cos(math.pi * step / (2 * num_steps)))"
WRONG = [
    ("fsq_gradient", SLOPE[7:], "upstream", "straight through: tanh has a slope"),
    ("fsq_gradient", SLOPE[7:], "0 * z", "true derivative of rounding is 0"),
    ("fsq_gradient", SLOPE[7:], "(num_levels - 1) / 2 * " + SLOPE[7:], "cancel"),
    ("fsq_gradient", SLOPE[7:], "2 / (num_levels - 1) * " + SLOPE[7:], "cancel"),
    ("fsq_gradient", SLOPE[7:], "1 - np.tanh(z) ** 2", "times upstream"),
    ("fsq_gradient", SLOPE[7:], "np.mean(upstream) * np.sum(1 - np.tanh(z) ** 2)", "for each number"),
    (
        "fsq_gradient",
        "level = (num_levels - 1) * (np.tanh(z) + 1) / 2\n"
        "return upstream * (1 - (2 * np.round(level) / (num_levels - 1) - 1) ** 2)",
        "not at the code",
    ),
    ("fsq_gradient", SLOPE[7:], "upstream * (1 - np.tanh(z))", "at 1 the slope"),
    ("rate_of", "return (2**bits).mean(), bits.sum(axis=1).mean() / num_pixels", "average the bits first"),
    ("rate_of", "return (2 ** bits.mean(axis=1)).mean(), bits.sum(axis=1).mean() / num_pixels", "tokens of all clips first"),
    ("rate_of", "return np.exp(bits.mean()), bits.sum(axis=1).mean() / num_pixels", "no exp"),
    ("rate_of", "return bits.mean(), bits.sum(axis=1).mean() / num_pixels", "2 to the power"),
    ("rate_of", RATE.format("bits.mean() / num_pixels"), "sum of its tokens"),
    ("rate_of", RATE.format("bits.sum() / num_pixels"), "on average 6"),
    ("rate_of", RATE.format("bits.sum(axis=1).mean()"), "for 8 pixels"),
    ("min_p", "share * highest", "share", "not of 1"),
    ("min_p", "return kept / kept.sum(axis=-1, keepdims=True)", "return kept", "sum to 1"),
    ("min_p", "return kept / kept.sum(axis=-1, keepdims=True)", "return kept / kept.sum()", "sum to 1"),
    ("min_p", "probabilities.max(axis=-1, keepdims=True)", "probabilities.max()", "its own likeliest"),
    ("min_p", ">= share", "> share", "always kept"),
    ("min_p", "(probabilities >= share * highest, probabilities, 0.0)", "(probabilities < share * highest, 0, highest)", "0.09"),
    (
        "min_p",
        """order = np.argsort(-probabilities, axis=-1)
ranked = np.take_along_axis(probabilities, order, axis=-1)
kept = np.where(ranked.cumsum(axis=-1) - ranked < share, ranked, 0)
kept = np.take_along_axis(kept, np.argsort(order, axis=-1), axis=-1)
return kept / kept.sum(axis=-1, keepdims=True)""",
        "not of 1",
    ),  # a nucleus
    ("decode_in_parallel", "tokens.copy()", "tokens", "copy them"),
    ("decode_in_parallel", STAY, "int(num_hidden * (1 - step / num_steps))", "cos"),
    ("decode_in_parallel", STAY, STAY.replace("floor", "ceil"), "nothing is hidden"),
    ("decode_in_parallel", STAY, STAY.replace("num_hidden", "tokens.shape[1]"), "U is 6"),
    ("decode_in_parallel", STAY, STAY.replace("num_hidden", "(tokens[0] < 0).sum()"), "before each step"),
    ("decode_in_parallel", "range(1, num_steps + 1)", "range(num_steps)", "nothing is hidden"),
    ("decode_in_parallel", "range(1, num_steps + 1)", "range(1, num_steps)", "nothing is hidden"),
    ("decode_in_parallel", "        uniforms", "        p = predict(tokens)\n        uniforms", "once a step"),
    ("decode_in_parallel", NEW, "drawn = p.argmax(axis=-1)", "draw codes"),
    ("decode_in_parallel", NEW, "drawn = rng.integers(0, p.shape[-1], tokens.shape)", "draw codes"),
    ("decode_in_parallel", "(*tokens.shape, 1)", "(len(tokens), 1, 1)", "draw of its own"),
    ("decode_in_parallel", "(*tokens.shape, 1)", "(tokens.shape[1], 1)", "draw codes"),
    ("decode_in_parallel", KNOWN, KNOWN.replace("filled", "drawn"), "must never change"),
    ("decode_in_parallel", "np.where(tokens >= 0, np.inf, confidence)", "confidence", "are not ranked"),
    ("decode_in_parallel", "tokens >= 0, np.inf", "tokens[:1] >= 0, np.inf", "its own positions"),
    ("decode_in_parallel", CONFIDENCE, "rng.random(tokens.shape)", "most confident"),
    ("decode_in_parallel", CONFIDENCE, "p.max(axis=-1)", "most confident"),
    ("decode_in_parallel", CONFIDENCE, "-" + CONFIDENCE, "most confident"),
]


class TestGraders(GraderTests):
    chapters = ("11_autoregressive",)
    right = RIGHT
    wrong = WRONG
