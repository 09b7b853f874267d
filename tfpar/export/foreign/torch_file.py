"""Reads the tensors of a `.pt` or `.pth` file without PyTorch, and without running code of the file's author.

A file of `torch.save` is a zip archive: `NAME/data.pkl`, a pickle that refers to `NAME/data/KEY`, the bytes of each
storage. A pickle can call anything that it can import; the unpickler here imports only functions that rebuild tensors.
"""

import collections
import pickle
import zipfile
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.files import open_file

_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_BFLOAT16 = "BFloat16Storage"


def read_torch_file(path: Path | str) -> dict[str, np.ndarray]:
    """Read a state dict, or a checkpoint that holds one.

    Args:
        path: of a file that `torch.save` of PyTorch 1.6 or later wrote.

    Returns:
        Arrays by name. Names of a state dict within a checkpoint begin with its key and a dot.

    Raises:
        UserError: the file cannot be read, or contains more than tensors, numbers and text, such as a whole module.
    """
    try:
        with open_file(path) as opened, zipfile.ZipFile(opened) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            with archive.open(name) as file:
                content = _Unpickler(file, archive, name.removesuffix("data.pkl")).load()
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # from zipfile and pickle, for damaged or older files
        raise UserError(
            f"{path} is not a file of torch.save: {error}. Write it with torch.save(module.state_dict(), PATH) of "
            "PyTorch 1.6 or later"
        ) from error
    arrays = dict(_arrays(content, ""))
    if not arrays:
        raise UserError(f"{path} contains no named tensor. Write it with torch.save(module.state_dict(), PATH)")
    return arrays


def _arrays(content, prefix):
    if isinstance(content, np.ndarray):
        yield prefix, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _arrays(value, f"{prefix}.{key}" if prefix else str(key))


class _Unpickler(pickle.Unpickler):
    """Unpickler that rebuilds tensors as arrays and refuses to import anything else."""

    def __init__(self, file, archive, prefix):
        super().__init__(file)
        self._archive, self._prefix = archive, prefix

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda data, *_: data
        if module == "torch" and (name in _DTYPES or name == _BFLOAT16):
            return name  # the kind of a storage
        raise UserError(
            f"the file imports {module}.{name}, which is code: it contains more than weights. Write it with "
            "torch.save(module.state_dict(), PATH)"
        )

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        content = self._archive.read(f"{self._prefix}data/{key}")
        if kind == _BFLOAT16:  # the upper half of a float32
            return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
        return np.frombuffer(content, _DTYPES[kind])


def _rebuild_tensor(storage, offset, size, stride, *_):
    """Make the array of a shape and strides (in elements) within a storage."""
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if all(size) else offset - 1
    if offset < 0 or min(stride, default=0) < 0 or min(size, default=0) < 0 or last >= len(storage):
        raise ValueError("a tensor exceeds its storage")
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False).copy()
