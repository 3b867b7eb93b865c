// A trained model as an object: what it answers is what `rnnzoo predict RUN --json` prints.

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The spans of one row of tags, in any scheme; see rnnzoo/data/encoding/spans.py. */
function spansOf(tags) {
  const spans = [];
  let before = "O";
  tags.forEach((tag, k) => {
    const joins = "BI".includes(before[0]) && "IE".includes(tag[0]) && before.slice(1) === tag.slice(1);
    if (joins) spans[spans.length - 1][2] = k + 1;
    else if (tag !== "O") spans.push([tag.slice(2), k, k + 1]);
    before = tag;
  });
  return spans;
}

/** A series that is typed: JSON, or numbers with blanks, commas or semicolons between, a step a line. */
function typedSeries(text, size) {
  let rows;
  try {
    rows = JSON.parse(text);
  } catch {
    rows = text.trim().split(/[\n\r]+/).map((line) => line.split(/[\s,;]+/).filter(Boolean).map(Number));
    if (size === 1) rows = rows.flat();
    else if (rows.length === 1) rows = rows[0].length % size ? rows : Array.from({ length: rows[0].length / size }, (_, k) => rows[0].slice(k * size, (k + 1) * size));
  }
  if (!Array.isArray(rows)) rows = [rows];
  rows = rows.map((row) => (Array.isArray(row) ? row : [row]));
  const wrong = rows.findIndex((row) => row.length !== size);
  if (!rows.length || (rows.length === 1 && !rows[0].length)) throw new Error("no numbers yet");
  if (wrong >= 0) throw new Error(`step ${wrong + 1} has ${rows[wrong].length} numbers, where ${size} are expected`);
  const bad = rows.findIndex((row) => row.some((value) => typeof value !== "number" || !Number.isFinite(value)));
  if (bad >= 0) throw new Error(`step ${bad + 1} is not a number`);
  return Float32Array.from(rows.flat());
}

const FORMS = {
  text(model, text) {
    const encoder = model.encoders.tokens;
    const plain = model.gap ? text.replace(/_{2,}/g, ` ${model.gap} `) : text;
    let tokens = encoder.truncated(encoder.tokens(plain));
    const ids = tokens.length ? tokens.map((token) => encoder.id(token)) : [UNK];
    if (!tokens.length) tokens = [""];
    return { shown: tokens, fields: { tokens: ids }, steps: ids.length };
  },
  words(model, text) {
    const { tokens, characters, case: cases } = model.encoders;
    const all = bareWords(text, tokens), words = tokens.truncated(all), steps = words.length;
    if (!steps) return { shown: [""], words: all, fields: { tokens: [UNK], characters: [[]], case: [PAD] }, steps: 1 };
    const fields = { tokens: words.map((word) => tokens.id(tokens.word(word))) };
    if (characters) fields.characters = words.map((word) => lettersOf(word, characters));
    if (cases) fields.case = words.map((word) => cases.id(normal(shape(word), false)));
    return { shown: words, words: all, fields, steps };
  },
  series(model, text) {
    const size = model.facts.fields.values.size, values = typedSeries(text, size), steps = values.length / size;
    return { shown: Array.from({ length: steps }, (_, k) => String(k + 1)), drawn: { values, size }, fields: { values }, steps };
  },
  channels: (model, text) => askedChannels(model.facts.fields.values, text),
};

const VIEWS = {
  classes(model, ran) {
    const logits = Array.from(ran.whole()), shares = softmax(logits.map((z) => z / model.temperature));
    const best = argmax(shares);
    const probabilities = Object.fromEntries(model.labels.map((label, k) => [label, shares[k]]));
    return { logits: [logits], answer: { label: model.labels[best], confidence: shares[best], probabilities }, shares };
  },
  labels(model, ran) {
    const logits = Array.from(ran.whole()), shares = logits.map((z) => 1 / (1 + Math.exp(-z / model.temperature)));
    const labels = model.labels.filter((_, k) => shares[k] >= model.thresholds[k]);
    const confidence = Math.min(...shares.map((p) => Math.max(p, 1 - p)));
    const probabilities = Object.fromEntries(model.labels.map((label, k) => [label, shares[k]]));
    return { logits: [logits], answer: { labels, confidence, probabilities } };
  },
  numbers(model, ran) {
    const logits = Array.from(ran.whole()), { mean, std } = model.scale;
    const values = mean ? logits.map((z, k) => z * std[k] + mean[k]) : logits;
    return { logits: [logits], answer: { values, ...(model.targets.length ? { targets: model.targets } : {}) } };
  },
  tags(model, ran, asked) {
    const logits = Array.from({ length: ran.steps }, (_, t) => Array.from(ran.at(t)));
    const chosen = model.facts.head.kind === "crf" ? model.network.viterbi(logits) : logits.map(argmax);
    const tags = asked.words?.length === 0 ? [] : chosen.map((tag) => model.labels[tag]);
    const answer = { tags, ...(model.spans ? { spans: spansOf(tags) } : {}), ...(asked.words ? { words: asked.words } : {}) };
    return { logits, answer };
  },
  writes(model, ran, asked) {
    const { tokens } = asked.fields, logits = Array.from({ length: ran.steps }, (_, t) => Array.from(ran.at(t)));
    let likelihood = 0;
    for (let t = 1; t < tokens.length; t++) likelihood += logSoftmax(logits[t - 1])[tokens[t]];
    const perplexity = tokens.length > 1 ? Math.exp(-likelihood / (tokens.length - 1)) : null;
    return { logits, answer: { next: model.best(softmax(logits[logits.length - 1])), perplexity } };
  },
  gaps(model, ran, asked) {
    const gap = model.labels.indexOf(model.gap), never = [PAD, UNK, BOS, EOS, gap], logits = [];
    asked.fields.tokens.forEach((id, t) => { if (id === gap) logits.push(Array.from(ran.at(t))); });
    if (!logits.length) throw new Error(`write ${model.gap} where a word is missing`);
    const allowed = logits.map((row) => row.map((z, k) => (never.includes(k) ? -Infinity : z)));
    return { logits, answer: { gaps: allowed.map((row) => model.best(softmax(row), model.labels.length - never.length)) } };
  },
};

class Model {
  constructor(facts) {
    Object.assign(this, { facts, ...facts.shown });
    this.network = new Network(facts);
    this.encoders = {};
    for (const [name, field] of Object.entries(facts.fields)) if (field.names.length) this.encoders[name] = new Encoder(field);
  }

  /** The five likeliest names, with their probabilities. */
  best(shares, most = Infinity) {
    const order = shares.map((_, k) => k).sort((a, b) => shares[b] - shares[a] || a - b);
    return Object.fromEntries(order.slice(0, Math.min(5, most)).map((k) => [this.labels[k], shares[k]]));
  }

  /** What is typed as the model's input. Throws an Error whose message is for the reader. */
  ask(text) {
    return FORMS[this.facts.form](this, text);
  }

  /** Answer to a text: `answer` as JSON, logits, and what was seen inside. */
  reply(text) {
    const asked = this.ask(text), ran = this.network.run(asked.fields, asked.steps);
    return { asked, seen: ran.seen, ...VIEWS[this.view](this, ran, asked) };
  }

  /** How much less certain of a label the model is without each token: log-odds in nats, token by token, lazily. */
  * erased(asked, label) {
    const odds = (fields) => {
      const logits = this.network.run(fields, asked.steps).whole();
      const rest = Array.from(logits).filter((_, k) => k !== label), most = Math.max(...rest);
      return logits[label] - (most + Math.log(rest.reduce((sum, z) => sum + Math.exp(z - most), 0)));
    };
    const whole = odds(asked.fields);
    for (let t = 0; t < asked.steps; t++) {
      const tokens = asked.fields.tokens.slice();
      tokens[t] = UNK;
      yield whole - odds({ ...asked.fields, tokens });
    }
  }

  // -- writing on

  /** Read a prompt; what `next` starts from. */
  begin(prompt) {
    const encoder = this.encoders.tokens, newline = encoder.ids.get("\n") ?? EOS;
    const lines = newline === EOS ? prompt.split("\n") : [prompt], ids = [];
    lines.forEach((line, k) => { if (k) ids.push(EOS); ids.push(...encoder.tokens(line).map((token) => encoder.id(token))); });
    if (!ids.length) ids.push(newline);
    const read = ids.slice(0, -1);
    const state = read.length ? this.network.run({ tokens: read }, read.length).state : null;
    return { prompt, state, last: ids[ids.length - 1], written: [] };
  }

  /** Write one token more. random: a function; temperature 0 takes the likeliest. Returns what was seen inside. */
  next(writing, temperature, random) {
    const ran = this.network.run({ tokens: [writing.last] }, 1, writing.state), logits = Array.from(ran.at(0));
    for (const id of [PAD, UNK, BOS]) logits[id] = -Infinity;
    if (temperature === 0) {
      writing.last = argmax(logits);
    } else {
      const shares = softmax(logits.map((z) => z / temperature));
      let left = random();
      writing.last = shares.findIndex((p) => (left -= p) < 0);
      if (writing.last < 0) writing.last = argmax(shares);
    }
    writing.state = ran.state;
    writing.written.push(writing.last);
    return ran.seen;
  }

  /** What was written, as it follows the prompt; <eos> is a line end. */
  written({ prompt, written }) {
    const encoder = this.encoders.tokens, lines = [[]], { unit } = encoder.options;
    for (const id of written) {
      if (id === EOS) lines.push([]);
      else lines[lines.length - 1].push(id);
    }
    let texts = lines.map((line) => encoder.decode(line));
    if (texts[0] && prompt && !prompt.endsWith("\n") && unit !== "character") texts[0] = " " + texts[0];
    if (unit === "word") texts = texts.map((text) => text.replace(/ ([.,;:!?%)\]}])/g, "$1").replace(/([(\[{]) /g, "$1"));
    return texts.join("\n");
  }

  /** A text of so many tokens after a prompt, at once. */
  write(prompt, length, temperature = 0, seed = 0) {
    const writing = this.begin(prompt), random = randomNumbers(seed);
    for (let k = 0; k < length; k++) this.next(writing, temperature, random);
    return this.written(writing);
  }
}
