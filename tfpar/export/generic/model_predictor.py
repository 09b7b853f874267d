"""Runs any exported model on arrays from files, without TensorFlow."""

from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.model_file import load_model
from tfpar.export.generic.arrays import KINDS, read_arrays
from tfpar.export.generic.inputs import InputKind
from tfpar.export.generic.rows import InputRows


class ModelPredictor:
    """Predictor for any exported model, on rows of its inputs.

    Args:
        bundle: the export.
        format_name: "float32", ...; None: the first TFLite format in the manifest.

    Attributes:
        input_kind: `InputKind`.
        input_names, output_shapes: names of the inputs; shape of each output (-1: any size) by name.

    Raises:
        UserError: the export lacks the format, or its file was changed.
    """

    input_kind = InputKind(("input",), (), tuple(f".{kind}" for kind in KINDS), is_table=True)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        self.input_names = tuple(self._model.inputs)
        self.output_shapes = {name: shape for name, (shape, _) in self._model.outputs.items()}
        self._inputs = {name: InputRows(name, *tensor) for name, tensor in self._model.inputs.items()}

    def __call__(self, source: str) -> dict:
        """Predict for one file.

        Args:
            source: "npz:FILE", "npy:FILE", "csv:FILE", "tsv:FILE" or the path of a file that ends so; see
                `read_arrays`.

        Returns:
            {"input": `source`, "outputs": nested lists (rows, ...) by the names of the outputs}.

        Raises:
            UserError: the file cannot be read, or does not fit the model's inputs.
        """
        return {"input": source, "outputs": {name: array.tolist() for name, array in self.outputs(source).items()}}

    def outputs(self, source: str) -> dict[str, np.ndarray]:
        """Compute the outputs for one file, see `__call__`, as arrays (rows, ...) by name."""
        kind, path = _parse_source(source)
        arrays = read_arrays(kind, path, {name: rows.row_shape for name, rows in self._inputs.items()})
        try:
            batch = {name: rows.fit(arrays[name]) for name, rows in self._inputs.items()}
        except UserError as error:
            raise UserError(f"{source}: {error}") from error
        counts = {name: len(rows) for name, rows in batch.items()}
        if len(set(counts.values())) > 1:
            raise UserError(f"{source}: all inputs must have as many rows; got {counts}")
        return self._run(batch)

    def _run(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run rows in batches of the signature's size; the last batch is padded with the last row."""
        count = len(next(iter(rows.values())))
        size = next(iter(self._inputs.values())).shape[0]
        size = count if size == -1 else size
        batches = []
        for first in range(0, count, size):
            indices = np.minimum(np.arange(first, first + size), count - 1)
            batches.append(self._model(**{name: array[indices] for name, array in rows.items()}))
        return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in batches[0]}


def _parse_source(source):
    kind, _, path = source.partition(":")
    if kind in KINDS:
        return kind, path
    kind = Path(source).suffix.removeprefix(".")
    if kind not in KINDS:
        raise UserError(f"an input must be {', '.join(f'{kind}:FILE' for kind in KINDS)} or end so; got {source!r}")
    return kind, source
