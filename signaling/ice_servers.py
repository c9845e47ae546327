"""STUN and TURN servers, and the file that lists them (floor 0).

The file is YAML (JSON is YAML too)::

    ice_servers:
      - urls: stun:stun.example.org:3478
      - urls: [turn:turn.example.org:3478?transport=udp, turns:turn.example.org:5349]
        username: alice
        credential: secret
    ice_transport_policy: all

URLs are those of RFC 7064 (stun, stuns) and RFC 7065 (turn, turns).
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from .errors import IceConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.nodes import MappingNode, Node

__all__ = ["IceConfig", "IceConfigError", "IcePolicy", "IceServer", "parse_ice_config"]

IcePolicy = Literal["all", "relay"]

MAX_SERVERS: Final = 32
MAX_URLS: Final = 16
MAX_TEXT: Final = 512

_URL = re.compile(
    r"(?P<scheme>[A-Za-z]+):(?P<host>\[[^\]]*\]|[^:?/\[\]@]*)(?::(?P<port>[^?]*))?(?:\?(?P<query>.*))?"
)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class IceServer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One STUN or TURN server (RTCIceServer of the W3C's WebRTC), as it travels in `welcome`.

    Attributes:
        urls: One or more URLs of the same server.
        username: For TURN.
        credential: For TURN; never shown by `repr`.
    """

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:
        shown = "None" if self.credential is None else "'...'"
        return f"IceServer(urls={self.urls!r}, username={self.username!r}, credential={shown})"


class IceConfig(msgspec.Struct, frozen=True):
    """The ICE servers that a peer may use, and the policy for their use.

    Attributes:
        servers: Servers in order of preference; may be empty (machines of one network).
        policy: `relay` permits relayed candidates only.
    """

    servers: tuple[IceServer, ...] = ()
    policy: IcePolicy = "all"


def parse_ice_config(text: str, *, source: str) -> IceConfig:
    """Read the file that lists STUN and TURN servers.

    Args:
        text: Content of the file.
        source: Name of the file, for messages.

    Raises:
        IceConfigError: With every wrong field, its place and its line.
    """
    # Imported here, because peers that only exchange messages need no YAML.
    import yaml

    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise IceConfigError(source, (_syntax_problem(error),)) from None
    except RecursionError:
        raise IceConfigError(source, (Problem("", None, "is nested too deeply"),)) from None
    reader = _Reader()
    config = reader.read(document)
    if reader.problems:
        raise IceConfigError(source, tuple(reader.problems))
    return config


def check_ice_url(url: str) -> str | None:
    """Return the fault of a STUN or TURN URL, or None (RFC 7064, RFC 7065)."""
    if len(url) > MAX_TEXT:
        return f"is longer than {MAX_TEXT} characters"
    match = _URL.fullmatch(url)
    if match is None:
        if "://" in url:
            return f"{url!r}: STUN and TURN URLs have no `//`: write `stun:host:3478`"
        if "@" in url:
            return "has no user name in it: write `username` and `credential` beside `urls`"
        return f"{url!r} is not a URL such as `stun:host:3478` or `turn:host:3478?transport=udp`"
    scheme = match["scheme"].lower()
    if scheme not in ("stun", "stuns", "turn", "turns"):
        return f"{url!r}: the scheme must be stun, stuns, turn or turns"
    problem = _check_host(match["host"])
    if problem is not None:
        return f"{url!r}: {problem}"
    port = match["port"]
    if port is not None and not (
        port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535
    ):
        return f"{url!r}: the port must be a number from 1 to 65535"
    query = match["query"]
    if query is None:
        return None
    if scheme in ("stun", "stuns"):
        return f"{url!r}: only turn and turns URLs have a `?transport=`"
    if query.lower() not in ("transport=udp", "transport=tcp"):
        return f"{url!r}: after `?` comes `transport=udp` or `transport=tcp`, nothing else"
    return None


def _check_host(host: str) -> str | None:
    if not host:
        return "the host is missing"
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return "what stands between `[` and `]` is not an IPv6 address"
        return None
    if len(host) <= 253 and all(
        _LABEL.fullmatch(part) for part in host.removesuffix(".").split(".")
    ):
        return None
    return "the host must be a name, an IPv4 address, or an IPv6 address in `[...]`"


def _syntax_problem(error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    return Problem("", None if mark is None else mark.line + 1, f"is not YAML: {what}")


class _Reader:
    """Walks the YAML node tree (not the built objects: nodes know their line)."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read(self, document: Node | None) -> IceConfig:
        import yaml

        if document is None:
            self._wrong(None, "", "is empty: write `ice_servers: []` for no servers at all")
            return IceConfig()
        if not isinstance(document, yaml.MappingNode):
            self._wrong(document, "", "must be a mapping with the key `ice_servers`")
            return IceConfig()
        fields = self._fields(document, "", ("ice_servers", "ice_transport_policy"))
        servers: tuple[IceServer, ...] = ()
        if "ice_servers" in fields:
            servers = tuple(self._servers(fields["ice_servers"]))
        else:
            self._wrong(document, "ice_servers", "is missing: write `[]` for no servers at all")
        policy: IcePolicy = "all"
        if "ice_transport_policy" in fields:
            policy = self._policy(fields["ice_transport_policy"], servers)
        return IceConfig(servers, policy)

    def _servers(self, node: Node) -> Iterator[IceServer]:
        import yaml

        if not isinstance(node, yaml.SequenceNode):
            self._wrong(node, "ice_servers", "must be a list; write `[]` for no servers at all")
            return
        if len(node.value) > MAX_SERVERS:
            self._wrong(node, "ice_servers", f"has more than {MAX_SERVERS} servers")
            return
        for index, item in enumerate(node.value):
            place = f"ice_servers[{index}]"
            if isinstance(item, yaml.MappingNode):
                yield self._server(item, place)
            else:
                self._wrong(item, place, "must be a mapping with the key `urls`")

    def _server(self, node: MappingNode, place: str) -> IceServer:
        fields = self._fields(node, f"{place}.", ("urls", "username", "credential"))
        urls: tuple[str, ...] = ()
        if "urls" in fields:
            urls = tuple(self._urls(fields["urls"], f"{place}.urls"))
        else:
            self._wrong(node, f"{place}.urls", "is missing")
        secrets: dict[str, str] = {}
        for key in ("username", "credential"):
            if key in fields:
                value = self._text(fields[key], f"{place}.{key}")
                if value is not None:
                    secrets[key] = value
            elif any(url.lower().startswith("turn") for url in urls):
                self._wrong(node, f"{place}.{key}", "is missing: TURN servers ask for it")
        return IceServer(urls, secrets.get("username"), secrets.get("credential"))

    def _urls(self, node: Node, place: str) -> Iterator[str]:
        import yaml

        if not isinstance(node, yaml.SequenceNode):
            url = self._text(node, place)
            if url is not None and self._url_is_right(node, place, url):
                yield url
            return
        if not node.value:
            self._wrong(node, place, "is empty: list at least one URL")
        if len(node.value) > MAX_URLS:
            self._wrong(node, place, f"has more than {MAX_URLS} URLs")
            return
        for index, item in enumerate(node.value):
            url = self._text(item, f"{place}[{index}]")
            if url is not None and self._url_is_right(item, f"{place}[{index}]", url):
                yield url

    def _url_is_right(self, node: Node, place: str, url: str) -> bool:
        problem = check_ice_url(url)
        if problem is not None:
            self._wrong(node, place, problem)
        return problem is None

    def _policy(self, node: Node, servers: tuple[IceServer, ...]) -> IcePolicy:
        place = "ice_transport_policy"
        value = self._text(node, place)
        if value == "relay":
            urls = [url for server in servers for url in server.urls]
            if not self.problems and not any(url.lower().startswith("turn") for url in urls):
                self._wrong(node, place, "`relay` needs at least one turn or turns server")
            return "relay"
        if value not in (None, "all"):
            self._wrong(node, place, f"must be `all` or `relay`, not {value!r}")
        return "all"

    def _fields(self, node: MappingNode, prefix: str, known: tuple[str, ...]) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        for key_node, value in node.value:
            key = str(key_node.value)[:64] if isinstance(key_node.value, str) else "?"
            place = f"{prefix}{key}"
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
                self._wrong(key_node, place, f"is not a known field; {hint}")
            elif key in fields:
                self._wrong(key_node, place, "is given twice")
            else:
                fields[key] = value
        return fields

    def _text(self, node: Node, place: str) -> str | None:
        import yaml

        value = node.value
        if not isinstance(node, yaml.ScalarNode) or not isinstance(value, str):
            self._wrong(node, place, "must be text")
        elif not node.tag.endswith(":str"):
            # Without quotes, YAML reads 12345 as a number and `no` as false; a credential of
            # digits would lose its leading zeros.
            self._wrong(node, place, "must be text: put it between quotes")
        elif not value.strip():
            self._wrong(node, place, "is empty")
        elif len(value) > MAX_TEXT:
            self._wrong(node, place, f"is longer than {MAX_TEXT} characters")
        elif not value.isprintable():
            self._wrong(node, place, "has control characters in it")
        else:
            return value
        return None

    def _wrong(self, node: Node | None, place: str, message: str) -> None:
        line = None if node is None or node.start_mark is None else node.start_mark.line + 1
        self.problems.append(Problem(place, line, message))
