"""What workers of one host tell each other, handed over in shared memory.

TensorFlow's collectives go over gRPC, through the kernel's network and several copies, even to a process on the next
core. Here each worker writes its arrays once, where the others read them.
"""

import itertools
import mmap
import os
import socket
from collections.abc import Sequence

import numpy as np

from tfpar.cluster.local_sockets import connect_workers

_ALIGNMENT_BYTES = 64
_MESSAGE_BYTES = 2**16


class LostError(ConnectionError):
    """A worker is gone, or did not answer in time. The message begins with "worker INDEX"."""


class OutOfStepError(ValueError):
    """A worker is at another call."""


class SharedMemoryCollectives:
    """Collectives of the workers of one host, each of which makes the same calls in the same order.

    A worker has two buffers, which take turns. When it comes to write to one again, all others have read it: since then
    they have sent word of their next call.

    Args:
        addresses: "host:port" of all workers.
        index: which of them this process is.
        timeout_s: longest wait for another worker, here and in each call.

    Raises:
        WorkerMissingError: another did not come in time.
    """

    def __init__(self, addresses: Sequence[str], index: int, timeout_s: float):
        self._workers, self._timeout_s, self._calls = len(addresses), timeout_s, 0
        self._sockets = connect_workers(addresses, index, timeout_s)
        self._own = [_Buffer(), _Buffer()]
        self._theirs = {peer: [_Buffer(), _Buffer()] for peer in self._sockets}

    def all_gather(self, groups: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
        """Hands this worker's arrays to all others.

        Args:
            groups: of arrays of one type. All workers have as many groups, of the same types.

        Returns:
            For each worker, in their order, a flat array (elements,) for each group: its arrays one behind another,
            each at the next place that is aligned: see `aligned_size`. They are in shared memory, to be read before the
            next call and not kept.

        Raises:
            LostError: another worker is gone, or did not come in time.
            OutOfStepError: another worker is at another call.
        """
        sizes_bytes = [sum(_space(array.nbytes) for array in group[:-1]) + group[-1].nbytes for group in groups]
        dtypes = [group[0].dtype for group in groups]
        turn, message = self._calls % 2, np.array([self._calls, *sizes_bytes], np.int64)
        self._calls += 1
        own = self._own[turn]
        opened = own.write(groups, sum(map(_space, sizes_bytes)))
        for peer in self._sockets:
            self._send(peer, message.tobytes(), opened)
        gathered = {peer: self._read(peer, turn, message, dtypes) for peer in self._sockets}
        return [gathered.get(worker) or own.read(sizes_bytes, dtypes) for worker in range(self._workers)]

    def _read(self, peer, turn, own_message, dtypes):
        received, opened = self._receive(peer)
        message, buffer = np.frombuffer(received, np.int64), self._theirs[peer][turn]
        if message.size != own_message.size or message[0] != own_message[0]:
            raise OutOfStepError(f"worker {peer} hands over other arrays")
        if opened:
            buffer.open(opened[0])
        return buffer.read(message[1:].tolist(), dtypes)

    def _send(self, peer, message, descriptors):
        try:
            socket.send_fds(self._sockets[peer], [message], descriptors)
        except OSError as error:
            raise self._lost(peer, error) from None

    def _receive(self, peer):
        try:
            message, descriptors, _, _ = socket.recv_fds(self._sockets[peer], _MESSAGE_BYTES, 1)
        except OSError as error:
            raise self._lost(peer, error) from None
        if not message:
            raise LostError(f"worker {peer} has ended")
        return message, descriptors

    def _lost(self, peer, error):
        if isinstance(error, TimeoutError):
            return LostError(f"worker {peer} did not answer within {self._timeout_s:g} s")
        return LostError(f"worker {peer} has ended: {error}")


class _Buffer:
    """Memory that other processes can map, too; it grows as it is written to, and is gone with them."""

    def __init__(self):
        self._memory, self._descriptor = b"", None

    def write(self, groups, size_bytes) -> list[int]:
        """Copies arrays. Returns the file descriptor of the memory if it is new, to be opened by all readers."""
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
        """Maps what another process wrote."""
        self._memory = mmap.mmap(descriptor, 0)
        os.close(descriptor)

    def read(self, sizes_bytes, dtypes) -> list[np.ndarray]:
        """Flat arrays of these sizes and types, one behind another."""
        begins_bytes = itertools.accumulate(map(_space, sizes_bytes), initial=0)
        return [
            np.frombuffer(self._memory, dtype, size_bytes // dtype.itemsize, begin)
            for dtype, size_bytes, begin in zip(dtypes, sizes_bytes, begins_bytes, strict=False)
        ]


def aligned_empty(size: int, dtype: np.dtype) -> np.ndarray:
    """A flat array (size,) which TensorFlow takes without a copy, unlike NumPy's own."""
    memory = np.empty(size * dtype.itemsize + _ALIGNMENT_BYTES, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT_BYTES
    return memory[begin : begin + size * dtype.itemsize].view(dtype)


def aligned_size(size, item_bytes: int):
    """Elements from the beginning of an array of a group to that of the next one, for `size` of `item_bytes` each."""
    return -(-size * item_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES // item_bytes


def _space(size_bytes):
    """Bytes that an array takes, with what is left free behind it."""
    return aligned_size(size_bytes, 1)
