"""The TFDS builders: features, splits, citation; importing this module registers them with TFDS."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfpar.data.readers.wheel_builder import WheelBuilder
from tfpar.data.readers.wheels import PinnedMember
from tfpar.tasks.time_series.aeon_sets.parse import read_labeled, read_series

_ARCHIVE_CITATION = """\
@article{dau-2019-ucr,
  author  = {Hoang Anh Dau and others},
  title   = {The UCR time series archive},
  journal = {IEEE/CAA Journal of Automatica Sinica},
  volume  = {6},
  pages   = {1293--1305},
  year    = {2019},
}
"""


def _pin(folder: str) -> PinnedMember:
    return PinnedMember(
        package="aeon",
        version="1.6.0",
        sha256="d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
        member=f"aeon/datasets/data/{folder}/",
    )


class _Labeled(WheelBuilder):
    """Base class of the builders of labeled series.

    Attributes:
        ARCHIVE_NAME: of the set in the UCR and UEA archives.
        CHANNELS: number of values of a step.
        CLASSES: names of the classes.
    """

    ARCHIVE_NAME: ClassVar[str]
    CHANNELS: ClassVar[int]
    CLASSES: ClassVar[tuple[str, ...]]
    SPLIT_RULE = "as published in the UCR and UEA archives"

    def _info(self) -> tfds.core.DatasetInfo:
        series = tfds.features.Tensor(shape=(None, self.CHANNELS), dtype=np.float32)
        label = tfds.features.ClassLabel(names=list(self.CLASSES))
        notice = f"{self.ARCHIVE_NAME} of the UCR and UEA time series archives, as published in the package aeon."
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{notice} NaN stands for missing values.",
            features=tfds.features.FeaturesDict({"series": series, "label": label}),
            supervised_keys=("series", "label"),
            homepage=f"https://timeseriesclassification.com/description.php?Dataset={self.ARCHIVE_NAME}",
            citation=_ARCHIVE_CITATION,
            license=notice,
        )

    def _read_splits(self, member: Path):
        return {split: read_labeled(member, self.ARCHIVE_NAME, split) for split in ("train", "test")}


def _digits(first: int, last: int) -> tuple[str, ...]:
    return tuple(map(str, range(first, last + 1)))


class JapaneseVowels(_Labeled):
    """Two vowels by nine speakers."""

    SOURCE, ARCHIVE_NAME, CHANNELS, CLASSES = _pin("JapaneseVowels"), "JapaneseVowels", 12, _digits(1, 9)


class OsuLeaf(_Labeled):
    """Outlines of leaves of six species."""

    SOURCE, ARCHIVE_NAME, CHANNELS, CLASSES = _pin("OSULeaf"), "OSULeaf", 1, _digits(1, 6)


class ArrowHead(_Labeled):
    """Outlines of projectile points of three types."""

    SOURCE, ARCHIVE_NAME, CHANNELS, CLASSES = _pin("ArrowHead"), "ArrowHead", 1, _digits(0, 2)


class ItalyPowerDemand(_Labeled):
    """Power demand of days, in winter or in summer."""

    SOURCE, ARCHIVE_NAME, CHANNELS, CLASSES = _pin("ItalyPowerDemand"), "ItalyPowerDemand", 1, _digits(1, 2)


class GunPoint(_Labeled):
    """Position of a hand that draws a gun, or points."""

    SOURCE, ARCHIVE_NAME, CHANNELS, CLASSES = _pin("GunPoint"), "GunPoint", 1, _digits(1, 2)


class BasicMotions(_Labeled):
    """Acceleration and rotation of a wrist in four activities."""

    SOURCE, ARCHIVE_NAME, CHANNELS = _pin("BasicMotions"), "BasicMotions", 6
    CLASSES = ("Standing", "Running", "Walking", "Badminton")


class Acsf1(_Labeled):
    """Power consumption of appliances."""

    SOURCE, ARCHIVE_NAME, CHANNELS, CLASSES = _pin("ACSF1"), "ACSF1", 1, _digits(0, 9)


class PickupGestureWiimoteZ(_Labeled):
    """Acceleration of a controller in ten gestures."""

    SOURCE, ARCHIVE_NAME, CHANNELS, CLASSES = _pin("PickupGestureWiimoteZ"), "PickupGestureWiimoteZ", 1, _digits(1, 10)


class _Series(WheelBuilder):
    """Base class of the builders of one long series, which is their only example.

    Attributes:
        MEMBERS: csv files, one after the other.
        COLUMNS: of values.
        TIME, LABEL: the columns of time and of anomalies; "": none, so that times are the numbers of the rows.
        NOTICE: origin of the data.
    """

    MEMBERS: ClassVar[tuple[str, ...]]
    COLUMNS: ClassVar[tuple[str, ...]]
    TIME: ClassVar[str] = "timestamp"
    LABEL: ClassVar[str] = "is_anomaly"
    NOTICE: ClassVar[str]
    CITATION: ClassVar[str]
    SPLIT_RULE = "as published"

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.NOTICE,
            features=tfds.features.FeaturesDict(
                {
                    "time": tfds.features.Sequence(tfds.features.Text()),
                    "values": tfds.features.Tensor(shape=(None, len(self.COLUMNS)), dtype=np.float32),
                    "is_anomaly": tfds.features.Tensor(shape=(None,), dtype=np.int64),
                }
            ),
            homepage="https://www.aeon-toolkit.org",
            citation=self.CITATION,
            license=self.NOTICE,
        )

    def _read_splits(self, member: Path):
        return {"train": [read_series(member, self.MEMBERS, self.COLUMNS, self.TIME, self.LABEL)]}


class AirlinePassengers(_Series):
    """International airline passengers by month, 1949 to 1960."""

    SOURCE, MEMBERS, COLUMNS = _pin("Airline"), ("Airline.csv",), ("Passengers",)
    TIME, LABEL = "Date", ""
    NOTICE = "International airline passengers, in thousands (Box and Jenkins), as published in the package aeon."
    CITATION = "Box, G. E. P. and Jenkins, G. M. (1976). Time Series Analysis: Forecasting and Control. Holden-Day."


class Daphnet(_Series):
    """Accelerations of ankle, leg and trunk of a walking patient, without an anomaly in this series."""

    SOURCE, MEMBERS = _pin("Daphnet_S06R02E0"), ("S06R02E0.csv",)
    COLUMNS = tuple(
        f"{position}_{axis}"
        for position in ("ankle", "leg", "trunk")
        for axis in ("horiz_fwd", "vert", "horiz_lateral")
    )
    NOTICE = "Daphnet freezing of gait, series S06R02E0, as published in the package aeon."
    CITATION = "Baechlin, M. et al. (2010). Wearable assistant for Parkinson's disease patients. IEEE TITB 14(2)."


class UcrInternalBleeding(_Series):
    """Arterial blood pressure with one anomaly: series 135 of the UCR anomaly archive."""

    SOURCE = _pin("KDD-TSAD_135")
    MEMBERS = ("135_UCR_Anomaly_InternalBleeding16_TEST.csv",)  # it begins with the training steps
    COLUMNS = ("value",)
    NOTICE = "Series 135, InternalBleeding16, of the UCR anomaly archive, as published in the package aeon."
    CITATION = "Wu, R. and Keogh, E. (2021). Current time series anomaly detection benchmarks are flawed. IEEE TKDE."


class EcgDiffCount(_Series):
    """Synthetic electrocardiogram: 10,000 normal steps, then 10,000 with three anomalies."""

    SOURCE, COLUMNS, TIME = _pin("UnitTest"), ("value-0",), ""
    MEMBERS = ("ecg-diff-count-3_TRAIN_NA.csv", "ecg-diff-count-3_TEST.csv")
    NOTICE = "ecg-diff-count-3, a synthetic electrocardiogram by GutenTAG, as published in the package aeon."
    CITATION = "Wenig, P. et al. (2022). TimeEval: a benchmarking toolkit for time series anomaly detection. PVLDB 15."
