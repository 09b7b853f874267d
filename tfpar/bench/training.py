"""One competitor's training of a text classifier, timed: `python -m tfpar.bench.training COMPETITOR MODEL`.

The model is an embedding of 128, an LSTM of 128 units (or of 128 in each direction, max-pooled), dropout 0.5, two
classes, AdamW. All get the same batches: 64 sequences whose lengths are like those of film reviews' snippets, padded
to one of four lengths. An epoch is 139 batches; the first, in which programs are compiled and memory is found, is
not timed.
"""

import json
import sys

import numpy as np

from tfpar.bench.epochs import dataset_of, seconds_per_epoch
from tfpar.data.bucketing import bucket_boundaries, plan_epoch

VOCABULARY, EMBEDDING, UNITS, BATCH, EXAMPLES = 8917, 128, 128, 64, 8877
CASES = ("lstm", "bilstm")
PEERS = ("keras", "torch")
REFERENCES = ()
TIMED_EPOCHS = 3


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """An epoch of (tokens int32 (64, length), labels int32 (64,)), drawn from a fixed seed."""
    generator = np.random.default_rng(0)
    lengths = np.clip(generator.normal(22, 9, EXAMPLES).astype(int), 2, 60)
    epoch = []
    for boundary, rows in plan_epoch(lengths, bucket_boundaries(lengths, 4, batch_size=BATCH), BATCH, generator):
        tokens = generator.integers(2, VOCABULARY, (BATCH, boundary), np.int32)
        tokens[np.arange(boundary) >= np.resize(lengths[rows], BATCH)[:, None]] = 0
        epoch.append((tokens, generator.integers(0, 2, BATCH, np.int32)))
    return epoch


def time_keras(model_name: str, ours: bool) -> float:
    """Seconds per epoch of `fit`, with this package's model and layers or with stock Keras."""
    import keras
    import tensorflow as tf

    import tfpar

    layers = tfpar.layers if ours else keras.layers
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(VOCABULARY, EMBEDDING, mask_zero=True)(tokens)
    if model_name == "lstm":
        x = layers.LSTM(UNITS)(x)
    else:
        x = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(x)
        x = tfpar.layers.MaxPooling()(x)
    x = keras.layers.Dense(2)((tfpar if ours else keras).layers.Dropout(0.5)(x))
    model = (tfpar.train.Model if ours else keras.Model)(tokens, x)
    model.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile="auto")
    if ours:
        model.lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), BATCH)
    dataset = dataset_of(batches(), [(BATCH, None), (BATCH,)])
    return seconds_per_epoch(lambda: model.fit(dataset, verbose=0, shuffle=False), TIMED_EPOCHS)


def time_torch(model_name: str) -> float:
    """Seconds per epoch of a plain PyTorch loop."""
    import torch

    torch.manual_seed(0)
    bidirectional = model_name == "bilstm"
    embedding = torch.nn.Embedding(VOCABULARY, EMBEDDING, padding_idx=0)
    lstm = torch.nn.LSTM(EMBEDDING, UNITS, batch_first=True, bidirectional=bidirectional)
    head = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(UNITS * (1 + bidirectional), 2))
    modules = torch.nn.ModuleList([embedding, lstm, head])
    optimizer = torch.optim.AdamW(modules.parameters(), weight_decay=0.004)
    epoch = [(torch.from_numpy(tokens), torch.from_numpy(labels).long()) for tokens, labels in batches()]

    def run():
        for tokens, labels in epoch:
            sequence, _ = lstm(embedding(tokens))
            if bidirectional:
                pooled = sequence.masked_fill((tokens == 0)[:, :, None], -2.0).amax(1)
            else:
                last = (tokens != 0).sum(1) - 1
                pooled = sequence[torch.arange(len(tokens)), last]
            loss = torch.nn.functional.cross_entropy(head(pooled), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return seconds_per_epoch(run, TIMED_EPOCHS)


COMPETITORS = {
    "tfpar": lambda model_name: time_keras(model_name, ours=True),
    "keras": lambda model_name: time_keras(model_name, ours=False),
    "torch": time_torch,
}


def row(case: str, seconds: dict[str, float]) -> dict:
    """The figures of a case, from the median seconds of each competitor."""
    name = f"{case} E{EMBEDDING} H{UNITS} B{BATCH}, one epoch"
    return {"case": name, "examples_per_second": EXAMPLES / seconds["tfpar"]}


if __name__ == "__main__":
    print(json.dumps({"seconds": COMPETITORS[sys.argv[1]](sys.argv[2])}))
