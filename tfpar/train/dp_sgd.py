"""DP-SGD: training with differential privacy, by clipped gradients of single examples and Gaussian noise.

A step sums the gradients of single examples, each scaled to a norm of at most C, adds noise of the standard deviation
C times the noise multiplier, and divides by the batch size. See Abadi et al., "Deep Learning with Differential
Privacy" (2016), Algorithm 1.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.errors import MissingExtraError
from tfpar.keras_private import flatten_layers
from tfpar.layers.call_context import first_row
from tfpar.ops import philox
from tfpar.train.accumulation import innermost
from tfpar.train.losses import compute_model_loss
from tfpar.train.microbatches import run_statelessly
from tfpar.train.model import Model
from tfpar.train.replica import metric_and_other_variables
from tfpar.train.sharding import row_count
from tfpar.train.step_context import step_context
from tfpar.train.types import Gradient, Logs, Nest


@dataclasses.dataclass(frozen=True)
class DPSGD:
    """Settings of DP-SGD, and the privacy that they give.

    Args:
        clip_norm: largest norm of one example's gradient, over all weights together.
        noise_multiplier: standard deviation of the noise, divided by `clip_norm`. 0 gives no privacy.
        batch_size: expected rows of a global batch, by which sums are divided.
        seed: of the noise, 64 bits. Draw it by `secrets.randbits(63)` and discard it: whoever knows it can subtract the
            noise. All workers need the same one.

    Raises:
        ValueError: an argument is out of its range.
    """

    clip_norm: float
    noise_multiplier: float
    batch_size: int
    seed: int

    def __post_init__(self):
        for name, is_valid, expected in (
            ("clip_norm", 0 < self.clip_norm < math.inf, "a positive number"),
            ("noise_multiplier", 0 <= self.noise_multiplier < math.inf, "a number from 0"),
            ("batch_size", self.batch_size >= 1, "an integer from 1"),
            ("seed", 0 <= self.seed < 2**63, "an integer from 0 to 2**63 - 1"),
        ):
            if not is_valid:
                raise ValueError(f"`{name}` must be {expected}; got {getattr(self, name)!r}.")

    def epsilon(self, examples: int, steps: int, delta: float) -> float:
        """Compute epsilon of (epsilon, delta)-differential privacy by Renyi accounting (Mironov et al., 2019).

        It holds for neighboring sets that differ by one example, if each step draws each example independently with the
        probability `batch_size / examples`. Batches of shuffled epochs, as `fit` reads them, are only similar to that.

        Args:
            examples: number of examples in the training set.
            steps: number of updates.
            delta: probability, usually less than 1 / `examples`.

        Raises:
            ValueError: `examples` is less than the batch size.
            MissingExtraError: dp-accounting is not installed.
        """
        try:
            import dp_accounting
        except ImportError as error:
            raise MissingExtraError("dp-accounting", "privacy", "to compute epsilon") from error
        if examples < self.batch_size:
            raise ValueError(f"`examples` must be {self.batch_size} (the batch size) at least; got {examples}.")
        if not self.noise_multiplier:
            return math.inf
        gaussian = dp_accounting.GaussianDpEvent(self.noise_multiplier)
        step = dp_accounting.PoissonSampledDpEvent(self.batch_size / examples, gaussian)
        accountant = dp_accounting.rdp.RdpAccountant()
        return accountant.compose(dp_accounting.SelfComposedDpEvent(step, steps)).get_epsilon(delta)


@keras.saving.register_keras_serializable(package="tfpar")
class DPModel(Model):
    """A `Model` that trains by DP-SGD. Set `privacy` before `fit`.

    The gradient of each example is computed by itself, in a loop over the rows of a microbatch: memory is that of one
    example, and time grows with the rows. The noise depends on the seed and the step only, so N replicas and any number
    of lanes give the weights of one. Losses and metrics that `fit` prints are exact, and therefore not private.

    Attributes:
        privacy: `DPSGD`.

    Example:

    >>> inputs = keras.Input((None, 3))
    >>> model = tfpar.train.DPModel(inputs, keras.layers.Dense(1)(tfpar.layers.GRU(4)(inputs)))
    >>> model.privacy = tfpar.train.DPSGD(clip_norm=1.0, noise_multiplier=1.1, batch_size=4, seed=0)
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 5, 3)), np.ones((8, 1)), batch_size=4, verbose=0)
    """

    privacy: DPSGD | None = None

    def forward_backward(self, data: Nest) -> tuple[list[Gradient | None], tf.Tensor, Logs]:
        """Compute the sum of the clipped gradients of a microbatch's rows: see `Model.forward_backward`."""
        clip_norm = _check_private(self).clip_norm
        sums = _sum_clipped_gradients(self, data, clip_norm)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        loss, y_pred = compute_model_loss(self, x, y, sample_weight, training=True)
        keras_private.loss_tracker(self).update_state(loss.value, sample_weight=loss.weight)
        return sums, loss.weight, self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def apply_gradients(self, summed: Sequence[Gradient | None], weight: tf.Tensor) -> None:
        """Add noise to the sums over the global batch, and step the optimizer: see `Model.apply_gradients`."""
        privacy = _check_private(self)
        noisy = _add_noise(summed, privacy, self.optimizer.iterations.value)
        super().apply_gradients(noisy, tf.constant(privacy.batch_size, tf.float32))


def _check_private(model) -> DPSGD:
    """Return the model's settings; raise ValueError if it would train without privacy."""
    if model.privacy is None:
        raise ValueError("`privacy` must be set before `fit`; got None. Set it to a tfpar.train.DPSGD.")
    inner = innermost(model.optimizer)
    if inner is not model.optimizer or inner.gradient_accumulation_steps:
        raise ValueError(
            "`optimizer` must not scale losses or accumulate gradients in a DPModel, since the noise is that of one "
            f"batch; got {type(model.optimizer).__name__}. Use a larger batch."
        )
    for layer in flatten_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            raise ValueError(
                f"A DPModel must not have the layer {layer.name!r} (BatchNormalization), whose moving statistics would "
                "contain the data without noise. Use LayerNormalization."
            )
    return model.privacy


def _sum_clipped_gradients(model, data, clip_norm) -> list[tf.Tensor]:
    """Sum the gradients of single rows, each scaled to a norm of at most `clip_norm`."""
    metric_variables, variables = metric_and_other_variables(model)
    rows = row_count(data)
    offset, padded = tf.cast(first_row(rows), tf.int32), tf.nest.map_structure(_pad_row, data)

    def add_row(index, sums):
        row = tf.nest.map_structure(lambda leaf: None if leaf is None else tf.gather(leaf, index[None]), padded)
        # Nothing is assigned here: seeds advance in the forward pass of all rows.
        gradients, _ = run_statelessly(
            functools.partial(_row_gradients, model), offset + index, row, metric_variables, variables
        )
        norm = tf.sqrt(tf.add_n([_squared_norm(gradient) for gradient in gradients]))
        scale = clip_norm / tf.maximum(norm, clip_norm)
        return index + 1, [_add_scaled(total, g, scale) for total, g in zip(sums, gradients, strict=True)]

    zeros = [tf.zeros(variable.shape, variable.dtype) for variable in model.trainable_variables]
    begin = (tf.constant(0), zeros)
    return tf.while_loop(lambda index, sums: index < rows, add_row, begin, parallel_iterations=1)[1]


def _pad_row(leaf) -> tf.Tensor | None:
    """Add a row of zeros, which is not used: XLA cannot compile the loop's body for a shard without rows."""
    return None if leaf is None else tf.pad(leaf, [[0, 1]] + [[0, 0]] * (leaf.shape.rank - 1))


def _row_gradients(model, row) -> list[Gradient]:
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(row)
    with tf.GradientTape() as tape, step_context(loss_weights=None):
        loss, _ = compute_model_loss(model, x, y, sample_weight, training=True)
    values = [variable.value for variable in model.trainable_variables]
    return tape.gradient(loss.value, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _squared_norm(gradient) -> tf.Tensor:
    """Return the squared norm of a gradient in float32; of `tf.IndexedSlices`, which may name a row several times."""
    if not isinstance(gradient, tf.IndexedSlices):
        return tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32)))
    values = tf.cast(gradient.values, tf.float32)
    is_same = tf.cast(gradient.indices[:, None] == gradient.indices[None], tf.float32)
    return tf.reduce_sum(is_same * tf.matmul(values, values, transpose_b=True))


def _add_scaled(total, gradient, scale):
    if not isinstance(gradient, tf.IndexedSlices):
        return total + gradient * tf.cast(scale, gradient.dtype)
    values = gradient.values * tf.cast(scale, gradient.dtype)
    return tf.tensor_scatter_nd_add(total, gradient.indices[:, None], values)


def _add_noise(summed, privacy, step) -> list[tf.Tensor]:
    """Add noise that depends on the seed, the step and the variable, so that it is equal on all replicas."""
    if not privacy.noise_multiplier:
        return list(summed)
    stddev = privacy.clip_norm * privacy.noise_multiplier
    noise = (philox.normal(g.shape, privacy.seed, step, stream) for stream, g in enumerate(summed))
    return [g + tf.cast(stddev * drawn, g.dtype) for g, drawn in zip(summed, noise, strict=True)]
