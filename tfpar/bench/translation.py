"""Times one competitor's training of a translator: `python -m tfpar.bench.translation COMPETITOR ATTENTION`.

The model is the recipe's: 4,000 subwords with embeddings of size 256, shared by source, target and output; an encoder
of 192 LSTM units in each direction; a decoder of 384 units with attention; label smoothing 0.1, dropout 0.1, AdamW. All
get the same batches of about 1,500 tokens of source and of target, with the lengths of short sentences. The first
epoch, for compilation and memory allocation, is not timed.
"""

import json
import sys

import numpy as np

from tfpar.bench.epochs import dataset_of, seconds_per_epoch
from tfpar.tasks.translation.buckets import find_buckets, translation_boundaries
from tfpar.tasks.translation.epoch_plan import plan_pairs, rows_per_batch

VOCABULARY, EMBEDDING, UNITS, TOKENS, PAIRS = 4000, 256, 384, 1536, 9000
SMOOTHING, DROPOUT, LEARNING_RATE, CLIP_NORM = 0.1, 0.1, 2e-3, 1.0
CASES = ("luong",)
PEERS = ("torch",)
REFERENCES = ()
TIMED_EPOCHS = 2


def batches() -> list[tuple]:
    """Draw batches ((source, target_in), target_out, weights) from a fixed seed; weights are float32, others int32.

    All are of shape (rows, length).
    """
    generator = np.random.default_rng(0)
    lengths = np.clip(generator.normal(8.5, 3.5, PAIRS), 2, 30).astype(int)
    target_lengths = np.clip(lengths + generator.normal(1, 2, PAIRS), 2, 32).astype(int)
    shapes = translation_boundaries(lengths, target_lengths, max_buckets=8)
    buckets = find_buckets(lengths, target_lengths, shapes)
    plan = plan_pairs(buckets, shapes, rows_per_batch(shapes, TOKENS), generator)
    return [_batch(generator, lengths[rows], target_lengths[rows], *shapes[bucket]) for bucket, rows in plan]


def _batch(generator, source_lengths, target_lengths, source_length, target_length):
    source = generator.integers(4, VOCABULARY, (len(source_lengths), source_length), np.int32)
    target = generator.integers(4, VOCABULARY, (len(target_lengths), target_length + 1), np.int32)
    source *= np.arange(source_length) < source_lengths[:, None]
    weights = (np.arange(target_length) <= target_lengths[:, None]).astype(np.float32)  # and the end
    target[:, 1:] *= weights.astype(np.int32)
    return (source, target[:, :-1]), target[:, 1:], weights


def time_tfpar(attention: str, epoch: list[tuple]) -> float:
    """Measure the seconds per epoch of `fit`."""
    import keras
    import tensorflow as tf

    from tfpar import cluster, models, train

    built = models.sequence_to_sequence(
        vocabulary_size=VOCABULARY, units=UNITS, embedding_size=EMBEDDING, attention=attention, dropout=DROPOUT
    )
    model = train.Model(built.model.inputs, built.model.outputs[0])
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, global_clipnorm=CLIP_NORM)
    model.compile(optimizer, train.TokenCrossentropy(label_smoothing=SMOOTHING), jit_compile=True)
    model.lanes = cluster.cpu_lanes(tf.distribute.get_strategy(), TOKENS)

    dataset = dataset_of(epoch, [(None, None)] * 4)
    return seconds_per_epoch(lambda: model.fit(dataset, verbose=0, shuffle=False), TIMED_EPOCHS)


def time_torch(attention: str, epoch: list[tuple]) -> float:
    """Measure the seconds per epoch of a plain PyTorch loop."""
    import torch

    torch.manual_seed(0)
    network = _torch_network()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    smoothed = torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING, reduction="none")
    tensors = [[torch.from_numpy(tokens.astype(np.int64)) for tokens in (*x, y)] for x, y, _ in epoch]
    weights = [torch.from_numpy(weights) for *_, weights in epoch]

    def run():
        for (source, target_in, target_out), weight in zip(tensors, weights, strict=True):
            losses = smoothed(network(source, target_in).flatten(0, 1), target_out.flatten())
            loss = (losses * weight.flatten()).sum() / weight.sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
            optimizer.step()

    return seconds_per_epoch(run, TIMED_EPOCHS)


def _torch_network():
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, EMBEDDING, padding_idx=0)
            nn.init.normal_(self.embedding.weight, std=EMBEDDING**-0.5)
            self.encoder = nn.LSTM(EMBEDDING, UNITS // 2, batch_first=True, bidirectional=True)
            self.decoder = nn.LSTM(EMBEDDING, UNITS, batch_first=True)
            self.first = nn.ModuleList([nn.Linear(UNITS, UNITS) for _ in "hc"])
            self.keys = nn.Linear(UNITS, UNITS, bias=False)
            self.query = nn.Linear(UNITS, UNITS)
            self.combined = nn.Linear(2 * UNITS, EMBEDDING)
            self.bias = nn.Parameter(torch.zeros(VOCABULARY))
            self.dropout = nn.Dropout(DROPOUT)

        def forward(self, source, target):
            # Packed sequences are two to five times slower on a CPU; attention and loss mask the padded steps.
            valid = source != 0
            memory = self.dropout(self.encoder(self.dropout(self.embedding(source)))[0])
            summary = (memory * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
            states = tuple(torch.tanh(layer(summary))[None] for layer in self.first)
            y = self.dropout(self.decoder(self.dropout(self.embedding(target)), states)[0])
            scores = self.query(y) @ self.keys(memory).transpose(1, 2) / UNITS**0.5
            context = scores.masked_fill(~valid[:, None], -1e9).softmax(-1) @ memory
            combined = self.dropout(torch.tanh(self.combined(torch.cat([y, context], -1))))
            return combined @ self.embedding.weight.T + self.bias

    return Network()


COMPETITORS = {"tfpar": time_tfpar, "torch": time_torch}


def row(case: str, seconds: dict[str, float]) -> dict:
    """Make the row of a case from the median seconds of each competitor."""
    tokens = sum(int(weights.sum()) for *_, weights in batches())
    name = f"translator {case} E{EMBEDDING} H{UNITS} V{VOCABULARY}, {tokens:,} target tokens"
    return {"case": name, "target_tokens_per_second": tokens / seconds["tfpar"]}


if __name__ == "__main__":
    print(json.dumps({"seconds": COMPETITORS[sys.argv[1]](sys.argv[2], batches())}))
