"""A learning-rate schedule times a factor that may change during training."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="tfpar")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a factor.

    Args:
        schedule: a `keras.optimizers.schedules.LearningRateSchedule`.
        scale: the factor, a number or a scalar variable.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, scale: Any = 1.0):
        self.schedule, self.scale = schedule, scale

    def __call__(self, step: Any) -> Any:
        return self.schedule(step) * keras.ops.convert_to_tensor(self.scale)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; the factor as it is now."""
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "scale": float(keras.ops.convert_to_numpy(self.scale))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScaledSchedule":
        """Make the schedule of `get_config`."""
        return cls(keras.optimizers.schedules.deserialize(config["schedule"]), config["scale"])
