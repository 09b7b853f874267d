"""WAV files of any width, channels and rate, as mono float32; NumPy alone."""

import struct
from pathlib import Path

import numpy as np

from tfpar.data.resampling import resample
from tfpar.errors import UserError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_DTYPES = {(_PCM, 16): "<i2", (_PCM, 32): "<i4", (_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}
_FORMATS = "8-, 16-, 24-, 32-bit PCM or 32-, 64-bit float"


def read_wav(path: Path | str, rate_hz: int) -> np.ndarray:
    """Reads a WAV file.

    Args:
        path: of the file.
        rate_hz: what it is resampled to.

    Returns:
        float32 (samples,), in [-1, 1] for PCM; the mean of the channels.

    Raises:
        UserError: it cannot be read, is no WAV file, is damaged, or holds no sound.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    return decode_wav(content, rate_hz, str(path))


def decode_wav(content: bytes, rate_hz: int, name: str = "the content") -> np.ndarray:
    """As `read_wav`, of the bytes of a file; `name` is for messages."""
    if not content:
        raise UserError(f"{name} is empty")
    chunks = _chunks(content, name)
    if b"fmt " not in chunks or b"data" not in chunks or len(chunks[b"fmt "]) < 16:
        raise UserError(f"{name} is a damaged WAV file: it has no {'format' if b'data' in chunks else 'data'}")
    code, channels, file_rate_hz, _, _, bits = struct.unpack("<HHIIHH", chunks[b"fmt "][:16])
    if code == _EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        (code,) = struct.unpack("<H", chunks[b"fmt "][24:26])
    if not channels or not 1000 <= file_rate_hz <= 768_000:
        raise UserError(f"{name} is a damaged WAV file: {channels} channels at {file_rate_hz} Hz")
    samples = _samples(chunks[b"data"], code, bits, channels, name)
    if not len(samples):
        raise UserError(f"{name} holds no sound: it has no sample")
    if not np.isfinite(samples).all():
        raise UserError(f"{name} holds samples that are not numbers")
    return resample(samples.reshape(-1, channels).mean(axis=1), file_rate_hz, rate_hz)


def write_wav(path: Path | str, signal: np.ndarray, rate_hz: int) -> None:
    """Writes float (samples,) in [-1, 1] as 16-bit PCM."""
    data = np.round(np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", _PCM, 1, rate_hz, 2 * rate_hz, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    Path(path).write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def _chunks(content, name):
    """Chunks by id. One that is longer than the file, as a recorder that was cut off leaves it, ends with the file."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise UserError(f"{name} is not a WAV file; it must be one, of {_FORMATS}")
    chunks, place = {}, 12
    while place + 8 <= len(content):
        key, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        chunks.setdefault(key, content[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    return chunks


def _samples(data, code, bits, channels, name):
    if bits not in (8, 16, 24, 32, 64):
        raise UserError(f"{name} has {bits}-bit samples of format {code}; convert it to {_FORMATS}")
    data = data[: len(data) // (channels * bits // 8) * (channels * bits // 8)]
    if code == _PCM and bits == 8:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if code == _PCM and bits == 24:
        # As the upper three bytes of four, so that the sign comes out right.
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    if (code, bits) not in _DTYPES:
        raise UserError(f"{name} has {bits}-bit samples of format {code}; convert it to {_FORMATS}")
    values = np.frombuffer(data, _DTYPES[code, bits])
    return (values if code == _FLOAT else values / 2.0 ** (bits - 1)).astype(np.float32)
