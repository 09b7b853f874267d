"""A sequence autoencoder: unsupervised pretraining of a text classifier."""

import keras
from keras import ops

from tfpar.layers import Bidirectional


def sequence_autoencoder(classifier: keras.Model) -> keras.Model:
    """Build the autoencoder of a text classifier's first member.

    The recurrent layer encodes the sequence. From its last state the same layer decodes the sequence, with the true
    previous tokens as inputs. The backward layer of a bidirectional one does so with the reversed sequence.

    Args:
        classifier: from `text_classifier`.

    Returns:
        int32 (batch, time) "tokens" -> for each direction, float (batch, time, vocabulary_size) logits of the
        tokens. Train it with a sparse cross-entropy that ignores class 0, the padding.

    References:
        Dai & Le 2015, Semi-supervised Sequence Learning, arXiv:1511.01432.
    """
    source = _layers_of_member(classifier, 0)
    embedding = type(source[0]).from_config({**source[0].get_config(), "name": "embedding"})
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    logits = [_reconstruct(embedding, layer, tokens) for layer in _directions(source[1])]
    embedding.set_weights(source[0].get_weights())
    return keras.Model(tokens, logits, name="sequence_autoencoder")


def initialize_from_autoencoder(classifier: keras.Model, autoencoder: keras.Model) -> None:
    """Copy the embedding and the first recurrent layer of an autoencoder into each member of its classifier."""
    index = 0
    while members := _layers_of_member(classifier, index):
        embedding, recurrent = members
        embedding.set_weights(autoencoder.get_layer("embedding").get_weights())
        for layer in _directions(recurrent):
            layer.set_weights(autoencoder.get_layer(_direction_name(layer)).get_weights())
        index += 1


def _layers_of_member(classifier, index):
    """Return the embedding and the first recurrent layer of a member; empty if there is no such member."""
    by_name = {layer.name: layer for layer in classifier.layers}
    names = (f"embedding_{index}", f"recurrent_0_{index}")
    return [by_name[name] for name in names] if names[0] in by_name else []


def _directions(layer):
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, Bidirectional) else [layer]


def _direction_name(layer):
    return "backward" if layer.go_backwards else "forward"


def _reconstruct(embedding, layer, tokens):
    """Return logits of `tokens`, in their order, from a copy of `layer` that encodes and decodes."""
    config = {"return_sequences": True, "return_state": True, "go_backwards": False, "name": _direction_name(layer)}
    recurrent = type(layer).from_config({**layer.get_config(), **config})
    flipped = ops.flip(tokens, axis=1) if layer.go_backwards else tokens
    valid = ops.not_equal(flipped, 0)
    _, *states = recurrent(embedding(flipped), mask=valid)
    previous = ops.pad(flipped, [[0, 0], [1, 0]])[:, :-1]
    decoded, *_ = recurrent(embedding(previous), mask=valid, initial_state=states)
    logits = keras.layers.Dense(embedding.input_dim, dtype="float32", name=f"{_direction_name(layer)}_tokens")(decoded)
    return ops.flip(logits, axis=1) if layer.go_backwards else logits
