"""Drives the machines of the control and the chat channel by transcripts, and makes these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from peer.channel.chat.protocol import Chat, ChatEvent, ChatMessage, Delivered
from peer.config import LinkConfig
from peer.link.control import (
    ByeReceived,
    ChannelUnread,
    Control,
    ControlEvent,
    HelloReceived,
    OtherMessage,
)

from .files import Json

__all__ = ["ABOUT", "chat_step", "control_step", "made", "outcomes"]

ABOUT: Final = (
    "One side of a channel. `then` is what each step makes it send and tell (`events`), and, for "
    "control, when its timer is due and how long the last answered ping took. `room: false` leaves "
    "no room for answers. A text that is a list is repeated: what comes before, what is repeated, "
    "how often, what comes after. `ids` repeats a step with each number from the first to the last "
    "in the place of `%`. Of long texts the beginning and the number of bytes are told, of more "
    "than eight things how many there are and the last. Made by tests/support/transcripts, read by "
    "the Python and the JavaScript tests."
)


def text_of(text: str | list[Any]) -> str:
    if isinstance(text, str):
        return text
    before, repeated, times, after = text
    return f"{before}{repeated * times}{after}"


def short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:10]}\N{HORIZONTAL ELLIPSIS}{len(text.encode())}"


def few(things: list[Any]) -> Any:
    return things if len(things) <= 8 else {"count": len(things), "last": things[-1]}


def texts(step: Json) -> Iterator[str]:
    """The message of a step: once, or with each of its numbers."""
    text = text_of(step["text"])
    if "ids" not in step:
        yield text
        return
    first, last = step["ids"]
    for number in range(first, last + 1):
        yield text.replace("%", str(number))


# Control


def control_event(event: ControlEvent) -> Json:
    match event:
        case HelloReceived(name, agent, reveal):
            return {"event": "hello", "name": name, "agent": agent, "reveal": reveal}
        case ByeReceived(code, message):
            return {"event": "bye", "code": short(code), "message": short(message)}
        case ChannelUnread(channel):
            return {"event": "unread", "channel": channel}
        case OtherMessage(text):
            return {"event": "other", "text": short(text)}
        case _:
            return {"event": "silent", "after": event.after}


def control_step(machine: Control, step: Json) -> Json:
    now = step["now"]
    match step["do"]:
        case "begin":
            pass
        case "hello":
            machine.hello(step["name"], step["agent"], step["reveal"])
        case "bye":
            machine.bye(step["code"], step["message"])
        case "heard":
            machine.heard(now)
        case "doubt":
            machine.doubt(now)
        case "timer":
            machine.handle_timer(now)
        case "message":
            for text in texts(step):
                machine.receive_message(text, now)
    events = []
    send = machine.messages_to_send(replies=step.get("room", True))
    while (event := machine.next_event()) is not None:
        events.append(control_event(event))
    return {
        "send": few([short(text) for text in send]),
        "events": few(events),
        "deadline": machine.get_timer(),
        "round_trip": machine.round_trip,
    }


# Chat


def chat_event(event: ChatEvent) -> Json:
    match event:
        case ChatMessage(number, text, at):
            return {"event": "message", "id": number, "text": short(text), "at": at}
        case Delivered(number):
            return {"event": "delivered", "id": number}
        case _:
            return {"event": "flooded"}


def chat_step(machine: Chat, step: Json) -> Json:
    outcome: Json = {}
    for text in texts(step):
        if step["do"] == "message":
            machine.receive_message(text)
            continue
        try:
            outcome = {"id": machine.send(text, step["at"], limit=step.get("limit"))}
        except ValueError:
            outcome = {"error": True}
    events = []
    while (event := machine.next_event()) is not None:
        events.append(chat_event(event))
    send = machine.messages_to_send(confirmations=step.get("room", True))
    return outcome | {"send": few([short(text) for text in send]), "events": few(events)}


# Both


def outcomes(name: str, transcript: Json) -> Iterator[tuple[Json, Json]]:
    """For each step: what the machine makes of it, and what the transcript says."""
    run = runner(name)
    for step in transcript["steps"]:
        yield run(step), step["then"]


def runner(name: str) -> Callable[[Json], Json]:
    if name == "chat":
        chat = Chat()
        return lambda step: chat_step(chat, step)
    control = Control(LinkConfig(), 0.0)
    return lambda step: control_step(control, step)


def made(name: str, scripts: dict[str, list[Json]]) -> list[Json]:
    """The transcripts of some scripts."""
    transcripts = []
    for title, steps in scripts.items():
        run = runner(name)
        transcripts.append({"name": title, "steps": [step | {"then": run(step)} for step in steps]})
    return transcripts
