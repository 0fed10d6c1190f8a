"""Data parallelism over processes: workers that train one model together, each on its own rows of every batch.

Every worker holds the whole model and computes the gradients of its rows. Before an optimizer applies them, they are averaged
over all workers (all-reduce), so all copies take the same step and stay equal. `training.fit` does this by itself once a
process has called `join`. The processes find each other by TensorFlow's `MultiWorkerMirroredStrategy`, of which only the all-
reduce is used: Keras' `fit` can't run under the strategy itself.
"""

import contextlib
import dataclasses
import functools
import json
import os
import re
import shutil
import sys
import threading
from typing import Any

import keras

from .errors import CourseError

JOIN_TIMEOUT_S = 600  # a cluster's queue may start its tasks minutes apart
KUBERNETES_PORT = 2222
_group = []  # of this process: empty, or its `Workers`


@dataclasses.dataclass(frozen=True)
class Workers:
    """The group of processes that this one trains with.

    Args:
        index: int, this worker's number; worker 0 is the chief, which writes all files.
        count: int, how many there are, at least 2.
        strategy: `tf.distribute.Strategy` with one device in each worker.
    """

    index: int
    count: int
    strategy: Any

    def all_reduce(self, tensors, operation="MEAN"):
        """The mean or the sum of tensors over all workers. All of them must call it, in the same order.

        Args:
            tensors: list of tensors or arrays, of the same shapes in each worker.
            operation: "MEAN" or "SUM".

        Returns:
            list of tensors.
        """
        import tensorflow as tf

        def reduce(*own):
            own = [tf.identity(tensor) for tensor in own]  # on the worker's device, which all-reduce asks for
            return tf.distribute.get_replica_context().all_reduce(operation, own)

        run = self.strategy.run if tf.inside_function() else tf.function(self.strategy.run)
        result = [tf.convert_to_tensor(tensor) for tensor in tensors]
        for dtype in sorted({tensor.dtype.name for tensor in result}):  # tensors of one dtype travel together
            places = [i for i, tensor in enumerate(result) if tensor.dtype.name == dtype]
            for i, value in zip(places, run(reduce, args=tuple(result[i] for i in places))):
                result[i] = value
        return result

    def mean(self, tensor):
        """The mean of a tensor over all workers, through which gradients flow.

        Args:
            tensor: float tensor of the same shape in each worker.

        Returns:
            float tensor.
        """
        import tensorflow as tf

        @tf.custom_gradient
        def average(x):
            return self.all_reduce([x])[0], self.mean  # the mean's gradient is the mean of the workers' gradients

        return average(tensor)

    def own_rows(self, batch):
        """This worker's rows of a batch of all workers.

        Args:
            batch: tensor, or dict or tuple of tensors, of one length.

        Returns:
            The same structure, of a length divided by the number of workers.

        Raises:
            CourseError: the length can't be divided by the number of workers.
        """

        def own(tensor):
            length = tensor.shape[0] if tensor.shape[0] is not None else keras.ops.shape(tensor)[0]
            if isinstance(length, int) and length % self.count:
                raise CourseError(f"A batch of {length} can't be divided among {self.count} workers: choose a divisor.")
            share = length // self.count
            return tensor[self.index * share : (self.index + 1) * share]

        return keras.tree.map_structure(own, batch)

    def share_state(self, variables, steps_done):
        """Gives every worker the chief's variables.

        Args:
            variables: list of `keras.Variable`.
            steps_done: int, training steps behind them.

        Raises:
            CourseError: the workers have different numbers of steps behind them.
        """
        import tensorflow as tf

        total = int(self.all_reduce([tf.constant(steps_done, "int64")], "SUM")[0])
        if total != steps_done * self.count:
            raise CourseError("The workers resume from different checkpoints: give all of them one --output-dir that they share.")
        wide = ["float64" if keras.backend.is_float_dtype(v.dtype) else "int64" for v in variables]
        values = [tf.cast(keras.ops.convert_to_tensor(v), dtype) for v, dtype in zip(variables, wide)]
        kept = [value if self.index == 0 else tf.zeros_like(value) for value in values]
        for variable, value in zip(variables, self.all_reduce(kept, "SUM")):
            variable.assign(tf.cast(value, variable.dtype))

    @contextlib.contextmanager
    def data_parallel(self, model):
        """While it lasts, `fit` of a model makes the steps that one process would make with the batches of all workers.

        Gradients are averaged; batch normalisation takes the moments of all workers' rows; what is drawn at random for the whole
        batch is drawn by each worker, which keeps its own rows. XLA is off, as it knows no all-reduce on a CPU; it also draws
        other normal numbers, so that a model which draws any equals the training of one process without XLA only.

        Args:
            model: compiled `keras.Model`. One that trains with several optimizers lists them in a property `optimizers`.

        Yields:
            Nothing.
        """
        layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
        dropouts = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
        replaced = [(model, "train_step", functools.partial(self._step, model.train_step))]
        replaced += [(o, "apply", functools.partial(self._apply, o.apply)) for o in optimizers_of(model)]
        replaced += [(layer, "_moments", functools.partial(self._moments, layer)) for layer in layers]
        replaced += [(layer, "call", functools.partial(self._drop, layer)) for layer in dropouts]
        uses_xla, model.jit_compile, model.train_function = model.jit_compile, False, None
        try:
            for owner, name, value in replaced:
                object.__setattr__(owner, name, value)
            yield
        finally:
            for owner, name, _ in replaced:
                object.__delattr__(owner, name)
            model.jit_compile, model.train_function = uses_xla, None

    def _step(self, train_step, data):
        """A training step whose random numbers are this worker's rows of those of the whole batch."""
        names = ("normal", "uniform", "randint")
        before = {name: getattr(keras.random, name) for name in names}
        try:
            for name, draw in before.items():
                setattr(keras.random, name, functools.partial(self._draw, draw))
            return train_step(data)
        finally:
            for name, draw in before.items():
                setattr(keras.random, name, draw)

    def _draw(self, draw, shape, *arguments, **options):
        if len(shape) == 0:
            return draw(shape, *arguments, **options)
        return self.own_rows(draw((shape[0] * self.count, *shape[1:]), *arguments, **options))

    def _apply(self, apply, gradients, variables=None):
        """An optimizer's step with the mean of all workers' gradients."""
        known = [i for i, gradient in enumerate(gradients) if gradient is not None]
        gradients = list(gradients)
        for i, gradient in zip(known, self.all_reduce([gradients[i] for i in known])):
            gradients[i] = gradient
        return apply(gradients, variables)

    def _moments(self, layer, inputs, mask):
        """Mean and variance of all workers' inputs of a batch normalisation."""
        if mask is not None:
            raise CourseError("Batch normalisation with a mask can't be divided among workers.")
        axes = layer._reduction_axes
        mean = self.mean(keras.ops.mean(inputs, axes, keepdims=True))
        variance = self.mean(keras.ops.mean(keras.ops.square(inputs - mean), axes, keepdims=True))
        return keras.ops.squeeze(mean, axes), keras.ops.squeeze(variance, axes)

    def _drop(self, layer, inputs, training=False):
        """Dropout by this worker's rows of a mask for the whole batch."""
        if not training or layer.rate == 0:
            return inputs
        shape = keras.ops.shape(inputs)
        ones = keras.ops.ones((shape[0] * self.count, *shape[1:]), inputs.dtype)
        return inputs * self.own_rows(keras.random.dropout(ones, layer.rate, layer.noise_shape, layer.seed_generator))


def current():
    """The workers that this process trains with.

    Returns:
        `Workers`, or None where it trains alone.
    """
    return _group[0] if _group else None


def is_chief():
    """Whether this process writes files and prints: it trains alone, or is worker 0.

    Returns:
        bool.
    """
    return not _group or _group[0].index == 0


def read(batches, first_step):
    """The batches that this process trains on.

    Args:
        batches: function from the number of the first step to a `tf.data.Dataset` of batches of all workers. Where it has a
            method `for_worker(first_step, index, count)`, that gives a worker's own rows, and the others' are never read.
        first_step: int.

    Returns:
        `tf.data.Dataset` of this worker's rows, or of all rows where the process trains alone.
    """
    group = current()
    if group is None:
        return batches(first_step)
    if hasattr(batches, "for_worker"):
        return batches.for_worker(first_step, group.index, group.count)
    data = batches(first_step)
    return None if data is None else data.map(lambda *items: group.own_rows(items if len(items) > 1 else items[0]))


def optimizers_of(model):
    """What trains a model.

    Args:
        model: `keras.Model`. One that trains with several optimizers lists them in a property `optimizers`.

    Returns:
        list of `keras.optimizers.Optimizer`; empty for a model that isn't compiled.
    """
    return getattr(model, "optimizers", None) or [o for o in [model.optimizer] if o is not None]


def join(cluster="tf-config"):
    """Makes this process one of the workers that the environment describes, and waits for the others. Call it before anything
    is computed with TensorFlow.

    Args:
        cluster: "tf-config" reads TF_CONFIG, "slurm" the variables that Slurm's srun sets, "kubernetes" those of an Indexed Job,
            see `kubernetes_config`.

    Returns:
        `Workers`, or None where there is one worker only.

    Raises:
        CourseError: the variables are missing or wrong, or the worker has several GPUs.
    """
    import tensorflow as tf

    if cluster == "kubernetes":
        os.environ["TF_CONFIG"] = json.dumps(kubernetes_config(os.environ))
    resolver = _slurm() if cluster == "slurm" else _tf_config()
    count = resolver.cluster_spec().num_tasks("worker")
    if count == 1:
        return None
    address = ", ".join(resolver.cluster_spec().job_tasks("worker"))
    late = threading.Timer(JOIN_TIMEOUT_S, _give_up, [address])
    late.daemon = True
    late.start()
    strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    late.cancel()
    if len(strategy.extended.worker_devices) > 1:
        raise CourseError("A worker computes on one device: start a worker for each GPU, and let it see that one alone.")
    _group[:] = [Workers(int(resolver.task_id), count, strategy)]
    return _group[0]


def _give_up(addresses):
    print(f"error: After {JOIN_TIMEOUT_S} s not all workers were there ({addresses}).", file=sys.stderr, flush=True)
    os._exit(1)


def _tf_config():
    import tensorflow as tf

    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        workers, index = config["cluster"]["worker"], config["task"]["index"]
        if config["task"]["type"] != "worker" or not 0 <= int(index) < len(workers):
            raise ValueError(index)
    except (ValueError, KeyError, TypeError) as error:
        example = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        raise CourseError(f"TF_CONFIG must say who the workers are and which of them this is: {example}.") from error
    return tf.distribute.cluster_resolver.TFConfigClusterResolver()


def _slurm():
    """The workers of a Slurm job step, one a task. Two jobs on a node take different ports."""
    import tensorflow as tf

    missing = [name for name in ("SLURM_PROCID", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE") if name not in os.environ]
    if missing:
        raise CourseError(f"{', '.join(missing)} is not set: start the workers with srun, as clusters/slurm.sbatch does.")
    options = {"port_base": 20_000 + 100 * (int(os.environ.get("SLURM_JOB_ID", 0)) % 300)}
    if not shutil.which("nvidia-smi"):  # the resolver deals out GPUs: without any, one imaginary GPU a task
        options |= {"gpus_per_node": int(os.environ["SLURM_STEP_NUM_TASKS"]), "gpus_per_task": 1, "auto_set_gpu": False}
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(**options)
    resolver.cluster_spec()  # only then it knows its own number
    return resolver


def kubernetes_config(environment):
    """TF_CONFIG of a worker of a Kubernetes Indexed Job, whose pods a headless service gives names.

    Args:
        environment: dict with JOB_COMPLETION_INDEX, which Kubernetes sets, and VIDGEN_WORKERS (how many), VIDGEN_JOB and
            VIDGEN_SERVICE (names), which the manifest sets.

    Returns:
        dict.

    Raises:
        CourseError: a variable is missing.
    """
    names = ("JOB_COMPLETION_INDEX", "VIDGEN_WORKERS", "VIDGEN_JOB", "VIDGEN_SERVICE")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise CourseError(f"{', '.join(missing)} is not set: start the workers with clusters/kubernetes.yaml.")
    index, count, job, service = (environment[name] for name in names)
    workers = [f"{job}-{i}.{service}:{KUBERNETES_PORT}" for i in range(int(count))]
    return {"cluster": {"worker": workers}, "task": {"type": "worker", "index": int(index)}}


@contextlib.contextmanager
def told_when_one_is_gone(kept):
    """Turns the error that follows when another worker dies into a sentence.

    Args:
        kept: function without arguments to str: what the sentence says of checkpoints.

    Yields:
        Nothing.

    Raises:
        CourseError: another worker is gone.
    """
    group = current()
    if group is None:
        yield
        return
    import tensorflow as tf

    errors = tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.FailedPreconditionError, tf.errors.CancelledError
    try:
        yield
    except (*errors, tf.errors.DeadlineExceededError, tf.errors.InternalError) as error:
        found = re.search(r"task:(\d+)", error.message)
        name = f"Worker {found[1]} of {group.count}" if found else "Another worker"
        raise CourseError(f"{name} is gone, so worker {group.index} stopped: {kept()}.") from error
