"""What workers of one host tell each other, handed over in shared memory.

TensorFlow's collectives go over gRPC, through the kernel's network and several copies, even to a process on the next
core. Here each worker writes its arrays once, where the others read them.
"""

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

    def all_gather(self, arrays: Sequence[np.ndarray]) -> list[Sequence[np.ndarray]]:
        """Hands this worker's arrays to all others.

        Args:
            arrays: those of all workers have the same types and, but for their first axes, the same shapes.

        Returns:
            For each worker, in their order, its arrays. Those of others are to be read before the next call, not kept.

        Raises:
            LostError: another worker is gone, or did not come in time.
            OutOfStepError: another worker is at another call.
        """
        turn, sizes = self._calls % 2, [array.nbytes for array in arrays]
        message = np.array([self._calls, *sizes], np.int64)
        self._calls += 1
        opened = self._own[turn].write(arrays)
        for peer in self._sockets:
            self._send(peer, message.tobytes(), opened)
        gathered = {peer: self._read(peer, turn, message, arrays) for peer in self._sockets}
        return [gathered.get(worker, arrays) for worker in range(self._workers)]

    def _read(self, peer, turn, own_message, like):
        received, opened = self._receive(peer)
        message, buffer = np.frombuffer(received, np.int64), self._theirs[peer][turn]
        if message.size != own_message.size or message[0] != own_message[0]:
            raise OutOfStepError(f"worker {peer} hands over other arrays")
        if opened:
            buffer.open(opened[0])
        return buffer.read(message[1:].tolist(), like)

    def _send(self, peer, message, descriptors):
        try:
            socket.send_fds(self._sockets[peer], [message], descriptors)
        except OSError as error:
            raise LostError(f"worker {peer} cannot be told: {error}") from None

    def _receive(self, peer):
        try:
            message, descriptors, _, _ = socket.recv_fds(self._sockets[peer], _MESSAGE_BYTES, 1)
        except OSError as error:
            raise LostError(f"worker {peer} did not answer within {self._timeout_s:g} s: {error}") from None
        if not message:
            raise LostError(f"worker {peer} has ended")
        return message, descriptors


class _Buffer:
    """Memory that other processes can map, too; it grows as it is written to, and is gone with them."""

    def __init__(self):
        self._memory, self._descriptor = b"", None

    def write(self, arrays) -> list[int]:
        """Copies `arrays`. Returns the file descriptor of the memory if it is new, to be opened by all readers."""
        size_bytes = sum(_space(array.nbytes) for array in arrays)
        opened = []
        if size_bytes > len(self._memory) or self._descriptor is None:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = os.memfd_create("tfpar")
            os.ftruncate(self._descriptor, 2 * size_bytes + mmap.PAGESIZE)
            self._memory = mmap.mmap(self._descriptor, 0)
            opened.append(self._descriptor)
        for place, array in zip(self.read([array.nbytes for array in arrays], arrays), arrays, strict=True):
            np.copyto(place, array)
        return opened

    def open(self, descriptor: int) -> None:
        """Maps what another process wrote."""
        self._memory = mmap.mmap(descriptor, 0)
        os.close(descriptor)

    def read(self, sizes_bytes, like) -> list[np.ndarray]:
        """The arrays, of the types and inner shapes of `like`, in place.

        Raises:
            OutOfStepError: they cannot be.
        """
        arrays, offset_bytes = [], 0
        for size_bytes, array in zip(sizes_bytes, like, strict=True):
            row_bytes = array.itemsize * int(np.prod(array.shape[1:]))
            if size_bytes % max(row_bytes, 1) or (array.ndim == 0 and size_bytes != row_bytes):
                raise OutOfStepError(f"{size_bytes} bytes are no array like one of shape {array.shape}, {array.dtype}")
            flat = np.frombuffer(self._memory, array.dtype, size_bytes // array.itemsize, offset_bytes)
            arrays.append(flat.reshape([-1, *array.shape[1:]] if array.ndim and row_bytes else array.shape))
            offset_bytes += _space(size_bytes)
        return arrays


def _space(size_bytes):
    return -(-size_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
