"""Images in the registry: by digest, with the commit as their tag, and free of findings that block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omc_infra.deploy.aws import AwsRefusedError
from omc_infra.deploy.context import Context
from omc_infra.deploy.failures import GateRefusedError
from omc_infra.deploy.options import DeploySection
from omc_infra.errors import BadInputError
from omc_infra.terminal import one_line

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_SHOWN = 5


def digest_of(image: str, section: DeploySection) -> str:
    """Return the digest of an image named as ``REPOSITORY@sha256:...``.

    Raises:
        BadInputError: It is of another repository, or named by a tag, which may name another image tomorrow.
    """
    repository, _, digest = image.partition("@")
    if repository != section.repository or not _DIGEST.fullmatch(digest):
        raise BadInputError(f"{one_line(image)[:200]!r}: an image is named as {section.repository}@sha256:<64 hexadecimal digits>")
    return digest


def registry_place(section: DeploySection) -> dict[str, str]:
    """Return the parameters that name the repository in calls of ECR."""
    return {"repositoryName": section.repository.partition("/")[2], "registryId": section.account}


def tagged_digest(context: Context, commit: str) -> str | None:
    """Return the digest of the image that has a commit as its tag, or None."""
    found = _described(context, {"imageTag": commit})
    return str(found["imageDigest"]) if found else None


def require_image(context: Context, digest: str, commit: str) -> None:
    """Check that an image exists and was built from a commit: it has the commit as a tag.

    Raises:
        GateRefusedError: It doesn't, or wasn't.
    """
    found = _described(context, {"imageDigest": digest})
    if found is None:
        raise GateRefusedError(f"{context.section.repository} has no image {digest}")
    if commit not in found.get("imageTags", []):
        raise GateRefusedError(f"image {digest[:19]} has no tag {commit[:12]}: it was built from another commit")


def require_clean_scan(context: Context, digest: str, *, starts: bool = True) -> str:
    """Wait for the scan of an image and return its result in words; where there is none, start one, or just say so.

    Raises:
        GateRefusedError: The scan failed, takes too long, or has findings of a blocked severity that are not accepted.
    """
    section = context.section
    image: dict[str, Any] = {**registry_place(section), "imageId": {"imageDigest": digest}}
    for _ in context.looks(section.scan_timeout_s):
        try:
            answer = context.aws.call("ecr", "describe_image_scan_findings", **image)
        except AwsRefusedError as error:
            if error.code != "ScanNotFoundException":
                raise
            if not starts:
                return "not scanned yet"
            context.aws.call("ecr", "start_image_scan", **image)
            continue
        status = answer["imageScanStatus"]
        if status["status"] in {"COMPLETE", "ACTIVE"}:
            return _judged(context, image)
        if status["status"] not in {"IN_PROGRESS", "PENDING"}:
            raise GateRefusedError(f"the scan of {digest[:19]} is {status['status']}: {one_line(status.get('description', ''))[:200]}")
    raise GateRefusedError(f"the scan of {digest[:19]} has not ended within {section.scan_timeout_s:.0f} s")


def _judged(context: Context, image: dict[str, Any]) -> str:
    section = context.section
    found = [(name, severity) for name, severity in _findings(context, image) if severity in section.blocked_severities]
    blocking = [f"{name} ({severity})" for name, severity in found if name not in section.accepted_findings]
    if blocking:
        more = f" and {len(blocking) - _SHOWN} more" if len(blocking) > _SHOWN else ""
        raise GateRefusedError(f"the scan found {', '.join(blocking[:_SHOWN])}{more}; mend the image, or list it in accepted_findings")
    return f"no finding of {', '.join(section.blocked_severities)}" + (f"; {len(found)} accepted" if found else "")


def _findings(context: Context, image: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and severity of each finding, of basic and of enhanced scans."""
    token: dict[str, str] = {}
    while True:
        answer = context.aws.call("ecr", "describe_image_scan_findings", **image, **token)
        held = answer.get("imageScanFindings", {})
        yield from ((one_line(each.get("name", "?")), str(each.get("severity"))) for each in held.get("findings", []))
        for each in held.get("enhancedFindings", []):
            name = each.get("packageVulnerabilityDetails", {}).get("vulnerabilityId") or each.get("title", "?")
            yield one_line(name), str(each.get("severity"))
        if not answer.get("nextToken"):
            return
        token = {"nextToken": answer["nextToken"]}


def _described(context: Context, image: dict[str, str]) -> dict[str, Any] | None:
    try:
        answer = context.aws.call("ecr", "describe_images", **registry_place(context.section), imageIds=[image])
    except AwsRefusedError as error:
        if error.code == "ImageNotFoundException":
            return None
        raise
    found: list[dict[str, Any]] = answer["imageDetails"]
    return found[0] if found else None
