"""Did the tuning pay? Held-out rows are asked of several models, and what comes of it is laid side by side.

    from ftkit.evaluate import evaluate

    print(evaluate(client, "test.jsonl", job, few_shot="train.jsonl"))

`evaluate` asks the base model, the base model with examples in its prompt, and the tuned one. `compare` takes any
models, also of several providers, and answers that were recorded before.
"""

from __future__ import annotations

from ftkit.evaluate.answers import Answer, Record
from ftkit.evaluate.asking import ask
from ftkit.evaluate.candidates import Candidate, few_shot
from ftkit.evaluate.choosing import METRICS, metric_named, suited
from ftkit.evaluate.intervals import Interval, difference_of, mean_of
from ftkit.evaluate.judging import Judge
from ftkit.evaluate.matching import exact_match, json_match, set_f1
from ftkit.evaluate.outcome import Evaluation, Finding, Judged, Standing, Verdict
from ftkit.evaluate.questions import Question, questions_of
from ftkit.evaluate.running import compare, evaluate
from ftkit.evaluate.scoring import Scorer
from ftkit.evaluate.sql import ExecutionMatch

__all__ = [
    "METRICS",
    "Answer",
    "Candidate",
    "Evaluation",
    "ExecutionMatch",
    "Finding",
    "Interval",
    "Judge",
    "Judged",
    "Question",
    "Record",
    "Scorer",
    "Standing",
    "Verdict",
    "ask",
    "compare",
    "difference_of",
    "evaluate",
    "exact_match",
    "few_shot",
    "json_match",
    "mean_of",
    "metric_named",
    "questions_of",
    "set_f1",
    "suited",
]
