"""Steps of a training run, one class for each task. Importing this module imports neither TensorFlow nor Keras."""

import abc
import dataclasses
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from tfpar.tasks.config import Config
from tfpar.tasks.packages import Package

SPLITS = ("train", "validation", "test")

ConfigT = TypeVar("ConfigT", bound=Config)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Results of a trained model on the test set.

    Attributes:
        metrics: by name.
        results: more entries of the run's result.
        model: the model to export, where it is not the trained one.
        predictions: of the test set, where the exporter compares with them.
    """

    metrics: dict[str, float]
    results: dict[str, Any] = dataclasses.field(default_factory=dict)
    model: Any = None
    predictions: Any = None


class Exporter(Protocol):
    """Writer of an export directory, such as a `tfpar.export.generic.measured_export.MeasuredExport`."""

    def write(self, directory: str, formats: tuple[str, ...], gate: bool = True) -> list[dict]:
        """Write the directory; return a report for each format."""


class Task(abc.ABC, Generic[ConfigT]):
    """One task with its settings: the steps that `tfpar.tasks.run` takes.

    Args:
        config: an instance of `config_class`.

    Attributes:
        name: of the recipe.
        config_class: the task's settings.
        example_input: an argument of `tfpar predict`, shown at the end of a run.
        evaluates_in_scope: whether `evaluate` is called in the scope of the strategy, and the programs that it compiles
            are counted.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[Config]]
    example_input: str
    evaluates_in_scope: ClassVar[bool] = True

    def __init__(self, config: ConfigT):
        if not isinstance(config, self.config_class):
            raise TypeError(f"`config` must be of type {self.config_class.__name__}; got {config!r}.")
        self.config = config

    def packages(self) -> tuple[Package, ...]:
        """Return optional packages that the task needs."""
        return ()

    @abc.abstractmethod
    def load(self, replicas: int) -> Any:
        """Load the data set, or generate one for a smoke run.

        Args:
            replicas: number of them that share a batch.

        Returns:
            An object with `name`, `split_rule` and `notice`; the other steps take it as `data`.

        Raises:
            UserError: the data set is not available or not of the required kind.
        """

    @abc.abstractmethod
    def count_examples(self, data: Any) -> dict[str, int]:
        """Return the number of examples by split."""

    @abc.abstractmethod
    def padding_fraction(self, data: Any) -> float:
        """Return the fraction of the training batches that is padding."""

    @abc.abstractmethod
    def build(self, data: Any) -> Any:
        """Build the `tfpar.train.Model` to be trained."""

    @abc.abstractmethod
    def fit(self, model: Any, data: Any) -> tuple[dict[str, list[float]], dict[str, float]]:
        """Compile and train the model; return the values of `tfpar.tasks.training.fit`."""

    @abc.abstractmethod
    def evaluate(self, model: Any, data: Any) -> Evaluation:
        """Measure the trained model on the test set."""

    @abc.abstractmethod
    def describe_model(self) -> str:
        """Return one sentence about the model for the card of an export."""

    @abc.abstractmethod
    def make_exporter(
        self, model: Any, data: Any, evaluation: Evaluation, history: dict[str, list[float]], facts: dict
    ) -> Exporter:
        """Make the writer of the export directory.

        Args:
            model: the trained one.
            data: what `load` returned.
            evaluation: what `evaluate` returned.
            history: of training.
            facts: entries of the manifest and the card.
        """

    def describe_counts(self, data: Any) -> str:
        """Return the number of examples by split, in words."""
        return ", ".join(f"{count:,} {split}" for split, count in self.count_examples(data).items() if count)
