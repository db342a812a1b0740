(() => {
  const { InferenceSession, Tensor, env } = window.onnxruntime;
  const about = JSON.parse(document.body.dataset.about);
  const rate = about.sample_rate;
  const { position, count, clip_s: clip, offset_s: offset } = about.excerpts;
  const status = document.getElementById("status");
  const tracks = document.getElementById("tracks");
  const input = document.getElementById("files");

  const unpacked = async (id) => {
    const text = atob(document.getElementById(id).textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const load = async () => {
    env.wasm.numThreads = 1;
    env.wasm.wasmBinary = await unpacked("program");
    return InferenceSession.create(await unpacked("model"), { executionProviders: ["wasm"] });
  };

  class Refused extends Error {}

  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

  // The sample rate of a file, which a browser does not tell. Most other formats have 44.1 kHz, or
  // more, where a browser's own resampler leaves alone what a lower rate keeps.
  const ownRate = (data) => {
    const view = new DataView(data);
    const at = (start, text) => start + 8 <= view.byteLength
      && [...text].every((c, i) => view.getUint8(start + i) === c.charCodeAt(0));
    let found = 0;
    if (at(0, "RIFF") && at(12, "fmt ")) found = view.getUint32(24, true);
    if (at(0, "fLaC")) found = view.getUint32(18) >>> 12;
    return found >= 8000 && found <= 96000 ? found : Math.max(44100, rate);
  };

  // Where excerpts begin and how long they are, as kit.features.excerpts.starts.
  const starts = (frames, from) => {
    const first = Math.trunc(offset * from);
    const samples = Math.ceil(clip * from);
    const room = frames - first;
    if (room <= samples) return [first];
    const n = Math.min(count, Math.floor(room / samples));
    const all = [...Array(n).keys()];
    if (position === "spread") {
      return all.map((i) => first + Math.floor(((2 * i + 1) * room - n * samples) / (2 * n)));
    }
    const lead = position === "middle" ? Math.floor((room - n * samples) / 2) : 0;
    return all.map((i) => first + lead + i * samples);
  };

  // A sinc in a Kaiser window, with the edges of soxr's high quality, which kit takes. A browser's
  // own resampler is weaker by 5 dB near the highest frequency.
  const resampled = (y, from) => {
    if (from === rate) return y;
    const divisor = (a, b) => (b ? divisor(b, a % b) : a);
    const up = rate / divisor(rate, from);
    const down = from / divisor(rate, from);
    const scale = Math.min(1, rate / from);
    const half = Math.ceil(80 / scale);
    const bessel = (x) => {
      let sum = 1;
      for (let k = 1, term = 1; k < 60; k += 1) sum += term *= (x / (2 * k)) ** 2;
      return sum;
    };
    const kernel = (t) => {
      const x = Math.PI * 0.957 * scale * t;
      const inside = Math.max(0, 1 - (t / half) ** 2);
      return 0.957 * scale * (x ? Math.sin(x) / x : 1) * bessel(10 * Math.sqrt(inside)) / bessel(10);
    };
    const padded = new Float32Array(y.length + 2 * half);
    padded.set(y, half);
    const taps = new Map();
    const out = new Float32Array(Math.ceil((y.length * up) / down));
    for (let n = 0; n < out.length; n += 1) {
      const first = Math.floor((n * down) / up);
      const phase = (n * down) % up;
      if (!taps.has(phase)) {
        taps.set(phase, Float64Array.from({ length: 2 * half }, (_, k) => kernel(k - half + 1 - phase / up)));
      }
      const h = taps.get(phase);
      let sum = 0;
      for (let k = 0; k < h.length; k += 1) sum += h[k] * padded[first + k + 1];
      out[n] = sum;
    }
    return out;
  };

  // The mean of the channels, and why it cannot be used, as kit.audio.sound.
  const mixed = (channels) => {
    const y = new Float32Array(channels[0].length);
    let peak = 0;
    let apart = 0;
    for (const x of channels) {
      let high = -Infinity;
      let low = Infinity;
      for (let i = 0; i < x.length; i += 1) {
        y[i] += x[i] / channels.length;
        high = Math.max(high, x[i]);
        low = Math.min(low, x[i]);
        apart += (x[i] * x[i]) / channels.length;
      }
      peak = Math.max(peak, Math.min(Math.max(high, -low), high - low));
    }
    const together = y.reduce((sum, v) => sum + v * v, 0);
    if (!Number.isFinite(apart)) return { y, why: "has samples that are not numbers" };
    if (peak < 10 ** (-70 / 20)) return { y, why: "is silent" };
    if (channels.length > 1 && together <= apart * 1e-4) {
      return { y, why: "has channels that cancel each other when they are mixed to mono" };
    }
    return { y, why: "" };
  };

  const excerpts = (buffer) => {
    const from = buffer.sampleRate;
    const channels = [...Array(buffer.numberOfChannels).keys()].map((c) => buffer.getChannelData(c));
    const needed = offset + about.least_samples / rate;
    if (Math.ceil((buffer.length * rate) / from) < Math.trunc(offset * rate) + about.least_samples) {
      throw new Refused(`is ${buffer.duration.toFixed(1)} s long; ${needed.toFixed(1)} s are needed`);
    }
    const found = starts(buffer.length, from).map((start) =>
      mixed(channels.map((x) => x.subarray(start, start + Math.ceil(clip * from)))));
    const heard = found.filter((one) => !one.why);
    if (!heard.length) throw new Refused(found[0].why);
    return heard.map((one) => resampled(one.y, from));
  };

  // Of the whole track: the mean of the excerpts' log-probabilities, or of their log-odds.
  const together = (answers) => {
    const score = about.several_labels ? (p) => Math.log(p) - Math.log1p(-p) : Math.log;
    const kept = (p) => Math.min(Math.max(p, 1e-7), 1 - 1e-7);
    const mean = about.labels.map((_, k) =>
      answers.reduce((sum, p) => sum + score(kept(p[k])) / answers.length, 0));
    if (about.several_labels) return mean.map((z) => 1 / (1 + Math.exp(-z)));
    const e = mean.map(Math.exp);
    const sum = e.reduce((a, b) => a + b);
    return e.map((v) => v / sum);
  };

  const length = (player) => new Promise((resolve) => {
    // A file that was dropped while the network was loading: its events are over.
    if (player.readyState) resolve(player.duration);
    if (player.error) resolve(0);
    player.addEventListener("loadedmetadata", () => resolve(player.duration), { once: true });
    // What the player does not know, the decoder may.
    player.addEventListener("error", () => resolve(0), { once: true });
  });

  const probabilities = async (session, file, player) => {
    if (!file.size) throw new Refused("is empty");
    if (file.size > 1e9) throw new Refused("has more than 1 GB");
    const seconds = await length(player);
    if (seconds > about.longest_s) {
      throw new Refused(`is ${clock(seconds)} long, more than ${clock(about.longest_s)}; kit timeline reads mixes`);
    }
    let data;
    try {
      data = await file.arrayBuffer();
    } catch {
      throw new Refused("cannot be read; drop files, no folders");
    }
    let buffer;
    try {
      buffer = await new OfflineAudioContext(1, 1, ownRate(data)).decodeAudioData(data);
    } catch {
      throw new Refused("is no audio that this browser can decode");
    }
    const answers = [];
    for (const y of excerpts(buffer)) {
      const out = await session.run({ waveform: new Tensor("float32", y, [1, y.length]) });
      answers.push(out.probabilities.data);
    }
    return answers.length > 1 ? together(answers) : [...answers[0]];
  };

  const element = (name, attributes, ...children) => {
    const made = document.createElementNS(
      name === "svg" || name === "rect" ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const percent = (p) => `${(100 * p).toFixed(1)}%`;

  const show = (body, p) => {
    const order = about.labels.map((_, k) => k).sort((a, b) => p[b] - p[a]);
    body.dataset.probabilities = JSON.stringify(Object.fromEntries(about.labels.map((l, k) => [l, p[k]])));
    const best = about.labels[order[0]];
    body.querySelector(".verdict").replaceChildren(
      element("b", {}, element("bdi", {}, best)), percent(p[order[0]]));
    const bars = order.map((k) => element("li", {},
      element("span", { class: "name" }, element("bdi", {}, about.labels[k])),
      element("svg", { "aria-hidden": "true" }, element("rect", { width: `${100 * p[k]}%`, height: "100%" })),
      element("span", { class: "value" }, percent(p[k]))));
    body.querySelector(".verdict").after(element("ul", { class: "bars", "aria-label": "Probabilities" }, ...bars));
  };

  const waiting = [];
  let working = false;

  const work = async () => {
    if (working) return;
    working = true;
    let done = 0;
    while (waiting.length) {
      const { file, body } = waiting.shift();
      status.textContent = `Listening to ${file.name}; ${waiting.length} more`;
      const player = element("audio", { controls: "", preload: "metadata", src: URL.createObjectURL(file), "aria-label": file.name });
      try {
        show(body, await probabilities(await session, file, player));
        body.append(element("div", { class: "sound" }, player));
      } catch (error) {
        URL.revokeObjectURL(player.src);
        const why = error instanceof Refused ? `The file ${error.message}.` : `It failed: ${error.message}`;
        body.querySelector(".verdict").replaceChildren(element("span", { class: "no" }, why));
      }
      body.dataset.done = "";
      done += 1;
    }
    working = false;
    status.textContent = `${done} track${done === 1 ? "" : "s"} done.`;
  };

  const add = (files) => {
    for (const file of files) {
      const body = element("div", { class: "body" },
        element("h3", {}, element("bdi", {}, file.name)), element("p", { class: "verdict" }, "waiting"));
      tracks.prepend(element("li", { class: "card" }, body));
      waiting.push({ file, body });
    }
    work();
  };

  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";  // the same file may be chosen again
  });
  const root = document.documentElement;
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      root.classList.toggle("is-over", kind === "dragenter" || kind === "dragover");
    });
  }
  document.addEventListener("drop", (event) => add(event.dataTransfer.files));

  const session = load();
  session.then(
    () => { if (!working) status.textContent = "Ready."; },
    (error) => { status.textContent = `The network cannot run in this browser: ${error.message}`; });
})();
