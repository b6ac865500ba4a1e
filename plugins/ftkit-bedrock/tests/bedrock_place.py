"""What is asked of the stand-in, and by whom. Other processes load it: so it loads nothing of moto."""

from __future__ import annotations

from functools import cache

import boto3
from ftkit_bedrock import BedrockProvider

REGION = "us-east-1"
BUCKET = "ftkit-tests"
ROLE = "arn:aws:iam::123456789012:role/ftkit"
SECRET = "wJalrXUtnFEMI-not-a-secret-4711-bPxRfiCY"
MODEL = "amazon.nova-micro-v1:0:128k"


@cache
def session() -> boto3.Session:
    """Returns a session, which reads AWS's descriptions once, with credentials that moto takes, as it takes any."""
    return boto3.Session(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key=SECRET, region_name=REGION)


def bedrock_at(url: str) -> BedrockProvider:
    """Makes the provider for AWS at an address; to be pickled by its name."""
    provider = BedrockProvider(session(), bucket=BUCKET, role_arn=ROLE, endpoint_url=url, timeout_s=2.0)
    provider.settle_s = 0.3
    return provider
