"""Classifiers to time in training: each draws its batches and builds the same network for Keras and for PyTorch."""

from typing import NamedTuple

import numpy as np

from tfpar.data.batching.bucketing import bucket_boundaries, plan_epoch


class Texts(NamedTuple):
    """Text classifier: embedding, LSTM (last state) or bidirectional LSTM (maximum over time), dropout 0.5, linear.

    The lengths of texts are distributed like those of movie review snippets; they are padded to one of four lengths.
    """

    bidirectional: bool
    examples: int = 8877
    vocabulary: int = 8917
    embedding: int = 128
    units: int = 128
    classes: int = 2
    batch: int = 64

    @property
    def sizes(self) -> str:
        return f"E{self.embedding} H{self.units} B{self.batch}"

    def batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Draw an epoch from a fixed seed: tokens int32 (batch, length), 0 for padding, and labels int32 (batch,)."""
        generator = np.random.default_rng(0)
        lengths = np.clip(generator.normal(22, 9, self.examples).astype(int), 2, 60)
        boundaries, epoch = bucket_boundaries(lengths, 4, batch_size=self.batch), []
        for boundary, rows in plan_epoch(lengths, boundaries, self.batch, generator):
            tokens = generator.integers(2, self.vocabulary, (self.batch, boundary), np.int32)
            tokens[np.arange(boundary) >= np.resize(lengths[rows], self.batch)[:, None]] = 0
            epoch.append((tokens, generator.integers(0, self.classes, self.batch, np.int32)))
        return epoch

    def keras_network(self, layers):
        """Build input and logits; `layers` is `keras.layers` or `tfpar.layers`."""
        import keras

        import tfpar

        tokens = keras.Input((None,), dtype="int32")
        x = keras.layers.Embedding(self.vocabulary, self.embedding, mask_zero=True)(tokens)
        if self.bidirectional:
            x = layers.Bidirectional(layers.LSTM(self.units, return_sequences=True))(x)
            x = tfpar.layers.MaxPooling()(x)
        else:
            x = layers.LSTM(self.units)(x)
        return tokens, keras.layers.Dense(self.classes)(layers.Dropout(0.5)(x))

    def torch_network(self, torch):
        """Build the modules with weights, and a function from tokens to logits."""
        nn, directions = torch.nn, 1 + self.bidirectional
        embedding = nn.Embedding(self.vocabulary, self.embedding, padding_idx=0)
        lstm = nn.LSTM(self.embedding, self.units, batch_first=True, bidirectional=self.bidirectional)
        head = nn.Sequential(nn.Dropout(0.5), nn.Linear(self.units * directions, self.classes))

        def logits(tokens):
            sequence, _ = lstm(embedding(tokens))
            if self.bidirectional:
                return head(sequence.masked_fill((tokens == 0)[:, :, None], -2.0).amax(1))
            last = (tokens != 0).sum(1) - 1
            return head(sequence[torch.arange(len(tokens)), last])

        return nn.ModuleList([embedding, lstm, head]), logits


class Sequences(NamedTuple):
    """Classifier of sequences of one length: bidirectional LSTM, mean and maximum over time, hidden layer, dropout."""

    examples: int
    time: int
    features: int
    units: int
    hidden: int
    classes: int
    batch: int

    @property
    def sizes(self) -> str:
        return f"T{self.time} I{self.features} H{self.units} B{self.batch}"

    def batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Draw an epoch from a fixed seed: float32 (batch, time, features) and labels int32 (batch,)."""
        generator, shape = np.random.default_rng(0), (self.batch, self.time, self.features)
        return [
            (generator.random(shape, np.float32), generator.integers(0, self.classes, self.batch, np.int32))
            for _ in range(self.examples // self.batch)
        ]

    def keras_network(self, layers):
        """Build input and logits; see `Texts.keras_network`."""
        import keras

        inputs = keras.Input((self.time, self.features))
        x = layers.Bidirectional(layers.LSTM(self.units, return_sequences=True))(inputs)
        pooled = [keras.layers.GlobalAveragePooling1D()(x), keras.layers.GlobalMaxPooling1D()(x)]
        x = layers.Dropout(0.3)(keras.layers.Concatenate()(pooled))
        x = layers.Dropout(0.3)(keras.layers.Dense(self.hidden, "relu")(x))
        return inputs, keras.layers.Dense(self.classes)(x)

    def torch_network(self, torch):
        """Build modules and function; see `Texts.torch_network`."""
        nn = torch.nn
        lstm = nn.LSTM(self.features, self.units, batch_first=True, bidirectional=True)
        hidden = (nn.Dropout(0.3), nn.Linear(4 * self.units, self.hidden), nn.ReLU())
        head = nn.Sequential(*hidden, nn.Dropout(0.3), nn.Linear(self.hidden, self.classes))

        def logits(inputs):
            sequence, _ = lstm(inputs)
            return head(torch.cat([sequence.mean(1), sequence.amax(1)], 1))

        return nn.ModuleList([lstm, head]), logits
