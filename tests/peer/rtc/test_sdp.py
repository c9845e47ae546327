"""Descriptions and candidates: one reader, and nothing reaches aiortc as it came.

The environment variable ``PEERLINE_FUZZ=1000000`` makes the mutations a long run.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from peer.errors import ProtocolError
from peer.rtc import Connection
from peer.rtc.ice.candidates import Candidate
from peer.rtc.sdp import MAX_CANDIDATES, MAX_LINE, MAX_LINES, Description
from tests.support.links.connections import CONTROL

INPUTS = int(os.environ.get("PEERLINE_FUZZ", "5000"))
PRINT = ":".join(["AB"] * 32)
OTHER = ":".join(["CD"] * 32)
NAME = "1b2c3d4e-0000-4000-8000-00000000abcd.local"


def described(*lines: str, head: tuple[str, ...] = ()) -> str:
    """A description with these lines in its section."""
    fixed = ("v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0")
    return "\r\n".join(
        [*fixed, *head, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *lines, ""]
    )


FINGERPRINT = f"a=fingerprint:sha-256 {PRINT}"
CREDENTIALS = ("a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22, "a=setup:actpass")
GOOD = described(*CREDENTIALS, FINGERPRINT, "a=mid:0", "a=sctp-port:5000")

CHROMIUM = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 52345 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.1
a=candidate:2999745851 1 udp 2113937151 {NAME} 52345 typ host generation 0 network-cost 999
a=candidate:842163049 1 udp 1677729535 192.0.2.1 40000 typ srflx raddr 0.0.0.0 rport 0 generation 0
a=candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0
a=ice-ufrag:aB+/
a=ice-pwd:asd88fgpdd777uzjYhagZg+/
a=ice-options:trickle
a=fingerprint:sha-256 {PRINT}
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
"""
FIREFOX = f"""v=0
o=mozilla...THIS_IS_SDPARTA-99.0 7629 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 {PRINT}
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122252543 {NAME} 55555 typ host
a=sendrecv
a=end-of-candidates
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:01234567
a=mid:0
a=setup:active
a=sctp-port:5000
a=max-message-size:1073741823
"""
SAMPLES = [GOOD, CHROMIUM, CHROMIUM.replace("\n", "\r\n"), FIREFOX]


# Reading


def test_a_description_of_chromiums_is_read() -> None:
    read = Description.parse(CHROMIUM)
    assert (read.mid, read.ufrag, read.setup) == ("0", "aB+/", "actpass")
    assert read.fingerprint == b"\xab" * 32
    assert read.max_message_size == 262144
    assert [(c.address, c.port, c.type) for c in read.candidates] == [
        (NAME, 52345, "host"),
        ("192.0.2.1", 40000, "srflx"),
    ]
    assert not read.complete


def test_a_description_of_firefoxs_is_read() -> None:
    read = Description.parse(FIREFOX, "answer")
    assert read.fingerprint == b"\xab" * 32
    assert read.complete
    assert [c.address for c in read.candidates] == [NAME]


@pytest.mark.parametrize("text", SAMPLES)
def test_what_is_written_is_what_was_read(text: str) -> None:
    read = Description.parse(text)
    assert Description.parse(read.text()) == read


@pytest.mark.parametrize("text", SAMPLES)
def test_aiortc_sees_what_we_see(text: str) -> None:
    read = replace(Description.parse(text), candidates=(), complete=False)
    (media,) = SessionDescription.parse(read.text()).media
    assert media.dtls is not None and media.ice is not None
    assert [(f.algorithm, f.value) for f in media.dtls.fingerprints] == [("sha-256", PRINT)]
    assert (media.ice.usernameFragment, media.ice.password) == (read.ufrag, read.password)
    assert media.sctp_port == read.port
    assert media.rtp.muxId == read.mid
    assert not media.ice_candidates


async def test_our_own_descriptions_have_one_fingerprint() -> None:
    connection = Connection()
    connection.create_channel(CONTROL)
    try:
        offer = await connection.offer()
        assert offer.count("fingerprint") == 1
        assert Description.parse(offer).fingerprint == connection.local_fingerprint
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("a=max-message-size:0", 2**30),
        ("a=max-message-size:1000", 1000),
        (f"a=max-message-size:{10**18}", 2**30),
        ("a=x-other:1", 65536),
    ],
)
def test_the_size_of_messages(line: str, size: int) -> None:
    read = Description.parse(described(*CREDENTIALS, FINGERPRINT, line))
    assert read.max_message_size == size
    assert Description.parse(read.text()).max_message_size == size


# One fingerprint


@pytest.mark.parametrize("kind", ["sha-256", "SHA-256", "Sha-256"])
@pytest.mark.parametrize("digits", [PRINT, PRINT.lower()])
def test_a_fingerprint_in_any_case_is_the_same(kind: str, digits: str) -> None:
    read = Description.parse(described(*CREDENTIALS, f"a=fingerprint:{kind} {digits}"))
    assert read.fingerprint == b"\xab" * 32


def test_fingerprints_of_other_kinds_are_left_out() -> None:
    more = f"a=fingerprint:sha-1 {PRINT[:59]}", f"a=fingerprint:sha-512 {PRINT}:{PRINT}"
    read = Description.parse(described(*CREDENTIALS, FINGERPRINT, *more))
    assert read.text().count("fingerprint") == 1


SWAPS = {
    "none": (),
    "two": (FINGERPRINT, f"a=fingerprint:sha-256 {OTHER}"),
    "the same twice": (FINGERPRINT, FINGERPRINT),
    "in two cases": (FINGERPRINT, f"a=fingerprint:SHA-256 {OTHER}"),
    "an upper-case line": (f"A=fingerprint:sha-256 {OTHER}", FINGERPRINT),
    "an upper-case name": (f"a=FINGERPRINT:sha-256 {OTHER}",),
    "a space before": (f" a=fingerprint:sha-256 {OTHER}", FINGERPRINT),
    "a space in the name": (f"a= fingerprint:sha-256 {OTHER}", FINGERPRINT),
    "a space after the colon": (f"a=fingerprint: sha-256 {PRINT}",),
    "two spaces": (f"a=fingerprint:sha-256  {PRINT}",),
    "a tab": (f"a=fingerprint:sha-256\t{PRINT}",),
    "a space behind": (f"{FINGERPRINT} ",),
    "two in a line": (f"{FINGERPRINT} {OTHER}",),
    "a carriage return alone": (f"a=x:1\r{FINGERPRINT}", f"a=fingerprint:sha-256 {OTHER}"),
    "a line separator": (f"a=x:1\u2028a=fingerprint:sha-256 {OTHER}", FINGERPRINT),
    "a vertical tab": (f"a=x:1\va=fingerprint:sha-256 {OTHER}", FINGERPRINT),
    "a next line": (f"a=x:1\x85a=fingerprint:sha-256 {OTHER}", FINGERPRINT),
    "a null": (f"{FINGERPRINT}\0",),
    "too short": (f"a=fingerprint:sha-256 {PRINT[:-3]}",),
    "too long": (f"a=fingerprint:sha-256 {PRINT}:AB",),
    "digits of another script": (f"a=fingerprint:sha-256 \u0661\u0662{PRINT[2:]}",),
    "only another hash": (f"a=fingerprint:sha-512 {PRINT}:{PRINT}",),
    "no value": ("a=fingerprint", FINGERPRINT),
}


@pytest.mark.parametrize("lines", SWAPS.values(), ids=SWAPS.keys())
def test_anything_but_one_fingerprint_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(ProtocolError):
        Description.parse(described(*CREDENTIALS, *lines))


def test_one_for_the_session_and_one_for_the_section_are_two() -> None:
    for theirs in (FINGERPRINT, f"a=fingerprint:sha-256 {OTHER}"):
        with pytest.raises(ProtocolError, match="fingerprint"):
            Description.parse(described(*CREDENTIALS, theirs, head=(FINGERPRINT,)))


# Invalid descriptions

NONSENSE = {
    "nothing": "",
    "no section": "v=0\r\n",
    "no version": GOOD.removeprefix("v=0\r\n"),
    "another section": GOOD + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n",
    "two sections": GOOD + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
    "an odd port": GOOD.replace("application 9", "application/9 9"),
    "a rejected section": GOOD.replace("application 9", "application 0"),
    "port ranges": GOOD.replace("application 9", "application 9/2"),
    "plain DTLS": GOOD.replace("UDP/DTLS/SCTP", "DTLS/SCTP"),
    "another format": GOOD.replace("webrtc-datachannel", "5000"),
    "an empty line": GOOD.replace("s=-", ""),
    "not ASCII": GOOD.replace("s=-", "s=\xe9"),
    "a lone surrogate": GOOD.replace("s=-", "s=\ud800"),
    "no user": GOOD.replace("a=ice-ufrag:abcd\r\n", ""),
    "a short user": GOOD.replace("a=ice-ufrag:abcd", "a=ice-ufrag:abc"),
    "a long user": GOOD.replace("abcd", "a" * 257),
    "two users": GOOD + "a=ice-ufrag:efgh\r\n",
    "a user of the session and one of the section": GOOD.replace("s=-", "s=-\r\na=ice-ufrag:efgh"),
    "a short password": GOOD.replace("p" * 22, "p" * 21),
    "spaces in the password": GOOD.replace("p" * 22, "p p" * 10),
    "no setup": GOOD.replace("a=setup:actpass\r\n", ""),
    "an odd setup": GOOD.replace("actpass", "holdconn"),
    "an odd mid": GOOD.replace("a=mid:0", "a=mid:a b"),
    "port 0 of SCTP": GOOD.replace("5000", "0"),
    "a large port of SCTP": GOOD.replace("5000", "65536"),
    "a negative size": GOOD + "a=max-message-size:-1\r\n",
    "an sctp-init that is not base64": GOOD + "a=sctp-init:abcde\r\n",
    "too many lines": GOOD + "a=x:1\r\n" * MAX_LINES,
    "a long line": GOOD + "a=x:" + "x" * MAX_LINE + "\r\n",
    "a huge text": "x" * 100_000,
}


@pytest.mark.parametrize("text", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        Description.parse(text)


def test_an_answer_chooses_a_role() -> None:
    with pytest.raises(ProtocolError, match="setup"):
        Description.parse(GOOD, "answer")


def test_of_many_candidates_the_first_are_taken() -> None:
    lines = [f"a=candidate:1 1 udp 1 192.0.2.1 {port} typ host" for port in range(1, 101)]
    read = Description.parse(described(*CREDENTIALS, FINGERPRINT, *lines))
    assert [candidate.port for candidate in read.candidates] == list(range(1, MAX_CANDIDATES + 1))


# Candidates


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("candidate:1 1 udp 1 192.0.2.1 9 typ host", "192.0.2.1"),
        ("candidate:1 1 UDP 2130706431 2001:DB8:0::1 9 typ host", "2001:db8::1"),
        ("candidate:a+/9 1 udp 1 192.0.2.1 65535 typ relay raddr :: rport 0", "192.0.2.1"),
        (f"candidate:1 1 udp 1 {NAME} 9 typ host generation 0 ufrag a+/b", NAME),
        ("candidate:1 1 udp 1 127.0.0.1 9 typ prflx", "127.0.0.1"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr nowhere rport 1", "192.0.2.1"),
    ],
)
def test_a_candidate_is_read_and_written_anew(line: str, address: str) -> None:
    read = Candidate.parse(line)
    assert read is not None
    assert read.address == address
    assert Candidate.parse(read.text()) == read


@pytest.mark.parametrize(
    "line",
    [
        "",
        "candidate:",
        "candidate:1 1 udp",
        "a=candidate:1 1 udp 1 192.0.2.1 9 typ host",
        "candidate:1 1 udp x y z typ host",
        "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "candidate:1 2 udp 1 192.0.2.1 9 typ host",
        "candidate:1 1 udp 0 192.0.2.1 9 typ host",
        "candidate:1 1 udp 2147483648 192.0.2.1 9 typ host",
        "candidate:1 1 udp 1 192.0.2.1 0 typ host",
        "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
        "candidate:1 1 udp 1 192.0.2.1 9 typ token",
        "candidate:1 1 udp 1 192.0.2.1 9 typ host generation",
        "candidate:1 1 udp 1 192.0.2.1  9 typ host",
        "candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=fingerprint:sha-256 00",
        "candidate:1 1 udp \u0661 192.0.2.1 9 typ host",
        "candidate:1 1 udp 1 192.0.2.300 9 typ host",
        "candidate:1 1 udp 1 192.0.2.01 9 typ host",
        "candidate:1 1 udp 1 3221225985 9 typ host",
        "candidate:1 1 udp 1 example.org 9 typ host",
        "candidate:1 1 udp 1 a.b.local 9 typ host",
        "candidate:1 1 udp 1 printer.local 9 typ host",
        f"candidate:1 1 udp 1 {NAME}.local 9 typ host",
        "candidate:1 1 udp 1 0.0.0.0 9 typ host",
        "candidate:1 1 udp 1 :: 9 typ host",
        "candidate:1 1 udp 1 224.0.0.251 5353 typ host",
        "candidate:1 1 udp 1 ff02::fb 5353 typ host",
        "candidate:1 1 udp 1 255.255.255.255 9 typ host",
        "candidate:1 1 udp 1 ::ffff:192.0.2.1 9 typ host",
        "candidate:1 1 udp 1 fe80::1%eth0 9 typ host",
        "candidate:1 1 udp 1 192.0.2.1 9 typ host " + "x y " * 200,
        "\ud800",
    ],
)
def test_a_candidate_that_makes_no_sense_or_is_of_no_use_is_none(line: str) -> None:
    assert Candidate.parse(line) is None


# Any input


@given(st.text(max_size=300))
def test_no_text_raises_anything_unforeseen(text: str) -> None:
    for whole in (text, f"v=0\r\n{text}", described(*CREDENTIALS, FINGERPRINT, text)):
        _read(whole)
    Candidate.parse(text)
    Candidate.parse(f"candidate:{text}")


def test_mutations_are_refused_or_read_as_aiortc_reads_them() -> None:
    source = random.Random(8866)
    accepted = sum(_read(_mutated(source)) for _ in range(INPUTS))
    assert 0 < accepted < INPUTS


def _read(text: str) -> bool:
    """Whether a text is taken for a description; aiortc then sees the same in what is written."""
    try:
        read = Description.parse(text)
    except ProtocolError:
        return False
    assert Description.parse(read.text()) == read
    (media,) = SessionDescription.parse(read.text()).media
    assert media.dtls is not None and media.ice is not None
    digests = [bytes.fromhex(f.value.replace(":", "")) for f in media.dtls.fingerprints]
    assert digests == [read.fingerprint]
    assert (media.ice.usernameFragment, media.ice.password) == (read.ufrag, read.password)
    assert len(media.ice_candidates) == len(read.candidates) <= MAX_CANDIDATES
    return True


def _mutated(source: random.Random) -> str:
    """A description with a few lines, characters or pieces changed, moved, doubled or lost."""
    text = source.choice(SAMPLES)
    for _ in range(source.randrange(1, 4)):
        lines = text.split("\n")
        at = source.randrange(len(lines))
        where = source.randrange(len(text) + 1)
        match source.randrange(7):
            case 0:
                del lines[at]
                text = "\n".join(lines)
            case 1:
                lines.insert(source.randrange(len(lines) + 1), lines[at])
                text = "\n".join(lines)
            case 2:
                text = (
                    text[:where] + chr(source.choice((0, 9, 13, 32, 58, 61, 0x2028))) + text[where:]
                )
            case 3:
                text = text[:where] + text[where + source.randrange(1, 9) :]
            case 4:
                lines[at] = lines[at].swapcase()
                text = "\n".join(lines)
            case 5:
                other = source.choice(SAMPLES).split("\n")
                lines[at] = source.choice(other)
                text = "\n".join(lines)
            case _:
                text = text[:where] + chr(source.randrange(0x7F)) + text[where + 1 :]
    return text
