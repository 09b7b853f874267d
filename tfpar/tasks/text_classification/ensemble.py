"""Loss and accuracy of a committee: members that learn each by itself and answer together."""

import keras
from keras import ops

from tfpar.train.crossentropy import SmoothedCrossentropy


@keras.saving.register_keras_serializable(package="tfpar")
class CommitteeCrossentropy(SmoothedCrossentropy):
    """The mean over members of each member's own cross-entropy.

    Args:
        **kwargs: see `SmoothedCrossentropy`.

    Call arguments:
        y_true: int (batch,), class of each example.
        y_pred: float (batch, members, classes), logits.
    """

    def call(self, y_true, y_pred):
        target = self.target(y_true, y_pred)[:, None, :]
        return ops.mean(-ops.sum(target * ops.log_softmax(y_pred, axis=-1), axis=-1), axis=-1)


@keras.saving.register_keras_serializable(package="tfpar")
class CommitteeAccuracy(keras.metrics.Mean):
    """The share of examples whose class has the largest mean probability over the members.

    Args:
        shares: weight of each member in the mean; None for equal ones.
        name: of the metric.
        dtype: of its state.
    """

    def __init__(self, shares=None, name="accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.shares = shares

    def update_state(self, y_true, y_pred, sample_weight=None):
        answers = ops.argmax(committee_probabilities(y_pred, self.shares), axis=-1)
        # Not `==`, which loses the rank where one side's number of rows is unknown.
        right = ops.equal(ops.cast(answers, "int32"), ops.cast(ops.reshape(y_true, (-1,)), "int32"))
        super().update_state(ops.cast(right, "float32"), sample_weight=sample_weight)

    def get_config(self):
        return {**super().get_config(), "shares": self.shares}


def committee_probabilities(logits, shares=None):
    """What a committee answers: the mean of its members' probabilities.

    Args:
        logits: float (batch, members, classes).
        shares: weight of each member; None for equal ones.

    Returns:
        float (batch, classes), each row summing to 1.
    """
    members = logits.shape[1]
    shares = ops.convert_to_tensor(shares or [1 / members] * members, logits.dtype)
    return ops.sum(ops.softmax(logits, axis=-1) * (shares / ops.sum(shares))[None, :, None], axis=1)
