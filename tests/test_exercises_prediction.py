"""The graders of chapters 06, 07, 12, 13 and 16: what a student sees of them refuses the plausible wrong answers, in words."""

import pytest
from graders import GraderTests

SUM = "flat = np.reshape(probabilities, -1)\nguess = sum(p * v for p, v in zip(flat, values))\n"
RIGHT = {  # other forms than the notebooks'
    "cell_parameters": "return sum(filters * (kernel_size**2 * n) for n in (channels, filters) for _ in range(4)) + filters * 4",
    "carrying_kernel": "return [[int((1 - dy, 1 - dx) == (y, x)) for x in range(3)] for y in range(3)]",
    "frames_ahead": """kept, ahead, before = frames.copy(), 0, np.array(model(frames))
for s in reversed(range(frames.shape[1])):
    frames[:, s] = np.random.default_rng(s).normal(size=frames[:, s].shape) + 5
    moved = [t for t in range(s) if not np.array_equal(model(frames)[:, t], before[:, t])]
    frames[:] = kept
    ahead = max(ahead, s - min(moved, default=s))
return ahead""",
    "best_guess": SUM + "return [guess, sum(p * v * v for p, v in zip(flat, values)) - guess**2]",
    "tempered_draw": "return z_mean + noise * np.sqrt(temperature**2 * np.exp(z_log_var))",
    "expected_best": """total, n, share = 0, errors.shape[1], k / errors.shape[1]
for i in range(n - k + 1):
    total += share * np.sort(errors, axis=-1)[:, i]
    share *= (n - k - i) / max(n - 1 - i, 1)
return total.mean()""",
    "linear_elbo": """total = w**2 + sigma**2
ratio, off = variance * total / sigma**2, (mean - w * x / total) ** 2 * total / sigma**2
return -(x**2) / (2 * total) - np.log(2 * np.pi * total) / 2 - (ratio + off - 1 - np.log(ratio)) / 2""",
    "one_step_of_perfection": "end = np.zeros_like(noise) + np.mean(clips, axis=0)\nreturn [noise - end, end]",
    "factorised_attention": """b, t, s, d = x.shape
x = x + ops.reshape(spatial(ops.reshape(x, (-1, s, d))), (b, t, s, d))
y = np.swapaxes(x, 1, 2)
return np.swapaxes(y + np.asarray(temporal(np.concatenate(list(y)))).reshape(b, s, t, d), 1, 2)""",
    "perfect_velocity": """out = []
for z in place:
    d = np.array([np.linalg.norm(z - (1 - t) * x) ** 2 for x in clips])
    w = np.exp((d.min() - d) / (2 * t**2))
    out.append((z - w / w.sum() @ clips) / t)
return np.array(out)""",
    "tilted": "p, asked = np.array(p), np.array(asked)\nweight = asked**w * p ** (1.0 - w)\nreturn list(weight / weight.sum())",
    "guided_between": "on = ((low <= t) * (t <= high))[:, :, None]\nreturn asked + on * (scale - 1) * (asked - nothing)",
    "cross_attention": """out = np.zeros(queries.shape)
for b, counted in enumerate(np.asarray(mask, bool)):
    for t, query in enumerate(queries[b]):
        scores = keys[b][counted] @ query / len(query) ** 0.5
        if len(scores):
            weights = np.exp(scores - np.max(scores))
            out[b, t] = weights @ values[b][counted] / weights.sum()
return out""",
    "psnr_of_black": "return 20 * np.log10(255 / np.sqrt(white_share * 255**2))",
    "clips_needed": "n = 1\nwhile (2 * features + features * (features + 1) / 2) / n > bound:\n    n += 1\nreturn n",
    "moved_distance": """least = np.inf
for y in range(-reach, reach + 1):
    for x in range(-reach, reach + 1):
        moved = np.roll(np.roll(clip.astype("float32"), y, axis=1), x, axis=2)
        least = min(least, np.linalg.norm(moved - training_clip) / training_clip.size**0.5)
return least""",
}

AHEAD = """before, ahead = model(frames), 0
for s in {places}:
    disturbed = frames{copy}
    disturbed[:, s] += 1.0
    moved = np.flatnonzero(np.any(np.abs(model(disturbed) - before) > {least}, axis=(0, 2)))
    ahead = max([ahead, *(s - moved)])
return ahead"""
ELBO = "return -({error}) / {by} - 0.5 * np.log(2 * np.pi * sigma**2) - {kl}"
ERROR = "(x - w * mean) ** 2 + w**2 * variance"
KL = "0.5 * (variance + mean**2 - 1 - np.log(variance))"
REVERSED = "0.5 * (1 / variance + mean**2 / variance - 1 + np.log(variance))"
ALL, LAST = "range(frames.shape[1])", "[frames.shape[1] - 1]"
PERFECT = """logits = -{distance} / {width}
weights = np.exp(logits{guard})
return (place - weights @ clips / weights.sum(axis=1, keepdims=True)) / t"""
SQUARED, GUARD = "np.sum((place[:, None] - (1 - t) * clips[None]) ** 2, axis=-1)", " - logits.max(axis=1, keepdims=True)"
SHAPE, PATCHES = "b, t, s, d = x.shape", "x.transpose(0, 2, 1, 3).reshape(b * s, t, d)"
FACTORISED = (
    SHAPE
    + """
x = x + np.reshape(spatial(x.reshape(b * t, s, d)), x.shape)
y = np.reshape(temporal({rows}), {back}
return x + (y.transpose(0, 2, 1, 3) if y.shape == (b, s, t, d) else y)"""
)
ROOT = " / np.sqrt(queries.shape[-1])"
CROSS = """scores = np.einsum("btd,bld->btl", queries, keys){root}
e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
w = {masked}
w = w / w.sum(axis=-1, keepdims=True)
return w @ values"""
GUIDED = "within = {within}\nreturn np.where({mask}, nothing + scale * (asked - nothing), asked)"
MOVED = """a, b = {kind}(clip), {kind}(training_clip)
offsets = range(-reach, reach + 1)
return min({distance} for y in offsets for x in offsets{only})"""
ROOT_MEAN_SQUARE = "np.sqrt(np.mean((np.roll(a, (y, x), (1, 2)) - b) ** 2))"
FRAME_BY_FRAME = """a, b = np.float64(clip), np.float64(training_clip)
offsets = range(-reach, reach + 1)
best = [min(np.mean((np.roll(f, (y, x), (0, 1)) - g) ** 2) for y in offsets for x in offsets) for f, g in zip(a, b)]
return np.sqrt(np.mean(best))"""

WRONG = [
    ("cell_parameters", "return 4 * filters * (kernel_size * (channels + filters) + 1)", "3 x 3"),
    ("cell_parameters", "return 4 * filters * (kernel_size**2 * channels + filters + 1)", "2 . 5 maps in"),
    ("cell_parameters", "return 4 * filters * kernel_size**2 * (channels + filters)", "bias"),
    ("carrying_kernel", "kernel = np.zeros((3, 3))\nkernel[1 + dy, 1 - dx] = 1\nreturn kernel", "rows run downwards"),
    ("carrying_kernel", "kernel = np.zeros((3, 3))\nkernel[1 + dy, 1 + dx] = 1\nreturn kernel", "look to the left"),
    ("carrying_kernel", "kernel = np.zeros((3, 3))\nkernel[1 - dx, 1 - dy] = 1\nreturn kernel", "look to the left"),
    ("frames_ahead", "return 0", "disturb every frame"),
    ("frames_ahead", AHEAD.format(places=ALL, copy=".copy()", least=1e-6), "count any change"),
    ("frames_ahead", AHEAD.format(places=LAST, copy=".copy()", least=0), "disturb every frame"),
    ("frames_ahead", AHEAD.format(places=ALL, copy="", least=0), "disturb a copy"),
    ("best_guess", "guess = np.mean(values)\nreturn guess, np.mean((np.asarray(values) - guess) ** 2)", "weigh"),
    (
        "best_guess",
        "v, p = np.asarray(values), np.asarray(probabilities)\nguess = np.sum(p * v)\n"
        "return guess, np.sqrt(np.sum(p * (v - guess) ** 2))",
        "no root",
    ),
    ("best_guess", "guess = values[int(np.argmax(probabilities))]\nreturn guess, 1", "fair coin"),
    ("tempered_draw", "return z_mean + temperature * np.exp(z_log_var) * noise", r"exp\(log_var / 2\)"),
    ("tempered_draw", "return z_mean + np.sqrt(temperature) * np.exp(z_log_var / 2) * noise", "doubles it"),
    ("tempered_draw", "return z_mean + np.exp(temperature * z_log_var / 2) * noise", "the mean"),
    ("expected_best", "return float(np.mean(errors[:, :k].min(axis=1)))", "all three ways|best of one"),
    ("expected_best", "return float(np.mean(np.sort(errors, axis=1)[:, :k].mean(axis=1)))", "best of"),
    (
        "expected_best",
        "n = errors.shape[1]\nways = [((n - i) / n) ** k - ((n - i - 1) / n) ** k for i in range(n)]\n"
        "return float(np.mean(np.sort(errors, axis=1) @ np.array(ways)))",
        "best of all",
    ),
    ("linear_elbo", ELBO.format(error="(x - w * mean) ** 2", by="(2 * sigma**2)", kl=KL), "average the error over z"),
    ("linear_elbo", ELBO.format(error=ERROR, by="sigma**2", kl=KL), "its half and constant"),
    ("linear_elbo", ELBO.format(error=ERROR, by="(2 * sigma**2)", kl=REVERSED), "not reversed"),
    ("linear_elbo", ELBO.format(error=ERROR, by="(2 * sigma**2)", kl=f"2 * {KL}"), "minus KL"),
    ("one_step_of_perfection", "mean = clips.mean(axis=0)\nreturn noise - mean, mean", "a velocity and an end"),
    ("one_step_of_perfection", "v = np.mean(noise[:, None] - clips, axis=(0, 1))\nreturn v + 0 * noise, noise - v", "its own"),
    ("one_step_of_perfection", "v = noise - clips.mean(axis=0)\nreturn v, noise + v", "one step"),
    ("factorised_attention", FACTORISED.format(rows="x.reshape(b * s, t, d)", back="x.shape)"), "transpose, then reshape"),
    ("factorised_attention", FACTORISED.format(rows=PATCHES, back="x.shape)"), "transpose, then reshape"),
    ("factorised_attention", FACTORISED.format(rows=PATCHES, back="(b, s, t, d))").replace("x + np", "np", 1), "add each"),
    ("factorised_attention", f"{SHAPE}\ny = {PATCHES}\nreturn (y + temporal(y)).reshape(b, s, t, d)", "axes back"),
    (
        "factorised_attention",
        f"{SHAPE}\nwhole = x.reshape(b * t, s, d)\nspace = np.reshape(spatial(whole), x.shape)\n"
        f"time = np.reshape(temporal({PATCHES}), (b, s, t, d)).transpose(0, 2, 1, 3)\nreturn x + space + time",
        "what spatial has made",
    ),
    ("perfect_velocity", PERFECT.format(distance=SQUARED, width="(2 * t)", guard=GUARD), "2 t"),
    ("perfect_velocity", PERFECT.format(distance=f"np.sqrt({SQUARED})", width="(2 * t**2)", guard=GUARD), "squared distances"),
    ("perfect_velocity", PERFECT.format(distance=SQUARED, width="(2 * t**2)", guard=""), "before exp"),
    (
        "perfect_velocity",
        PERFECT.format(distance=SQUARED.replace("(1 - t) * ", ""), width="(2 * t**2)", guard=GUARD),
        r"\(1 - t\) x is 0",
    ),
    ("tilted", "p, asked = np.asarray(p), np.asarray(asked)\nreturn p + w * (asked - p)", "logarithms"),
    ("tilted", "p, asked = np.asarray(p), np.asarray(asked)\nreturn p * (asked / p) ** w", "sum 1"),
    ("tilted", "weight = np.asarray(p) * np.asarray(asked) ** w\nreturn weight / weight.sum()", "ratios"),
    ("guided_between", GUIDED.format(within="(t > low) & (t < high)", mask="within[..., None]"), "belong to the interval"),
    ("guided_between", GUIDED.format(within="(t >= low) & (t <= high)", mask="within"), "add an axis"),
    ("guided_between", GUIDED.format(within="(t >= low) & (t <= high)", mask="within.any()"), "for each clip"),
    ("cross_attention", CROSS.format(root="", masked="e * mask[:, None]"), "root of D"),
    ("cross_attention", CROSS.format(root=ROOT, masked="e"), "mask before the softmax"),
    ("cross_attention", CROSS.format(root=ROOT, masked="np.exp(scores * mask[:, None])"), "mask before the softmax"),
    ("cross_attention", CROSS.format(root=ROOT, masked="np.exp(scores - 1e9 * (1 - mask[:, None]))"), "gives zeros"),
    ("cross_attention", CROSS.format(root=ROOT, masked="e * mask[:, None]"), "gives zeros"),
    ("cross_attention", CROSS.format(root=ROOT, masked="e").replace("w @", "w * mask[:, None] @"), "add up to 1"),
    ("cross_attention", CROSS.format(root=ROOT, masked="e * mask[:, None]").replace("axis=-1", "axis=1"), "add up to 1"),
    ("psnr_of_black", "return -20 * np.log10(white_share)", "hundredth"),
    ("psnr_of_black", "return 20 * (1 - white_share) / 0.99", "3 dB"),
    ("clips_needed", "return int((2 * features + features * (features + 1) / 2) / bound)", "23 clips"),
    ("clips_needed", "return round((2 * features + features * (features + 1) / 2) / bound)", "23 clips"),
    ("clips_needed", "return int(np.ceil((features + features * (features + 1) / 2) / bound))", "128"),
    ("moved_distance", MOVED.format(kind="np.asarray", distance=ROOT_MEAN_SQUARE, only=""), "take floats"),
    ("moved_distance", MOVED.format(kind="np.float64", distance=ROOT_MEAN_SQUARE, only=" if not x * y"), "all pairs"),
    (
        "moved_distance",
        MOVED.format(kind="np.float64", distance="np.mean(np.abs(np.roll(a, (y, x), (1, 2)) - b))", only=""),
        "mean of squares",
    ),
    ("moved_distance", FRAME_BY_FRAME, "one move"),
]


@pytest.mark.filterwarnings("ignore:invalid value")  # of 0 / 0, where nothing guards the exponential
class TestGraders(GraderTests):
    chapters = ("06_convlstm", "07_latent_rnn", "12_diffusion", "13_text_to_video", "16_evaluation")
    right = tuple(RIGHT.items())
    wrong = WRONG
