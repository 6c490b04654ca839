"""Remove from Reddit's answers the names of authors and the text of deleted posts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from omc_pipeline.collection.body import html_title, is_html
from omc_pipeline.ledgers.human import ERASED

DELETED, REMOVED = "deleted", "removed"

_NOBODY = "[deleted]"
_NAMES = re.compile(r"author.*|(approved|banned|removed)_by|(mod|user)_reports|mod_(note|reason_by|reason_title)|num_reports|reports|likes")
_WORDS = ("title", "selftext", "selftext_html", "url", "url_overridden_by_dest", "permalink", "domain", "thumbnail", "link_flair_text")
_MEDIA = ("media", "secure_media", "media_embed", "secure_media_embed", "media_metadata", "gallery_data", "preview", "poll_data")
_MENTION = re.compile(r"(?i)\b(u(?:ser)?)(/|%2f)[\w-]{3,20}")
_PROFILE = re.compile(r"(?i)\bu_[\w-]{3,20}")


def taken_back(post: Mapping[str, Any]) -> str | None:
    """Return how a post was deleted: ``deleted`` by its author or ``removed`` by others; None if it still exists.

    The post of a deleted account still exists if it has text.
    """
    selftext, category = post.get("selftext"), post.get("removed_by_category")
    if category == DELETED or selftext == "[deleted]":
        return DELETED
    if (isinstance(category, str) and category) or selftext == "[removed]":
        return REMOVED
    return DELETED if post.get("author") == _NOBODY and not selftext else None


def scrubbed(body: bytes) -> bytes:
    """Return an answer without authors and deleted text; of an HTML page, only its title.

    Raises:
        ValueError: It is neither JSON nor an HTML page, so nobody can tell what it holds.
    """
    if not body.strip():
        return body
    if is_html(body):
        return f"<!DOCTYPE html><html><head><title>{html_title(body)}</title></head></html>".encode()
    try:
        document = json.loads(body)
        return json.dumps(_clean(document), separators=(",", ":")).encode()
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _PROFILE.sub("u_[name]", _MENTION.sub(r"\1\2[name]", value))
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return _clean_object(value) if isinstance(value, dict) else value


def _clean_object(value: dict[str, Any]) -> dict[str, Any]:
    is_post = "selftext" in value or "removed_by_category" in value
    kept = {name: held for name, held in value.items() if not _NAMES.fullmatch(name)}
    if value.get("author") == _NOBODY:
        kept["author"] = _NOBODY
    if isinstance(parents := kept.get("crosspost_parent_list"), list):
        kept["crosspost_parent_list"] = [{"id": parent.get("id")} for parent in parents if isinstance(parent, dict)]
    if is_post and (reason := taken_back(value)) is not None:
        kept = {name: held for name, held in kept.items() if name not in (*_WORDS, *_MEDIA)}
        kept |= {"title": ERASED, "selftext": f"[{reason}]"}
    return {name: _clean(held) for name, held in kept.items()}
