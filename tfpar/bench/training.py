"""One competitor's training of a classifier, timed: `python -m tfpar.bench.training COMPETITOR CASE`.

- "lstm", "bilstm": of texts; an embedding of 128, an LSTM of 128 units (or of 128 in each direction, max-pooled),
  dropout 0.5, two classes. 64 sequences a batch, whose lengths are like those of film reviews' snippets, padded to one
  of four lengths.
- "row_bilstm": of images of 28 x 28, read row by row; an LSTM of 128 units in each direction, pooled by mean and
  maximum, a layer of 128, dropout 0.3, ten classes. 64 images a batch.

All get the same batches, and AdamW; Keras' two take eight steps an execution, as recipes do. The first epoch, in which
programs are compiled and memory is found, is not timed.
"""

import json
import sys

import numpy as np

from tfpar.bench import STEPS_PER_EXECUTION
from tfpar.bench.epochs import dataset_of, seconds_per_epoch
from tfpar.data.bucketing import bucket_boundaries, plan_epoch

VOCABULARY, EMBEDDING, UNITS, BATCH, EXAMPLES = 8917, 128, 128, 64, 8877
IMAGES, PIXELS = 4032, 28
CASES = ("lstm", "bilstm", "row_bilstm")
PEERS = ("keras", "torch")
REFERENCES = ()
TIMED_EPOCHS = 3


def batches(case: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """An epoch of (tokens int32 (64, length) or rows float32 (64, 28, 28), labels int32 (64,)), from a fixed seed."""
    return _images() if case == "row_bilstm" else _texts()


def _texts():
    generator = np.random.default_rng(0)
    lengths = np.clip(generator.normal(22, 9, EXAMPLES).astype(int), 2, 60)
    epoch = []
    for boundary, rows in plan_epoch(lengths, bucket_boundaries(lengths, 4, batch_size=BATCH), BATCH, generator):
        tokens = generator.integers(2, VOCABULARY, (BATCH, boundary), np.int32)
        tokens[np.arange(boundary) >= np.resize(lengths[rows], BATCH)[:, None]] = 0
        epoch.append((tokens, generator.integers(0, 2, BATCH, np.int32)))
    return epoch


def _images():
    generator = np.random.default_rng(0)
    return [
        (generator.random((BATCH, PIXELS, PIXELS), np.float32), generator.integers(0, 10, BATCH, np.int32))
        for _ in range(IMAGES // BATCH)
    ]


def time_keras(case: str, ours: bool) -> float:
    """Seconds per epoch of `fit`, with this package's model and layers or with stock Keras."""
    import keras
    import tensorflow as tf

    import tfpar

    network = _keras_images if case == "row_bilstm" else _keras_texts
    model = (tfpar.train.Model if ours else keras.Model)(*network(case, (tfpar if ours else keras).layers))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adamw", loss, jit_compile="auto", steps_per_execution=STEPS_PER_EXECUTION)
    if ours:
        model.lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), BATCH)
    dataset = dataset_of(batches(case), [(BATCH, *model.input.shape[1:]), (BATCH,)])
    return seconds_per_epoch(lambda: model.fit(dataset, verbose=0, shuffle=False), TIMED_EPOCHS)


def _keras_texts(case, layers):
    import keras

    import tfpar

    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(VOCABULARY, EMBEDDING, mask_zero=True)(tokens)
    if case == "lstm":
        x = layers.LSTM(UNITS)(x)
    else:
        x = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(x)
        x = tfpar.layers.MaxPooling()(x)
    return tokens, keras.layers.Dense(2)(layers.Dropout(0.5)(x))


def _keras_images(case, layers):
    import keras

    rows = keras.Input((PIXELS, PIXELS))
    x = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(rows)
    pooled = [keras.layers.GlobalAveragePooling1D()(x), keras.layers.GlobalMaxPooling1D()(x)]
    x = layers.Dropout(0.3)(keras.layers.Concatenate()(pooled))
    x = layers.Dropout(0.3)(keras.layers.Dense(UNITS, "relu")(x))
    return rows, keras.layers.Dense(10)(x)


def time_torch(case: str) -> float:
    """Seconds per epoch of a plain PyTorch loop."""
    import torch

    torch.manual_seed(0)
    modules, logits = _torch_images(torch) if case == "row_bilstm" else _torch_texts(torch, case)
    optimizer = torch.optim.AdamW(modules.parameters(), weight_decay=0.004)
    epoch = [(torch.from_numpy(inputs), torch.from_numpy(labels).long()) for inputs, labels in batches(case)]

    def run():
        for inputs, labels in epoch:
            loss = torch.nn.functional.cross_entropy(logits(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return seconds_per_epoch(run, TIMED_EPOCHS)


def _torch_texts(torch, case):
    """What has weights, and a function from tokens to logits."""
    bidirectional = case == "bilstm"
    embedding = torch.nn.Embedding(VOCABULARY, EMBEDDING, padding_idx=0)
    lstm = torch.nn.LSTM(EMBEDDING, UNITS, batch_first=True, bidirectional=bidirectional)
    head = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(UNITS * (1 + bidirectional), 2))

    def logits(tokens):
        sequence, _ = lstm(embedding(tokens))
        if bidirectional:
            return head(sequence.masked_fill((tokens == 0)[:, :, None], -2.0).amax(1))
        last = (tokens != 0).sum(1) - 1
        return head(sequence[torch.arange(len(tokens)), last])

    return torch.nn.ModuleList([embedding, lstm, head]), logits


def _torch_images(torch):
    """As `_torch_texts`, from rows."""
    nn = torch.nn
    lstm = nn.LSTM(PIXELS, UNITS, batch_first=True, bidirectional=True)
    hidden = (nn.Dropout(0.3), nn.Linear(4 * UNITS, UNITS), nn.ReLU())
    head = nn.Sequential(*hidden, nn.Dropout(0.3), nn.Linear(UNITS, 10))

    def logits(rows):
        sequence, _ = lstm(rows)
        return head(torch.cat([sequence.mean(1), sequence.amax(1)], 1))

    return nn.ModuleList([lstm, head]), logits


COMPETITORS = {
    "tfpar": lambda case: time_keras(case, ours=True),
    "keras": lambda case: time_keras(case, ours=False),
    "torch": time_torch,
}


def row(case: str, seconds: dict[str, float]) -> dict:
    """The figures of a case, from the median seconds of each competitor."""
    inputs, examples = (f"I{PIXELS}", IMAGES) if case == "row_bilstm" else (f"E{EMBEDDING}", EXAMPLES)
    return {
        "case": f"{case} {inputs} H{UNITS} B{BATCH}, one epoch",
        "examples_per_second": examples / seconds["tfpar"],
    }


if __name__ == "__main__":
    print(json.dumps({"seconds": COMPETITORS[sys.argv[1]](sys.argv[2])}))
