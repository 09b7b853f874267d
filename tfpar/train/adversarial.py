"""Adversarial training in the space of embeddings, a regularizer of text classifiers.

The loss of a batch gets a second term, the loss for embeddings moved by a small step of norm epsilon in the direction
in which the loss of each example grows fastest. See Miyato, Dai and Goodfellow, "Adversarial Training Methods for
Semi-Supervised Text Classification" (2017), equations 5 and 6.
"""

import contextvars
import dataclasses
from typing import Any

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.contexts import variable_set
from tfpar.keras_private import flatten_layers
from tfpar.layers.argument_types import Shape
from tfpar.train import row_gradients
from tfpar.train.losses import compute_model_loss
from tfpar.train.model import Model
from tfpar.train.types import Gradient, Logs, Nest


@dataclasses.dataclass
class _Pass:
    """One forward pass: `tape` watches the embeddings, or `steps` are added to them, by the name of the layer."""

    tape: tf.GradientTape | None = None
    embeddings: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    steps: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)


_pass: contextvars.ContextVar[_Pass | None] = contextvars.ContextVar("adversarial_pass", default=None)


@keras.saving.register_keras_serializable(package="tfpar")
class AdversarialStep(keras.layers.Layer):
    """A layer after an Embedding, whose outputs an `AdversarialModel` perturbs in training; else the identity.

    The norm of a step is that of one row, over all its time steps and features. It is relative to embeddings of about
    unit variance: the paper normalizes them, since otherwise a model can learn large embeddings that no step affects.

    Args:
        epsilon: norm of the step; the paper uses 5.0 with normalized embeddings of 256 features.
        **kwargs: see `keras.layers.Layer`.

    Raises:
        ValueError: `epsilon` is not a positive number.
    """

    def __init__(self, epsilon: float, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 < epsilon < float("inf"):
            raise ValueError(f"`epsilon` must be a positive number; got {epsilon!r}.")
        self.epsilon = epsilon
        self.supports_masking = True
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        current = _pass.get()
        if current is None:
            return inputs
        if current.tape is not None:
            current.tape.watch(inputs)
            current.embeddings[self.name] = inputs
        return inputs + current.steps[self.name] if self.name in current.steps else inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="tfpar")
class AdversarialModel(Model):
    """A `Model` that minimizes the loss plus `adversarial_weight` times the loss for perturbed embeddings.

    Each of its `AdversarialStep` layers is perturbed by the gradient of its own outputs. A training step costs two
    forward and backward passes. The loss and the metrics in the logs are those of the unperturbed pass.

    Attributes:
        adversarial_weight: factor of the second loss; 1 in the paper.

    Example:

    >>> tokens = keras.Input((None,), dtype="int32")
    >>> x = tfpar.train.AdversarialStep(0.1)(keras.layers.Embedding(9, 4)(tokens))
    >>> model = tfpar.train.AdversarialModel(tokens, keras.layers.Dense(1)(tfpar.layers.GRU(4)(x)))
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 5), "int32"), np.ones((8, 1)), batch_size=4, verbose=0)
    """

    adversarial_weight = 1.0

    def forward_backward(self, data: Nest) -> tuple[list[Gradient | None], tf.Tensor, Logs]:
        """Compute gradients of both losses of a microbatch: see `Model.forward_backward`."""
        epsilons = {layer.name: layer.epsilon for layer in flatten_layers(self) if isinstance(layer, AdversarialStep)}
        if not epsilons:
            raise ValueError(
                "An AdversarialModel must have an AdversarialStep layer; got none. Add one after the Embedding."
            )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = [variable.value for variable in self.trainable_variables]
        with tf.GradientTape() as tape, variable_set(_pass, clean := _Pass(tape=tape)):
            loss, y_pred = compute_model_loss(self, x, y, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss.value)
            embeddings = clean.embeddings
        gradients, by_embedding = tape.gradient(scaled, (variables, embeddings))
        steps = {name: _step(by_embedding[name], epsilons[name]) for name in embeddings}
        with tf.GradientTape() as tape, variable_set(_pass, _Pass(steps=steps)):
            perturbed, _ = compute_model_loss(self, x, y, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(perturbed.value) * self.adversarial_weight
        pairs = zip(gradients, tape.gradient(scaled, variables), strict=True)
        sums = [_scale_and_add(pair, loss.weight, v) for pair, v in zip(pairs, variables, strict=True)]
        keras_private.loss_tracker(self).update_state(loss.value, sample_weight=loss.weight)
        return sums, loss.weight, self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _step(gradient, epsilon) -> tf.Tensor:
    """Scale each row (time, features) of a gradient to the norm `epsilon`; a row of zeros stays zero."""
    gradient = tf.stop_gradient(gradient)
    rows = tf.cast(tf.reshape(gradient, [tf.shape(gradient)[0], -1]), tf.float32)
    largest = tf.reduce_max(tf.abs(rows), axis=1, keepdims=True)  # squares of small numbers would vanish
    rows = tf.math.divide_no_nan(rows, largest)
    rows = epsilon * tf.math.divide_no_nan(rows, tf.norm(rows, axis=1, keepdims=True))
    return tf.cast(tf.reshape(rows, tf.shape(gradient)), gradient.dtype)


def _scale_and_add(gradients, factor, variable) -> Gradient | None:
    given = [row_gradients.scale(g, factor, variable) for g in gradients if g is not None]
    return row_gradients.add(given) if given else None
