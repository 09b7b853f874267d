"""One competitor's training of a classifier, timed: `python -m tfpar.bench.training COMPETITOR CASE`.

- "lstm", "bilstm": of texts; an embedding of 128, an LSTM of 128 units (or of 128 in each direction, max-pooled),
  dropout 0.5, two classes. 64 sequences a batch, whose lengths are like those of film reviews' snippets, padded to one
  of four lengths.
- `SEQUENCES`: of images, read row by row, of faces, or of words in frames of log-mel; an LSTM in each direction, pooled
  by mean and maximum, a layer, dropout 0.3, so many classes.

All get the same batches, and AdamW; Keras' two take eight steps an execution, as recipes do. The first epoch, in which
programs are compiled and memory is found, is not timed.
"""

import json
import sys
from typing import NamedTuple

import numpy as np

from tfpar.bench import STEPS_PER_EXECUTION
from tfpar.bench.epochs import dataset_of, seconds_per_epoch
from tfpar.data.bucketing import bucket_boundaries, plan_epoch

VOCABULARY, EMBEDDING, UNITS, BATCH, EXAMPLES = 8917, 128, 128, 64, 8877


class Sequences(NamedTuple):
    """A set of sequences of one length, and the network that classifies them."""

    examples: int
    time: int
    features: int
    units: int
    hidden: int
    classes: int
    batch: int


SEQUENCES = {
    "row_bilstm": Sequences(4032, time=28, features=28, units=128, hidden=128, classes=10, batch=64),
    "face_bilstm": Sequences(960, time=40, features=40, units=64, hidden=64, classes=40, batch=32),
    "speech_bilstm": Sequences(2048, time=50, features=80, units=64, hidden=64, classes=10, batch=64),
}
CASES = ("lstm", "bilstm", *SEQUENCES)
PEERS = ("keras", "torch")
REFERENCES = ()
TIMED_EPOCHS = 3


def batches(case: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """An epoch, from a fixed seed.

    Returns:
        Batches of (tokens int32 (batch, length) or float32 (batch, time, features), labels int32 (batch,)).
    """
    return _sequences(SEQUENCES[case]) if case in SEQUENCES else _texts()


def _texts():
    generator = np.random.default_rng(0)
    lengths = np.clip(generator.normal(22, 9, EXAMPLES).astype(int), 2, 60)
    epoch = []
    for boundary, rows in plan_epoch(lengths, bucket_boundaries(lengths, 4, batch_size=BATCH), BATCH, generator):
        tokens = generator.integers(2, VOCABULARY, (BATCH, boundary), np.int32)
        tokens[np.arange(boundary) >= np.resize(lengths[rows], BATCH)[:, None]] = 0
        epoch.append((tokens, generator.integers(0, 2, BATCH, np.int32)))
    return epoch


def _sequences(of):
    generator, shape = np.random.default_rng(0), (of.batch, of.time, of.features)
    return [
        (generator.random(shape, np.float32), generator.integers(0, of.classes, of.batch, np.int32))
        for _ in range(of.examples // of.batch)
    ]


def time_keras(case: str, ours: bool) -> float:
    """Seconds per epoch of `fit`, with this package's model and layers or with stock Keras."""
    import keras
    import tensorflow as tf

    import tfpar

    network = _keras_sequences if case in SEQUENCES else _keras_texts
    model = (tfpar.train.Model if ours else keras.Model)(*network(case, (tfpar if ours else keras).layers))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adamw", loss, jit_compile="auto", steps_per_execution=STEPS_PER_EXECUTION)
    batch = SEQUENCES[case].batch if case in SEQUENCES else BATCH
    if ours:
        model.lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), batch)
    dataset = dataset_of(batches(case), [(batch, *model.input.shape[1:]), (batch,)])
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


def _keras_sequences(case, layers):
    import keras

    of = SEQUENCES[case]
    inputs = keras.Input((of.time, of.features))
    x = layers.Bidirectional(layers.LSTM(of.units, return_sequences=True))(inputs)
    pooled = [keras.layers.GlobalAveragePooling1D()(x), keras.layers.GlobalMaxPooling1D()(x)]
    x = layers.Dropout(0.3)(keras.layers.Concatenate()(pooled))
    x = layers.Dropout(0.3)(keras.layers.Dense(of.hidden, "relu")(x))
    return inputs, keras.layers.Dense(of.classes)(x)


def time_torch(case: str) -> float:
    """Seconds per epoch of a plain PyTorch loop."""
    import torch

    torch.manual_seed(0)
    network = _torch_sequences if case in SEQUENCES else _torch_texts
    modules, logits = network(torch, case)
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


def _torch_sequences(torch, case):
    """As `_torch_texts`, from sequences."""
    nn, of = torch.nn, SEQUENCES[case]
    lstm = nn.LSTM(of.features, of.units, batch_first=True, bidirectional=True)
    hidden = (nn.Dropout(0.3), nn.Linear(4 * of.units, of.hidden), nn.ReLU())
    head = nn.Sequential(*hidden, nn.Dropout(0.3), nn.Linear(of.hidden, of.classes))

    def logits(inputs):
        sequence, _ = lstm(inputs)
        return head(torch.cat([sequence.mean(1), sequence.amax(1)], 1))

    return nn.ModuleList([lstm, head]), logits


COMPETITORS = {
    "tfpar": lambda case: time_keras(case, ours=True),
    "keras": lambda case: time_keras(case, ours=False),
    "torch": time_torch,
}


def row(case: str, seconds: dict[str, float]) -> dict:
    """The figures of a case, from the median seconds of each competitor."""
    sizes, examples = f"E{EMBEDDING} H{UNITS} B{BATCH}", EXAMPLES
    if case in SEQUENCES:
        of = SEQUENCES[case]
        sizes, examples = f"T{of.time} I{of.features} H{of.units} B{of.batch}", of.examples
    return {"case": f"{case} {sizes}, one epoch", "examples_per_second": examples / seconds["tfpar"]}


if __name__ == "__main__":
    print(json.dumps({"seconds": COMPETITORS[sys.argv[1]](sys.argv[2])}))
