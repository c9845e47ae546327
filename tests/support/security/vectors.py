"""Makes the golden vectors of codes, pake and sealing: `python -m tests.support.security.vectors`.

They are committed, and read by the Python and the JavaScript tests, so that neither side can drift
alone; a change of them is a change of the protocol. (The draft's own CPace vectors are in
`cpace_draft.json`, which nothing here makes.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from peer.errors import CodeError
from peer.security.codes import Code, complete, make_words, suggest
from peer.security.cpace import elligator2, password_bytes
from peer.security.pake import Pake, PakeDone, PakeFailed
from peer.security.pasted import server_of
from peer.security.sealing import (
    MAX_PLAINTEXT,
    Envelope,
    LinkKeys,
    Sealer,
    b64u_encode,
    commitment,
    lv_cat,
    open_link_sas,
)

VECTORS = Path(__file__).resolve().parents[2] / "vectors"

Json = dict[str, Any]


def load(name: str) -> Json:
    """One of the vector files."""
    loaded: Json = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return loaded


def made_bytes(label: str, size: int = 32) -> bytes:
    """Bytes that look random and are the same every time."""
    return hashlib.shake_256(label.encode()).digest(size)


# Codes

_PARSED = [
    "7-guitar-ocean",
    "  7-guitar-ocean\r\n",
    "7 guitar ocean",
    "7+guitar+ocean",
    "7 - Guitar - OCEAN",
    "7_guitar_ocean",
    "7/guitar/ocean",
    "7, guitar, ocean.",
    "007-guitar-ocean",
    "7guitar ocean",
    "123456789-guitar-ocean",
    "42-zucchini-aardvark-kangaroo",
    "7-guitar-guitar",
    "7\u2010guitar\u2011ocean",
    "7\u2012guitar\u2013ocean",
    "7\u2014guitar\u2015ocean",
    "7\u2212guitar\uff0docean",
    "7\u00a0guitar\u3000ocean",
    "7-gui\u200btar-oc\u00adean",
    "\ufeff7-guitar\u2060-\u200eocean\u200f",
    "７－ｇｕｉｔａｒ－ＯＣＥＡＮ",
    "\u201c7-guitar-ocean\u201d",
    "**7-guitar-ocean**!",
    "https://host/#7-guitar-ocean",
    "https://host:8443/#7-guitar-ocean",
    "http://192.168.1.5:8080/p/#7-guitar-ocean ",
    "<https://host/#7-guitar-ocean>.",
    "(see https://host/#7-guitar-ocean)",
    "https://host/?x=1#7-GUITAR-OCEAN",
    "https://host/#7%20guitar%20ocean",
    "https://host/#7%2Dguitar%2docean",
    "#7-guitar-ocean",
    "host/#7-guitar-ocean,",
    "peerline receive 7-guitar-ocean",
    "  peerline receive --server https://host 7-guitar-ocean",
    "peerline receive https://host/#7-guitar-ocean",
    "",
    "   ",
    "\u200b",
    "-",
    "7",
    "7-",
    "0",
    "https://host/",
    "https://host/#",
    "https://host/#7",
    "wss://host/v1/ws",
    "guitar-ocean",
    "ocean",
    "0-guitar-ocean",
    "1234567890-guitar-ocean",
    "123456789012345678901234567890",
    "\u0667-guitar-ocean",
    "-7-guitar",
    "7-guitar",
    "7-guitar-ocean-guitar-ocean-guitar-ocean-guitar-ocean",
    "7-guitar-ocean-guitar-ocean-guitar-ocean-guitar-ocean-guitar",
    "7-gui-oce",
    "7-gitar-ocaen",
    "7-guitra-ocean",
    "7-guitarr-oceam",
    "7-g-o",
    "7-q-ocean",
    "7-xylo-zzzz",
    "7-xqzwv-ocean",
    "7-guitar-océan",
    "7-guitar-ocean\u0301",
    "7-гитара-океан",
    "7-guitarocean",
    "7-guitar-\U0001f30a",
    "7-guitar-ocean https://example.com",
    "7-pneumonoultramicroscopicsilicovolcanoconiosis-ocean",
    "7-" + "\U0001d518" * 30 + "-ocean",
    "x" * 3000,
    "\ud800-guitar",
    "peerline",
    "peerline receive '7-guitar-ocean'",
    'peerline receive "7-guitar-ocean"',
    "peerline receive \u20187-guitar-ocean\u2019",
    "peerline receive 7 guitar ocean",
    "$ peerline receive 7-guitar-ocean",
    "# peerline receive 7-guitar-ocean",
    "anna@host:~/peerline$ peerline receive '7-guitar-ocean'\n",
    "~/src/peerline % peerline receive 7-guitar-ocean",
    "(venv) PS C:\\Users\\Anna> peerline.exe receive 7-guitar-ocean",
    ".venv/bin/peerline receive -y 7-guitar-ocean -o ~/peerline",
    "python3 -m peer.cli receive 7-guitar-ocean",
    "PEERLINE RECEIVE 7-GUITAR-OCEAN",
    "sudo -u anna peerline receive --out /tmp/7-x --name '9' 7-guitar-ocean --yes && ls",
    "peerline receive --server=https://host 7-guitar-ocean",
    "peerline receive '7-guitar-ocean' --server 'https://host:8443'",
    "PEERLINE_SERVER=https://host peerline receive 7-guitar-ocean",
    "peerline receive 'https://host/#7-guitar-ocean'",
    "On the other machine:\n\n  peerline receive 7-guitar-ocean\n",
    "peerline\u00a0receive\u00a07-guitar-ocean",
    "`peerline receive 7-guitar-ocean`",
    "peerline chat 7-guitar-ocean",
    "peerline receive",
    "peerline receive https://host/",
    "https://one/#https://two/#7-guitar-ocean",
]

_SERVERS = [
    "7-guitar-ocean",
    "#7-guitar-ocean",
    "Code #7-guitar-ocean",
    "https://Host.example:8443/p/#7-guitar-ocean",
    "(see <http://192.168.1.5:8080/#7-guitar-ocean>)",
    "wss://host/#7-guitar-ocean",
    "host.example/#7-guitar-ocean",
    "host/#7-guitar-ocean",
    "192.168.1.5:8080#7-guitar-ocean",
    "localhost/#7-guitar-ocean",
    "[fe80::1]:8443/#7-guitar-ocean",
    "room#7-guitar-ocean",
    "peerline receive 7-guitar-ocean",
    "peerline receive 'https://host/#7-guitar-ocean'",
    "peerline receive --server https://host 7-guitar-ocean",
    "peerline receive 7-guitar-ocean --server='host:8443'",
    "PEERLINE_SERVER=https://host peerline receive 7-guitar-ocean",
    "peerline receive --server https://one https://two/#7-guitar-ocean",
    "# peerline receive 7-guitar-ocean",
    "https://one/#https://two/#7-guitar-ocean",
    "https://host/",
    "https://host/\n#7-guitar-ocean",
    "host/\n#7-guitar-ocean",
    "https:/host/#7-guitar-ocean",
    "https:host.test#7-guitar-ocean",
    "https:\\\\host\\#7-guitar-ocean",
    "//host/#7-guitar-ocean",
    "Code:#7-guitar-ocean",
    "peerline receive 7-guitar-ocean \\\n  --server host",
    "peerline receive 7-guitar-ocean `\r\n --server=host:8443",
    "peerline receive 7-guitar-ocean\n--server host",
    "export PEERLINE_SERVER=host\npeerline receive 7-guitar-ocean",
    '$env:PEERLINE_SERVER = "https://host"; peerline receive 7-guitar-ocean',
    "set -x PEERLINE_SERVER host; peerline receive 7-guitar-ocean",
    "peerline receive 7-guitar-ocean\nor open https://host/#7-guitar-ocean.",
    "h\u0131s://host/#7-guitar-ocean",
    "host:\u0663\u0664#7-guitar-ocean",
]


def _parsed(text: str) -> Json:
    try:
        return {"text": text, "code": str(Code.parse(text))}
    except CodeError as error:
        return {"text": text, "error": str(error)}


def codes_vectors() -> Json:
    """The content of `codes.json`."""
    code = Code("7", ("guitar", "ocean"))
    return {
        "parse": [_parsed(text) for text in _PARSED],
        "server": [{"text": text, "server": server_of(text)} for text in _SERVERS],
        "password": {"code": str(code), "hex": code.password.hex()},
        "make_words": [
            {"random": random.hex(), "count": count, "words": make_words(random, count)}
            for random, count in (
                (made_bytes("words"), 2),
                (made_bytes("more words"), 8),
                (made_bytes("a longer source", 40), 4),
                (bytes(32), 2),
                (b"\xff" * 32, 3),
            )
        ],
        "complete": {
            prefix: complete(prefix) for prefix in ("gui", "GUI", "oc", "yo", "guitars", "-", "é")
        },
        "suggest": {
            text: suggest(text)
            for text in (
                *("guitar", "gui", "gu", "giutar", "guittar", "getar", "ozean", "oceen", "ocn"),
                *("kangoroo", "zuchini", "brocoli", "a", "xqz", "jellly", "olympiad", "penguins"),
            )
        },
        "link": {
            base: code.link(base)
            for base in (
                "https://host",
                "https://host/",
                "http://localhost:8080/",
                "wss://host:8443/",
                "ws://192.168.1.5:8080",
                "https://host/page/?x=1#9-old-code",
                "https://[fe80::1]:8443/",
            )
        },
    }


# CPace

_RUN = {
    "room": "7",
    "link": "Zm9vYmFy",
    "offerer": "p-0001",
    "answerer": "p-0002",
    "offerer_scalar": made_bytes("offerer's scalar").hex(),
    "answerer_scalar": made_bytes("answerer's scalar").hex(),
}
_RUNS = [
    {"password": "7-guitar-ocean"},
    {"password": "123-zucchini-aardvark-kangaroo", "room": "123", "link": "x"},
    {"password": "Stra\u00dfe \u00fc \U0001f511", "room": "caf\u00e9", "link": "l" * 64},
    {"password": "u\u0308 decomposed", "room": "demo", "offerer": "a", "answerer": "ab"},
    {"password": "long " * 60, "room": "r" * 200},
    {"password": "", "room": ""},
]


def offerer_of(run: Json, **changes: Any) -> Pake:
    """The offerer of a run from `pake.json`."""
    run = {**run, **changes}
    return Pake.offerer(
        password=password_bytes(run["password"]),
        room=run["room"],
        link=run["link"],
        own_id=run["offerer"],
        peer_id=run["answerer"],
        scalar=bytes.fromhex(run["offerer_scalar"]),
    )


def answerer_of(run: Json, **changes: Any) -> Pake:
    """The answerer of a run from `pake.json`."""
    run = {**run, **changes}
    return Pake.answerer(
        password=password_bytes(run["password"]),
        room=run["room"],
        link=run["link"],
        own_id=run["answerer"],
        peer_id=run["offerer"],
        scalar=bytes.fromhex(run["answerer_scalar"]),
    )


def converse(offerer: Pake, answerer: Pake) -> list[str]:
    """Lets two machines talk until both are silent; what they said, in order."""
    said: list[str] = []
    while messages := [(offerer, text) for text in answerer.messages_to_send()] + [
        (answerer, text) for text in offerer.messages_to_send()
    ]:
        for receiver, text in messages:
            said.append(text)
            receiver.receive_message(text)
    return said


def keys_json(keys: LinkKeys) -> Json:
    """Keys as the vectors hold them."""
    return {
        "seal_offerer": keys.seal_offerer.hex(),
        "seal_answerer": keys.seal_answerer.hex(),
        "resume": keys.resume.hex(),
        "sas": list(keys.sas),
    }


def keys_of(vector: Json) -> LinkKeys:
    """The other way round."""
    return LinkKeys(
        seal_offerer=bytes.fromhex(vector["seal_offerer"]),
        seal_answerer=bytes.fromhex(vector["seal_answerer"]),
        resume=bytes.fromhex(vector["resume"]),
        sas=tuple(vector["sas"]),
    )


def _run(changes: Json) -> Json:
    run = {**_RUN, **changes}
    offerer, answerer = offerer_of(run), answerer_of(run)
    messages = converse(offerer, answerer)
    done = offerer.next_event()
    assert isinstance(done, PakeDone)
    assert answerer.next_event() == done
    return {**run, "messages": messages, "keys": keys_json(done.keys)}


def waiting_for(step: int, run: Json) -> Pake:
    """A machine of `run` that waits for this step."""
    if step == 2:
        return offerer_of(run)
    answerer = answerer_of(run)
    if step == 3:
        answerer.receive_message(run["messages"][0])
    return answerer


def _bad_messages(run: Json) -> Iterator[tuple[int, str]]:
    """Messages that must fail a run, and the step that is due when they come."""
    steps = [json.loads(text) for text in run["messages"]]
    share, tag = steps[1]["share"], steps[1]["tag"]
    draft = load("cpace_draft.json")
    low = [
        b64u_encode(bytes.fromhex(point["u"]))
        for point in draft["low_order"]["points"]
        if point["q"] is None
    ]

    def text(**fields: Any) -> str:
        return json.dumps(fields, separators=(",", ":"))

    for step in (1, 2, 3):
        for raw in (
            *("", " ", "null", "1", '"1"', "[]", "{}", "nonsense", "{", '{"step":1,"share":"'),
            *('{"step":1}{"step":1}', '{"step":null}', '{"step":"1"}', '{"step":4}', '{"step":0}'),
            *('{"step":-1}', '{"step":1.5}', '{"step":true}', '{"step":[1]}', '{"step":{}}'),
            *('{"step":1e999}', '{"Step":1}', "[" * 500, '{"a":' * 90 + "1" + "}" * 90, " " * 513),
            text(step=step),
            text(step=step, share=None, tag=None),
            text(step=step, share=1, tag=1),
            text(step=step, share=[share], tag=[tag]),
        ):
            yield step, raw
        for other in (1, 2, 3):
            if other != step:
                yield step, run["messages"][other - 1]
    for bad in ("", "A", share[:-1], share + "A", share + "=", share[:-1] + "+", share[:-1] + "/"):
        yield 1, text(step=1, share=bad)
        yield 2, text(step=2, share=bad, tag=tag)
    yield 1, text(step=1, share=share[:-1] + "B")  # bits that say nothing are set
    yield 1, text(step=1, share="é" * 43)
    for point in low:
        yield 1, text(step=1, share=point)
        yield 2, text(step=2, share=point, tag=tag)
    yield 1, text(step=1, share=share)  # the answerer's own
    yield 2, text(step=2, share=steps[0]["share"], tag=tag)
    for bad in ("", "A" * 85, "A" * 87, tag[:-2], tag + "A", tag[:-1] + "*", "é" * 86):
        yield 2, text(step=2, share=share, tag=bad)
        yield 3, text(step=3, tag=bad)
    for wrong in ("A" * 86, tag[1:-1] + "AA", steps[2]["tag"]):
        yield 2, text(step=2, share=share, tag=wrong)
    yield 3, text(step=3, tag="A" * 86)
    yield 3, text(step=3, tag=tag)  # the answerer's own tag, sent back


def pake_vectors() -> Json:
    """The content of `pake.json`."""
    runs = [_run(changes) for changes in _RUNS]
    rejected = []
    for step, text in _bad_messages(runs[0]):
        machine = waiting_for(step, runs[0])
        machine.messages_to_send()
        machine.receive_message(text)
        failed = machine.next_event()
        assert isinstance(failed, PakeFailed), (step, text)
        rejected.append({"due": step, "text": text, "reason": failed.reason.value})
    return {
        "runs": runs,
        "rejected": rejected,
        "elligator2": [
            {"r": f"{r:x}", "u": elligator2(r).hex()}
            for r in (
                *(0, 1, 2, 5, 2**255 - 20, 2**255 - 19, 2**255 - 1),
                *(int.from_bytes(made_bytes(f"r{i}"), "little") >> 1 for i in range(8)),
            )
        ],
    }


# Sealing

_ENVELOPE = {"from": "p-0001", "to": "p-0002", "link": "Zm9vYmFy", "gen": 0, "kind": "offer"}


def envelope_of(vector: Json) -> Envelope:
    """An envelope from its form on the wire."""
    return Envelope(
        sender=vector["from"],
        to=vector["to"],
        link=vector["link"],
        gen=vector["gen"],
        kind=vector["kind"],
    )


def _sealed(keys: LinkKeys, *, offerer: bool) -> list[Json]:
    sealer = Sealer(keys, offerer=offerer)
    there, back = ("p-0001", "p-0002") if offerer else ("p-0002", "p-0001")
    signals: list[tuple[Json, str]] = [
        ({"kind": "offer" if offerer else "answer"}, '{"sdp":"v=0\\r\\n"}'),
        ({"kind": "candidate"}, ""),
        ({"kind": "candidate", "gen": 1}, "h\u00e9llo \U0001f44b"),
        ({"kind": "end_of_candidates", "gen": 12345678901, "link": "é" * 70}, "{}"),
        ({"kind": "bye"}, "x" * 1000),
    ]
    made = []
    for changes, plaintext in signals:
        envelope = {**_ENVELOPE, "from": there, "to": back, **changes}
        data = sealer.seal(envelope_of(envelope), plaintext.encode())
        made.append({"envelope": envelope, "plaintext": plaintext, "data": data})
    return made


def sealing_vectors() -> Json:
    """The content of `sealing.json`."""
    valid = (b"", b"\0", b"\xfb\xff", b"\xfb\xff\xfe", made_bytes("b64u", 64))
    isk = made_bytes("isk", 64)
    keys = LinkKeys.derive(isk)
    nonces = {"offerer_nonce": made_bytes("nonce A"), "answerer_nonce": made_bytes("nonce B")}
    prints = {"offerer_fingerprint": made_bytes("A"), "answerer_fingerprint": made_bytes("B")}
    return {
        "lv_cat": [
            {"parts": [part.hex() for part in parts], "joined": lv_cat(*parts).hex()}
            for parts in ((), (b"",), (b"a", b"", b"bc"), (b"x" * 127,), (b"x" * 128, b"y" * 300))
        ],
        "b64u": {
            "valid": {data.hex(): b64u_encode(data) for data in valid},
            "invalid": ["A", "AB", "AAB", "AA==", "AA=", "A A", "AA\n", "+A", "/A", "é", "AAAAA"],
        },
        "isk": isk.hex(),
        "keys": keys_json(keys),
        "offerer": _sealed(keys, offerer=True),
        "answerer": _sealed(keys, offerer=False),
        "max_plaintext": MAX_PLAINTEXT,
        "commitment": {
            "nonce": nonces["offerer_nonce"].hex(),
            "commit": commitment(nonces["offerer_nonce"]),
            "reveal": b64u_encode(nonces["offerer_nonce"]),
        },
        "open_link": {
            **{name: value.hex() for name, value in {**nonces, **prints}.items()},
            "sas": list(open_link_sas(**nonces, **prints)),
        },
    }


FILES: dict[str, Callable[[], Json]] = {
    "codes.json": codes_vectors,
    "pake.json": pake_vectors,
    "sealing.json": sealing_vectors,
}


def rendered(name: str) -> str:
    """A vector file as it is committed."""
    return json.dumps(FILES[name](), indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Writes the files."""
    for name in FILES:
        (VECTORS / name).write_text(rendered(name), encoding="utf-8")


if __name__ == "__main__":
    main()
