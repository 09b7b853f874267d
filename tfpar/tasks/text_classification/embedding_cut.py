"""Text models without embeddings: the host looks tokens up in a table.

A vocabulary's table is too large for a chip. What follows it takes rows of the table. A last column tells tokens (1)
from padding (0), so that the mask travels with the sequence, and survives 8 bits, whatever the embeddings have become.
"""

import keras
import numpy as np

from tfpar.errors import UserError
from tfpar.export.conversion.serving import serving_model
from tfpar.keras_private import get_mask

INPUT = "embedded"


def cut_at_embeddings(model: keras.Model) -> tuple[np.ndarray, keras.Model]:
    """Split a model of tokens into its embedding table and the rest.

    Args:
        model: int32 (batch, time) tokens -> one output; only its embeddings, which mask token 0, read the tokens.

    Returns:
        float32 (vocabulary, features), what stands for each token: the values of all embeddings, side by side, and 1;
        for token 0 zeros. And the model (batch, time, features) "embedded" -> the output, with the same weights.

    Raises:
        UserError: the model has no embedding, one does not mask token 0, or something else reads the tokens.
    """
    embeddings = [layer for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    if not embeddings or not all(layer.mask_zero for layer in embeddings):
        raise UserError(f"{model.name} cannot be cut behind its embeddings: it needs some, each with mask_zero=True")
    tables = [layer.embeddings.numpy() for layer in embeddings]
    table = np.concatenate([*tables, np.ones((len(tables[0]), 1))], axis=1).astype(np.float32)
    table[0] = 0
    return table, _rest(model, embeddings)


def _rest(model, embeddings):
    outputs = [layer.output for layer in embeddings]
    masks = [get_mask(output) for output in outputs]
    try:
        rest = keras.Model([*outputs, *masks], model.output)
    except ValueError as error:
        raise UserError(
            f"{model.name} cannot be cut behind its embeddings: another layer reads the tokens too"
        ) from error
    widths = [output.shape[-1] for output in outputs]
    embedded = keras.Input((None, sum(widths) + 1), name=INPUT)
    starts = np.cumsum([0, *widths])
    values = [embedded[:, :, a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
    outputs_of_step = rest([*values, *[embedded[:, :, -1] > 0.5] * len(masks)])
    (name,) = serving_model(model).output_names
    return keras.Model(embedded, keras.layers.Identity(name=name)(outputs_of_step), name=model.name)
