"""The memory graph as GraphML, for Gephi, Cytoscape, networkx and others. Written as it goes: it may be large.

Format: http://graphml.graphdrawing.org/specification.html
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from slowwave.memory.graph import KINDS, Graph

_FIELDS = {
    "node": {"kind": "string", "text": "string", "time": "double", "authority": "string"},
    "edge": {"link": "string", "weight": "double"},
}
_NO_XML = re.compile(
    r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)  # signs that XML 1.0 has no way to say


def write_graphml(graph: Graph, file: Path) -> None:
    """Writes a graph. Raises OSError."""
    with file.open("wb") as stream:
        _write(graph, stream)


def _write(graph: Graph, stream: BinaryIO) -> None:
    xml = XMLGenerator(stream, "utf-8", short_empty_elements=True)

    def begin(element: str, **attributes: str) -> None:
        xml.startElement(element, AttributesImpl({name.replace("_", "."): _said(v) for name, v in attributes.items()}))

    def data(fields: dict[str, object]) -> None:
        for name, value in fields.items():
            begin("data", key=name)
            xml.characters(_said(value))
            xml.endElement("data")

    xml.startDocument()
    begin("graphml", xmlns="http://graphml.graphdrawing.org/xmlns")
    for element, fields in _FIELDS.items():
        for name, kind in fields.items():
            begin("key", id=name, **{"for": element}, attr_name=name, attr_type=kind)
            xml.endElement("key")
    begin("graph", edgedefault="directed")
    for node in graph.nodes:
        begin("node", id=node.id)
        data({name: getattr(node, name) for name in _FIELDS["node"]})
        xml.endElement("node")
    links = graph.links
    rows = zip(links.source_L.tolist(), links.target_L.tolist(), links.kind_L.tolist(), links.weight_L, strict=True)
    for source, target, kind, weight in rows:
        begin("edge", source=graph.nodes[source].id, target=graph.nodes[target].id)
        data({"link": KINDS[kind], "weight": f"{weight:.6g}"})
        xml.endElement("edge")
    xml.endElement("graph")
    xml.endElement("graphml")
    xml.endDocument()


def _said(value: object) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", str(value))
