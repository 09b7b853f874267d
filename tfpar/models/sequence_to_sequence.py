"""An encoder and a decoder with attention: the training model and the two models for inference.

    memory   = encoder(source)                                      bidirectional, stacked
    y[t]     = recurrent_0(target[t - 1], y[t - 1])                 first layer of the decoder
    context  = attention(y, memory)                                 all steps at once
    y[t]     = recurrent_l(y[t], context[t])                        further layers
    p[t]     = softmax(E tanh(W [y[t] context[t]]))                 E: the embedding, if it is tied

The query of a step comes from the layer below, not from the step before, so only the recurrences are sequential. In
training, projections, attention and output are matmuls over all steps (the decoder of Wu et al. 2016,
arXiv:1609.08144, with attention between its first two layers; with one layer that of Luong et al. 2015,
arXiv:1508.04025). With Luong's input feeding, the first layer's input includes the attentional output of the step
before, and training runs attention step by step:

    c[t]     = attention(y[t], memory),  y[t] = cell([target[t - 1] a[t - 1]], state)
    a[t]     = tanh(W [y[t] c[t]])                                  replaces y[t] above
"""

import dataclasses
import itertools
from typing import NamedTuple

import keras
from keras import ops

from tfpar import layers
from tfpar.checks import check_one_of, check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.cells import find_layer

CELLS = ("lstm", "gru", "min_gru", "min_lstm", "rg_lru", "mlstm", "para_gru", "para_lstm")
STOCK_CELLS = ("lstm", "gru")  # that `input_feeding` can step
ATTENTIONS = ("luong", "bahdanau", "multi_head")
_HEADS = 4


@dataclasses.dataclass(frozen=True)
class SequenceToSequence:
    """Three models of the same layers.

    Attributes:
        model: int32 (batch, source_time) "source", int32 (batch, target_time) "target" -> float32 (batch, target_time,
            vocabulary_size), logits of the token after each target token.
        encoder: "source" -> "memory", "keys" float (batch, source_time, features) and for each state of the decoder a
            "state_..." float (batch, units).
        decoder_step: int32 (batch, 1) "token", "source", "memory", "keys" and the states -> float32 (batch,
            vocabulary_size) "log_probabilities" of the next token, float (batch, source_time) "alignment", and
            "new_state_...".
    """

    model: keras.Model
    encoder: keras.Model
    decoder_step: keras.Model


def sequence_to_sequence(
    *,
    vocabulary_size: int,
    cell: str | type[RecurrentLayer] = "lstm",
    units: int = 256,
    embedding_size: int = 256,
    encoder_layers: int = 1,
    decoder_layers: int = 1,
    attention: str = "luong",
    tied: bool = True,
    layer_norm: bool = False,
    input_feeding: bool = False,
    dropout: float = 0.1,
    seed: int = 0,
) -> SequenceToSequence:
    """Build the three models.

    Args:
        vocabulary_size: number of token ids, of source and target alike; 0 is padding.
        cell: one of `CELLS`, "module:Class" or a subclass of `tfpar.layers.RecurrentLayer`.
        units: of each decoder layer, and of both directions of an encoder layer together.
        embedding_size: number of features of a token.
        encoder_layers, decoder_layers: number of stacked layers, with residual connections after the first.
        attention: one of `ATTENTIONS`; "multi_head" has four heads.
        tied: use the embedding's weights in the output layer.
        layer_norm: normalize the outputs of each recurrent layer.
        input_feeding: see the module; slower to train.
        dropout: of embeddings and of each layer's outputs.
        seed: of the initial weights and the dropout.

    Raises:
        ValueError: an argument is out of range.
    """
    layer_class = find_layer(cell, CELLS)
    check_one_of("attention", attention, ATTENTIONS)
    if input_feeding and cell not in STOCK_CELLS:
        raise ValueError(
            f"`cell` must be one of {', '.join(STOCK_CELLS)} for `input_feeding`, which steps a stock cell of Keras; "
            f"got {cell!r}."
        )
    check_positive_integer("encoder_layers", encoder_layers)
    check_positive_integer("decoder_layers", decoder_layers)
    if units % (2 * _HEADS):
        raise ValueError(f"`units` must be a multiple of {2 * _HEADS}; got {units}")
    network = _Network(
        _Settings(vocabulary_size, cell, units, embedding_size, attention, tied, layer_norm, input_feeding, dropout),
        layer_class,
        (encoder_layers, decoder_layers),
        seed,
    )
    return SequenceToSequence(_training_model(network), *_inference_models(network))


class _Settings(NamedTuple):
    vocabulary_size: int
    cell: str | type[RecurrentLayer]
    units: int
    embedding_size: int
    attention: str
    tied: bool
    layer_norm: bool
    input_feeding: bool
    dropout: float


class _Network:
    """The layers of encoder and decoder, and their composition."""

    def __init__(self, settings, layer_class, depths, seed):
        self.settings, self.layer_class = settings, layer_class
        self._seeds = iter(range(1000 * seed, 1000 * seed + 1000))
        units, embedding_size = settings.units, settings.embedding_size
        self.embedding = keras.layers.ReversibleEmbedding(
            settings.vocabulary_size,
            embedding_size,
            tie_weights=settings.tied,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=embedding_size**-0.5, seed=next(self._seeds)),
            reverse_dtype="float32",
            name="embedding",
        )
        self.encoder = [self._encoder_layer(depth) for depth in range(depths[0])]
        self.decoder = [self._decoder_layer(depth) for depth in range(depths[1])]
        self.pooling = layers.MeanPooling(name="summary")
        self.first = [
            self._dense(size, f"first_{name}", activation="tanh")
            for states in self.states
            for name, size in states.items()
        ]
        self.keys = self._dense(units, "keys_of_memory", use_bias=False)
        self.query = self._dense(units, "query")
        self.attention = layers.Attention(**self._attention(), name="attention")
        self.combined = self._dense(embedding_size, "combined", activation="tanh")
        recurrent = [layer.name for layer in self.encoder + self.decoder]
        self.norms = {name: keras.layers.LayerNormalization(name=f"{name}_norm") for name in recurrent}
        self.dropouts = {
            name: layers.Dropout(settings.dropout, seed=next(self._seeds), name=f"{name}_dropout")
            for name in ("source", "target", "output", *recurrent)
        }

    def _recurrent(self, units, name, **options):
        return self.layer_class(
            units,
            kernel_initializer=keras.initializers.GlorotUniform(next(self._seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(self._seeds)),
            return_sequences=True,
            name=name,
            **options,
        )

    def _encoder_layer(self, depth):
        units, name = self.settings.units // 2, f"encoder_{depth}"
        return layers.Bidirectional(
            self._recurrent(units, name),
            backward_layer=self._recurrent(units, f"{name}_backward", go_backwards=True),
            name=name,
        )

    def _decoder_layer(self, depth):
        settings, name = self.settings, f"decoder_{depth}"
        if depth or not settings.input_feeding:
            return self._recurrent(settings.units, name, return_state=True)
        return layers.InputFeeding(
            settings.units,
            settings.embedding_size,
            settings.cell,
            **self._attention(),
            seed=next(self._seeds),
            name=name,
        )

    def _attention(self):
        return {
            "score": "additive" if self.settings.attention == "bahdanau" else "dot",
            "heads": _HEADS if self.settings.attention == "multi_head" else 1,
        }

    def _dense(self, units, name, **options):
        return keras.layers.Dense(
            units, kernel_initializer=keras.initializers.GlorotUniform(next(self._seeds)), name=name, **options
        )

    @property
    def states(self) -> list[dict[str, int]]:
        """Number of features of each state, by name, for each decoder layer."""
        states = []
        for number, layer in enumerate(self.decoder):
            kinds = ["h", "c", *range(2, len(layer.state_size))]
            sizes = dict(zip(kinds, layer.state_size, strict=False))
            states.append({f"state_{number}_{kind}": size for kind, size in sizes.items()})
        if self.settings.input_feeding:
            states[0] = {"state_0_fed": self.settings.embedding_size, **states[0]}
        return states

    @property
    def state_names(self) -> list[str]:
        return [name for states in self.states for name in states]

    def _postprocess(self, layer, x, below):
        """Apply dropout, a residual connection if the sizes are equal, and layer normalization."""
        x = self.dropouts[layer.name](x)
        if below is not None and below.shape[-1] == x.shape[-1]:
            x = x + below
        return self.norms[layer.name](x) if self.settings.layer_norm else x

    def encode(self, source):
        """Return memory, keys and the decoder's initial states."""
        valid = ops.not_equal(source, 0)
        x = self.dropouts["source"](self.embedding(source))
        for depth, layer in enumerate(self.encoder):
            x = self._postprocess(layer, layer(x, mask=valid), x if depth else None)
        summary = self.pooling(x, mask=valid)
        return x, self.keys(x), [layer(summary) for layer in self.first]

    def decode(self, target, source, memory, keys, states):
        """Return logits, alignment and new states."""
        valid, states = ops.not_equal(source, 0), iter(states)
        x, own = self.dropouts["target"](self.embedding(target)), list(itertools.islice(states, len(self.states[0])))
        if self.settings.input_feeding:
            y, alignment, *new_states = self.decoder[0](x, own[0], memory, keys, valid, *own[1:])
            context = y
            x = self._postprocess(self.decoder[0], y, None)
        else:
            y, *new_states = self.decoder[0](x, initial_state=own)
            x = self._postprocess(self.decoder[0], y, None)
            context, alignment = self.attention(self.query(x), keys, memory, valid)
        for layer, names in zip(self.decoder[1:], self.states[1:], strict=True):
            own = list(itertools.islice(states, len(names)))
            y, *after = layer(ops.concatenate([x, context], axis=-1), initial_state=own)
            new_states += after
            x = self._postprocess(layer, y, x)
        if not self.settings.input_feeding or len(self.decoder) > 1:
            x = self.dropouts["output"](self.combined(ops.concatenate([x, context], axis=-1)))
        return self.embedding(x, reverse=True), alignment, new_states


def _training_model(network) -> keras.Model:
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    memory, keys, states = network.encode(source)
    logits, _, _ = network.decode(target, source, memory, keys, states)
    return keras.Model([source, target], logits, name="sequence_to_sequence")


def _inference_models(network) -> tuple[keras.Model, keras.Model]:
    source = keras.Input((None,), dtype="int32", name="source")
    memory, keys, states = network.encode(source)
    encoder = keras.Model(
        source,
        [
            _name_output(tensor, name)
            for name, tensor in zip(("memory", "keys", *network.state_names), (memory, keys, *states), strict=True)
        ],
        name="encode",
    )
    token = keras.Input((1,), dtype="int32", name="token")
    memory_inputs = [keras.Input((None, x.shape[-1]), name=name) for name, x in (("memory", memory), ("keys", keys))]
    own = [keras.Input((size,), name=name) for states in network.states for name, size in states.items()]
    logits, alignment, new_states = network.decode(token, source, *memory_inputs, own)
    outputs = {"log_probabilities": ops.log_softmax(logits[:, 0]), "alignment": alignment[:, 0]}
    outputs.update({f"new_{name}": state for name, state in zip(network.state_names, new_states, strict=True)})
    step = keras.Model(
        [token, source, *memory_inputs, *own],
        [_name_output(x, name) for name, x in outputs.items()],
        name="decode_step",
    )
    return encoder, step


def _name_output(tensor, name):
    return keras.layers.Identity(name=name, dtype="float32")(tensor)
