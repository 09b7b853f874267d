"""The interface between cells and time loops: one step of a recurrent network."""

import abc
from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.activations import Activation
from tfpar.ops.materialization import Materialize, identity

Tensors = tuple[tf.Tensor, ...]


class RecurrentWeights(NamedTuple):
    """Weights that multiply the previous output h[t-1].

    Attributes:
        kernel: float (units, gates * units); None for a linear recurrence, whose state meets no matmul.
        bias: float (gates * units,), or None. Only a GRU with `reset_after` has one beside the bias of the projection.
    """

    kernel: tf.Tensor | None
    bias: tf.Tensor | None = None

    def project(self, h: tf.Tensor, columns: slice = slice(None)) -> tf.Tensor:
        """Return h U + b, or some columns of it: float (batch, gates * units) from (batch, units)."""
        assert self.kernel is not None  # a linear recurrence does not project
        product = tf.matmul(h, self.kernel[:, columns] if columns != slice(None) else self.kernel)
        return product if self.bias is None else product + self.bias[columns]


class SharedStateWeights(NamedTuple):
    """Recurrent weights where consecutive rows have one state, which is projected once for all of them.

    Attributes:
        weights: the weights.
        state: float (batch, units), h of each group of rows.
        repeated: float (batch * copies, units), h of each row; only this tensor is projected by groups.
        copies: rows of a group.
    """

    weights: RecurrentWeights
    state: tf.Tensor
    repeated: tf.Tensor
    copies: int

    @property
    def kernel(self) -> tf.Tensor | None:
        return self.weights.kernel

    @property
    def bias(self) -> tf.Tensor | None:
        return self.weights.bias

    def project(self, h: tf.Tensor, columns: slice = slice(None)) -> tf.Tensor:
        """Return h U + b: float (batch * copies, gates * units)."""
        if h is not self.repeated:
            return self.weights.project(h, columns)
        return repeat_rows(self.weights.project(self.state, columns), self.copies)


class PairedWeights(NamedTuple):
    """Recurrent weights of two networks whose states are concatenated along the batch axis."""

    first: RecurrentWeights
    second: RecurrentWeights

    def project(self, h: tf.Tensor, columns: slice = slice(None)) -> tf.Tensor:
        """Return each network's h U + b: float (2 * batch, gates * units) from (2 * batch, units)."""
        first, second = tf.split(h, 2)
        return tf.concat([self.first.project(first, columns), self.second.project(second, columns)], axis=0)


class Recurrence(abc.ABC):
    """One step of a recurrent network, with an optional gradient written by hand.

    The input projection x[t] W + b does not depend on the state, so the caller computes it for all steps in one matmul
    and passes one step of it, `x_proj`, to `step`. States are a tuple whose first member is the output h.

    The backward pass is split likewise: `step_gradient` does what must happen in order of time, and `weight_gradients`
    gets all steps at once. A recurrence that implements only `step` is differentiated automatically.

    `apply_dropout(h)` below is h times the recurrent dropout mask (batch, units), the same at each step (Gal &
    Ghahramani 2016, arXiv:1512.05287), or h itself.

    Attributes:
        name: short name, as in `explain()`.
        num_gates: x_proj is (batch, num_gates * units).
        num_states: tensors in the states.
        num_residuals: tensors that `step` saves for the backward pass; 0 without `step_gradient`.
        recomputes_h: `recompute_h` is implemented; h of all steps need not be stacked in the forward loop.
    """

    name: str
    num_gates: int
    num_states: int
    num_residuals: int = 0
    recomputes_h: bool = False

    @abc.abstractmethod
    def step(
        self,
        x_proj: tf.Tensor,
        states: Tensors,
        weights: RecurrentWeights,
        dropout: tf.Tensor | None,
    ) -> tuple[Tensors, Tensors]:
        """Advance by one step.

        Args:
            x_proj: float (batch, gates * units), x[t] W + b.
            states: `num_states` tensors, float (batch, units), of step t-1.
            weights: see `RecurrentWeights`.
            dropout: float (batch, units), the scaled recurrent dropout mask, or None.

        Returns:
            The states of step t, and `num_residuals` tensors saved for the backward pass. The first residual has the
            shape of `x_proj` (and reuses its buffer); the others have the shape of a state.
        """

    def recompute_h(self, residual: tf.Tensor, other_states: Tensors) -> tf.Tensor:
        """Recompute h of all steps from residuals and the other states; only if `recomputes_h`.

        Args:
            residual: float (time, batch, gates * units), the first residual of all steps.
            other_states: float (time, batch, units) each, the states except h, of all steps.
        """
        raise NotImplementedError

    @property
    def has_gradient(self) -> bool:
        """Whether `step_gradient` and `weight_gradients` are implemented."""
        return type(self).step_gradient is not Recurrence.step_gradient

    def step_gradient(
        self,
        gradients: Tensors,
        states: Tensors,
        previous: Tensors,
        residuals: Tensors,
        transposed: tf.Tensor,
        dropout: tf.Tensor | None,
        force_materialize: Materialize = identity,
    ) -> tuple[tf.Tensor, Tensors]:
        """Run one step backward.

        Args:
            gradients: dL/d states[t], `num_states` tensors, float (batch, units).
            states: states[t].
            previous: states[t-1].
            residuals: the second result of `step`.
            transposed: float (gates * units, units), the recurrent kernel transposed.
            dropout: as in `step`.
            force_materialize: see `tfpar.ops.materialization`.

        Returns:
            dL/d x_proj[t], which overwrites `residuals[0]`, and dL/d states[t-1].
        """
        raise NotImplementedError

    def weight_gradients(
        self, d_x_proj: tf.Tensor, residuals: Tensors, previous: tf.Tensor, dropout: tf.Tensor | None
    ) -> RecurrentWeights:
        """Sum the gradients of the recurrent weights over all steps.

        Args:
            d_x_proj: float (time, batch, gates * units), dL/d x_proj of all steps.
            residuals: those of `step` except the first, stacked along a leading time axis.
            previous: float (time, batch, units), h[t-1] of all steps.
            dropout: as in `step`.
        """
        raise NotImplementedError

    @property
    def saves_outputs(self) -> bool:
        """Whether all activations save their outputs, so that the backward pass recomputes none of them."""
        return all(value.saves_output for value in vars(self).values() if isinstance(value, Activation))

    def equals(self, other: "Recurrence") -> bool:
        """Whether the other computes the same from the same weights."""
        return type(self) is type(other) and vars(self) == vars(other)

    def for_interpreter(self) -> "Recurrence":
        """Return a forward-only variant of as few operations as possible, since TFLite has a cost for each."""
        return self


def project(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """Compute x[t] W + b of all steps in one matmul: (time, batch, gates * units) from (time, batch, features)."""
    x_proj = tf.tensordot(inputs, kernel, axes=1)
    return x_proj if bias is None else x_proj + bias


def repeat_rows(tensor: tf.Tensor, copies: int) -> tf.Tensor:
    """Repeat each row: (batch * copies, features) from (batch, features)."""
    return tf.reshape(tf.tile(tensor[:, None], [1, copies, 1]), [-1, tensor.shape[-1]])


def apply_dropout(h: tf.Tensor, dropout: tf.Tensor | None) -> tf.Tensor:
    """Multiply h by the recurrent dropout mask, if there is one."""
    return h if dropout is None else h * dropout


def concatenate_gates(gates: list[tf.Tensor]) -> tf.Tensor:
    """Concatenate gates, float (batch, units) each, to (batch, gates * units).

    They are stacked, which XLA for CPUs fuses into the kernel that computes them. `tf.concat` would need another
    kernel, and one more for each gate.
    """
    return tf.reshape(tf.stack(gates, axis=1), [-1, len(gates) * gates[0].shape[-1]])


def sum_outer_products(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Sum the outer products of (time, batch, m) and (time, batch, n) in one matmul: float (m, n)."""
    left = tf.reshape(left, [-1, left.shape[-1]])
    return tf.matmul(left, tf.reshape(right, [-1, right.shape[-1]]), transpose_a=True)
