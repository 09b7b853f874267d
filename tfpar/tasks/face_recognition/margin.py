"""A loss for embeddings: the true class must win by a margin."""

import math
from typing import Any

import keras
from keras import ops

from tfpar.train.crossentropy import SmoothedCrossentropy, one_hot_like

_CLOSEST_TO_ONE = 1 - 1e-6


@keras.saving.register_keras_serializable(package="tfpar")
class MarginCrossentropy(SmoothedCrossentropy):
    """Cross-entropy of scaled cosines with a margin for the true class.

    With t the angle to the true class's direction, its logit is

        scale * (cos(t + angle) - cosine)

    and that of another class scale * cos(its angle). `angle` alone is ArcFace, `cosine` alone CosFace. Beyond
    t = pi - angle, where cos(t + angle) would rise again, it goes on as a straight line of cos(t).

    Args:
        scale: of all logits.
        angle: margin on the angle, in radians.
        cosine: margin on the cosine.
        **kwargs: see `SmoothedCrossentropy`.

    Call arguments:
        y_true: int (batch,), class of each example.
        y_pred: float (batch, classes), cosines, as from `tfpar.tasks.face_recognition.CosineLogits`.

    References:
        Deng et al. 2019, ArcFace, arXiv:1801.07698. Wang et al. 2018, CosFace, arXiv:1801.09414.
    """

    def __init__(
        self,
        scale: float = 16.0,
        angle: float = 0.0,
        cosine: float = 0.0,
        name: str = "margin_crossentropy",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        if not (scale > 0 and 0 <= angle < math.pi / 2 and 0 <= cosine < 1):
            raise ValueError(
                "expected `scale` above 0, `angle` in [0, pi / 2) and `cosine` in [0, 1); got "
                f"scale={scale}, angle={angle}, cosine={cosine}"
            )
        self.scale = scale
        self.angle = angle
        self.cosine = cosine

    def call(self, y_true: Any, y_pred: Any) -> Any:
        narrowed = ops.where(one_hot_like(y_true, y_pred) > 0, self._narrowed(y_pred), y_pred)
        return super().call(y_true, self.scale * narrowed)

    def _narrowed(self, cosines):
        if not self.angle:
            return cosines - self.cosine
        # The sine's slope is infinite at 1, where rounding may lead.
        cosines = ops.clip(cosines, -_CLOSEST_TO_ONE, _CLOSEST_TO_ONE)
        turned = cosines * math.cos(self.angle) - ops.sqrt(1 - ops.square(cosines)) * math.sin(self.angle)
        line = cosines + math.cos(self.angle) - 1
        return ops.where(cosines > -math.cos(self.angle), turned, line) - self.cosine

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "angle": self.angle, "cosine": self.cosine}
