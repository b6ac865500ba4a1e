"""Metrics of a fine-tuning job, sent on to TensorBoard, Weights & Biases, MLflow and Trackio. Needs an extra for each.

    job = trackers.send(client, job, "tensorboard", "mlflow")
    job = trackers.send(client, job, trackers.TensorBoard(folder="elsewhere"))

A job is one run in each, however often it is sent: what a tracker has already is not sent again, and what it lacks is.
"""

from __future__ import annotations

from ftkit.trackers.contract import Held, Tracker
from ftkit.trackers.mlflow import MLflow
from ftkit.trackers.naming import config_of, named, outcome_of, run_id, run_name
from ftkit.trackers.sending import TrackingError, send
from ftkit.trackers.table import make_tracker, tracker_names
from ftkit.trackers.tensorboard import TensorBoard
from ftkit.trackers.trackio import Trackio
from ftkit.trackers.wandb import WandB

__all__ = [
    "Held",
    "MLflow",
    "TensorBoard",
    "Tracker",
    "TrackingError",
    "Trackio",
    "WandB",
    "config_of",
    "make_tracker",
    "named",
    "outcome_of",
    "run_id",
    "run_name",
    "send",
    "tracker_names",
]
