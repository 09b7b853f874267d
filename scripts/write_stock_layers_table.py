"""Writes the table of stock Keras layers in docs/sequence_layers.md: which laws of sequence layers each obeys.

Usage: python scripts/write_stock_layers_table.py
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import keras  # noqa: E402
from keras import layers as K  # noqa: E402, N812

from tfpar.testing import check_sequence_layer  # noqa: E402

PAGE = ROOT / "docs" / "sequence_layers.md"
BEGIN, END = "<!-- scripts/write_stock_layers_table.py -->", "<!-- end of the table -->"
COLUMNS = ("shape", "graph", "XLA", "padding", "causality", "steps", "file")
SHAPE = (17, 4)  # steps, features


@keras.saving.register_keras_serializable(package="examples")
class SelfAttention(K.Layer):
    """`keras.layers.MultiHeadAttention` of a sequence to itself."""

    def __init__(self, is_causal: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.is_causal = is_causal
        self.attention = K.MultiHeadAttention(2, 3)
        self.supports_masking = True

    def build(self, shape: Any) -> None:
        self.attention.build(shape, shape)

    def call(self, x: Any, mask: Any = None) -> Any:
        return self.attention(x, x, query_mask=mask, value_mask=mask, use_causal_mask=self.is_causal)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict:
        return {**super().get_config(), "is_causal": self.is_causal}


@keras.saving.register_keras_serializable(package="examples")
class TrainingStatistics(K.Layer):
    """`keras.layers.BatchNormalization` with the statistics of the batch, as in training."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.normalization = K.BatchNormalization(momentum=1.0)
        self.supports_masking = True

    def build(self, shape: Any) -> None:
        self.normalization.build(shape)

    def call(self, x: Any, mask: Any = None) -> Any:
        return self.normalization(x, mask=mask, training=True)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


class Case(NamedTuple):
    """A stock layer and the reasons for the laws that it breaks."""

    make: Callable[[], Any]
    reason: str = ""


CASES = {
    "LSTM": Case(lambda: K.LSTM(3, return_sequences=True)),
    "GRU": Case(lambda: K.GRU(3, return_sequences=True)),
    "SimpleRNN": Case(lambda: K.SimpleRNN(3, return_sequences=True)),
    "Bidirectional(LSTM)": Case(
        lambda: K.Bidirectional(K.LSTM(3, return_sequences=True)), "one direction starts at the end"
    ),
    "Conv1D, same": Case(lambda: K.Conv1D(3, 3, padding="same"), "ignores the mask, so padding reaches valid steps"),
    "Conv1D, same, strides=2": Case(
        lambda: K.Conv1D(3, 3, 2, padding="same"),
        "ignores the mask; its windows depend on the number of steps, padding included",
    ),
    "Conv1D, causal": Case(lambda: K.Conv1D(3, 3, padding="causal")),
    "Conv1D, causal, strides=2": Case(
        lambda: K.Conv1D(3, 3, 2, padding="causal"), "ignores and drops the mask, so padded outputs seem valid"
    ),
    "MaxPooling1D": Case(lambda: K.MaxPooling1D(2), "ignores and drops the mask, so padded outputs seem valid"),
    "AveragePooling1D, same": Case(
        lambda: K.AveragePooling1D(3, 1, padding="same"), "ignores the mask; a window sees later steps"
    ),
    "GlobalMaxPooling1D": Case(lambda: K.GlobalMaxPooling1D(), "ignores the mask: padding can be the maximum"),
    "GlobalAveragePooling1D": Case(lambda: K.GlobalAveragePooling1D()),
    "LayerNormalization": Case(lambda: K.LayerNormalization()),
    "LayerNormalization, axis=[1, 2]": Case(
        lambda: K.LayerNormalization(axis=[1, 2]),
        "statistics over all steps, padding included; needs a fixed number of steps",
    ),
    "GroupNormalization": Case(lambda: K.GroupNormalization(2), "statistics over all steps, padding included"),
    "BatchNormalization, inference": Case(lambda: K.BatchNormalization()),
    "BatchNormalization, training": Case(
        lambda: TrainingStatistics(), "statistics over all valid steps of the batch; from the mask, without padding"
    ),
    "MultiHeadAttention": Case(
        lambda: SelfAttention(), "an attention weight of zero does not remove NaN; each step sees all"
    ),
    "MultiHeadAttention, causal mask": Case(
        lambda: SelfAttention(is_causal=True), "an attention weight of zero does not remove NaN"
    ),
    "TimeDistributed(Dense)": Case(
        lambda: K.TimeDistributed(K.Dense(3)), "needs a known number of rows or steps in a graph"
    ),
    "Dense": Case(lambda: K.Dense(3)),
}


def main() -> None:
    """Write the table between its marks."""
    before, rest = PAGE.read_text().split(BEGIN, 1)
    rows = [make_row(name, find_broken_laws(name)) for name in CASES]
    head = [f"| layer | {' | '.join(COLUMNS)} | what is broken |", f"|---|{'---|' * len(COLUMNS)}---|"]
    PAGE.write_text("\n".join([f"{before}{BEGIN}", *head, *rows, END]) + rest.split(END, 1)[1])


def find_broken_laws(name: str) -> dict[str, str | None]:
    """Return by law what breaks it, or None."""
    from tfpar.layers.stock_steps import find_step

    layer = CASES[name].make()
    layer(keras.random.normal((1, *SHAPE)))
    steps = find_step(layer, (1, *SHAPE))
    laws = [law for law in COLUMNS if law != "steps" or (steps is not None and steps.supports_step)]
    return check_sequence_layer(layer, SHAPE, laws)


def make_row(name: str, broken: dict[str, str | None]) -> str:
    """Make a row of the table: yes, no, or - where a law is not applicable."""
    marks = ["-" if law not in broken else "**no**" if broken[law] else "yes" for law in COLUMNS]
    return f"| `{name}` | {' | '.join(marks)} | {CASES[name].reason} |"


def read_rows() -> dict[str, str]:
    """Return the rows of the page by the layer's name."""
    table = PAGE.read_text().split(BEGIN, 1)[1].split(END, 1)[0]
    return {match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` \|.*$", table, re.M)}


if __name__ == "__main__":
    main()
