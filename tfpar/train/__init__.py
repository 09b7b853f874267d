"""Training: a `keras.Model` whose `fit` is the same on N replicas as on one, losses, callbacks and an optimizer."""

from tfpar.train.adversarial import AdversarialModel, AdversarialStep
from tfpar.train.callbacks import StopAtStep, Throughput, finished_epochs, logging_callbacks
from tfpar.train.checkpoints.callback import Checkpoints
from tfpar.train.crossentropy import SmoothedCrossentropy
from tfpar.train.ctc import CTCLoss
from tfpar.train.dp_sgd import DPSGD, DPModel
from tfpar.train.model import Model, Sequential
from tfpar.train.non_finite_guard import NonFiniteGuard
from tfpar.train.optimizers import adamw
from tfpar.train.stop import StopOnRequest
from tfpar.train.token_crossentropy import TokenCrossentropy

__all__ = [
    "DPSGD",
    "AdversarialModel",
    "AdversarialStep",
    "CTCLoss",
    "Checkpoints",
    "DPModel",
    "Model",
    "NonFiniteGuard",
    "Sequential",
    "SmoothedCrossentropy",
    "StopAtStep",
    "StopOnRequest",
    "Throughput",
    "TokenCrossentropy",
    "adamw",
    "finished_epochs",
    "logging_callbacks",
]
