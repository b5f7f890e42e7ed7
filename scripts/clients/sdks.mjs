// The official JavaScript SDKs of Deepgram and OpenAI, with only their addresses changed: `node sdks.mjs URL WAV`.
// OpenAI's Realtime client insists on wss:, so a TLS proxy stands before the server for that case.

import { execFileSync } from "node:child_process";
import { createReadStream, mkdtempSync, readFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { DeepgramClient } from "@deepgram/sdk";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { createClient, LiveTranscriptionEvents } from "deepgram-sdk-4";
import OpenAI7 from "openai-7";
import { OpenAIRealtimeWS as OpenAIRealtimeWS7 } from "openai-7/realtime/ws";

const KEY = process.env.ASR_KEY ?? "any"; // shown by each client in its own way
const [url, path] = process.argv.slice(2);
const ws = url.replace("http", "ws");
const pcm = Buffer.concat([readFileSync(path).subarray(44), Buffer.alloc(80_000)]); // and 2.5 s of silence
const pieces = Array.from({ length: Math.ceil(pcm.length / 3200) }, (_, i) => pcm.subarray(i * 3200, (i + 1) * 3200));
const deepgram = new DeepgramClient({
  apiKey: KEY,
  environment: { base: url, production: ws, agent: ws, agentRest: url },
});
const openai = new OpenAI({ apiKey: KEY, baseURL: `${url}/v1` });

async function deepgramLive() {
  const connection = await deepgram.listen.v1.connect({
    model: "nova-3", language: "en", encoding: "linear16", sample_rate: 16000, punctuate: "true", interim_results: "true",
  });
  const texts = [];
  const closed = new Promise((resolve) => connection.on("close", resolve));
  connection.on("message", (m) => m.type === "Results" && m.is_final && texts.push(m.channel.alternatives[0].transcript));
  connection.connect();
  await connection.waitForOpen();
  for (const piece of pieces) connection.sendMedia(piece);
  connection.sendCloseStream({ type: "CloseStream" });
  await closed;
  connection.close();
  return texts.join(" ");
}

async function deepgramFlux() {
  const connection = await deepgram.listen.v2.connect({
    model: "flux-general-en", encoding: "linear16", sample_rate: 16000,
  });
  const texts = [];
  const ended = new Promise((resolve) =>
    connection.on("message", (m) => {
      if (m.type === "TurnInfo" && m.event === "EndOfTurn") resolve(texts.push(m.transcript));
    }),
  );
  connection.connect();
  await connection.waitForOpen();
  for (const piece of pieces) connection.sendMedia(piece);
  await ended;
  connection.close();
  return texts.join(" ");
}

async function deepgramRecording() {
  const answer = await deepgram.listen.v1.media.transcribeFile(createReadStream(path), { model: "nova-3" });
  return answer.results.channels[0].alternatives[0].transcript;
}

const deepgram4 = createClient(KEY, { global: { url } });

async function deepgram4Live() {
  const live = deepgram4.listen.live({ model: "nova-3", language: "en-US", encoding: "linear16", sample_rate: 16000, smart_format: true });
  const texts = [];
  live.on(LiveTranscriptionEvents.Transcript, (m) => m.is_final && texts.push(m.channel.alternatives[0].transcript));
  const closed = new Promise((resolve) => live.on(LiveTranscriptionEvents.Close, resolve));
  await new Promise((resolve) => live.on(LiveTranscriptionEvents.Open, resolve));
  for (const piece of pieces) live.send(piece);
  live.requestClose();
  await closed;
  return texts.join(" ");
}

async function deepgram4Recording() {
  const { result, error } = await deepgram4.listen.prerecorded.transcribeFile(readFileSync(path), { model: "nova-3" });
  if (error) throw error;
  return result.results.channels[0].alternatives[0].transcript;
}

async function openaiRecording(client = openai) {
  const file = createReadStream(path);
  return (await client.audio.transcriptions.create({ file, model: "gpt-4o-transcribe" })).text;
}

async function openaiEvents(client = openai) {
  const file = createReadStream(path);
  let text = "";
  for await (const event of await client.audio.transcriptions.create({ file, model: "whisper-1", stream: true })) {
    if (event.type === "transcript.text.delta") text += event.delta;
  }
  return text;
}

function tlsProxy() {
  const folder = mkdtempSync(join(tmpdir(), "tls-"));
  const [key, cert] = [join(folder, "key"), join(folder, "cert")];
  const options = ["-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", cert, ...options], { stdio: "ignore" });
  const { hostname, port } = new URL(url);
  const server = tls.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (outer) => {
    const inner = net.connect(Number(port), hostname);
    outer.pipe(inner).pipe(outer);
    for (const socket of [outer, inner]) socket.on("error", () => (outer.destroy(), inner.destroy()));
  });
  return new Promise((resolve) => server.listen(0, "localhost", () => resolve([server, readFileSync(cert)])));
}

async function openaiRealtime(Client = OpenAI, Socket = OpenAIRealtimeWS, address = { model: "gpt-realtime" }) {
  const [proxy, ca] = await tlsProxy();
  const client = new Client({ apiKey: KEY, baseURL: `https://localhost:${proxy.address().port}/v1` });
  const realtime = new Socket({ ...address, options: { ca } }, client);
  const text = await new Promise((resolve, reject) => {
    realtime.on("error", reject);
    realtime.on("conversation.item.input_audio_transcription.completed", (event) => resolve(event.transcript));
    realtime.on("session.created", () => {
      const input = { format: { type: "audio/pcm", rate: 16000 }, transcription: { model: "gpt-4o-transcribe" } };
      realtime.send({ type: "session.update", session: { type: "transcription", audio: { input } } });
      for (const piece of pieces) {
        realtime.send({ type: "input_audio_buffer.append", audio: piece.toString("base64") });
      }
    });
  });
  realtime.close();
  proxy.close();
  return text;
}

const openai7 = new OpenAI7({ apiKey: KEY, baseURL: `${url}/v1` });
const cases = {
  deepgramLive,
  deepgramFlux,
  deepgramRecording,
  deepgram4Live,
  deepgram4Recording,
  openaiRecording,
  openaiEvents,
  openaiRealtime,
  openai7Recording: () => openaiRecording(openai7),
  openai7Events: () => openaiEvents(openai7),
  openai7Realtime: () => openaiRealtime(OpenAI7, OpenAIRealtimeWS7, { intent: "transcription" }),
};
for (const [name, run] of Object.entries(cases)) {
  try {
    console.log(JSON.stringify({ case: name, text: await run() }));
  } catch (error) {
    console.log(JSON.stringify({ case: name, error: String(error) }));
  }
}
process.exit(0);
