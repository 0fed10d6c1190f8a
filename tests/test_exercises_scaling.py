"""Chapter 17's graders: they accept other right answers, and what a student sees refuses the wrong ones in words."""

from graders import GraderTests

RING = "return 2 * (n - 1) * (latency + num_bytes / n / bandwidth)"
BY_ROUNDS = """seconds = 0.0
for phase in range(2):
    for round_ in range(n - 1):
        seconds += latency + (num_bytes / n) / bandwidth
return seconds"""
WEIGHTED = "return counts[has_rows] @ gradients[has_rows] / counts.sum()"
BY_SUMS = """total, rows = 0.0, 0
for gradient, count in zip(gradients, counts):
    if count:
        total, rows = total + np.array(gradient) * count, rows + count
return total / rows"""
SCALE = """state = (scale, good_steps + 1, True) if is_finite else (np.maximum(0.5 * scale, 1.0), 0, False)
return (2 * scale, 0, True) if state[1] == growth_steps else state"""
STATE = "    return sum(size * parameters / (num_gpus if stage >= first else 1) for size, first in parts)"
BY_STAGE = """    n = num_gpus
    return parameters * {0: 16, 1: 4 + 12 / n, 2: 2 + 14 / n, 3: 16 / n}[stage]"""
ACTIVATIONS = "tokens * dim * (2 * num_layers + 34 if recompute else 34 * num_layers)"
WORK = "(4 if recompute else 3) * sum(forward_operations(parameters, tokens, num_layers, dim))"
SENT = "(1.5 if stage == 3 else 1) * 2 * 2 * parameters * (n - 1) / n"
HOURS = "hours = clips / n * (work / rate + sent / bandwidth) / 3600"

RIGHT = [
    ("ring_seconds", BY_ROUNDS),
    ("ring_seconds", "return 2 * (n - 1) * latency + 2 * (n - 1) / n * num_bytes / bandwidth"),
    ("global_gradient", BY_SUMS),
    ("global_gradient", "return np.nansum(np.asarray(gradients).T * counts, axis=1) / np.sum(counts)"),
    ("update_scale", SCALE),
    ("cheapest_plan", STATE, BY_STAGE),
    ("cheapest_plan", "min(plans)", "min(plans, key=lambda plan: (plan[0], plan[1]))"),
]
WRONG = [
    ("ring_seconds", RING[7:], "2 * (n - 1) * (latency + num_bytes / bandwidth)", "not all of it"),
    ("ring_seconds", RING[7:], "(n - 1) * (latency + num_bytes / n / bandwidth)", "two phases"),
    ("ring_seconds", RING[7:], "latency + 2 * (n - 1) / n * num_bytes / bandwidth", "nobody to send to|Every round|every round"),
    ("ring_seconds", RING[7:], "(n > 1) * latency + 2 * (n - 1) / n * num_bytes / bandwidth", "every round has its latency"),
    ("ring_seconds", RING[7:], "2 * n * (latency + num_bytes / n / bandwidth)", "nobody to send to"),
    ("global_gradient", WEIGHTED, "return gradients.mean(axis=0)", "counts three times"),
    ("global_gradient", WEIGHTED, "return counts @ gradients / counts.sum()", "leave out a worker"),
    ("global_gradient", WEIGHTED, "return counts @ gradients / len(counts)", "not of workers"),
    ("global_gradient", WEIGHTED, "return counts @ gradients", "number of all rows"),
    ("global_gradient", WEIGHTED, "return counts @ gradients.mean(axis=1) / counts.sum()", "over the workers only"),
    ("update_scale", "max(scale / 2, 1.0), 0, False", "max(scale / 2, 1.0), 0, True", "must not reach the weights"),
    (
        "update_scale",
        "max(scale / 2, 1.0), 0, False",
        "max(scale / 2, 1.0), good_steps, False",
        "the row of good steps is broken",
    ),
    ("update_scale", "max(scale / 2, 1.0), 0, False", "scale, 0, False", "halves"),
    ("update_scale", "max(scale / 2, 1.0)", "scale / 2", "never below 1"),
    ("update_scale", "scale * 2, 0, True", "scale * 2, good_steps + 1, True", "count from 0"),
    ("update_scale", "good_steps + 1 == growth_steps", "good_steps == growth_steps", "the tenth good step"),
    ("update_scale", "scale * 2, 0, True", "scale * 2, 0, False", "was a good one"),
    ("cheapest_plan", "((12, 1), (2, 2), (2, 3))", "((8, 1), (2, 2), (2, 3))", "2 \\+ 2 \\+ 12"),
    ("cheapest_plan", "((12, 1), (2, 2), (2, 3))", "((12, 1), (2, 1), (2, 3))", "optimizer's state only"),
    ("cheapest_plan", "((12, 1), (2, 2), (2, 3))", "((12, 1), (2, 2), (2, 4))", "stage 3 everything"),
    ("cheapest_plan", ACTIVATIONS, "tokens * dim * (2 if recompute else 34) * num_layers", "34 more"),
    ("cheapest_plan", ACTIVATIONS, "tokens * (2 * num_layers + 34 if recompute else 34 * num_layers)", "channel and block"),
    ("cheapest_plan", WORK, WORK.replace("sum(", "max("), "attention's part"),
    ("cheapest_plan", WORK, WORK.replace("(4 if recompute else 3)", "(1 if recompute else 3)"), "nothing twice"),
    ("cheapest_plan", SENT, "2 * 2 * parameters * (n - 1) / n", "stage 3 sends half as much again"),
    ("cheapest_plan", SENT, SENT.replace("2 * 2 *", "2 *"), "at every step"),
    ("cheapest_plan", HOURS, "hours = clips / n * work / rate / 3600", "stage 3 sends|at every step"),
    ("cheapest_plan", HOURS, HOURS.replace("clips / n", "clips"), "share the clips"),
    ("cheapest_plan", "hours * n * gpu_hour_cost", "hours * gpu_hour_cost", "one GPU sends nothing|each costs"),
    ("cheapest_plan", "        return None", "        return 0, 0, None", "nothing fits"),
    ("cheapest_plan", "need > memory", "need > memory * n", "not where stage 1|nothing fits|nothing twice|stage 3 sends"),
]


class TestGraders(GraderTests):
    chapters = ("17_scaling_up",)
    right = RIGHT
    wrong = WRONG
