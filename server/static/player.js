// Plays what was recorded, from a word on: a file, or the microphone's sound as far as it is kept in this tab.

let playing = null;

export function stopPlaying() {
  playing?.close();
  playing = null;
}

/** Plays a tape from a second on; returns whether it still has that sound. `onEnd` is called when it stops by itself. */
export function play(tape, from_s, onEnd) {
  stopPlaying();
  const from = Math.floor(Math.max(0, from_s) * tape.rate);
  if (from < tape.start || from >= tape.end) return false;
  const samples = tape.read(from, tape.end - from);
  const context = (playing = new AudioContext());
  const buffer = context.createBuffer(1, samples.length, tape.rate);
  buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.onended = () => {
    if (playing === context) stopPlaying();
    onEnd();
  };
  source.connect(context.destination);
  source.start();
  return true;
}
