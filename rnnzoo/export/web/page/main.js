// The page at work: it answers as one types, writes on, and shows what happens inside.

const field = document.getElementById("text"), says = document.getElementById("says"), answerBox = document.getElementById("answer");
const LONGEST_TYPED = 5000; // characters that are answered as one types
const LONGEST_SERIES = 200000; // characters of numbers
const SLOW = 60; // milliseconds: after an answer that took longer, the next one waits until one stops typing
let heat = null, model = null, number = 0, took = 0, waiting = 0;

const time = (milliseconds) => (milliseconds < 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(0)) + " ms";

/** Answer what is in the field. */
function respond() {
  const mine = ++number, start = performance.now();
  try {
    const isSeries = "values" in model.facts.fields;
    if (isSeries && field.value.length > LONGEST_SERIES) throw new Error(`a page reads at most ${LONGEST_SERIES} characters of numbers`);
    const text = isSeries ? field.value : Array.from(field.value).slice(0, LONGEST_TYPED).join("");
    const reply = model.view === "writes" ? following(field.value) : model.reply(text);
    took = performance.now() - start;
    answerBox.replaceChildren(...SHOW[model.view](model, reply), ...(reply.next ? [nextPart(reply.next)] : []));
    heat.show(reply.seen, reply.asked.shown.map(visible), model.view === "writes");
    const strange = reply.asked.fields.tokens?.filter((id) => id === UNK).length;
    const unknown = strange && field.value.trim() ? ` ${strange} of ${reply.asked.steps} words are unknown to the model.` : "";
    const cut = model.view !== "writes" && text.length < field.value.length ? ` Only ${LONGEST_TYPED} characters are read.` : "";
    says.textContent = `Answered in ${time(took)}.${unknown}${cut}`;
    if (model.view === "classes" && reply.asked.fields.tokens) explain(model, reply, answerBox, () => mine !== number);
  } catch (error) {
    says.textContent = `${error.message}.`;
    answerBox.replaceChildren();
  }
}

function onInput() {
  clearTimeout(waiting);
  if (took < SLOW) respond();
  else waiting = setTimeout(respond, 150);
}

// -- a language model -----------------------------------------------------------------------------------------------

let writing = null; // while it writes

const REMEMBERED = 1500; // steps of the field's text whose states are kept
let read = { ids: [], frames: [] }; // the tokens that were read last, and what was seen at each

/** A run as one frame a step: views of its arrays. */
function framesOf(seen, steps) {
  return Array.from({ length: steps }, (_, t) => seen.map(({ layer, gates, states }) => {
    const wide = layer.states.length * layer.size;
    return { layer, gates: gates.subarray(t * layer.width, (t + 1) * layer.width), states: states.subarray(t * wide, (t + 1) * wide) };
  }));
}

/** The states after a step, as `Stack.run` takes them. */
const stateAfter = (frame) => frame.map(({ layer, states }) =>
  layer.states.map((_, k) => states.slice(k * layer.size, (k + 1) * layer.size)));

/** What the model expects after a text. Only tokens that differ from what was read before are read. */
function following(text) {
  const asked = model.ask(text), ids = asked.fields.tokens;
  let same = 0;
  while (same < ids.length - 1 && same < read.ids.length && ids[same] === read.ids[same]) same++;
  if (same && !read.frames[same - 1]) same = 0;
  const rest = ids.slice(same), state = same ? stateAfter(read.frames[same - 1]) : null;
  const ran = model.network.run({ tokens: rest }, rest.length, state);
  read = { ids, frames: [...read.frames.slice(0, same), ...framesOf(ran.seen, rest.length)] };
  for (let t = read.frames.length - REMEMBERED - 1; t >= 0 && read.frames[t]; t--) read.frames[t] = null;
  asked.shown = asked.shown.slice(-SHOWN_STEPS);
  return { asked, seen: lastSteps(read.frames.slice(-SHOWN_STEPS)), next: model.best(softmax(ran.at(rest.length - 1))) };
}

const nextPart = (shares) => element("div", "", element("h3", "", "What it expects next"), bars(shares));

/** The last steps of what is written, as `Stack.run` gives them. */
function lastSteps(frames) {
  const joined = (parts) => {
    const out = new Float32Array(parts.length * parts[0].length);
    parts.forEach((part, k) => out.set(part, k * part.length));
    return out;
  };
  return frames[0].map(({ layer }, k) => ({
    layer,
    gates: joined(frames.map((frame) => frame[k].gates)),
    states: joined(frames.map((frame) => frame[k].states)),
  }));
}

async function writeOn() {
  const button = document.getElementById("write");
  if (writing) { writing.stopped = true; return; }
  const value = (id) => +document.getElementById(id).value;
  const temperature = value("temperature"), length = Math.max(1, Math.min(5000, value("length") || 1)), random = randomNumbers(value("seed"));
  const now = writing = model.begin(field.value);
  button.textContent = "Stop";
  const text = element("span", "new"), output = element("pre", "written", element("span", "quiet", field.value), text);
  output.tabIndex = 0;
  output.setAttribute("aria-label", "What the model writes");
  answerBox.replaceChildren(output);
  const start = performance.now(), frames = [], labels = [];
  let drawn = 0;
  while (now.written.length < length && !now.stopped) {
    const since = performance.now();
    do {
      labels.push(visible(model.labels[now.last] === "<eos>" ? "\n" : model.labels[now.last]));
      frames.push(model.next(now, temperature, random));
      if (frames.length > SHOWN_STEPS) { frames.shift(); labels.shift(); }
    } while (performance.now() - since < 24 && now.written.length < length);
    text.textContent = model.written(now);
    output.scrollTop = output.scrollHeight;
    if (since - drawn > 200 || now.written.length === length || now.stopped) {
      heat.show(lastSteps(frames), labels.slice(), true);
      drawn = performance.now();
    }
    const spent = (performance.now() - start) / 1000, letters = Array.from(text.textContent).length;
    says.textContent = `${letters} characters in ${spent.toFixed(2)} s, ${Math.round(letters / spent)} a second.`;
    await new Promise((resume) => setTimeout(resume));
  }
  writing = null;
  button.textContent = "Write on";
}

/** What only a language model's page has. */
function prepareWriting() {
  const slider = document.getElementById("temperature"), shown = document.getElementById("temperature-is");
  slider.addEventListener("input", () => { shown.textContent = (+slider.value).toFixed(2); });
  document.getElementById("write").addEventListener("click", writeOn);
  document.getElementById("another").addEventListener("click", () => {
    const seed = document.getElementById("seed");
    seed.value = (+seed.value + 1) % 4294967296;
    if (!writing) writeOn();
  });
}

const ready = (async () => {
  const packed = document.getElementById("weights");
  model = new Model(await unpacked(packed.textContent));
  packed.remove();
  heat = new Heat(document.getElementById("heat-says"));
  if (model.view === "writes") prepareWriting();
  for (const one of [field, ...document.querySelectorAll("[data-static]")]) one.addEventListener("input", onInput);
  respond();
  return model;
})();
ready.catch((error) => { says.textContent = `This browser cannot unpack the model: ${error.message}`; });
