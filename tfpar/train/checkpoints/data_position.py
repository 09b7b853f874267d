"""Position in the data of `fit`: which iterator over them, and how many batches of it were read."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.errors import UserError
from tfpar.train.checkpoints.callback_state import Stateful


class DataPosition:
    """Position in the data of one call of `fit`.

    A new process makes as many iterators as the former one had, since shuffling draws new seeds for each, and skips
    the batches that were read from the last one. The first batch of an epoch must be the same one then.

    Args:
        replays_epochs: False if the dataset begins with the epoch that is continued.
    """

    def __init__(self, replays_epochs: bool):
        self._replays_epochs = replays_epochs
        self._dataset_state: Any = None

    def attach(self, epoch_iterator: Any) -> None:
        """Observe Keras' iterator over epochs; called once it exists, before training begins."""
        self._epochs = epoch_iterator
        self._data = keras_private.replace_dataset(epoch_iterator, _ObservedDataset)

    @property
    def batches(self) -> int | None:
        """Batches of an epoch, or None if unknown."""
        return self._epochs.num_batches

    def advance(self, batches: int) -> None:
        """Count batches that were trained on."""
        self._data.read += batches

    def begin_epoch(self) -> None:
        """Note the state of a `keras.utils.PyDataset` before an epoch."""
        self._dataset_state = self._read_dataset_state()

    def get_state(self, batch: int) -> dict[str, Any]:
        """Return the state behind a batch of an epoch; 0: at its begin."""
        data = self._data
        state = {"iterators": data.iterators, "read": data.read, "first_batch": data.first_batch}
        return {**state, "dataset": self._dataset_state if batch else self._read_dataset_state()}

    def _read_dataset_state(self):
        dataset = keras_private.find_py_dataset(self._epochs)
        return dataset.get_state() if isinstance(dataset, Stateful) else None

    def set_state(self, state: dict[str, Any], batch: int) -> None:
        """Continue behind a step.

        Args:
            state: of `get_state`.
            batch: batches of the epoch that were read; 0 at its begin.
        """
        if (dataset := keras_private.find_py_dataset(self._epochs)) is not None:
            check_py_dataset(dataset)
            if isinstance(dataset, Stateful):
                dataset.set_state(state["dataset"])
                self._dataset_state = state["dataset"]
        data, goes_on = self._data, batch > 0 or self._epochs.steps_per_epoch is not None
        if self._replays_epochs:
            for _ in range(state["iterators"] - goes_on):
                data.skip_epoch()
        if goes_on:
            data.skip = state["read"]
            keras_private.continue_epoch(self._epochs, batch, state["read"])

    def is_same_order(self, state: dict[str, Any]) -> bool:
        """Return whether the epoch that was continued began with the same batch as in the former process."""
        former, now = state["first_batch"], self._data.first_batch
        return None in (former, now) or former == now


def check_py_dataset(dataset: keras.utils.PyDataset) -> None:
    """Check that a dataset can continue.

    Raises:
        UserError: it changes itself between epochs, and its state is unknown.
    """
    kind, base = type(dataset), keras.utils.PyDataset
    changes = kind.on_epoch_begin is not base.on_epoch_begin or kind.on_epoch_end is not base.on_epoch_end
    if changes and not isinstance(dataset, Stateful):
        raise UserError(
            f"{kind.__name__} changes itself in on_epoch_begin or on_epoch_end, and cannot continue where it was. Give "
            "it `get_state()` and `set_state(state)`, whose state is what JSON can hold, and NumPy arrays."
        )


class _ObservedDataset:
    """A dataset that counts its iterators and hashes the first batch of each.

    Args:
        dataset: a `tf.data.Dataset` or a `tf.distribute.DistributedDataset`.

    Attributes:
        iterators: number of them so far.
        read: batches that were read from the last one.
        skip: batches to skip of the next one.
        first_batch: sha256 of its first batch; None before it was read, or if it is unknown.
    """

    def __init__(self, dataset: Any):
        self._can_skip = isinstance(dataset, tf.data.Dataset)
        self._dataset = _with_first_batch(dataset, self._record) if self._can_skip else dataset
        self.iterators, self.read, self.skip = 0, 0, 0
        self.first_batch: str | None = None

    @property
    def element_spec(self) -> Any:
        return self._dataset.element_spec

    def skip_epoch(self) -> None:
        """Make an iterator, which is not used."""
        iter(self._dataset)
        self.iterators += 1

    def __iter__(self) -> Iterator:
        self.iterators += 1
        self.read, skip, self.skip = self.skip, self.skip, 0
        if self._can_skip:
            return iter(self._dataset.skip(skip) if skip else self._dataset)
        iterator = iter(self._dataset)
        for _ in range(skip):
            next(iterator)
        return iterator

    def _record(self, *arrays):
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(repr(array.tolist()).encode() if array.dtype == object else array.tobytes())
        self.first_batch = digest.hexdigest()


def _with_first_batch(dataset: tf.data.Dataset, record: Callable) -> tf.data.Dataset:
    """Call `record` with the arrays of the first batch of each iterator."""

    def observe(index, batch):
        leaves = [leaf for leaf in tf.nest.flatten(batch, expand_composites=True) if tf.is_tensor(leaf)]
        arrays = [leaf for leaf in leaves if leaf.dtype not in (tf.variant, tf.resource)]

        def observe_first():
            tf.numpy_function(record, arrays, [])
            return True

        tf.cond(tf.equal(index, 0), observe_first, lambda: False)
        return batch

    return dataset.enumerate().map(observe)
