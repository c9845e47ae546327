"""The scripts of the golden transcripts of the control and the chat channel."""

from __future__ import annotations

from typing import Any, Final

from .files import Json

__all__ = ["CHAT", "CONTROL"]


def at(now: float, do: str, **arguments: Any) -> Json:
    return {"now": now, "do": do, **arguments}


def says(now: float, *texts: str | list[Any], **more: Any) -> list[Json]:
    return [at(now, "message", text=text, **more) for text in texts]


HELLO: Final = '{"t":"hello","version":1,"name":"bob","agent":"peerline/1 page"}'

CONTROL: Final[dict[str, list[Json]]] = {
    "hello, both ways": [
        at(0.0, "begin"),
        at(0.5, "hello", name="Anna\xa0Lee", agent="peerline/1 python", reveal=None),
        *says(1.0, HELLO, HELLO.replace("bob", "eve")),
    ],
    "hello that reveals a nonce": [
        at(0.0, "hello", name="", agent="a", reveal="AAAA"),
        *says(0.0, '{"t":"hello","version":2,"reveal":"BBBB","new":[1]}'),
    ],
    "hello of no sense, then one of any name": [
        *says(
            0.0,
            '{"t":"hello"}',
            '{"t":"hello","version":0}',
            '{"t":"hello","version":"1"}',
            '{"t":"hello","version":1.5}',
            '{"t":"hello","version":1,"name":7}',
            '{"t":"hello","version":1,"name":null}',
            '{"t":"hello","version":1,"agent":[]}',
            '{"t":"hello","version":1,"reveal":7}',
            '{"t":"hello","version":1,"name":"\\ud800"}',
            ['{"t":"hello","version":1,"name":"\\u202e\\u00a0', "x", 100, '","reveal":null}'],
        ),
    ],
    "pings are answered, the newest once there is room": [
        *says(1.0, '{"t":"ping","n":7}'),
        *says(2.0, '{"t":"ping","n":%}', ids=[1, 5000], room=False),
        at(2.5, "heard", room=False),
        at(3.0, "heard"),
        *says(4.0, '{"t":"ping","n":9007199254740991}', '{"t":"ping","n":9007199254740992}'),
        *says(
            4.0,
            '{"t":"ping"}',
            '{"t":"ping","n":-1}',
            '{"t":"ping","n":1.5}',
            '{"t":"ping","n":"1"}',
        ),
    ],
    "silence: two pings, then the end": [
        at(4.9, "timer"),
        at(5.0, "timer"),
        at(10.0, "timer"),
        at(14.999, "timer"),
        at(15.0, "timer"),
        at(16.0, "timer"),
        *says(16.0, '{"t":"ping","n":1}', "nonsense"),
    ],
    "anything that arrives is a sign of life": [
        at(4.0, "heard"),
        *says(8.0, "nonsense"),
        at(13.0, "timer"),
        *says(13.25, '{"t":"pong","n":99}', '{"t":"pong","n":1}', '{"t":"pong","n":1}'),
    ],
    "a device that slept asks before it gives up": [
        at(3600.0, "timer"),
        at(3605.0, "timer"),
    ],
    "a device that slept, and hears of the other side": [
        at(3600.0, "timer"),
        *says(3600.5, '{"t":"pong","n":1}'),
        at(3605.5, "timer"),
    ],
    "a doubt: the other side is gone": [
        at(2.0, "doubt"),
        at(3.0, "doubt"),
        at(7.0, "timer"),
        at(8.0, "timer"),
    ],
    "a doubt: the other side is there": [
        at(2.0, "doubt"),
        *says(2.5, '{"t":"pong","n":1}'),
        at(7.5, "timer"),
        at(8.5, "timer"),
        at(10.0, "doubt"),
        at(10.1, "heard"),
        at(10.2, "doubt"),
    ],
    "our goodbye is the last message": [
        *says(1.0, '{"t":"ping","n":1}', room=False),
        at(1.0, "bye", code="done", message="See you."),
        at(1.0, "bye", code="bye", message=""),
        at(1.0, "doubt"),
        *says(2.0, '{"t":"ping","n":2}', '{"t":"bye"}'),
        at(20.0, "timer"),
    ],
    "a goodbye without a reason": [at(0.0, "bye", code="bye", message="")],
    "the other side's goodbye is the last thing heard": [
        *says(1.0, '{"t":"bye","code":7}', '{"t":"bye","message":null}'),
        *says(1.0, '{"t":"bye","code":"done","message":"See you.","more":1}', '{"t":"ping","n":1}'),
    ],
    "a goodbye whose code is no word": [
        *says(1.0, '{"t":"bye","code":"no\\u202e","message":"\\u001b[2J"}'),
    ],
    "a goodbye with much to say": [
        *says(1.0, ['{"t":"bye","code":"', "\U0001f44b", 70, '","message":"x"}']),
    ],
    "a goodbye with a long sentence": [
        *says(1.0, ['{"t":"bye","message":"', "\xe9", 1100, '"}']),
    ],
    "what is for others, and what is for nobody": [
        *says(
            1.0,
            '{"t":"offer","transfer":0}',
            ' {"more":[1], "t":"something new"} ',
            '{"t":"unread","channel":4}',
            '{"t":"unread","channel":65536}',
            '{"t":"unread"}',
            '{"t":5}',
            "{}",
            "[]",
            "null",
            "",
            '{"t":"offer"',
            '{"t":"offer","x":"\\ud800"}',
            ['{"t":"offer","x":"', "x", 65516, '"}'],
            ['{"t":"offer","x":"', "x", 65517, '"}'],
            ['{"t":"offer","x":"', "\xe9", 32758, '"}'],
            ['{"t":"offer","x":"', "\xe9", 32758, 'x"}'],
        ),
    ],
}


def chats(*texts: str | list[Any], **more: Any) -> list[Json]:
    return [{"do": "message", "text": text, **more} for text in texts]


def sends(text: str | list[Any], **more: Any) -> Json:
    return {"do": "send", "text": text, "at": 1_700_000_000_000, **more}


CHAT: Final[dict[str, list[Json]]] = {
    "messages and their confirmations": [
        sends("hello \u2603"),
        sends('"quotes" \\ \x00\x1f\x7f\u2028\n'),
        *chats('{"t":"delivered","id":2}', '{"t":"delivered","id":2}', '{"t":"delivered","id":3}'),
        *chats('{"t":"delivered","id":1,"more":{}}'),
        *chats(
            '{"t":"message","id":1,"text":"hi","at":5}', '{"at":6,"text":"!","id":2,"t":"message"}'
        ),
    ],
    "a repetition is confirmed again, and told once": [
        *chats(
            '{"t":"message","id":7,"text":"hi","at":0}', '{"t":"message","id":7,"text":"hi","at":0}'
        ),
        *chats('{"t":"message","id":6,"text":"before","at":0}'),
        *chats('{"t":"message","id":9,"text":"after","at":0}'),
    ],
    "whatever the other side's clock says": [
        *chats(
            '{"t":"message","id":1,"text":"x"}',
            '{"t":"message","id":2,"text":"x","at":null}',
            '{"t":"message","id":3,"text":"x","at":-1}',
            '{"t":"message","id":4,"text":"x","at":1.5}',
            '{"t":"message","id":5,"text":"x","at":"now"}',
            '{"t":"message","id":6,"text":"x","at":8640000000000000}',
            '{"t":"message","id":7,"text":"x","at":8640000000000001}',
            '{"t":"message","id":8,"text":"x","at":1e300}',
            '{"t":"message","id":9,"text":"x","at":true}',
            '{"t":"message","id":10,"text":"x","at":[]}',
            '{"t":"message","id":11,"text":"x","at":2.0}',
        ),
    ],
    "texts of all sizes that come": [
        *chats(
            ['{"t":"message","id":1,"text":"', "x", 65536, '","at":0}'],
            ['{"t":"message","id":2,"text":"', "x", 65537, '","at":0}'],
            ['{"t":"message","id":3,"text":"', "\xe9", 32768, '","at":0}'],
            ['{"t":"message","id":4,"text":"', "\xe9", 32768, 'x","at":0}'],
            ['{"t":"message","id":5,"text":"', "\U0001f44b", 16384, '","at":0}'],
            ['{"t":"message","id":6,"text":"', "\U0001f44b", 16384, 'x","at":0}'],
            ['{"t":"message","id":7,"text":"', "\\u0000", 65536, '","at":0}'],
            ['{"t":"message","id":8,"text":"x","at":0,"y":"', "x", 393400, '"}'],
            ['{"t":"message","id":9,"text":"x","at":0,"y":"', "x", 393500, '"}'],
            ['{"t":"message","id":9,"text":"x","at":0,"y":"', "\xe9", 196750, '"}'],
        ),
    ],
    "texts of all sizes that are sent": [
        sends(""),
        sends("\ud800"),
        sends(["", "x", 65536, ""]),
        sends(["", "x", 65537, ""]),
        sends(["", "\xe9", 32768, ""]),
        sends(["", "\xe9", 32768, "x"]),
        sends(["", "\x01", 900, ""], limit=1000),
        sends("short", limit=1000),
    ],
    "no more than 256 may be unconfirmed": [
        sends("%", ids=[1, 256]),
        sends("one more"),
        *chats('{"t":"delivered","id":100}'),
        sends("one more"),
        sends("and another"),
    ],
    "confirmations wait for room": [
        *chats('{"t":"message","id":%,"text":"x"}', ids=[1, 3], room=False),
        *chats('{"t":"message","id":3,"text":"x"}', room=False),
        sends("ours does not wait", room=False),
        *chats("nonsense"),
    ],
    "a flood whose confirmations are not taken": [
        *chats('{"t":"message","id":%,"text":"x"}', ids=[1, 1024], room=False),
        *chats('{"t":"message","id":1025,"text":"x"}', room=False),
        *chats('{"t":"message","id":1026,"text":"x"}'),
    ],
    "nonsense is dropped": [
        *chats(
            "",
            "[]",
            "null",
            "nonsense",
            "{}",
            '{"t":7}',
            '{"t":"typing","id":1}',
            '{"t":"message"}',
            '{"t":"message","id":0,"text":"x","at":0}',
            '{"t":"message","id":-1,"text":"x","at":0}',
            '{"t":"message","id":1.5,"text":"x","at":0}',
            '{"t":"message","id":"1","text":"x","at":0}',
            '{"t":"message","id":9007199254740992,"text":"x","at":0}',
            '{"t":"message","id":1e999,"text":"x","at":0}',
            '{"t":"message","id":1,"text":"","at":0}',
            '{"t":"message","id":1,"text":7,"at":0}',
            '{"t":"message","id":1,"text":null}',
            '{"t":"message","id":1,"text":"\\ud800","at":0}',
            '{"t":"delivered"}',
            '{"t":"delivered","id":0}',
        ),
        *chats('{"t":"message","id":1,"text":"still here","at":0,"future":1}'),
    ],
}
