"""Recurrent networks to time, each with a name from which it can be rebuilt."""

import re
from typing import NamedTuple

import numpy as np

GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}


class Case(NamedTuple):
    """A stack of recurrent layers that returns its last output, and its batch.

    Attributes:
        cell: one of `GATES`.
        batch, time, features: of the input; with a `vocabulary` these are features of an embedding.
        units: of each layer.
        layers: number of layers.
        vocabulary: rows of the embedding table before the layers; 0: no embedding.
        inference: whether to time only the forward pass, instead of a training step.
    """

    cell: str
    batch: int
    time: int
    features: int
    units: int
    layers: int = 1
    vocabulary: int = 0
    inference: bool = False

    def __str__(self):
        name = f"{self.cell} B{self.batch} T{self.time} I{self.features} H{self.units}"
        name += f" L{self.layers}" if self.layers > 1 else ""
        name += f" V{self.vocabulary}" if self.vocabulary else ""
        return name + " inference" if self.inference else name

    @classmethod
    def parse(cls, text: str) -> "Case":
        """Parse the output of `str`."""
        match = re.fullmatch(r"(\w+) B(\d+) T(\d+) I(\d+) H(\d+)(?: L(\d+))?(?: V(\d+))?( inference)?", text)
        if match is None:
            raise ValueError(f"`text` must be the output of `str`; got {text!r}.")
        cell, *sizes, layers, vocabulary, inference = match.groups()
        batch, time, features, units = map(int, sizes)
        layers, vocabulary = int(layers or 1), int(vocabulary or 0)
        return cls(cell, batch, time, features, units, layers, vocabulary, inference is not None)

    @property
    def flops(self) -> int:
        """FLOPs of the matmuls: forward and, in training, for the gradients of inputs (not the network's) and weights.

        Each kernel has one matmul forward, one for the gradient of its input and one for that of its weights.
        """
        per_weight = 2 * self.batch * self.time
        flops = 0
        for layer in range(self.layers):
            inputs = self.units if layer else self.features
            matmuls = (1, 1) if self.inference else (3 if layer or self.vocabulary else 2, 3)
            flops += per_weight * GATES[self.cell] * self.units * (matmuls[0] * inputs + matmuls[1] * self.units)
        return flops

    @property
    def loop_flops(self) -> int:
        """FLOPs that must be computed step by step: those of recurrent kernels, forward and, in training, backward."""
        matmuls = 1 if self.inference else 2
        return matmuls * 2 * self.batch * self.time * self.layers * GATES[self.cell] * self.units**2

    def example(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs and targets from a fixed seed.

        Returns:
            Inputs, float32 (batch, time, features) or int32 (batch, time), rows of the embedding table; and targets,
            float32 (batch, units).
        """
        generator = np.random.default_rng(0)
        if self.vocabulary:
            inputs = generator.integers(0, self.vocabulary, (self.batch, self.time), np.int32)
        else:
            inputs = generator.normal(size=(self.batch, self.time, self.features)).astype(np.float32)
        return inputs, generator.normal(size=(self.batch, self.units)).astype(np.float32) / 2
