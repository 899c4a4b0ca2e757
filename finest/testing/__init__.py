"""Checks for the tests of who adds to this library: what every model, rule, perturbation and the like must do."""

from finest.testing.losses import check_loss
from finest.testing.metrics import check_metric, check_similarity
from finest.testing.models import check_model
from finest.testing.perturbations import check_edit, check_family
from finest.testing.regularisers import check_regulariser
from finest.testing.rules import check_rule

__all__ = [
    "check_edit",
    "check_family",
    "check_loss",
    "check_metric",
    "check_model",
    "check_regulariser",
    "check_rule",
    "check_similarity",
]
