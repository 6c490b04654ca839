"""Read a response body as XML: no entities, no external access, limited depth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from omc_infra.payload import Payload
from omc_pipeline.collection.body import changed, markup_error, one_line, require_memory, sound_body
from omc_pipeline.collection.items import Item

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DEEPEST = 100
"""Levels of nesting beyond which a document is no answer."""
_MEMORY_OF = {b"<": 100, b"=": 130}
"""Bytes for half an element with its text, and an attribute."""


def read_xml(payload: Payload) -> Element:
    """Return the root element of a body.

    Raises:
        UpstreamRefusedError: The body is an HTML page or an XML error.
        AccessDeniedError: The body is an XML error of the kind AccessDenied.
        PayloadChangedError: The body is empty, too large, no well-formed XML, nested too deep, or declares an entity or an
            external document.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    sound_body(payload)
    require_memory(payload, _MEMORY_OF)
    error_document = markup_error(payload, "XML")
    if error_document is not None:
        raise error_document
    parser = DefusedXMLParser(target=_shallow_builder(payload), forbid_entities=True, forbid_external=True)
    try:
        parser.feed(payload.body)
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise changed(payload, f"XML declares what is not read: {type(error).__name__}") from error
    except ParseError as error:
        raise changed(payload, f"body is not XML: {one_line(str(error))}") from error
    except (ValueError, LookupError) as error:
        raise changed(payload, f"XML of an encoding that is not read: {one_line(str(error))}") from error
    return root


def xml_item(element: Element, names: Iterable[str] | None = None) -> Item:
    """Return the text of an element's children by local name, and its attributes as ``@name``, for the readers of values.

    Args:
        element: Such as an RSS ``item``.
        names: Local names of the children that are wanted; None: all. Of equal ones the first counts.
    """
    wanted = None if names is None else set(names)
    item: dict[str, str] = {f"@{local_name(name)}": value for name, value in element.attrib.items()}
    for child in element:
        name = local_name(child.tag)
        if (wanted is None or name in wanted) and name not in item:
            item[name] = "".join(child.itertext())
    return dict(item)


def local_name(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rpartition("}")[2]


def _shallow_builder(payload: Payload) -> object:
    from xml.etree.ElementTree import TreeBuilder

    class Shallow(TreeBuilder):
        depth = 0

        def start(self, tag: str, attrs: dict[str, str], /) -> Element:
            self.depth += 1
            if self.depth > DEEPEST:
                raise changed(payload, "XML is nested too deep to be an answer")
            return super().start(tag, attrs)

        def end(self, tag: str, /) -> Element:
            self.depth -= 1
            return super().end(tag)

    return Shallow()
