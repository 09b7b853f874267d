"""A loss for embeddings: the true class must win by a margin."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfpar")
class MarginCrossentropy(keras.losses.Loss):
    """Cross-entropy of scaled cosines, of which the true class's is made smaller before.

    With t the angle to the true class's direction, its logit is

        scale * (cos(t + angle) - cosine)

    and that of another class scale * cos(its angle). `angle` alone is ArcFace, `cosine` alone CosFace. Beyond
    t = pi - angle, where cos(t + angle) would rise again, it goes on as a straight line of cos(t).

    Args:
        scale: of all logits.
        angle: margin on the angle, in radians.
        cosine: margin on the cosine.
        label_smoothing: share of the target probability that is spread evenly over the classes.
        name: of the loss.
        reduction: see `keras.losses.Loss`. The default divides by the sum of the sample weights, so that rows of weight
            zero, which fill up a batch, count for nothing.

    Call arguments:
        y_true: int (batch,), class of each example.
        y_pred: float (batch, classes), cosines, as from `tfpar.layers.CosineLogits`.

    References:
        Deng et al. 2019, ArcFace, arXiv:1801.07698. Wang et al. 2018, CosFace, arXiv:1801.09414.
    """

    def __init__(
        self,
        scale=16.0,
        angle=0.0,
        cosine=0.0,
        label_smoothing=0.0,
        name="margin_crossentropy",
        reduction="mean_with_sample_weight",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)
        if not (scale > 0 and 0 <= angle < math.pi / 2 and 0 <= cosine < 1 and 0 <= label_smoothing < 1):
            raise ValueError(
                "expected scale above 0, angle in [0, pi / 2), cosine and label_smoothing in [0, 1); got "
                f"scale={scale}, angle={angle}, cosine={cosine}, label_smoothing={label_smoothing}"
            )
        self.scale = scale
        self.angle = angle
        self.cosine = cosine
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        classes = y_pred.shape[-1]
        true = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), classes, dtype=y_pred.dtype)
        logits = self.scale * ops.where(true > 0, self._narrowed(y_pred), y_pred)
        target = true * (1 - self.label_smoothing) + self.label_smoothing / classes
        return -ops.sum(target * ops.log_softmax(logits, axis=-1), axis=-1)

    def _narrowed(self, cosines):
        if not self.angle:
            return cosines - self.cosine
        # The sine's slope is infinite at 1, where rounding may lead.
        cosines = ops.clip(cosines, -1 + 1e-6, 1 - 1e-6)
        sines = ops.sqrt(1 - ops.square(cosines))
        added = cosines * math.cos(self.angle) - sines * math.sin(self.angle)
        line = cosines - math.sin(self.angle) * self.angle
        return ops.where(cosines > -math.cos(self.angle), added, line) - self.cosine

    def get_config(self):
        config = {"scale": self.scale, "angle": self.angle, "cosine": self.cosine}
        return {**super().get_config(), **config, "label_smoothing": self.label_smoothing}
