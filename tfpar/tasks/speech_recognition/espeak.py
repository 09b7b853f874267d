"""The eSpeak NG library: text in, samples out. Its state is global: one thread in a process may use it."""

import ctypes
from pathlib import Path

import numpy as np

from tfpar.errors import MissingExtraError

# Of espeak/speak_lib.h.
_SYNCHRONOUS, _UTF8, _CHARACTER = 2, 1, 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4


class Synthesizer:
    """Speech synthesis with one voice at a time.

    Only a fresh process that makes the same calls in the same order gets the same samples.

    Attributes:
        rate_hz: of the samples.

    Raises:
        MissingExtraError: the library is not installed.
    """

    def __init__(self):
        try:
            import espeakng_loader
        except ImportError as error:
            raise MissingExtraError("espeakng-loader", "speech", "to synthesize speech") from error
        self._data = Path(espeakng_loader.get_data_path())
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate_hz = self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(self._data).encode(), 0)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else the time of day is the seed of its noise
        self._chunks: list[np.ndarray] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._keep)  # the library holds no reference to it
        self._library.espeak_SetSynthCallback(self._callback)

    def _keep(self, samples, count, _):
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def variants(self) -> list[str]:
        """Return the names of all voice variants, sorted."""
        return sorted(path.name for path in (self._data / "voices" / "!v").iterdir())

    def speak(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> np.ndarray:
        """Synthesize a text.

        Args:
            text: what to say.
            voice: "ACCENT+VARIANT".
            rate: words per minute.
            pitch, pitch_range: 0 to 100.

        Returns:
            int16 (samples,).

        Raises:
            ValueError: there is no such voice.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"eSpeak NG has no voice {voice!r}")
        for parameter, value in ((_RATE, rate), (_VOLUME, 100), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks.clear()
        content = text.encode() + b"\0"
        self._library.espeak_Synth(content, len(content), 0, _CHARACTER, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
