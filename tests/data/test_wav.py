"""WAV files of every kind come out as one channel at one rate; damaged ones are told apart."""

import struct
import wave

import numpy as np
import pytest

from tfpar.data.resampling import resample
from tfpar.data.wav import decode_wav, read_wav, write_wav
from tfpar.errors import UserError

RATE_HZ = 8000


def sine(rate_hz, hertz=440.0, seconds=0.5, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate_hz)) / rate_hz)


def encoded(samples, rate_hz, code, bits, channels=1):
    """The bytes of a WAV file."""
    if code == 3:
        data = samples.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        data = np.round(samples * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.round(samples * (2 ** (bits - 1) - 1)).astype("<i4")
        data = whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    form = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form
    body += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # a chunk of odd size that nobody asked for
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("code, bits", [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_every_width_holds_the_same_sound(code, bits):
    found = decode_wav(encoded(sine(RATE_HZ), RATE_HZ, code, bits), RATE_HZ)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, sine(RATE_HZ), atol=1e-2 if bits == 8 else 1e-4)


@pytest.mark.parametrize("rate_hz", [11_025, 16_000, 22_050, 44_100, 48_000, 6_000])
def test_every_rate_holds_the_same_sound(rate_hz):
    found = decode_wav(encoded(sine(rate_hz), rate_hz, 1, 16), RATE_HZ)
    assert len(found) == pytest.approx(RATE_HZ / 2, abs=1)
    inside = slice(200, 3800)  # the sine begins and ends with a click
    np.testing.assert_allclose(found[inside], sine(RATE_HZ)[inside], atol=0.01)


def test_a_tone_that_the_new_rate_cannot_hold_is_gone():
    assert np.abs(resample(sine(44_100, hertz=6000), 44_100, RATE_HZ)[200:3800]).max() < 0.01


def test_channels_are_averaged():
    both = np.stack([sine(RATE_HZ), np.zeros(RATE_HZ // 2)], axis=1)
    np.testing.assert_allclose(
        decode_wav(encoded(both, RATE_HZ, 1, 16, channels=2), RATE_HZ), sine(RATE_HZ) / 2, atol=1e-4
    )


def test_what_is_written_python_reads_too(tmp_path):
    write_wav(tmp_path / "a.wav", sine(RATE_HZ), RATE_HZ)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav", RATE_HZ), sine(RATE_HZ), atol=1e-4)


def file_of(form, data, id=b"RIFF", size=None, before=b"", behind=b""):
    """The bytes of a WAV file of these parts; `size` is what it says of its data."""
    size = len(data) if size is None else size
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + data
    return id + struct.pack("<I", len(body) + len(behind)) + body + behind


def form(bits, frame_bytes, code=1, channels=1):
    return struct.pack("<HHIIHH", code, channels, RATE_HZ, RATE_HZ * frame_bytes, frame_bytes, bits)


def extensible(bits, container, code=1, channels=1, subformat="000000001000800000aa00389b71"):
    plain = form(container, channels * container // 8, 0xFFFE, channels)
    return plain + struct.pack("<HHIH", 22, bits, 3, code) + bytes.fromhex(subformat)


def whole(bits, shift=0):
    """Half a sine of all its bits, as integers."""
    return np.round(sine(RATE_HZ) * (2 ** (bits - 1) - 1)).astype(np.int64) << shift


CONTAINERS = {
    "24 bits below in 32": (form(24, 4), whole(24).astype("<i4")),
    "24 bits below in 32, without a sign": (form(24, 4), (whole(24) & 0xFFFFFF).astype("<u4")),
    "24 bits above in 32": (form(24, 4), whole(24, 8).astype("<i4")),
    "16 bits in 24 below in 32": (form(24, 4), whole(16, 8).astype("<i4")),
    "extensible: 24 bits above in 32": (extensible(24, 32), whole(24, 8).astype("<i4")),
    "extensible: 24 bits below in 32": (extensible(24, 32), whole(24).astype("<i4")),
    "extensible: 32 bits": (extensible(32, 32), whole(32).astype("<i4")),
    "extensible: 20 bits in 24": (extensible(20, 24), whole(20, 4).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]),
    "extensible: float": (extensible(32, 32, code=3), sine(RATE_HZ).astype("<f4")),
    "12 bits above in 16": (form(12, 2), whole(12, 4).astype("<i2")),
    "12 bits below in 16": (form(12, 2), whole(12).astype("<i2")),
    "16 bits, frame not given": (form(16, 0), whole(16).astype("<i2")),
    "two channels of 24 bits in 32": (form(24, 8, channels=2), np.repeat(whole(24), 2).astype("<i4")),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_samples_in_wider_frames(kind):
    header, data = CONTAINERS[kind]
    atol = 1e-3 if "12" in kind else 1e-4
    np.testing.assert_allclose(decode_wav(file_of(header, data.tobytes()), RATE_HZ), sine(RATE_HZ), atol=atol)


def test_quiet_sounds_of_the_extensible_format_stay_quiet():
    """It says where samples are; only what cannot be there is taken to be elsewhere."""
    quiet = whole(24, 8) // 65536 & ~255
    np.testing.assert_allclose(
        decode_wav(file_of(extensible(24, 32), quiet.astype("<i4").tobytes()), RATE_HZ),
        sine(RATE_HZ) / 65536,
        atol=1e-6,
    )


# ITU-T G.711: codes and their values of 16 bits.
MU_LAW = {0xFF: 0, 0x7F: 0, 0xFE: 8, 0x7E: -8, 0x80: 32124, 0x00: -32124, 0xB0: 3900, 0x8F: 16764}
A_LAW = {0xD5: 8, 0x55: -8, 0xD4: 24, 0xAA: 32256, 0x2A: -32256, 0x80: 5504, 0xC5: 264}


@pytest.mark.parametrize("code, values", [(7, MU_LAW), (6, A_LAW)])
def test_telephone_codes(code, values):
    found = decode_wav(file_of(form(8, 1, code), bytes(values)), RATE_HZ)
    np.testing.assert_array_equal(found * 32768, list(values.values()))


def test_a_recorder_that_was_cut_off_has_not_written_the_size():
    data = whole(16).astype("<i2").tobytes()
    for size in (0, 0xFFFFFFFF):
        np.testing.assert_array_equal(
            decode_wav(file_of(form(16, 2), data, size=size), RATE_HZ), decode_wav(file_of(form(16, 2), data), RATE_HZ)
        )
    behind = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    with pytest.raises(UserError, match="no sound"):
        decode_wav(file_of(form(16, 2), b"", behind=behind), RATE_HZ)


def test_rf64():
    data = whole(16).astype("<i2").tobytes()
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 0, len(data), 0, 0)
    behind = b"LIST" + struct.pack("<I", 4) + b"abcd"
    expected = decode_wav(file_of(form(16, 2), data), RATE_HZ)
    for id in (b"RF64", b"BW64"):
        content = file_of(form(16, 2), data, id, 0xFFFFFFFF, before=ds64, behind=behind)
        np.testing.assert_array_equal(decode_wav(content, RATE_HZ), expected)


def test_a_file_that_was_cut_off_gives_what_is_left():
    content = encoded(sine(RATE_HZ), RATE_HZ, 1, 16)
    assert len(decode_wav(content[:-1001], RATE_HZ)) == RATE_HZ // 2 - 501


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty"),
        (b"ID3 something else", "is not a WAV file"),
        (encoded(sine(RATE_HZ), RATE_HZ, 1, 16)[:30], "damaged"),
        (encoded(np.zeros(0), RATE_HZ, 1, 16), "no sound"),
        (encoded(sine(RATE_HZ), RATE_HZ, 2, 8), r"format 2 \(ADPCM\); convert it to"),
        (encoded(np.array([np.nan, 0.0]), RATE_HZ, 3, 32), "not numbers"),
        (encoded(sine(RATE_HZ), 0, 1, 16), "0 Hz"),
        (file_of(form(4, 256, 0x11), b"abcd"), r"format 17 \(IMA ADPCM\); convert it to"),
        (file_of(form(0, 1, 0x55), b"abcd"), r"format 85 \(MP3\)"),
        (file_of(form(16, 3, channels=2), b"abcdef"), "2 channels of 16 bits in 3 bytes"),
        (file_of(form(16, 2, channels=2), b"abcd"), "2 channels of 16 bits in 2 bytes"),
        (file_of(extensible(16, 16, subformat="000021070811d38644c8c1ca0000"), b"ab"), "format 0100000021"),
        (file_of(extensible(16, 16)[:30], b"ab"), "extensible format has 30 bytes"),
        (file_of(form(24, 4), (sine(RATE_HZ) * 2**23).astype("<f4").tobytes()), "says are 24-bit PCM"),
        (b"RIFX" + encoded(sine(RATE_HZ), RATE_HZ, 1, 16)[4:], "is not a WAV file"),
    ],
)
def test_what_is_no_sound_is_refused(content, words):
    with pytest.raises(UserError, match=words):
        decode_wav(content, RATE_HZ)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"a\.wav cannot be read"):
        read_wav(tmp_path / "a.wav", RATE_HZ)
