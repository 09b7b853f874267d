"""The Keras layer around a recurrence: its arguments, weights, masks, states and dropout, the same for every cell."""

import abc
import inspect

import keras
import tensorflow as tf
from keras import activations, constraints, initializers, regularizers

from tfpar import keras_private
from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.layers.dropout import dropout_mask
from tfpar.layers.recurrent import kernels, streaming
from tfpar.ops.recurrence import Recurrence, RecurrentWeights


class RecurrentLayer(keras.layers.Layer, abc.ABC):
    """Base of the recurrent layers; a drop-in replacement for `keras.layers.RNN` subclasses.

    Weights have Keras' names, shapes and order, so that `set_weights(keras_layer.get_weights())` works in both
    directions.

    Args:
        units: number of units.
        activation: name of a Keras activation, or a pointwise function.
        use_bias: add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: see `keras.initializers`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: see `keras.regularizers`.
        kernel_constraint, recurrent_constraint, bias_constraint: see `keras.constraints`.
        dropout: fraction of the input features to drop, the same ones at each step of a sequence.
        recurrent_dropout: fraction of h[t-1] to drop where it meets the recurrent kernel, the same units at each step.
        seed: of both dropouts.
        return_sequences: return the outputs of all steps, not of the last alone.
        return_state: return the last states after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: begin each batch in the states in which the last one ended.
        unroll: write the steps out instead of looping over them; needs a static number of steps.
        zero_output_for_mask: answer masked steps with zeros instead of the last valid output.
        implementation: 0, 1 or 2. Accepted for compatibility: input projections are hoisted out of the loop in any
            case.

    Call arguments:
        sequences: float (batch, time, features).
        initial_state: float (batch, units), or a list of one for each state.
        mask: bool (batch, time). A False step leaves the states as they are.
        training: whether to drop.

    Raises:
        ValueError: an argument is out of its range; each message says which and what it may be.
    """

    def __init__(
        self,
        units,
        *,
        activation,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        implementation=2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_positive_integer("units", units)
        self.dropout = check_fraction("dropout", dropout)
        self.recurrent_dropout = check_fraction("recurrent_dropout", recurrent_dropout)
        check_one_of("implementation", implementation, (0, 1, 2))
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
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.reverses_outputs = go_backwards  # `Bidirectional` would reverse them again
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self.cell = _Cell(self)
        self._carried = _CarriedStates()
        self.recurrence = self._make_recurrence()

    @abc.abstractmethod
    def _make_recurrence(self) -> Recurrence:
        """The step that this layer runs through time."""

    @property
    def state_size(self) -> list[int]:
        """Units of each state."""
        return [self.units] * self.recurrence.state_count

    @property
    def states(self) -> list[keras.Variable] | None:
        """The states that a stateful layer carries from batch to batch."""
        return self._carried.variables

    def explain(self) -> str:
        """One line: which kernel runs this layer as things stand, and why."""
        kernel, reason = self._choose_kernel(has_initial_state=False, drops_states=bool(self.recurrent_dropout))
        return f"{self.name}: {self.recurrence.name} by the {kernel} kernel, since {reason}"

    def build(self, sequences_shape, initial_state_shape=None):
        gate_units = self.recurrence.gates * self.units
        self.kernel = self.add_weight(
            shape=(sequences_shape[-1], gate_units),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, gate_units),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
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

    def adopt_weights(self, kernel, recurrent_kernel, bias, states=None) -> None:
        """Uses variables of another layer, of this layer's shapes, instead of new ones; the layer is then built.

        Args:
            kernel, recurrent_kernel: `keras.Variable`.
            bias: `keras.Variable`, or None.
            states: of a stateful layer, its `keras.Variable`s.
        """
        self.kernel, self.recurrent_kernel, self.bias = kernel, recurrent_kernel, bias
        self._carried.variables = states
        self.built = True

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.recurrence.gates * self.units,)

    def _initialize_bias(self, shape, dtype=None):
        return self.bias_initializer(shape, dtype=dtype)

    def _biases(self) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """The bias of the input projection, and of the recurrent one."""
        return (None if self.bias is None else tf.convert_to_tensor(self.bias)), None

    def call(self, sequences, initial_state=None, mask=None, training=False):
        choice, job = self.prepared(sequences, initial_state, mask, training)
        return self.answer(kernels.run(choice, job))

    def prepared(self, sequences, initial_state=None, mask=None, training=False) -> tuple[kernels.Choice, kernels.Job]:
        """What a call has to run, and by which kernel."""
        sequences = tf.cast(sequences, self.compute_dtype)
        if self.unroll and sequences.shape[1] is None:
            raise ValueError(
                "Cannot unroll: unroll=True needs a static number of steps, but the input has shape "
                f"{tuple(sequences.shape)}. Give the length in keras.Input(shape=(steps, features)), or unroll=False."
            )
        if initial_state is None and self.stateful:
            self._carried.check_batch_size(self, sequences.shape[0])
            initial_state = self.states
        if streams := streaming.streams():
            initial_state = streams.begin(self)
        choice = self._choose_kernel(
            initial_state is not None, bool(training and self.recurrent_dropout), sequences.shape[1]
        )
        return choice, self._job(sequences, initial_state, mask, training)

    def answer(self, result: kernels.Result):
        """What a call returns, once its job has run."""
        if self.stateful:
            self._carried.assign(result.states)
        if streams := streaming.streams():
            streams.end(self, result.states)
        output = result.sequence if self.return_sequences else result.last
        if self.return_sequences and self.reverses_outputs:
            output = tf.reverse(output, [1])
        return (output, *result.states) if self.return_state else output

    def _choose_kernel(self, has_initial_state, drops_states, steps=None):
        return kernels.choose(
            self.recurrence,
            steps=steps,
            unroll=self.unroll,
            has_initial_states=has_initial_state or self.stateful,
            returns_states=self.return_state,
            obstacle_to_cudnn=self._obstacle_to_cudnn(drops_states),
        )

    def _obstacle_to_cudnn(self, drops_states) -> str | None:
        """Why cuDNN cannot run the layer here, or None."""
        return kernels.obstacle_to_cudnn_here(self.compute_dtype) or self._obstacle_to_cudnn_anywhere(drops_states)

    def _obstacle_to_cudnn_anywhere(self, drops_states) -> str | None:
        return kernels.obstacle_to_cudnn_anywhere(self.recurrence, unroll=self.unroll, drops_states=drops_states)

    def _job(self, sequences, initial_state, mask, training) -> kernels.Job:
        if training and self.dropout:
            sequences *= self._dropout_mask(sequences, sequences.shape[-1], self.dropout)[:, None, :]
        recurrent_kernel = tf.convert_to_tensor(self.recurrent_kernel)
        bias, recurrent_bias = self._biases()
        recurrent_dropout = None
        if training and self.recurrent_dropout:
            recurrent_dropout = self._dropout_mask(sequences, self.units, self.recurrent_dropout)
        return kernels.Job(
            recurrence=self.recurrence,
            inputs=sequences,
            kernel=tf.convert_to_tensor(self.kernel),
            bias=bias,
            weights=RecurrentWeights(recurrent_kernel, recurrent_bias),
            initial_states=self._initial_states(initial_state),
            mask=_boolean_mask(mask),
            dropout=recurrent_dropout,
            go_backwards=self.go_backwards,
            returns_sequence=self.return_sequences,
            zero_output_for_mask=self.zero_output_for_mask,
            unroll=self.unroll,
            continues=streaming.streams() is not None,
        )

    def _dropout_mask(self, sequences, features, rate):
        """float (batch, features): 0, or 1 / (1 - rate)."""
        return dropout_mask((tf.shape(sequences)[0], features), rate, self.seed_generator, sequences.dtype)

    def _initial_states(self, initial_state):
        if initial_state is None:
            return None
        states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        if len(states) != self.recurrence.state_count:
            raise ValueError(
                f"`initial_state` must hold {self.recurrence.state_count} tensor(s) of shape (batch, {self.units}) for "
                f"{type(self).__name__}; got {len(states)}."
            )
        return tuple(tf.cast(tf.convert_to_tensor(state), self.compute_dtype) for state in states)

    def reset_state(self):
        """Sets the carried states of a stateful layer to zeros."""
        for variable in self.states or ():
            variable.assign(keras.ops.zeros_like(variable))

    reset_states = reset_state

    def compute_mask(self, _, previous_mask):
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        return [mask] + [None] * self.recurrence.state_count if self.return_state else mask

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, steps = sequences_shape[:2]
        output = (batch, steps, self.units) if self.return_sequences else (batch, self.units)
        return (output, *[(batch, self.units)] * self.recurrence.state_count) if self.return_state else output

    def save_own_variables(self, store):
        """Saves nothing: in files the weights are those of `cell`."""

    def load_own_variables(self, store):
        """Loads weights from a file of an earlier version, where they are the layer's own."""
        self._loaded_own = bool(store.keys())
        if self._loaded_own:
            super().load_own_variables(store)

    def get_initial_state(self, batch_size=None):
        """Returns states of zeros, each float (batch_size, units).

        Args:
            batch_size: int or int32 scalar.
        """
        return [tf.zeros((batch_size, units), self.compute_dtype) for units in self.state_size]

    def get_config(self):
        config = {name: getattr(self, name) for name in _PLAIN_ARGUMENTS}
        config["activation"] = activations.serialize(self.activation)
        for role in ("kernel", "recurrent", "bias"):
            for kind, module in _WEIGHT_ARGUMENTS.items():
                config[f"{role}_{kind}"] = module.serialize(getattr(self, f"{role}_{kind}"))
        config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return {**super().get_config(), **config}


class GatedRecurrentLayer(RecurrentLayer):
    """Base of the recurrent layers with gates.

    Args:
        units, activation, use_bias: see `RecurrentLayer`.
        recurrent_activation: of the gates; name of a Keras activation, or a pointwise function.
        use_cudnn: "auto" takes cuDNN on a GPU if it can run the layer, False never does, and True is an error where it
            cannot. Exports never contain it.
        **kwargs: see `RecurrentLayer`.
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True, *, use_cudnn="auto", **kwargs
    ):
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_cudnn = check_one_of("use_cudnn", use_cudnn, ("auto", True, False))
        super().__init__(units, activation=activation, use_bias=use_bias, **kwargs)
        if use_cudnn is True:
            self._refuse_cudnn(self._obstacle_to_cudnn_anywhere(bool(self.recurrent_dropout)))

    @property
    def takes_cudnn(self) -> bool:
        """Whether cuDNN trains this layer if it is called where this is asked."""
        return self._obstacle_to_cudnn(bool(self.recurrent_dropout)) is None

    @property
    def supports_jit(self) -> bool:
        """Whether a step with this layer should be one XLA program: cuDNN is faster, and no part of XLA."""
        return self._supports_jit and not self.takes_cudnn

    @supports_jit.setter
    def supports_jit(self, value):
        self._supports_jit = value

    def _obstacle_to_cudnn(self, drops_states):
        if self.use_cudnn is False:
            return "use_cudnn=False was asked for"
        return super()._obstacle_to_cudnn(drops_states)

    def _choose_kernel(self, has_initial_state, drops_states, steps=None):
        choice = super()._choose_kernel(has_initial_state, drops_states, steps)
        if self.use_cudnn is True and choice.kernel == "loop":
            self._refuse_cudnn(choice.reason)
        return choice

    def _refuse_cudnn(self, obstacle):
        if obstacle is not None:
            raise ValueError(
                f"{self.name}: use_cudnn=True was specified, but cuDNN is not supported here: {obstacle}. "
                "Pass use_cudnn='auto'."
            )

    def get_config(self):
        recurrent_activation = activations.serialize(self.recurrent_activation)
        return {**super().get_config(), "recurrent_activation": recurrent_activation, "use_cudnn": self.use_cudnn}


def name_arguments(keras_layer, begin: int, values: tuple) -> dict:
    """Names positional arguments as the constructor of one of Keras' layers does.

    Args:
        keras_layer: class with the same arguments.
        begin: index of the first value in the constructor's arguments.
        values: of the arguments.

    Raises:
        TypeError: there are more values than arguments.
    """
    kinds = inspect.signature(keras_layer).parameters.values()
    names = [parameter.name for parameter in kinds if parameter.kind is parameter.POSITIONAL_OR_KEYWORD][begin:]
    if len(values) > len(names):
        raise TypeError(f"{keras_layer.__name__} takes {begin + len(names)} arguments; got {begin + len(values)}.")
    return dict(zip(names, values, strict=False))


_WEIGHT_ARGUMENTS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}

_PLAIN_ARGUMENTS = (
    "units",
    "use_bias",
    "dropout",
    "recurrent_dropout",
    "seed",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
)


class _Cell(keras_private.SavedPart):
    """The weights of a layer under the name that they have in Keras, which keeps them in a cell: files fit both.

    Args:
        layer: a `RecurrentLayer`.

    Attributes:
        kernel, recurrent_kernel, bias: the layer's.
    """

    def __init__(self, layer):
        self._layer = lambda: layer  # Keras would follow the layer itself, and a file have no end

    kernel = property(lambda self: self._layer().kernel)
    recurrent_kernel = property(lambda self: self._layer().recurrent_kernel)
    bias = property(lambda self: self._layer().bias)

    def save_own_variables(self, store):
        """Saves the layer's weights."""
        keras.layers.Layer.save_own_variables(self._layer(), store)

    def load_own_variables(self, store):
        """Loads the layer's weights, unless the layer found them where earlier versions put them."""
        if not self._layer()._loaded_own:  # noqa: SLF001 - a class of this module
            keras.layers.Layer.load_own_variables(self._layer(), store)


class _CarriedStates:
    """The states that a stateful layer carries. They are no weights, so they hide here from Keras' tracking."""

    def __init__(self):
        self.variables = None

    def create(self, layer: RecurrentLayer, batch_size: int | None):
        if batch_size is None:
            raise ValueError(
                f"{layer.name}: stateful=True needs a static batch size, but the input's is unknown. "
                "Give it in keras.Input(batch_shape=(batch, steps, features))."
            )
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            raise ValueError(
                f"{layer.name}: stateful=True cannot be trained on {replicas} replicas: rows of a batch would meet the "
                "states of other rows. Use one replica, or pass `initial_state` and `return_state`."
            )
        self.variables = [
            keras.Variable(
                keras.ops.zeros((batch_size, units)), trainable=False, dtype=layer.variable_dtype, name="state"
            )
            for units in layer.state_size
        ]

    def check_batch_size(self, layer: RecurrentLayer, batch_size: int | None):
        expected = self.variables[0].shape[0]
        if batch_size not in (None, expected):
            raise ValueError(f"{layer.name}: stateful=True was built for batches of {expected} rows; got {batch_size}.")

    def assign(self, states):
        for variable, state in zip(self.variables, states, strict=True):
            variable.assign(state)


def _boolean_mask(mask):
    mask = mask[0] if isinstance(mask, (list, tuple)) else mask
    return None if mask is None else tf.cast(mask, tf.bool)
