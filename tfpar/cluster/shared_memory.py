"""Collectives in shared memory between the workers of one host.

TensorFlow's collectives use gRPC, with the kernel's network stack and several copies, even between processes of one
host. Here each worker writes its arrays once, where the others read them.
"""

import itertools
import mmap
import os
import socket
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.cluster.local_sockets import connect_workers

_ALIGNMENT_BYTES = 64
_MESSAGE_BYTES = 2**16


class LostError(ConnectionError):
    """Error: a worker has ended, or did not respond in time. The message begins with "worker INDEX"."""


class OutOfStepError(ValueError):
    """Error: a worker makes another call."""


class SharedMemoryCollectives:
    """Collectives of the workers of one host, each of which makes the same calls in the same order.

    Double buffering: before a worker reuses a buffer it has received every peer's next message, which proves that they
    have finished reading it.

    Args:
        addresses: "host:port" of all workers.
        index: of this process.
        timeout_s: longest wait for another worker, here and in each call.

    Raises:
        WorkerMissingError: another worker did not connect in time.

    Attributes:
        sent_bytes: total size of the arrays that this worker has handed over.
    """

    def __init__(self, addresses: Sequence[str], index: int, timeout_s: float):
        self._workers, self._timeout_s, self._calls = len(addresses), timeout_s, 0
        self.sent_bytes = 0
        self._sockets = connect_workers(addresses, index, timeout_s)
        self._own = [_Buffer(), _Buffer()]
        self._of_peers = {peer: [_Buffer(), _Buffer()] for peer in self._sockets}

    def all_gather(self, groups: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
        """Exchange arrays with all other workers.

        Args:
            groups: of arrays of one dtype. All workers have equally many groups, of the same dtypes.

        Returns:
            For each worker, in their order, a flat array (elements,) for each group: its arrays concatenated, each at
            the next aligned offset: see `aligned_size`. They are views of shared memory, valid until the next call.

        Raises:
            LostError: another worker has ended, or did not respond in time.
            OutOfStepError: another worker makes another call.
        """
        sizes_bytes = [sum(_space(array.nbytes) for array in group[:-1]) + group[-1].nbytes for group in groups]
        dtypes = [group[0].dtype for group in groups]
        parity, message = self._calls % 2, np.array([self._calls, *sizes_bytes], np.int64)
        self._calls += 1
        self.sent_bytes += sum(array.nbytes for group in groups for array in group)
        own = self._own[parity]
        opened = own.write(groups, sum(map(_space, sizes_bytes)))
        for peer in self._sockets:
            self._send(peer, message.tobytes(), opened)
        gathered = {peer: self._read(peer, parity, message, dtypes) for peer in self._sockets}
        return [gathered.get(worker) or own.read(sizes_bytes, dtypes) for worker in range(self._workers)]

    def _read(self, peer, parity, own_message, dtypes):
        received, opened = self._receive(peer)
        message, buffer = np.frombuffer(received, np.int64), self._of_peers[peer][parity]
        if message.size != own_message.size or message[0] != own_message[0]:
            raise OutOfStepError(f"worker {peer} hands over other arrays")
        if opened:
            buffer.open(opened[0])
        return buffer.read(message[1:].tolist(), dtypes)

    def _send(self, peer, message, descriptors):
        try:
            socket.send_fds(self._sockets[peer], [message], descriptors)
        except OSError as error:
            raise self._make_error(peer, error) from None

    def _receive(self, peer):
        try:
            message, descriptors, _, _ = socket.recv_fds(self._sockets[peer], _MESSAGE_BYTES, 1)
        except OSError as error:
            raise self._make_error(peer, error) from None
        if not message:
            raise LostError(f"worker {peer} has ended")
        return message, descriptors

    def _make_error(self, peer, error) -> LostError:
        if isinstance(error, TimeoutError):
            return LostError(f"worker {peer} did not respond within {self._timeout_s:g} s")
        return LostError(f"worker {peer} has ended: {error}")


class _Buffer:
    """Shared memory that grows as it is written to, and is freed with the processes that map it."""

    def __init__(self):
        self._memory: mmap.mmap | bytes = b""
        self._descriptor: int | None = None

    def write(self, groups, size_bytes) -> list[int]:
        """Copy arrays. Return the file descriptor of the memory if it is new, for all readers to open."""
        opened = []
        if self._descriptor is None or size_bytes > len(self._memory):
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = os.memfd_create("tfpar")
            os.ftruncate(self._descriptor, 2 * size_bytes + mmap.PAGESIZE)
            self._memory = mmap.mmap(self._descriptor, 0)
            opened.append(self._descriptor)
        offset_bytes = 0
        for array in itertools.chain.from_iterable(groups):
            np.frombuffer(self._memory, array.dtype, array.size, offset_bytes)[:] = array.reshape(-1)
            offset_bytes += _space(array.nbytes)
        return opened

    def open(self, descriptor: int) -> None:
        """Map the memory of another process."""
        self._memory = mmap.mmap(descriptor, 0)
        os.close(descriptor)

    def read(self, sizes_bytes, dtypes) -> list[np.ndarray]:
        """Return consecutive flat arrays of these sizes and dtypes."""
        offsets_bytes = itertools.accumulate(map(_space, sizes_bytes), initial=0)
        return [
            np.frombuffer(self._memory, dtype, size_bytes // dtype.itemsize, begin)
            for dtype, size_bytes, begin in zip(dtypes, sizes_bytes, offsets_bytes, strict=False)
        ]


def aligned_empty(size: int, dtype: np.dtype) -> np.ndarray:
    """Make a flat array (size,) that TensorFlow uses without a copy, unlike NumPy's own."""
    memory = np.empty(size * dtype.itemsize + _ALIGNMENT_BYTES, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT_BYTES
    return memory[begin : begin + size * dtype.itemsize].view(dtype)


def aligned_size(size: Any, item_bytes: int) -> Any:
    """Return the distance in elements to the next array of a group, after one of `size`, an int or a tensor."""
    return -(-size * item_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES // item_bytes


def _space(size_bytes: int) -> int:
    """Return the bytes of an array with the gap after it."""
    return aligned_size(size_bytes, 1)
