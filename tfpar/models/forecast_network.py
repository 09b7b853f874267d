"""Networks of forecasters: SegRNN, an encoder and a decoder with attention, and a direct forecast of all steps."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar import layers
from tfpar.layers.argument_types import Shape
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.branches import step_from_each
from tfpar.models.image_layers import dense
from tfpar.models.series_layers import recurrent

KINDS = ("segrnn", "seq2seq", "direct")


@dataclasses.dataclass(frozen=True)
class ForecastNetwork:
    """Arguments of the networks; see `tfpar.models.forecaster`.

    Attributes:
        outputs: values for each step and target.
    """

    input_length: int
    horizon: int
    targets: int
    known: int
    outputs: int
    cell: str | type[RecurrentLayer]
    units: int
    segment: int
    dropout: float
    seed: int

    def __call__(self, kind: str, centered: Any, x: Any, columns: int) -> Any:
        """Return the forecast, float (batch, horizon, targets, outputs).

        Args:
            kind: one of `KINDS`.
            centered: float (batch, input_length, targets), values of the targets less the last one.
            x: float (batch, steps, ...), all standardized columns and, if there are any, their indicators.
            columns: number of columns; the last `known` ones are known ahead.
        """
        known = slice(columns - self.known, columns)
        ahead = x[:, self.input_length :, known] if self.known else None
        if kind == "segrnn":
            before = x[:, : self.input_length, known] if self.known else None
            return self._segrnn(centered, before, ahead)
        if x.shape[-1] > self.targets:
            rest = x[:, : self.input_length, self.targets :]
            centered = ops.concatenate([centered, rest], axis=-1)
        forecast = (self._seq2seq if kind == "seq2seq" else self._direct)(centered, ahead)
        return ops.reshape(forecast, (-1, self.horizon, self.targets, self.outputs))

    def _segrnn(self, centered, before, ahead):
        count = self.horizon // self.segment
        shape = (-1, self.input_length // self.segment, self.segment)
        by_target = ops.reshape(ops.transpose(centered, (0, 2, 1)), shape)
        embedded = dense(self.units, "segments", self.seed, activation="relu")(by_target)
        known_ahead = []
        if self.known:
            embedded = embedded + self._embed_known(before, "known_before", self.seed + 4)
            known_ahead = [self._embed_known(ahead, "known_ahead", self.seed + 5)]
        layer = recurrent(self.cell, self.units, "recurrent", self.seed + 10, return_sequences=False, return_state=True)
        queries = SegmentQueries(self.targets, count, self.units, self.seed + 1, name="queries")
        decoded = SegmentRecurrence(layer, queries, name="recurrence")(embedded, *known_ahead)
        decoded = layers.Dropout(self.dropout, seed=self.seed + 2, name="dropout")(decoded)
        values = dense(self.segment * self.outputs, "output", self.seed + 3, dtype="float32")(decoded)
        values = ops.reshape(values, (-1, self.targets, self.horizon, self.outputs))
        return ops.transpose(values, (0, 2, 1, 3))

    def _embed_known(self, known, name, seed):
        """Embed the segments of columns known ahead, for each target: (batch * targets, segments, units)."""
        count = known.shape[1] // self.segment
        segments = ops.reshape(known, (-1, count, self.segment * self.known))
        embedded = dense(self.units, name, seed)(segments)
        return ops.reshape(ops.tile(embedded[:, None], (1, self.targets, 1, 1)), (-1, count, self.units))

    def _seq2seq(self, seen, ahead):
        encoder = recurrent(self.cell, self.units, "encoder", self.seed + 10, return_state=True)
        encoded, *states = encoder(seen)
        queries = SegmentQueries(1, self.horizon, self.units, self.seed + 1, name="queries")(seen)
        if ahead is not None:
            queries = queries + dense(self.units, "known_ahead", self.seed + 5)(ahead)
        decoded = recurrent(self.cell, self.units, "decoder", self.seed + 20)(queries, initial_state=states)
        keys = dense(self.units, "keys", self.seed + 6)(encoded)
        context, _ = layers.Attention(name="attention")(decoded, keys, encoded)
        joined = ops.concatenate([decoded, context], axis=-1)
        joined = layers.Dropout(self.dropout, seed=self.seed + 2, name="dropout")(joined)
        return dense(self.targets * self.outputs, "output", self.seed + 3, dtype="float32")(joined)

    def _direct(self, seen, ahead):
        encoder = recurrent(self.cell, self.units, "encoder", self.seed + 10, return_sequences=False)
        features = encoder(seen)
        if ahead is not None:
            flat = ops.reshape(ahead, (-1, self.horizon * self.known))
            features = ops.concatenate([features, dense(self.units, "known_ahead", self.seed + 5)(flat)], axis=-1)
        features = layers.Dropout(self.dropout, seed=self.seed + 2, name="dropout")(features)
        size = self.horizon * self.targets * self.outputs
        return dense(size, "output", self.seed + 3, dtype="float32")(features)


@keras.saving.register_keras_serializable(package="tfpar")
class SegmentQueries(keras.layers.Layer):
    """Learned inputs of a decoder: the embedding of a position, joined with the embedding of a target.

    Args:
        targets: number of targets.
        segments: number of positions.
        units: size of the two embeddings together.
        seed: of the initial weights.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        values: float (batch, ...); only its number of rows is used.

    Returns:
        float (batch * targets, segments, units).

    References:
        Lin et al. 2023, SegRNN, arXiv:2308.11200, section 3.3.
    """

    def __init__(self, targets: int, segments: int, units: int, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.targets, self.segments, self.units, self.seed = targets, segments, units, seed

    def build(self, values_shape: Shape) -> None:
        halves = (self.units - self.units // 2, self.units // 2)
        for name, rows, size, seed in (
            ("positions", self.segments, halves[0], self.seed),
            ("names", self.targets, halves[1], self.seed + 1),
        ):
            initializer = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
            setattr(self, name, self.add_weight(name=name, shape=(rows, size), initializer=initializer))

    def table(self) -> tf.Tensor:
        """Return the queries of one row: float (targets, segments, units)."""
        positions, names = (ops.cast(weight, self.compute_dtype) for weight in (self.positions, self.names))
        positions = ops.tile(positions[None], (self.targets, 1, 1))
        names = ops.tile(names[:, None], (1, self.segments, 1))
        return ops.concatenate([positions, names], axis=-1)

    def call(self, values: tf.Tensor) -> tf.Tensor:
        rows = ops.tile(self.table()[None], (ops.shape(values)[0], 1, 1, 1))
        return ops.reshape(rows, (-1, self.segments, self.units))

    def compute_output_shape(self, values_shape: Shape) -> Shape:
        return values_shape[0] and values_shape[0] * self.targets, self.segments, self.units

    def get_config(self) -> dict[str, Any]:
        names = ("targets", "segments", "units", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="tfpar")
class SegmentRecurrence(keras.layers.Layer):
    """Reads the segments of each target, and takes a step from its last state by the query of each output segment.

    Args:
        recurrent: reads the segments; it returns its last output and its states.
        queries: the inputs of the steps.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        segments: float (batch * targets, segments, features).
        known: float (batch * targets, output_segments, features), added to the queries; or None.

    Returns:
        float (batch * targets, output_segments, units).

    References:
        Lin et al. 2023, SegRNN, arXiv:2308.11200, section 3.3.
    """

    def __init__(self, recurrent: RecurrentLayer, queries: SegmentQueries, **kwargs: Any):
        super().__init__(**kwargs)
        self.recurrent, self.queries = recurrent, queries

    def build(self, segments_shape: Shape, known_shape: Shape | None = None) -> None:
        for layer in (self.recurrent, self.queries):
            if not layer.built:  # a layer from a file is
                layer.build(segments_shape)

    def call(self, segments: tf.Tensor, known: tf.Tensor | None = None) -> tf.Tensor:
        _, *states = self.recurrent(segments)
        queries = self.queries.table()
        if known is not None:
            shape = (-1, *queries.shape)
            queries = ops.reshape(ops.reshape(known, shape) + queries, (-1, *shape[2:]))
        return step_from_each(self.recurrent, queries, tuple(states))

    def explain(self) -> str:
        """Return which kernel reads the segments, and why."""
        return self.recurrent.explain()

    def compute_output_shape(self, segments_shape: Shape, known_shape: Shape | None = None) -> Shape:
        return segments_shape[0], self.queries.segments, self.recurrent.units

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "recurrent": keras.saving.serialize_keras_object(self.recurrent),
            "queries": keras.saving.serialize_keras_object(self.queries),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SegmentRecurrence":
        inner = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("recurrent", "queries")}
        return cls(**{**config, **inner})
