"""WAV files of any width, channels and rate, as mono float32; NumPy alone.

Sources: Microsoft's Multimedia Programming Interface 1.0 and WAVEFORMATEXTENSIBLE; EBU Tech 3306 (RF64); ITU-T G.711.
"""

import re
import struct
from pathlib import Path

import numpy as np

from tfpar.data.resampling import resample
from tfpar.errors import UserError
from tfpar.files import read_file

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_NAMES = {2: "ADPCM", 0x11: "IMA ADPCM", 0x31: "GSM 6.10", 0x50: "MPEG", 0x55: "MP3", 0xFF: "AAC", 0x161: "WMA"}
_FORMATS = "8-, 16-, 24-, 32-bit PCM, 32-, 64-bit float, A-law or mu-law"
_SUBFORMAT = bytes.fromhex("00001000800000aa00389b71")  # of those that have a code, behind it
_UNKNOWN_SIZE = 0xFFFFFFFF
_ID = re.compile(rb"[ -~]{4}")
_MOST_CHUNKS = 10_000


def read_wav(path: Path | str, rate_hz: int) -> np.ndarray:
    """Read a WAV file.

    Args:
        path: of the file.
        rate_hz: what it is resampled to.

    Returns:
        float32 (samples,), in [-1, 1] for PCM; the mean of the channels.

    Raises:
        UserError: it cannot be read, is no WAV file, is damaged, or holds no sound.
    """
    try:
        content = read_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    return decode_wav(content, rate_hz, str(path))


def decode_wav(content: bytes, rate_hz: int, name: str = "the content") -> np.ndarray:
    """Decode the bytes of a WAV file as `read_wav` does; `name` is for messages."""
    if not content:
        raise UserError(f"{name} is empty")
    chunks = _chunks(content, name)
    if b"fmt " not in chunks or b"data" not in chunks or len(chunks[b"fmt "]) < 16:
        raise UserError(f"{name} is a damaged WAV file: it has no {'format' if b'data' in chunks else 'data'}")
    code, channels, file_rate_hz, frame_bytes, bits, is_extensible = _format(chunks[b"fmt "], name)
    if code not in (_PCM, _FLOAT, _A_LAW, _MU_LAW):
        known = f" ({_NAMES[code]})" if code in _NAMES else ""
        raise UserError(f"{name} has samples of format {code}{known}; convert it to {_FORMATS}")
    if not channels or not 1000 <= file_rate_hz <= 768_000:
        raise UserError(f"{name} is a damaged WAV file: {channels} channels at {file_rate_hz} Hz")
    width = frame_bytes // channels if frame_bytes else -(-bits // 8)
    if not 8 <= bits <= 8 * width or frame_bytes not in (0, width * channels):
        raise UserError(f"{name} is a damaged WAV file: {channels} channels of {bits} bits in {frame_bytes} bytes")
    data = chunks[b"data"]
    data = data[: len(data) // (width * channels) * (width * channels)]
    samples = _samples(data, code, bits, width, is_extensible, name)
    if not len(samples):
        raise UserError(f"{name} holds no sound: it has no sample")
    if not np.isfinite(samples).all():
        raise UserError(f"{name} holds samples that are not numbers")
    return resample(samples.reshape(-1, channels).mean(axis=1), file_rate_hz, rate_hz)


def write_wav(path: Path | str, signal: np.ndarray, rate_hz: int) -> None:
    """Write float (samples,) in [-1, 1] as 16-bit PCM."""
    data = np.round(np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", _PCM, 1, rate_hz, 2 * rate_hz, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    Path(path).write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def _chunks(content, name):
    """Return the chunks by id. A chunk longer than the file, as of an interrupted recording, ends with the file."""
    if content[:4] not in (b"RIFF", b"RF64", b"BW64") or content[8:12] != b"WAVE":
        raise UserError(f"{name} is not a WAV file; it must be one, of {_FORMATS}")
    chunks: dict[bytes, bytes] = {}
    index = 12
    for _ in range(_MOST_CHUNKS):
        if index + 8 > len(content) or {b"fmt ", b"data"} <= chunks.keys():
            break
        key, size = content[index : index + 4], int.from_bytes(content[index + 4 : index + 8], "little")
        if key == b"data":
            size = _data_size(content, index + 8, size, chunks)
        chunks.setdefault(key, content[index + 8 : index + 8 + size])
        index += 8 + size + size % 2
    return chunks


def _data_size(content, begin, size, chunks):
    """Return the number of bytes of sound; where an interrupted recorder wrote none, they fill the file."""
    if size == _UNKNOWN_SIZE and len(chunks.get(b"ds64", b"")) >= 16:
        size = int.from_bytes(chunks[b"ds64"][8:16], "little")
    if size == 0 and not _are_chunks(content, begin):
        size = len(content) - begin
    return size


def _are_chunks(content, index):
    """Return whether only whole chunks lie between `index` and the end of the file."""
    while index + 8 <= len(content) and _ID.match(content, index):
        size = int.from_bytes(content[index + 4 : index + 8], "little")
        index += 8 + size + size % 2
    return index in (len(content), len(content) + 1)  # the last one's filling byte is often left out


def _format(chunk, name):
    """Return code, channels, rate, bytes of a frame, bits of a sample, and whether the format is extensible."""
    code, channels, rate_hz, _, frame_bytes, bits = struct.unpack("<HHIIHH", chunk[:16])
    if code != _EXTENSIBLE:
        return code, channels, rate_hz, frame_bytes, bits, False
    if len(chunk) < 40:
        raise UserError(f"{name} is a damaged WAV file: its extensible format has {len(chunk)} bytes; expected 40")
    valid_bits, code, subformat = (*struct.unpack("<H4xH", chunk[18:26]), chunk[28:40])
    if chunk[26:28] != b"\0\0" or subformat != _SUBFORMAT:
        raise UserError(f"{name} has samples of the format {chunk[24:40].hex()}; convert it to {_FORMATS}")
    return code, channels, rate_hz, frame_bytes, valid_bits or bits, True


def _samples(data, code, bits, width, is_extensible, name):
    """Return the samples of all channels: float32 (samples,)."""
    if code == _PCM and width <= 4:
        return (_integers(data, bits, width, is_extensible, name) / 2.0**31).astype(np.float32)
    if code == _FLOAT and bits == 8 * width and width in (4, 8):
        with np.errstate(over="ignore"):
            return np.frombuffer(data, f"<f{width}").astype(np.float32)
    if code in (_A_LAW, _MU_LAW) and width == 1:
        table = _a_law() if code == _A_LAW else _mu_law()
        return table[np.frombuffer(data, np.uint8)]
    raise UserError(f"{name} has {bits}-bit samples of format {code}; convert it to {_FORMATS}")


def _integers(data, bits, width, is_extensible, name):
    """Return PCM samples in the upper bits of int32, which keeps their sign."""
    wide = np.zeros((len(data) // width, 4), np.uint8)
    wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    if width == 1:
        wide ^= np.array([0, 0, 0, 128], np.uint8)  # samples of a byte have no sign
    values = wide.view("<i4")[:, 0]
    unused = 8 * width - bits
    if not unused:
        return values
    # The standard puts samples into the upper bits, and zeros below; many recorders do it the other way round.
    from_below = values << unused
    is_lower = bool(((from_below >> unused == values) | (values >> (32 - unused) == 0)).all())
    is_upper = not (values & ((1 << unused) - 1) << 8 * (4 - width)).any()
    if is_lower and not (is_upper and (is_extensible or unused < 8)):
        return from_below
    floats = values.view("<f4")
    if width == 4 and not is_upper and np.isfinite(floats).all() and np.abs(floats).max(initial=0) <= 2**24:
        raise UserError(f"{name} has floating-point samples that it says are {bits}-bit PCM; convert it to {_FORMATS}")
    return values


def _a_law():
    """Return the decoded values by code: float32 (256,)."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = code >> 4 & 7, (code & 15) << 4
    size = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return (np.where(code & 128, size, -size) / 32768).astype(np.float32)


def _mu_law():
    """Return the decoded values by code: float32 (256,)."""
    code = ~np.arange(256) & 255
    size = ((((code & 15) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return (np.where(code & 128, -size, size) / 32768).astype(np.float32)
