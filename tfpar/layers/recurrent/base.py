"""The Keras layer of any recurrence: arguments, weights, masks, states and dropout."""

import abc
from typing import Any, Self

import keras
import tensorflow as tf
from keras import activations, constraints, initializers, regularizers

from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.layers.argument_types import (
    ActivationLike,
    ConstraintLike,
    InitializerLike,
    RegularizerLike,
    Shape,
    States,
)
from tfpar.layers.call_context import call_context
from tfpar.layers.dropout import dropout_mask
from tfpar.layers.recurrent.arguments import convert_initial_state, serialize_arguments
from tfpar.layers.recurrent.carried_states import CarriedStates
from tfpar.layers.recurrent.cell_view import CellView
from tfpar.layers.recurrent.kernels import Job, Result, describe_solution, run_job
from tfpar.layers.recurrent.policy import Choice, choose, obstacle_to_cudnn_anywhere, obstacle_to_cudnn_here
from tfpar.layers.recurrent.streaming import state_sizes, streamed
from tfpar.ops.recurrence import Recurrence, RecurrentWeights


class RecurrentLayer(keras.layers.RNN, abc.ABC):
    """Base class of recurrent layers: the Keras layer of any `tfpar.layers.Recurrence`.

    A subclass implements `make_recurrence` (see docs/new_cell.md). Weights have the names, shapes and order of
    `keras.layers.RNN` subclasses, so `set_weights(keras_layer.get_weights())` works in both directions.

    It is a `keras.layers.RNN` only for `isinstance`: it overrides all of its public methods.

    Args:
        units: number of units.
        activation: a name, or a pointwise function.
        use_bias: add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: see `keras.initializers`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: see `keras.regularizers`.
        kernel_constraint, recurrent_constraint, bias_constraint: see `keras.constraints`.
        dropout: fraction of the input features to drop, in [0, 1); the same features at each step of a sequence.
        recurrent_dropout: fraction of h[t-1] to drop, in [0, 1); the same units at each step of a sequence.
        seed: seed of both dropouts.
        return_sequences: return the outputs of all steps instead of the last.
        return_state: return the final states after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        unroll: unroll the steps instead of looping over them; needs a static number of steps.
        zero_output_for_mask: output zeros at masked steps instead of the last valid output.
        implementation: 0, 1 or 2; ignored, since input projections are always hoisted.
        evaluation: how the steps are run through time, one of `EVALUATIONS` of the class; "auto" chooses the fastest.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        sequences: float (batch, time, features).
        initial_state: float (batch, units), or a list with one for each state; None for zeros.
        mask: bool (batch, time). A False step does not change the states.
        training: apply dropout.

    Attributes:
        EVALUATIONS: values of `evaluation` that the class supports.
        latency: steps between an input and the output of `step` that depends on it: 0.

    Raises:
        ValueError: an argument is out of its range.
    """

    EVALUATIONS: tuple[str, ...] = ("auto", "sequential")
    latency = 0  # steps between an input and the output of `step` that depends on it

    def __init__(
        self,
        units: int,
        *,
        activation: ActivationLike,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        implementation: int = 2,
        evaluation: str = "auto",
        **kwargs: Any,
    ):
        keras.layers.Layer.__init__(self, activity_regularizer=activity_regularizer, **kwargs)  # not RNN's
        self.units = check_positive_integer("units", units)
        self.dropout = check_fraction("dropout", dropout)
        self.recurrent_dropout = check_fraction("recurrent_dropout", recurrent_dropout)
        check_one_of("implementation", implementation, (0, 1, 2))
        self.evaluation = self.check_evaluation(evaluation)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards = go_backwards
        self.reverses_outputs = go_backwards  # False within `Bidirectional`
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self.cell = CellView(self)
        self._carried = CarriedStates()
        self._static_steps: int | None = None  # of the input that the layer was built for
        self.recurrence = self.make_recurrence()

    @abc.abstractmethod
    def make_recurrence(self) -> Recurrence:
        """Make the recurrence of this layer; called once, at the end of the constructor."""

    @classmethod
    def check_evaluation(cls, evaluation: str) -> str:
        """Return `evaluation` if the class supports it; raise ValueError otherwise."""
        if evaluation not in cls.EVALUATIONS:
            raise ValueError(
                f"`evaluation` must be one of {', '.join(cls.EVALUATIONS)} for {cls.__name__}; "
                f"got {evaluation!r}. Pass 'auto'."
            )
        return evaluation

    def set_evaluation(self, evaluation: str) -> None:
        """Set `evaluation` of a layer that has not been called; raise ValueError if the layer does not support it."""
        self.evaluation = self.check_evaluation(evaluation)

    @property
    def supports_step(self) -> bool:
        """Whether `step` is supported: not by a layer that starts at the end of the sequence."""
        return not self.go_backwards

    @property
    def state_size(self) -> list[int]:
        """Number of units of each state."""
        return [self.units] * self.recurrence.num_states

    @property
    def states(self) -> list[keras.Variable] | None:
        """States that a stateful layer carries from batch to batch, or None."""
        return self._carried.variables

    def explain(self, sequences: Any = None) -> str:
        """Describe in one line the kernel that runs this layer here, and the reason for it.

        Args:
            sequences: float (batch, time, features), or None. With them a layer that uses Newton's method runs it, and
                adds whether it converges on them.
        """
        if sequences is None:
            choice = self._choose_kernel(False, bool(self.recurrent_dropout), self._static_steps)
            outcome = ""
        else:
            sequences = tf.convert_to_tensor(sequences)
            if not self.built:
                self.build((None, None, sequences.shape[-1]))
            choice, job = self.prepare(sequences)
            outcome = f"; {describe_solution(job)}" if choice.kernel in ("newton", "quasi_newton") else ""
        return f"{self.name}: {self.recurrence.name} by the {choice.kernel} kernel, since {choice.reason}{outcome}"

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        self._static_steps = sequences_shape[1]
        gate_units = self._projection_size()
        self.kernel = self.add_weight(
            shape=(sequences_shape[-1], gate_units),
            name="kernel",
            initializer=self._initialize_kernel,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self._add_recurrent_kernel()
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=self._bias_shape(),
                name="bias",
                initializer=self._initialize_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        if self.stateful:
            self._carried.create(self, sequences_shape[0])

    def _recurrent_kernel_shape(self) -> tuple[int, int]:
        return (self.units, self.recurrence.num_gates * self.units)

    def _add_recurrent_kernel(self) -> keras.Variable | None:
        return self.add_weight(
            shape=self._recurrent_kernel_shape(),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )

    def adopt_weights(
        self,
        kernel: keras.Variable,
        recurrent_kernel: keras.Variable,
        bias: keras.Variable | None,
        states: list[keras.Variable] | None = None,
    ) -> None:
        """Use variables of another layer, of this layer's shapes, instead of new ones; the layer is then built.

        Args:
            kernel: (features, gates * units).
            recurrent_kernel: (units, gates * units).
            bias: as in `weights`, or None.
            states: the carried states of a stateful layer.
        """
        self.kernel, self.recurrent_kernel, self.bias = kernel, recurrent_kernel, bias
        self._carried.variables = states
        self.built = True

    def _projection_size(self) -> int:
        """Return the number of features of the input projection."""
        return self.recurrence.num_gates * self.units

    def _initialize_kernel(self, shape, dtype=None):
        return self.kernel_initializer(shape, dtype=dtype)

    def _bias_shape(self) -> tuple[int, ...]:
        return (self._projection_size(),)

    def _initialize_bias(self, shape, dtype=None):
        return self.bias_initializer(shape, dtype=dtype)

    def _biases(self) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """Return the bias of the input projection, and that of the recurrent one."""
        return (None if self.bias is None else tf.convert_to_tensor(self.bias)), None

    def recurrent_weights(self) -> Any:
        """Return the weights that `Recurrence.step` gets, as tensors: `RecurrentWeights`.

        A cell with further weights returns a named tuple of its own.
        """
        return RecurrentWeights(tf.convert_to_tensor(self.recurrent_kernel), self._biases()[1])

    def call(
        self,
        sequences: tf.Tensor,
        initial_state: States = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor | tuple[tf.Tensor, ...]:
        choice, job = self.prepare(sequences, initial_state, mask, training)
        return self.finish(run_job(choice.kernel, job))

    def prepare(
        self,
        sequences: tf.Tensor,
        initial_state: States = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[Choice, Job]:
        """Choose the kernel of a call, and make its job."""
        sequences = tf.cast(sequences, self.compute_dtype)
        if self.unroll and sequences.shape[1] is None:
            raise ValueError(
                "Cannot unroll: unroll=True needs a static number of steps, but the input has shape "
                f"{tuple(sequences.shape)}. Give the length in keras.Input(shape=(steps, features)), or unroll=False."
            )
        if initial_state is None and self.stateful:
            self._carried.check_batch_size(self, sequences.shape[0])
            initial_state = self.states
        if streams := call_context().streams:
            initial_state = streams.initial_states(self)
        choice = self._choose_kernel(
            initial_state is not None, bool(training and self.recurrent_dropout), sequences.shape[1]
        )
        return choice, self._job(sequences, initial_state, mask, training)

    def finish(self, result: Result) -> tf.Tensor | tuple[tf.Tensor, ...]:
        """Return the outputs of a call from the result of its job."""
        if self.stateful:
            self._carried.assign(result.states)
        if streams := call_context().streams:
            streams.add_final_states(self, result.states)
        output = result.sequence if self.return_sequences else result.last
        if self.return_sequences and self.reverses_outputs:
            output = tf.reverse(output, [1])
        return (output, *result.states) if self.return_state else output

    def _choose_kernel(self, has_initial_state: bool, drops_states: bool, steps: int | None = None) -> Choice:
        return choose(
            self.recurrence,
            steps=steps,
            unroll=self.unroll,
            has_initial_states=has_initial_state or self.stateful,
            returns_states=self.return_state,
            evaluation=self.evaluation,
            obstacle_to_cudnn=self._obstacle_to_cudnn(drops_states),
        )

    def _obstacle_to_cudnn(self, drops_states: bool) -> str | None:
        """Return the reason why cuDNN cannot run the layer here, or None."""
        return obstacle_to_cudnn_here(self.compute_dtype) or self._obstacle_to_cudnn_anywhere(drops_states)

    def _obstacle_to_cudnn_anywhere(self, drops_states: bool) -> str | None:
        return obstacle_to_cudnn_anywhere(self.recurrence, unroll=self.unroll, drops_states=drops_states)

    def _job(self, sequences, initial_state, mask, training) -> Job:
        if training and self.dropout:
            sequences *= self._dropout_mask(sequences, sequences.shape[-1], self.dropout)[:, None, :]
        recurrent_dropout = None
        if training and self.recurrent_dropout:
            recurrent_dropout = self._dropout_mask(sequences, self.units, self.recurrent_dropout)
        return Job(
            recurrence=self.recurrence,
            inputs=sequences,
            kernel=tf.convert_to_tensor(self.kernel),
            bias=self._biases()[0],
            weights=self.recurrent_weights(),
            state_sizes=tuple(self.state_size),
            initial_states=convert_initial_state(self, initial_state, sequences.shape[0]),
            mask=_boolean_mask(mask),
            dropout=recurrent_dropout,
            go_backwards=self.go_backwards,
            returns_sequence=self.return_sequences,
            zero_output_for_mask=self.zero_output_for_mask,
            unroll=self.unroll,
            is_continuation=call_context().streams is not None,
        )

    def _dropout_mask(self, sequences, features, rate):
        """Draw a mask float (batch, features): 0, or 1 / (1 - rate)."""
        return dropout_mask((tf.shape(sequences)[0], features), rate, self.seed_generator, sequences.dtype)

    def step(self, sequences: tf.Tensor, states: States) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Process the next steps of a stream.

        Args:
            sequences: float (batch, time, features), any number of steps.
            states: those after the step before, or `get_initial_state(batch_size)`.

        Returns:
            The output of these steps, or of the last without `return_sequences`; and the states after them.

        Raises:
            ValueError: the layer starts at the end of a sequence.
        """
        names = state_sizes(self)
        with streamed(dict(zip(names, keras.tree.flatten(states), strict=True))) as streams:
            output = self(sequences)
        return output[0] if self.return_state else output, [streams.final[name] for name in names]

    def reset_state(self) -> None:
        """Set the carried states of a stateful layer to zeros."""
        for variable in self.states or ():
            variable.assign(keras.ops.zeros_like(variable))

    reset_states = reset_state  # the name in Keras 2

    def compute_mask(self, _: Any, previous_mask: Any) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        return [mask] + [None] * self.recurrence.num_states if self.return_state else mask

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        batch, steps = sequences_shape[:2]
        output = (batch, steps, self.units) if self.return_sequences else (batch, self.units)
        return (output, *((batch, units) for units in self.state_size)) if self.return_state else output

    def save_own_variables(self, store: Any) -> None:
        """Save nothing: in files the weights are those of `cell`."""

    def load_own_variables(self, store: Any) -> None:
        """Load weights from a file of an earlier version, which stores them under the layer itself."""
        self.has_loaded_own_variables = bool(store.keys())
        if self.has_loaded_own_variables:
            super().load_own_variables(store)

    def get_initial_state(self, batch_size: int | tf.Tensor) -> list[tf.Tensor]:
        """Return states of zeros, each float (batch_size, units).

        Args:
            batch_size: number of rows, int or int32 scalar.
        """
        return [tf.zeros((batch_size, units), self.compute_dtype) for units in self.state_size]

    def get_config(self) -> dict[str, Any]:
        return {**super(keras.layers.RNN, self).get_config(), **serialize_arguments(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        return super(keras.layers.RNN, cls).from_config(config)


def _boolean_mask(mask):
    mask = mask[0] if isinstance(mask, (list, tuple)) else mask
    return None if mask is None else tf.cast(mask, tf.bool)
