"""The graders of chapters 00 to 05: what a student sees accepts right answers of any form, and refuses plausible wrong ones."""

from graders import GraderTests

RIGHT = [
    ("duration_in_seconds", "return frames * (1 / fps)"),
    ("backwards", "return Clip(np.flip(clip.frames, 0).copy(), clip.fps)"),
    ("boomerang", "there = list(range(len(clip)))\nreturn Clip(clip.frames[there + there[-2:0:-1]], clip.fps)"),
    ("memory_in_bytes", "return int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize"),
    ("frame_differences", "frames = frames.astype(float)\nreturn frames[1:] - frames[:-1]"),
    ("fan_on_film", "fan_seems_to_turn = 30"),
    ("slow_motion", "return frames.repeat(factor, axis=0)"),
    ("dense_parameters", "return sum(a * b + b for a, b in zip(sizes[:-1], sizes[1:]))"),
    ("loop_stops", "return np.append(latents, latents[0][None], axis=0)"),
    ("best_constant", "return frames.mean(0) if loss == 'mse' else np.sort(frames, axis=0)[len(frames) // 2]"),
    ("classic_losses", "return np.log(1 / p_real) + np.log(1 / (1 - p_fake)), np.log(1 / p_fake)"),
    ("hinge_losses", "on_real, on_fake = ops.maximum(0.0, 1 - real_logits), ops.maximum(0.0, 1 + fake_logits)\n"
     "return ops.mean(on_real) + ops.mean(on_fake), ops.mean(-fake_logits)"),
    ("variety", "p = np.mean(probabilities, axis=0)\np = p[p > 0]\nreturn np.prod(p ** -p)"),
    ("conv_size", "return int(np.floor((size - kernel) / stride)) + 1"),
    ("even", "covers = [len(range(start, kernel, stride)) for start in range(stride)]\nreturn len(set(covers)) == 1"),
    ("slerp", "u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)\n"
     "angle = 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))\n"
     "if angle < 1e-5:\n    return a\n"
     "return (np.sin((1 - weight) * angle) * a + np.sin(weight * angle) * b) / np.sin(angle)"),
    ("kl_of", "log_var = np.log(np.square(deviation))\nreturn 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var)"),
    ("our_beta", "return beta * (height * width * channels) * (1 / latent_dim)"),
    ("fitted_prior", "noise = np.random.default_rng(seed).normal(size=(count, z_mean.shape[1]))\n"
     "return z_mean.mean(0) + noise @ np.linalg.cholesky(np.cov(z_mean.T)).T"),
]  # fmt: skip

LERP = "p = (1 - weight) * a + weight * b\nreturn p * np.linalg.norm(a) / np.linalg.norm(p)"
NO_LENGTHS = (
    "angle = np.arccos(np.clip(np.dot(a, b), -1, 1))\nif angle < 1e-6:\n    return a\n"
    "return (np.sin((1 - weight) * angle) * a + np.sin(weight * angle) * b) / np.sin(angle)"
)
DIAGONAL = "shape = count, z_mean.shape[1]\nreturn np.random.default_rng(seed).normal(z_mean.mean(0), z_mean.std(0), shape)"
WRAPS = (
    "following = np.concatenate([frames[1:], frames[-1:]])\n"
    "share = (np.arange(factor) / factor).reshape(1, factor, 1, 1, 1)\n"
    "blended = frames[:, None] + (following - frames)[:, None] * share\n"
    "return np.rint(blended).astype(np.uint8).reshape(-1, *frames.shape[1:])"
)
MIXED_BATCHES = (
    "both = ops.concatenate([ops.relu(1 - real_logits), ops.relu(1 + fake_logits)], axis=0)\n"
    "return 2 * ops.mean(both), -ops.mean(fake_logits)"
)
VOTES = "share = np.bincount(np.argmax(probabilities, axis=1)) / len(probabilities)\nshare = share[share > 0]\n"
WRONG = [
    ("duration_in_seconds", "return frames / int(fps)", "need not be whole"),
    ("duration_in_seconds", "return frames // fps", "half a second"),
    ("backwards", "return Clip(clip.frames[::-1])", "hand on"),
    ("backwards", "return Clip(clip.frames[:, :, ::-1], fps=clip.fps)", "first frame"),
    ("boomerang", "return Clip(np.concatenate([clip.frames, clip.frames[-2:0:-1]]))", "hand on"),
    ("boomerang", "return Clip(clip.frames[[*range(16), *range(14, 0, -1)]], fps=clip.fps)", "its length"),
    ("boomerang", "return Clip(np.concatenate([clip.frames, clip.frames[14:0:-1]]), fps=clip.fps)", "its length"),
    ("boomerang", "return Clip(np.concatenate([clip.frames, clip.frames[::-1]]), fps=clip.fps)", "14 backwards"),
    ("memory_in_bytes", "return np.prod(shape) * np.dtype(dtype).itemsize", "wrap"),
    ("memory_in_bytes", "total = 1\nfor size in shape:\n    total *= size\nreturn total", "itemsize"),
    ("frame_differences", "return np.diff(frames, axis=0).astype(int)", "signed"),
    ("frame_differences", "return np.abs(np.diff(frames.astype(int), axis=0))", "signed"),
    ("frame_differences", "return frames[:-1].astype(int) - frames[1:]", "new minus old"),
    ("frame_differences", "return np.diff(frames.astype(np.int8), axis=0)", "signed"),
    ("fan_on_film", "fan_seems_to_turn = -30", "thirds"),
    ("fan_on_film", "fan_seems_to_turn = 0", "thirds"),
    ("fan_on_film", "fan_seems_to_turn = 150", "wrap"),
    ("slow_motion", WRAPS, "wraps in uint8"),
    ("slow_motion", "return np.concatenate([frames] * factor)", "to the last bit"),
    ("dense_parameters", "return sum(a * b for a, b in zip(sizes, sizes[1:]))", "biases"),
    ("dense_parameters", "return sum(a * b for a, b in zip(sizes, sizes[1:])) + sum(sizes)", "biases"),
    ("loop_stops", "return latents", "must be its first"),
    ("loop_stops", "latents[-1] = latents[0]\nreturn latents", "make a new one"),
    ("loop_stops", "return np.concatenate([latents[:-1], latents[:1]])", "visit every stop"),
    ("best_constant", "return np.mean(frames, axis=0)", "mae"),
    ("best_constant", "return (frames.min(axis=0) + frames.max(axis=0)) / 2", "mse"),
    ("best_constant", "return np.mean(frames) if loss == 'mse' else np.median(frames)", "one frame"),
    ("classic_losses", "return -np.log(p_real) - np.log(p_fake), -np.log(p_fake)", "right about both"),
    ("classic_losses", "return -np.log(p_real) - np.log(1 - p_fake), -np.log(1 - p_fake)", "which p"),
    (
        "classic_losses",
        "return -0.9 * np.log(p_real) - 0.1 * np.log(1 - p_real) - np.log(1 - p_fake), -np.log(p_fake)",
        "0.9 trick",
    ),
    ("hinge_losses", "return ops.mean(1 - real_logits) + ops.mean(1 + fake_logits), -ops.mean(fake_logits)", "d_loss"),
    ("hinge_losses", MIXED_BATCHES, "on its own"),
    ("variety", VOTES + "return np.exp(-np.sum(share * np.log(share)))", "vote"),
    ("variety", "return 1 / np.sum(np.square(np.mean(probabilities, axis=0)))", "log p"),
    ("variety", "p = np.mean(probabilities, axis=0)\nreturn np.exp(-np.sum(p * np.log(p)))", "NaN"),
    ("conv_size", "return (size - kernel) / stride + 1", "2 places"),
    ("conv_size", "return int(np.ceil((size - kernel) / stride)) + 1", "2 places"),
    ("conv_size", "return size // stride", "leaves room"),
    ("even", "return kernel % 2 == 0", "stride 3"),
    ("even", "return np.gcd(kernel, stride) > 1", "common divisor"),
    ("even", "return kernel == 2 * stride", "stride 3"),
    ("slerp", LERP, "straight line"),
    ("slerp", "return (1 - weight) * a + weight * b", "same length"),
    ("slerp", NO_LENGTHS, "both lengths"),
    ("kl_of", "return 0.5 * (mean**2 + deviation - 1 - np.log(deviation))", "deviation squared"),
    ("kl_of", "return 0.5 * (mean**2 + deviation**2 - 1 - np.log(deviation))", "deviation squared"),
    ("our_beta", "return beta * height * width / latent_dim", "in colour"),
    ("our_beta", "return height * width * channels / (latent_dim * beta)", "half the colleague's"),
    ("fitted_prior", DIAGONAL, "covariance"),
    ("fitted_prior", "return np.random.default_rng(seed).choice(z_mean, count)", "new points"),
    ("fitted_prior", "return np.random.default_rng(seed).normal(size=(count, z_mean.shape[1]))", "mean of the frames"),
]


class TestGraders(GraderTests):
    chapters = (
        "00_start_here",
        "01_video_as_tensor",
        "02_dense_frame_generator",
        "03_mlp_gan",
        "04_dcgan",
        "05_vae",
    )
    right = RIGHT
    wrong = WRONG
