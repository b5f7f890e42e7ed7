// The microphone's samples -> chunks of 16-bit PCM, on the audio thread. One message per chunk: {samples, level, last}.

class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions: { chunkSamples } }) {
    super();
    this.chunkSamples = chunkSamples;
    this.restart();
    this.port.onmessage = () => this.emit(true); // the only message is "flush"
  }

  restart() {
    this.chunk = new Int16Array(this.chunkSamples);
    this.filled = 0;
    this.energy = 0;
  }

  emit(last = false) {
    const samples = this.chunk.slice(0, this.filled);
    const level = Math.sqrt(this.energy / Math.max(1, this.filled));
    this.port.postMessage({ samples, level, last }, [samples.buffer]);
    this.restart();
  }

  process([channels]) {
    const length = channels.length ? channels[0].length : 0; // no channels: the device delivers nothing yet
    for (let i = 0; i < length; i += 1) {
      let sample = 0;
      for (const channel of channels) sample += channel[i] / channels.length;
      this.energy += sample * sample;
      this.chunk[this.filled] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
      this.filled += 1;
      if (this.filled === this.chunkSamples) this.emit();
    }
    return true;
  }
}

registerProcessor("capture", Capture);
