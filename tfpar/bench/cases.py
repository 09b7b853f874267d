"""Recurrent networks to be timed, each with a name that says all of it."""

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
        layers: how many.
        vocabulary: rows of the embedding table that comes first; 0 for none.
        inference: only forward, and no step of training.
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
    def parsed(cls, text: str) -> "Case":
        """What `str` wrote."""
        match = re.fullmatch(r"(\w+) B(\d+) T(\d+) I(\d+) H(\d+)(?: L(\d+))?(?: V(\d+))?( inference)?", text)
        cell, *sizes, layers, vocabulary, inference = match.groups()
        return cls(cell, *map(int, sizes), int(layers or 1), int(vocabulary or 0), inference is not None)

    @property
    def flops(self) -> int:
        """Of the matmuls alone: of both kernels forward, and in training of what comes from behind through them (but
        not to the network's inputs) and of their gradients."""
        per_weight = 2 * self.batch * self.time
        flops = 0
        for layer in range(self.layers):
            inputs = self.units if layer else self.features
            turns = (1, 1) if self.inference else (3 if layer or self.vocabulary else 2, 3)
            flops += per_weight * GATES[self.cell] * self.units * (turns[0] * inputs + turns[1] * self.units)
        return flops

    @property
    def loop_flops(self) -> int:
        """Those of `flops` that must be done step by step: of the recurrent kernels, forward and, in training, back."""
        turns = 1 if self.inference else 2
        return turns * 2 * self.batch * self.time * self.layers * GATES[self.cell] * self.units**2

    def example(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets float32 (batch, units), from a fixed seed.

        Inputs are float32 (batch, time, features), or int32 (batch, time), rows of the embedding table.
        """
        generator = np.random.default_rng(0)
        if self.vocabulary:
            inputs = generator.integers(0, self.vocabulary, (self.batch, self.time), np.int32)
        else:
            inputs = generator.normal(size=(self.batch, self.time, self.features)).astype(np.float32)
        return inputs, generator.normal(size=(self.batch, self.units)).astype(np.float32) / 2
