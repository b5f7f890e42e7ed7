// The sources of audio: the microphone, or a recording that this browser can decode.

import { FileTape, LiveTape } from "./tape.js";

const CHUNK_S = 0.1;
const FILE_RATE_HZ = 16000; // the models' rate; the browser resamples while it decodes
const MAX_RATE_HZ = 48000; // the protocol's limit; some sound cards run at 96 kHz
const MAX_DECODED_BYTES = 300e6; // larger files are uploaded: decoding them could exhaust a phone's memory

export const NO_SERVER = "The server does not answer. Is it running? Try again when it is.";

/** The microphone or file cannot be used; the message is for the user. */
export class SourceError extends Error {}

const REFUSALS = {
  NotAllowedError:
    "The browser was not allowed to use the microphone. Allow it in the site settings beside the address, then press Start again; or choose a file.",
  NotFoundError: "No microphone was found. Plug one in and press Start again, or choose a file.",
  NotReadableError: "The microphone cannot be read; perhaps another program holds it. Close that, then press Start again.",
};

async function openDevice() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new SourceError(
      "The browser gives the microphone only to pages from localhost or https. Open the page that way, or choose a file.",
    );
  }
  // Echo and noise removal are made for phone calls: they cut off the starts of words, which a recogniser needs.
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new SourceError(REFUSALS[error.name] ?? `The microphone could not be opened: ${error.message}`);
  }
}

function newContext() {
  const context = new AudioContext({ latencyHint: "interactive" });
  if (context.sampleRate <= MAX_RATE_HZ) return context;
  context.close();
  return new AudioContext({ latencyHint: "interactive", sampleRate: MAX_RATE_HZ });
}

/** An open microphone. It fills `tape` until `stop()`, which waits for the last chunk. */
export class Microphone {
  static async open({ onLevel, onLost }) {
    const stream = await openDevice();
    const context = newContext();
    try {
      await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
      await context.resume();
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      if (error.name === "AbortError") throw new SourceError(NO_SERVER); // the worklet's file could not be loaded
      throw new SourceError(`This browser cannot process the microphone's sound: ${error.message}`);
    }
    return new Microphone(stream, context, onLevel, onLost);
  }

  constructor(stream, context, onLevel, onLost) {
    this.stream = stream;
    this.context = context;
    this.tape = new LiveTape(context.sampleRate);
    const chunkSamples = Math.round(CHUNK_S * context.sampleRate);
    this.node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions: { chunkSamples } });
    this.flushed = new Promise((resolve) => {
      this.node.port.onmessage = ({ data: { samples, level, last } }) => {
        this.tape.push(samples);
        onLevel(level);
        if (last) resolve();
      };
    });
    context.createMediaStreamSource(stream).connect(this.node);
    stream.getAudioTracks()[0].addEventListener("ended", onLost); // unplugged, or the permission was withdrawn
    document.addEventListener("visibilitychange", this.wake);
  }

  wake = () => {
    if (this.context.state === "suspended") this.context.resume(); // phones suspend it during a call
  };

  async stop() {
    document.removeEventListener("visibilitychange", this.wake);
    const patience = new Promise((resolve) => setTimeout(resolve, 500)); // a suspended context never answers
    this.node.port.postMessage("flush");
    await Promise.race([this.flushed, patience]);
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
    this.tape.close();
  }
}

function mixDown(buffer) {
  const mono = buffer.getChannelData(0);
  const channels = buffer.numberOfChannels;
  for (let c = 1; c < channels; c += 1) {
    const other = buffer.getChannelData(c);
    for (let i = 0; i < mono.length; i += 1) mono[i] += other[i];
  }
  if (channels > 1) for (let i = 0; i < mono.length; i += 1) mono[i] /= channels;
  return mono;
}

/** A recording as a tape, or null when this browser cannot decode it. */
export async function openFile(file) {
  if (file.size > MAX_DECODED_BYTES) return null;
  try {
    const decoder = new OfflineAudioContext(1, 1, FILE_RATE_HZ);
    const buffer = await decoder.decodeAudioData(await file.arrayBuffer());
    return new FileTape(mixDown(buffer), FILE_RATE_HZ);
  } catch (error) {
    if (error.name === "EncodingError") return null;
    throw new SourceError(`${file.name} could not be read: ${error.message}`);
  }
}
