"""XML from outside, read as a stream of elements: no entities, no document types, no network."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from kit.catalogue.sources.entry import SourceError

_BLOCK = 1 << 20


@runtime_checkable
class Target(Protocol):
    """Receiver of a parser's events."""

    def start(self, tag: str, attrib: Mapping[str, str]) -> None:
        """Receive the start of an element and its attributes."""

    def end(self, tag: str) -> None:
        """Receive the end of an element."""

    def data(self, data: str) -> None:
        """Receive text inside an element; one text may come in several pieces."""

    def close(self) -> None:
        """Receive the end of the document."""


def feed(data: bytes, target: Target) -> None:
    """Tell `target` of every element.

    Raises:
        SourceError: it is not well-formed, or declares a document type or entities.
    """
    parser = DefusedXMLParser(target=target, forbid_dtd=True)
    try:
        for start in range(0, len(data), _BLOCK):
            parser.feed(data[start : start + _BLOCK])
        parser.close()
    except DefusedXmlException as error:
        raise SourceError(
            "it declares a document type or entities, which no playlist needs and which can do "
            "harm; export it again"
        ) from error
    except (ParseError, LookupError, ValueError) as error:
        raise SourceError(f"it is not well-formed XML ({error}); export it again") from error


def local(tag: str) -> str:
    """Return an element's name without its namespace."""
    return tag.rpartition("}")[2]
