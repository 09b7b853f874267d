"""What a recurrent network computes in one step: the interface between cells and time loops."""

import abc
from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.activations import Activation
from tfpar.ops.materialization import Materialized, as_it_is

Tensors = tuple[tf.Tensor, ...]


class RecurrentWeights(NamedTuple):
    """What multiplies the previous output h[t-1].

    Attributes:
        kernel: float (units, gates * units).
        bias: float (gates * units,), or None. Only a GRU with `reset_after` has one beside the bias of the projection.
    """

    kernel: tf.Tensor
    bias: tf.Tensor | None = None

    def times(self, h: tf.Tensor, columns: slice = slice(None)) -> tf.Tensor:
        """h U + b, or some columns of it: float (batch, gates * units) from (batch, units)."""
        product = tf.matmul(h, self.kernel[:, columns] if columns != slice(None) else self.kernel)
        return product if self.bias is None else product + self.bias[columns]


class WeightsOfBoth(NamedTuple):
    """Recurrent weights of two networks whose states stand in one batch, those of the first before the other's."""

    first: RecurrentWeights
    other: RecurrentWeights

    def times(self, h: tf.Tensor, columns: slice = slice(None)) -> tf.Tensor:
        """Each network's h U + b: float (2 * batch, gates * units) from (2 * batch, units)."""
        first, other = tf.split(h, 2)
        return tf.concat([self.first.times(first, columns), self.other.times(other, columns)], axis=0)


class Recurrence(abc.ABC):
    """One step of a recurrent network and its hand-written gradient.

    The input projection `x[t] W + b` does not depend on the state, so the caller computes it for all steps in one
    matmul and hands its slices to `step`. States are carried in a tuple whose first member is the output h.

    The backward pass is split likewise: `step_gradient` does what must happen in order of time, and `weight_gradients`
    gets all steps at once.

    `dropped(h)` below is h times the recurrent dropout mask (batch, units), the same at each step (Gal & Ghahramani
    2016, arXiv:1512.05287), or h itself.
    """

    name: str
    gates: int
    state_count: int
    kept_count: int
    has_outputs = False

    @abc.abstractmethod
    def step(
        self,
        projected: tf.Tensor,
        states: Tensors,
        weights: RecurrentWeights,
        dropout: tf.Tensor | None,
    ) -> tuple[Tensors, Tensors]:
        """Advances by one step.

        Args:
            projected: float (batch, gates * units), x[t] W + b.
            states: `state_count` tensors, float (batch, units), of step t-1.
            weights: see `RecurrentWeights`.
            dropout: float (batch, units), the scaled recurrent dropout mask, or None.

        Returns:
            The states of step t, and `kept_count` tensors that the backward pass needs of it: the first of the shape of
            `projected`, whose place it takes, the others of that of a state.
        """

    def outputs(self, kept: tf.Tensor, other_states: Tensors) -> tf.Tensor:
        """h of all steps, if `has_outputs`: if it follows from what else there is of each, and need not be stacked.

        Args:
            kept: float (time, batch, gates * units), the first that `step` kept, of all steps.
            other_states: float (time, batch, units), the states but h, of all steps.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def step_gradient(
        self,
        gradients: Tensors,
        states: Tensors,
        previous: Tensors,
        kept: Tensors,
        transposed: tf.Tensor,
        dropout: tf.Tensor | None,
        materialized: Materialized = as_it_is,
    ) -> tuple[tf.Tensor, Tensors]:
        """Runs one step backward.

        Args:
            gradients: dL/d states[t], `state_count` tensors, float (batch, units).
            states: states[t].
            previous: states[t-1].
            kept: what `step` kept.
            transposed: float (gates * units, units), the recurrent kernel transposed.
            dropout: as in `step`.
            materialized: see `tfpar.ops.materialization`.

        Returns:
            dL/d projected[t], which takes the place of `kept[0]`, and dL/d states[t-1].
        """

    @abc.abstractmethod
    def weight_gradients(
        self, d_projected: tf.Tensor, kept: Tensors, previous: tf.Tensor, dropout: tf.Tensor | None
    ) -> RecurrentWeights:
        """Sums the gradients of the recurrent weights over all steps.

        Args:
            d_projected: float (time, batch, gates * units), dL/d projected of all steps.
            kept: what `step` kept but `kept[0]`, stacked along a leading time axis.
            previous: float (time, batch, units), h[t-1] of all steps.
            dropout: as in `step`.
        """

    @property
    def keeps_outputs(self) -> bool:
        """Whether all activations keep what they return, so that none is computed again from what it was given."""
        return all(value.keeps_output for value in vars(self).values() if isinstance(value, Activation))

    def equals(self, other: "Recurrence") -> bool:
        """Whether the other computes the same from the same weights."""
        return type(self) is type(other) and vars(self) == vars(other)

    def for_interpreter(self) -> "Recurrence":
        """The same step, forward only, in as few operations as can be, for where each has its price: in TFLite."""
        return self


def project(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """x[t] W + b of all steps in one matmul: float (time, batch, gates * units) from (time, batch, features)."""
    projected = tf.tensordot(inputs, kernel, axes=1)
    return projected if bias is None else projected + bias


def dropped(h: tf.Tensor, dropout: tf.Tensor | None) -> tf.Tensor:
    """h times the recurrent dropout mask, if there is one."""
    return h if dropout is None else h * dropout


def side_by_side(gates: list[tf.Tensor]) -> tf.Tensor:
    """Gates, float (batch, units) each, as one tensor (batch, gates * units).

    They are stacked, which XLA for CPUs does within the kernel that computes them; to `tf.concat` them takes one more,
    and one for each gate.
    """
    return tf.reshape(tf.stack(gates, axis=1), [-1, len(gates) * gates[0].shape[-1]])


def summed_outer(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Sums the outer products of (time, batch, m) and (time, batch, n) in one matmul: float (m, n)."""
    left = tf.reshape(left, [-1, left.shape[-1]])
    return tf.matmul(left, tf.reshape(right, [-1, right.shape[-1]]), transpose_a=True)
