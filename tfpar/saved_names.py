"""Registers tfpar's classes with Keras, so that `import tfpar` alone is enough to load files with them.

Keras looks up the classes of a file in its registry, to which a class is added when its module is imported, and imports
no module itself. So the registry gets a stub for each class, which imports the class when a file contains it. `import
tfpar` must not import Keras: the stubs are registered by an import hook when Keras is imported, or at once if it has
been imported.
"""

import importlib
import inspect
import sys
from typing import Any

_SAVED_CLASSES = {
    "tfpar.layers": (
        "Attention",
        "AttentionPooling",
        "BatchNormalization",
        "Bidirectional",
        "CausalMaxPooling",
        "CausalMeanPooling",
        "Differences",
        "Dropout",
        "GRU",
        "InputFeeding",
        "LSTM",
        "LogMelSpectrogram",
        "MLSTM",
        "MaskedConvolution",
        "MaxPooling",
        "MeanPooling",
        "MinGRU",
        "MinLSTM",
        "ParaGRU",
        "ParaLSTM",
        "RGLRU",
        "SimpleRNN",
        "Standardization",
        "TokenDropout",
        "Unstandardization",
    ),
    "tfpar.train": (
        "AdversarialModel",
        "AdversarialStep",
        "CTCLoss",
        "DPModel",
        "Model",
        "Sequential",
        "SmoothedCrossentropy",
        "TokenCrossentropy",
    ),
    "tfpar.train.model": ("FunctionalModel",),
    "tfpar.train.scaled_schedule": ("ScaledSchedule",),
    "tfpar.tasks.face_recognition": ("CosineLogits", "GaborMagnitudes", "MarginCrossentropy"),
    "tfpar.tasks.image_classification": ("ShiftedViews",),
    "tfpar.tasks.speech_recognition": ("SpectrogramAugmentation",),
    "tfpar.tasks.text_classification": ("BagOfNgrams", "EnsembleAccuracy", "EnsembleCrossentropy"),
    "tfpar.models.conformal_interval": ("ConformalInterval",),
    "tfpar.models.forecast_network": ("SegmentQueries", "SegmentRecurrence"),
    "tfpar.models.window_scaling": ("WindowRescaling", "WindowScaling"),
    "tfpar.models.text_classifier": ("_ScoredEmbedding",),
}
# Classes that were renamed after files had been saved: the name in files.
_NAMES_IN_FILES = {"EnsembleAccuracy": "CommitteeAccuracy", "EnsembleCrossentropy": "CommitteeCrossentropy"}


class _Stub:
    """Stub in Keras' registry for a class that has not been imported."""

    def __init__(self, module: str, name: str):
        self._module, self._name = module, name

    def from_config(self, config, custom_objects=None):
        """Import the class, and make an instance of it."""
        from_config = getattr(importlib.import_module(self._module), self._name).from_config
        if custom_objects and "custom_objects" in inspect.signature(from_config).parameters:
            return from_config(config, custom_objects=custom_objects)
        return from_config(config)


def register_saved_names() -> None:
    """Register the stubs with Keras, now or when it is imported."""
    keras = sys.modules.get("keras")
    if keras is None:
        sys.meta_path.insert(0, _KerasFinder())
    elif hasattr(keras, "saving"):
        _register(keras)


def _register(keras):
    registry = keras.saving.get_custom_objects()
    for module, names in _SAVED_CLASSES.items():
        for name in names:
            registry.setdefault(f"tfpar>{_NAMES_IN_FILES.get(name, name)}", _Stub(module, name))
    # HDF5 files name the class of a model without its package.
    registry.setdefault("FunctionalModel", _Stub("tfpar.train.model", "FunctionalModel"))


class _KerasFinder:
    """Import hook that registers the stubs once Keras is executed."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader  # its methods are replaced
        execute = loader.exec_module

        # The finder is removed only then, because others may look for Keras without importing it.
        def execute_and_register(module):
            execute(module)
            _register(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)

        loader.exec_module = execute_and_register
        return spec
