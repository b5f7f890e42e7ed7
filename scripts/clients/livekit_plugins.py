"""LiveKit's plugins for Deepgram and OpenAI, with their default settings and only the base URL changed.

`.clients/agents/bin/python scripts/clients/livekit_plugins.py URL WAV` (make clients)
"""

import asyncio

from audio import KEY, RATE_HZ, Case, main, pcm, pieces
from livekit import rtc
from livekit.agents import stt
from livekit.agents.utils import http_context
from livekit.plugins import deepgram, openai


def frame(data: bytes, rate_hz: int = RATE_HZ) -> rtc.AudioFrame:
    return rtc.AudioFrame(data, rate_hz, 1, len(data) // 2)


async def streamed(recogniser: stt.STT, path: str, rate_hz: int = RATE_HZ) -> str:
    """The final transcripts of a stream."""
    return await finals(recogniser.stream(), path, rate_hz)


async def finals(stream: stt.RecognizeStream, path: str, rate_hz: int = RATE_HZ) -> str:
    async def send() -> None:
        async for piece in pieces(path, rate_hz):
            stream.push_frame(frame(piece, rate_hz))
        stream.flush()
        stream.end_input()

    sending = asyncio.create_task(send())
    texts = []
    async for event in stream:
        if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
            texts.append(event.alternatives[0].text)
            if sum(map(len, texts)) > 40:  # the whole sentence; OpenAI's sockets have no end of a stream
                break
    await sending
    await stream.aclose()
    return " ".join(texts)


async def deepgram_live(url: str, path: str) -> str:
    async with http_context.open():
        plugin = deepgram.STT(api_key=KEY, base_url=f"{url}/v1/listen")
        return await streamed(plugin, path)


async def deepgram_keyterm(url: str, path: str) -> str:
    async with http_context.open():
        plugin = deepgram.STT(api_key=KEY, base_url=f"{url}/v1/listen", keyterm=["fox"])
        return await streamed(plugin, path)


def deepgram_at(rate_hz: int) -> Case:
    """The plugin asks for this rate, and the microphone has it."""

    async def case(url: str, path: str) -> str:
        async with http_context.open():
            plugin = deepgram.STT(api_key=KEY, base_url=f"{url}/v1/listen", sample_rate=rate_hz)
            return await streamed(plugin, path, rate_hz)

    return case


async def deepgram_reconnecting(url: str, path: str) -> str:
    """New options in the middle of a stream: the plugin connects again."""
    async with http_context.open():
        plugin = deepgram.STT(api_key=KEY, base_url=f"{url}/v1/listen")
        stream = plugin.stream()
        for _ in range(20):
            stream.push_frame(frame(bytes(640)))
        await asyncio.sleep(1.0)
        stream.update_options(endpointing_ms=300, keyterm=["fox"], numerals=True)
        await asyncio.sleep(0.5)
        return await finals(stream, path)


async def deepgram_options(url: str, path: str) -> str:
    """Those that the server honours or ignores."""
    async with http_context.open():
        plugin = deepgram.STT(
            api_key=KEY, base_url=f"{url}/v1/listen", language="multi", smart_format=True, endpointing_ms=300,
            filler_words=False, keyterm=["fox", "lazy dog"], tags=["a call"], profanity_filter=True, numerals=True,
            mip_opt_out=True, utterance_end_ms=1000, dictation=True,
        )  # fmt: skip
        return await streamed(plugin, path)


async def deepgram_recording(url: str, path: str) -> str:
    async with http_context.open():
        plugin = deepgram.STT(api_key=KEY, base_url=f"{url}/v1/listen")
        return (await plugin.recognize(frame(pcm(path)))).alternatives[0].text


async def deepgram_flux(url: str, path: str) -> str:
    async with http_context.open():
        plugin = deepgram.STTv2(api_key=KEY, base_url=f"{url}/v2/listen", eager_eot_threshold=0.4)
        return await streamed(plugin, path)


async def openai_recording(url: str, path: str) -> str:
    plugin = openai.STT(api_key=KEY, base_url=f"{url}/v1")
    return (await plugin.recognize(frame(pcm(path)))).alternatives[0].text


async def openai_recording_options(url: str, path: str) -> str:
    plugin = openai.STT(
        api_key=KEY, base_url=f"{url}/v1", model="whisper-1", language="en", prompt="A fox.", temperature=0.2
    )
    return (await plugin.recognize(frame(pcm(path)))).alternatives[0].text


async def openai_realtime(url: str, path: str) -> str:
    async with http_context.open():
        return await streamed(openai.STT(api_key=KEY, base_url=f"{url}/v1", use_realtime=True), path)


async def openai_realtime_semantic(url: str, path: str) -> str:
    async with http_context.open():
        plugin = openai.STT(
            api_key=KEY, base_url=f"{url}/v1", use_realtime=True, turn_detection={"type": "semantic_vad"},
            model="gpt-transcribe", keywords=["fox"], noise_reduction_type="near_field",
        )  # fmt: skip
        return await streamed(plugin, path)


async def openai_realtime_committing(url: str, path: str) -> str:
    async with http_context.open():
        plugin = openai.STT(api_key=KEY, base_url=f"{url}/v1", model="gpt-realtime-whisper")
        return await streamed(plugin, path)


if __name__ == "__main__":
    main(
        {
            "deepgram live": deepgram_live,
            "deepgram keyterm": deepgram_keyterm,
            "deepgram at 8 kHz": deepgram_at(8_000),
            "deepgram at 48 kHz": deepgram_at(48_000),
            "deepgram, new options in the stream": deepgram_reconnecting,
            "deepgram, many options": deepgram_options,
            "deepgram recognize": deepgram_recording,
            "deepgram flux": deepgram_flux,
            "openai recognize": openai_recording,
            "openai recognize, options": openai_recording_options,
            "openai realtime": openai_realtime,
            "openai realtime, semantic_vad": openai_realtime_semantic,
            "openai realtime, gpt-realtime-whisper": openai_realtime_committing,
        }
    )
