// The sources of audio: the microphone, or a recording that this browser can decode.

import { SourceError } from "./errors.js";
import { FileTape, LiveTape } from "./tape.js";

const CHUNK_S = 0.1;
const FILE_RATE_HZ = 16000; // the models' rate; the browser resamples while it decodes
const MAX_RATE_HZ = 48000; // the protocol's limit; some sound cards run at 96 kHz
const MAX_DECODED_BYTES = 300e6; // larger files are uploaded: decoding them could exhaust a phone's memory

/** The source that is no microphone: the sound of a tab or of the computer, where the browser gives it. */
export const SHARED = "shared";
export const canShare = Boolean(globalThis.navigator?.mediaDevices?.getDisplayMedia);

/** @type {Record<string, string>} */
const REFUSALS = {
  NotAllowedError: "notAllowed",
  NotFoundError: "notFound",
  NotReadableError: "notReadable",
  OverconstrainedError: "notThere",
};

// Echo and noise removal are made for phone calls: they cut off the starts of words, which a recogniser needs.
const PLAIN = { echoCancellation: false, noiseSuppression: false };

/** Browsers give errors with names; anything else is rare. @param {unknown} error */
const named = (error) => (error instanceof Error ? error : new Error(String(error)));

/** @param {string} id */
async function openDevice(id) {
  if (!navigator.mediaDevices?.getUserMedia) throw new SourceError("insecure");
  const audio = { channelCount: 1, ...PLAIN, autoGainControl: true, ...(id ? { deviceId: { exact: id } } : {}) };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const { name, message } = named(error);
    throw new SourceError(REFUSALS[name] ?? "notOpened", { why: message });
  }
}

/** What the user shares. Browsers share sound only beside a picture, which is not used. */
async function openShared() {
  let stream;
  try {
    const wanted = { video: true, audio: { ...PLAIN, autoGainControl: false }, systemAudio: "include" };
    stream = await navigator.mediaDevices.getDisplayMedia(wanted);
  } catch (error) {
    const { name, message } = named(error);
    throw new SourceError(name === "NotAllowedError" ? "notShared" : "notOpened", { why: message });
  }
  if (stream.getAudioTracks().length) return stream;
  stream.getTracks().forEach((track) => track.stop());
  throw new SourceError("silentShare");
}

/** The microphones: {id, name}. Their names are "" until the user has allowed one. */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const inputs = devices.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId && deviceId !== "default");
  return inputs.map(({ deviceId, label }) => ({ id: deviceId, name: label }));
}

function newContext() {
  const context = new AudioContext({ latencyHint: "interactive" });
  if (context.sampleRate <= MAX_RATE_HZ) return context;
  context.close();
  return new AudioContext({ latencyHint: "interactive", sampleRate: MAX_RATE_HZ });
}

/** An open microphone, or a shared sound. It fills `tape` until `stop()`, which waits for the last chunk. */
export class Microphone {
  /**
   * Rejects with a `SourceError`.
   * @param {object} [given]
   * @param {string} [given.source] "" for the default microphone, the id of another one, or `SHARED`
   * @param {(level: number) => void} [given.onLevel] ten times a second, of full scale: 0 to 1
   * @param {() => void} [given.onLost] it was unplugged, its permission was withdrawn, or the sharing ended
   */
  static async open({ source = "", onLevel = () => {}, onLost = () => {} } = {}) {
    const stream = await (source === SHARED ? openShared() : openDevice(source));
    const context = newContext();
    try {
      await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
      await context.resume();
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      const { name, message } = named(error);
      throw new SourceError(name === "AbortError" ? "noServer" : "noWorklet", { why: message }); // AbortError: its file could not be loaded
    }
    return new Microphone(stream, context, onLevel, onLost);
  }

  /**
   * @param {MediaStream} stream
   * @param {AudioContext} context
   * @param {(level: number) => void} onLevel
   * @param {() => void} onLost
   */
  constructor(stream, context, onLevel, onLost) {
    this.stream = stream;
    this.context = context;
    this.tape = new LiveTape(context.sampleRate);
    const chunkSamples = Math.round(CHUNK_S * context.sampleRate);
    this.node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions: { chunkSamples } });
    /** @type {Promise<void>} */
    this.flushed = new Promise((resolve) => {
      this.node.port.onmessage = ({ data: { samples, level, last } }) => {
        this.tape.push(samples);
        onLevel(level);
        if (last) resolve();
      };
    });
    context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(this.node);
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

/** @param {AudioBuffer} buffer */
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

/** A recording as a tape, or null when this browser cannot decode it. Rejects with a `SourceError`. @param {File} file */
export async function openFile(file) {
  if (file.size > MAX_DECODED_BYTES) return null;
  try {
    const decoder = new OfflineAudioContext(1, 1, FILE_RATE_HZ);
    const buffer = await decoder.decodeAudioData(await file.arrayBuffer());
    return new FileTape(mixDown(buffer), FILE_RATE_HZ);
  } catch (error) {
    const { name, message } = named(error);
    if (name === "EncodingError") return null;
    throw new SourceError("unreadableFile", { name: file.name, why: message });
  }
}
