"""Streams of a scripted server, and the releases that their messages name."""

import json
from typing import Any

from websockets.sync.client import ClientConnection

from tests.server.running import pcm


def releases(messages: list[dict[str, Any]]) -> set[str]:
    """Those that finals and the summary name."""
    named = [message.get("metadata", message) for message in messages if message["type"] in ("Results", "Metadata")]
    return {fields["release"] for fields in named}


def speak(socket: ClientConnection, utterances: int = 1) -> list[dict[str, Any]]:
    """Two seconds each, up to their finals."""
    messages: list[dict[str, Any]] = []
    for _ in range(utterances):
        socket.send(pcm(2.0))
        while not messages or not messages[-1].get("speech_final"):
            messages.append(json.loads(socket.recv(timeout=30)))
    return messages
