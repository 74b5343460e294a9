"""Metrics: classification, regression, ranking, running statistics, logging and early stopping.

Every metric has `update`, `compute` and `reset`, takes tensors, arrays and lists, works in float64, and gives for batches what it
would give for all data at once.
"""

from __future__ import annotations

from .base import Metric
from .classification import Accuracy, F1Score, Precision, Recall, TopKAccuracy
from .confusion import BinaryConfusionMatrix, MultiClassConfusionMatrix
from .curves import AUCROC, AveragePrecision
from .early_stopping import EarlyStopping
from .labels import label_pairs
from .logger import MetricLogger, MetricSummary
from .ranking import MRR, NDCG
from .regression import MAE, MAPE, MSE, RMSE, ExplainedVariance, MaxError, RSquared
from .running import ExponentialMovingAverage, RunningMean, RunningMinMax, RunningStd

__all__ = [
    "AUCROC",
    "MAE",
    "MAPE",
    "MRR",
    "MSE",
    "NDCG",
    "RMSE",
    "Accuracy",
    "AveragePrecision",
    "BinaryConfusionMatrix",
    "EarlyStopping",
    "ExplainedVariance",
    "ExponentialMovingAverage",
    "F1Score",
    "MaxError",
    "Metric",
    "MetricLogger",
    "MetricSummary",
    "MultiClassConfusionMatrix",
    "Precision",
    "RSquared",
    "Recall",
    "RunningMean",
    "RunningMinMax",
    "RunningStd",
    "TopKAccuracy",
    "label_pairs",
]
