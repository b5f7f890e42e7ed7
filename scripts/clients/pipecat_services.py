"""Pipecat's services for Deepgram and OpenAI, with their default settings and only the base URL changed.

`.clients/agents/bin/python scripts/clients/pipecat_services.py URL WAV` (make clients)
"""

from audio import KEY, PACE, PAUSE_S, PIECE_S, RATE_HZ, main, pcm
from loguru import logger
from pipecat.frames.frames import (
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.task import PipelineParams
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService
from pipecat.tests.utils import SleepFrame, run_test

logger.remove()


async def transcribed(service: FrameProcessor, path: str) -> str:
    """The transcriptions of a pipeline; a microphone with a voice detector stands before the service."""
    size, data = round(PIECE_S * RATE_HZ) * 2, pcm(path)
    spoken = len(data) - round((PAUSE_S - 0.5) * RATE_HZ) * 2
    frames: list[object] = [SleepFrame(1.0), VADUserStartedSpeakingFrame()]
    for start in range(0, len(data), size):
        frames += [InputAudioRawFrame(data[start : start + size], RATE_HZ, 1), SleepFrame(PIECE_S / PACE)]
        if start <= spoken < start + size:
            frames.append(VADUserStoppedSpeakingFrame())
    frames.append(SleepFrame(6.0))
    params = PipelineParams(audio_in_sample_rate=RATE_HZ)
    down, _ = await run_test(service, frames_to_send=frames, pipeline_params=params, start_timeout=10.0)
    return " ".join(frame.text for frame in down if isinstance(frame, TranscriptionFrame))


async def deepgram(url: str, path: str) -> str:
    return await transcribed(DeepgramSTTService(api_key=KEY, base_url=url), path)


async def deepgram_flux(url: str, path: str) -> str:
    address = url.replace("http", "ws", 1) + "/v2/listen"
    return await transcribed(DeepgramFluxSTTService(api_key=KEY, url=address), path)


async def openai_recording(url: str, path: str) -> str:
    return await transcribed(OpenAISTTService(api_key=KEY, base_url=f"{url}/v1"), path)


async def openai_recording_with_probabilities(url: str, path: str) -> str:
    service = OpenAISTTService(api_key=KEY, base_url=f"{url}/v1", include_prob_metrics=True)
    return await transcribed(service, path)


async def openai_realtime(url: str, path: str) -> str:
    address = url.replace("http", "ws", 1) + "/v1/realtime"
    return await transcribed(OpenAIRealtimeSTTService(api_key=KEY, base_url=address), path)


async def openai_realtime_server_vad(url: str, path: str) -> str:
    address = url.replace("http", "ws", 1) + "/v1/realtime"
    settings = OpenAIRealtimeSTTService.Settings(model="gpt-transcribe", noise_reduction="near_field")
    service = OpenAIRealtimeSTTService(
        api_key=KEY, base_url=address, turn_detection={"type": "server_vad"}, settings=settings
    )
    return await transcribed(service, path)


if __name__ == "__main__":
    main(
        {
            "deepgram": deepgram,
            "deepgram flux": deepgram_flux,
            "openai recording": openai_recording,
            "openai recording, probabilities": openai_recording_with_probabilities,
            "openai realtime, commits": openai_realtime,
            "openai realtime, server_vad": openai_realtime_server_vad,
        }
    )
