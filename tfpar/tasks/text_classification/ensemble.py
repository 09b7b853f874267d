"""Loss and accuracy of an ensemble: members have separate losses, and their probabilities are averaged."""

from typing import Any

import keras
from keras import ops

from tfpar.train.crossentropy import SmoothedCrossentropy


@keras.saving.register_keras_serializable(package="tfpar", name="CommitteeCrossentropy")
class EnsembleCrossentropy(SmoothedCrossentropy):
    """The mean over members of each member's own cross-entropy.

    Args:
        **kwargs: see `SmoothedCrossentropy`.

    Call arguments:
        y_true: int (batch,), class of each example.
        y_pred: float (batch, members, classes), logits.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        target = self.target(y_true, y_pred)[:, None, :]
        return ops.mean(-ops.sum(target * ops.log_softmax(y_pred, axis=-1), axis=-1), axis=-1)


@keras.saving.register_keras_serializable(package="tfpar", name="CommitteeAccuracy")
class EnsembleAccuracy(keras.metrics.Mean):
    """The fraction of examples whose class has the largest weighted mean probability over the members.

    Args:
        weights: weight of each member in the mean; None for equal ones.
        name: of the metric.
        dtype: of its state.
    """

    def __init__(self, weights: list[float] | None = None, name: str = "accuracy", dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.weights = weights

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        predictions = ops.argmax(ensemble_probabilities(y_pred, self.weights), axis=-1)
        # Not `==`, which loses the rank where one side's number of rows is unknown.
        correct = ops.equal(ops.cast(predictions, "int32"), ops.cast(ops.reshape(y_true, (-1,)), "int32"))
        super().update_state(ops.cast(correct, "float32"), sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shares": self.weights}  # the key in files that were saved before

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EnsembleAccuracy":
        config = dict(config)
        return cls(config.pop("shares"), **config)


def ensemble_probabilities(logits: Any, weights: list[float] | None = None) -> Any:
    """Return the weighted mean of the members' probabilities.

    Args:
        logits: float (batch, members, classes).
        weights: weight of each member; None for equal ones.

    Returns:
        float (batch, classes), each row summing to 1.
    """
    members = logits.shape[1]
    weights = ops.convert_to_tensor(weights or [1 / members] * members, logits.dtype)
    return ops.sum(ops.softmax(logits, axis=-1) * (weights / ops.sum(weights))[None, :, None], axis=1)
