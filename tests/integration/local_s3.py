"""A local S3 for the tests of the lake and of bodies, with one bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "lakes"


@contextmanager
def serving_s3() -> Iterator[str]:
    """Run a local S3 on loopback, and return its address."""
    moto = pytest.importorskip("moto.server", reason="SKIPPED for want of moto: the lake and the bodies in S3 are not tested")
    import boto3

    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        running.stop()


def storage_table(url: str, **others: str) -> str:
    """Return the section of a configuration file that names the bucket."""
    lines = {"s3": f"s3://{BUCKET}/omc", "s3_region": "us-east-1", "s3_endpoint": url, **others}
    return "\n".join(["[storage]", *(f'{name} = "{value}"' for name, value in lines.items())]) + "\n"
