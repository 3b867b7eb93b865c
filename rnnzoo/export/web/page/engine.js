// The network: inputs, recurrent layers over time, pooling, head. Sequences are Float32Array, step after step.

/** Whether a number is below zero, or is -0. */
const isNegative = (x) => x < 0 || Object.is(x, -0);
/** The nearest whole number, of two the even one. */
const halfEven = (x) => { const low = Math.floor(x), d = x - low; return d < 0.5 || (d === 0.5 && low % 2 === 0) ? low : low + 1; };

/** The error function, to 1e-15: its series near zero, a continued fraction beyond. */
function erf(x) {
  const a = Math.abs(x);
  if (!(a < 6)) return Math.sign(x);
  if (a < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) sum += (term *= -x * x / n) / (2 * n + 1);
    return sum * 2 / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

/** W x + b. The weights of eight rows stand side by side, so that one pass over x makes eight numbers. */
class Matrix {
  constructor(weight, bias, rows, columns) {
    Object.assign(this, { bias, rows, columns });
    this.packed = new Float32Array(((rows + 7) & ~7) * columns);
    for (let r = 0, k = 0; r < rows; r++) {
      for (let i = 0, to = (r & ~7) * columns + (r & 7); i < columns; i++, to += 8) this.packed[to] = weight[k++];
    }
  }

  /** y[to + r] = sum_i W[r, i] x[at + i] + b[r]; both are Float32Array. */
  multiply(x, at, y, to) {
    const { packed, bias, rows, columns } = this, end = at + columns;
    for (let r = 0, k = 0; r < rows; r += 8) {
      let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
      for (let i = at; i < end; i++, k += 8) {
        const v = x[i];
        a += packed[k] * v; b += packed[k + 1] * v; c += packed[k + 2] * v; d += packed[k + 3] * v;
        e += packed[k + 4] * v; f += packed[k + 5] * v; g += packed[k + 6] * v; h += packed[k + 7] * v;
      }
      const left = rows - r, o = to + r;
      y[o] = a;
      if (left > 1) y[o + 1] = b;
      if (left > 2) y[o + 2] = c;
      if (left > 3) y[o + 3] = d;
      if (left > 4) y[o + 4] = e;
      if (left > 5) y[o + 5] = f;
      if (left > 6) y[o + 6] = g;
      if (left > 7) y[o + 7] = h;
    }
    if (bias) for (let r = 0; r < rows; r++) y[to + r] += bias[r];
  }
}

/** One cell over time in one direction. */
class Layer {
  constructor(facts, model) {
    Object.assign(this, facts);
    const numbers = (k) => model.tensors[k];
    this.products = facts.products.map((one) => model.matrix(one));
    this.blocks = facts.recur ? this.blocksOf(facts.recur, model) : [];
    this.own = facts.channels.map(numbers);
    this.around = facts.outer.map(numbers);
    this.stepFunction = PROGRAMS[facts.step];
    this.projectFunction = facts.project === null ? null : PROGRAMS[facts.project];
    this.readFunction = facts.readout === null ? null : PROGRAMS[facts.readout];
    this.width = this.gates.length * this.size;
  }

  /** The matrices of the recurrent product: one, or those on the diagonal of each gate. */
  blocksOf({ weight, bias, blocks }, model) {
    if (blocks === 1) return [model.matrix({ weight, bias })];
    const wide = this.size / blocks, numbers = model.tensors[weight], at = (k) => k * wide;
    return Array.from({ length: blocks * this.gates.length }, (_, k) => {
      const own = bias === null ? null : model.tensors[bias].subarray(at(k), at(k + 1));
      return new Matrix(numbers.subarray(k * wide * wide, (k + 1) * wide * wide), own, wide, wide);
    });
  }

  start() {
    return this.states.map(({ initial }) => new Float32Array(this.size).fill(initial));
  }

  /** The gates of each step, as far as they need the input alone; and what the readout reads of it. */
  projected(x, steps) {
    const { width, size, kept } = this, gx = new Float32Array(steps * width);
    const rest = new Float32Array(steps * kept * size);
    if (!this.projectFunction) {
      let to = 0;
      for (const matrix of this.products) {
        for (let t = 0; t < steps; t++) matrix.multiply(x, t * this.input, gx, t * width + to);
        to += matrix.rows;
      }
      if (kept) rest.set(gx);
      return { gx, rest };
    }
    const made = this.products.map(({ rows }) => new Float32Array(rows));
    const spare = new Float32Array(this.allKept * size);
    for (let t = 0; t < steps; t++) {
      this.products.forEach((matrix, k) => matrix.multiply(x, t * this.input, made[k], 0));
      const to = kept ? rest.subarray(t * kept * size) : spare;
      this.projectFunction(size, t * this.input, [...made, x, ...this.around], [gx.subarray(t * width), to]);
    }
    return { gx, rest };
  }

  /** gh = U h + c, by blocks on the diagonal. */
  recurrent(h, gh) {
    const each = this.blocks.length > 1 ? this.size / (this.blocks.length / this.gates.length) : 0;
    for (let k = 0; k < this.blocks.length; k++) this.blocks[k].multiply(h, (k * each) % this.size, gh, k * each);
  }

  /** x: (steps, input). state: one Float32Array for each state. Returns the outputs, the last state, and what was seen:
   * gates after their activation (steps, gates, size) and states (steps, states, size). */
  run(x, steps, state = this.start()) {
    const { size, width, kept } = this, count = state.length, { gx, rest } = this.projected(x, steps);
    const y = new Float32Array(steps * this.output), gates = new Float32Array(steps * width);
    const states = new Float32Array(steps * count * size), gh = new Float32Array(this.blocks.length ? width : 0);
    let old = state;
    for (let k = 0; k < steps; k++) {
      const t = this.reverse ? steps - 1 - k : k;
      if (this.blocks.length) this.recurrent(old[0], gh);
      const now = old.map((_, s) => states.subarray((t * count + s) * size, (t * count + s + 1) * size));
      this.stepFunction(size, t * width, [gx, gh, ...old, ...this.own], [...now, gates.subarray(t * width, (t + 1) * width)]);
      if (this.readFunction) {
        this.readFunction(size, 0, [rest.subarray(t * kept * size), ...now, ...this.around], [y.subarray(t * this.output)]);
      } else {
        y.set(now[0], t * this.output);
      }
      old = now;
    }
    return { y, state: old.map((s) => s.slice()), gates, states };
  }
}

const MERGES = { sum: (a, b) => a + b, mean: (a, b) => (a + b) / 2, product: (a, b) => a * b };

/** Two sequences of features as one. */
function merged(how, a, b, steps) {
  if (how !== "concat") return a.map((value, k) => MERGES[how](value, b[k]));
  const wide = a.length / steps || 0, high = b.length / steps || 0, out = new Float32Array(a.length + b.length);
  for (let t = 0; t < steps; t++) {
    out.set(a.subarray(t * wide, (t + 1) * wide), t * (wide + high));
    out.set(b.subarray(t * high, (t + 1) * high), t * (wide + high) + wide);
  }
  return out;
}

/** Layers of cells, in one direction or both. */
class Stack {
  constructor(facts, model) {
    Object.assign(this, facts);
    this.layers = facts.layers.map((layer) => new Layer(layer, model));
  }

  /** x: (steps, input). Returns outputs (steps, output), the last output of each direction, states, what was seen. */
  run(x, steps, states = null) {
    const wide = 1 + this.bidirectional, seen = [], after = [];
    let last = null;
    for (let first = 0; first < this.layers.length; first += wide) {
      const runs = this.layers.slice(first, first + wide).map((layer, k) => layer.run(x, steps, states?.[first + k]));
      const size = this.layers[first].output, outputs = runs.map(({ y }) => y);
      const ends = [outputs[0].slice((steps - 1) * size)];
      if (this.bidirectional) ends.push(outputs[1].slice(0, size));
      const below = x;
      x = this.bidirectional ? merged(this.merge, outputs[0], outputs[1], steps) : outputs[0];
      last = this.bidirectional ? merged(this.merge, ends[0], ends[1], 1) : ends[0];
      if (this.residual && first) {
        x = x.map((value, k) => value + below[k]);
        const skipped = this.skipped(below, steps, last.length);
        last = last.map((value, k) => value + skipped[k]);
      }
      runs.forEach(({ state, gates, states: values }, k) => {
        after.push(state);
        seen.push({ layer: this.layers[first + k], gates, states: values });
      });
    }
    return { y: x, last, state: after, seen };
  }

  /** What a residual connection adds to the last outputs: each half at its own direction's last step. */
  skipped(below, steps, wide) {
    const end = below.slice((steps - 1) * wide), start = below.slice(0, wide);
    if (!this.bidirectional) return end;
    if (this.merge !== "concat") return end.map((value, k) => (value + start[k]) / 2);
    return end.map((value, k) => (k < wide >> 1 ? value : start[k]));
  }
}

/** One vector for a whole sequence of outputs. */
function pooled(pool, model, { y, last }, steps, wide) {
  if (pool.name === "last") return last;
  const most = new Float32Array(wide).fill(-Infinity), mean = new Float64Array(wide);
  for (let t = 0, k = 0; t < steps; t++) {
    for (let j = 0; j < wide; j++, k++) {
      if (y[k] > most[j]) most[j] = y[k];
      mean[j] += y[k] / steps;
    }
  }
  if (pool.name === "max") return most;
  if (pool.name === "mean") return Float32Array.from(mean);
  if (pool.name === "max_mean") return Float32Array.from([...most, ...mean]);
  const [inner, outer] = pool.score, hidden = new Float32Array(wide), out = new Float32Array(wide);
  const scores = Array.from({ length: steps }, (_, t) => {
    model.matrix(inner).multiply(y, t * wide, hidden, 0);
    return hidden.reduce((sum, value, j) => sum + Math.tanh(value) * model.tensors[outer.weight][j], 0);
  });
  softmax(scores).forEach((weight, t) => { for (let j = 0; j < wide; j++) out[j] += weight * y[t * wide + j]; });
  return out;
}

/** exp(z - log sum exp z), as an array. */
function softmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Array.from(logits, (z) => Math.exp(z - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

/** log softmax, as an array. */
function logSoftmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = Math.log(logits.reduce((total, z) => total + Math.exp(z - most), 0));
  return Array.from(logits, (z) => z - most - sum);
}

/** The whole model: fields of a sequence to features, and features to logits. */
class Network {
  constructor(model) {
    this.model = model;
    this.stack = new Stack(model.stack, model);
    this.inputs = model.inputs.map((input) => (input.stack ? { ...input, stack: new Stack(input.stack, model) } : input));
    this.words = new Map();
  }

  width(input) {
    if (input.kind === "values") return input.size;
    if (input.kind === "lookup") return this.model.shapes[input.table][1];
    if (input.stack) return input.stack.output;
    return input.windows.reduce((sum, { weight }) => sum + this.model.shapes[weight][0], 0);
  }

  /** The inputs of each step, side by side. fields: by name, ids, lists of letters, or numbers. */
  embed(fields, steps) {
    const widths = this.inputs.map((input) => this.width(input)), wide = widths.reduce((a, b) => a + b, 0);
    const x = new Float32Array(steps * wide);
    let to = 0;
    this.inputs.forEach((input, k) => {
      const field = fields[input.field], width = widths[k], table = this.model.tensors[input.table];
      for (let t = 0; t < steps; t++) {
        let part;
        if (input.kind === "lookup") part = table.subarray(field[t] * width, (field[t] + 1) * width);
        else if (input.kind === "values") part = field.subarray(t * width, (t + 1) * width);
        else part = this.letters(input, field[t], width);
        x.set(part, t * wide + to);
      }
      to += width;
    });
    return x;
  }

  /** The features of a word from its letters; computed once a word. */
  letters(input, ids, width) {
    const key = ids.join();
    if (!this.words.has(key)) {
      if (this.words.size > 5000) this.words.clear();
      this.words.set(key, ids.length ? this.spelled(input, ids) : new Float32Array(width));
    }
    return this.words.get(key);
  }

  spelled(input, ids) {
    const table = this.model.tensors[input.table], size = this.model.shapes[input.table][1];
    if (input.stack) {
      const x = Float32Array.from(ids.flatMap((id) => Array.from(table.subarray(id * size, (id + 1) * size))));
      return input.stack.run(x, ids.length).last;
    }
    return Float32Array.from(input.windows.flatMap((window) => this.strongest(window, table, size, ids)));
  }

  /** Each filter's largest answer in a word, by what each letter adds at each position of a window. */
  strongest(window, table, size, ids) {
    const [filters, , width] = this.model.shapes[window.weight], half = width >> 1;
    window.parts ??= this.positions(window, filters, size, width);
    window.letters ??= new Map();
    for (const id of ids) {
      if (window.letters.has(id)) continue;
      window.letters.set(id, window.parts.map((matrix) => {
        const added = new Float32Array(filters);
        matrix.multiply(table, id * size, added, 0);
        return added;
      }));
    }
    const best = new Array(filters).fill(-Infinity), sum = new Float64Array(filters);
    for (let t = 0; t < ids.length; t++) {
      sum.fill(0);
      for (let k = Math.max(0, t - half); k <= Math.min(ids.length - 1, t + half); k++) {
        const added = window.letters.get(ids[k])[k - t + half];
        for (let f = 0; f < filters; f++) sum[f] += added[f];
      }
      for (let f = 0; f < filters; f++) if (sum[f] > best[f]) best[f] = sum[f];
    }
    const bias = this.model.tensors[window.bias];
    return best.map((value, f) => Math.max(0, value + bias[f]));
  }

  /** The weights of a window, (filters, size, width), as a matrix for each of its positions. */
  positions({ weight }, filters, size, width) {
    const numbers = this.model.tensors[weight];
    return Array.from({ length: width }, (_, j) => {
      const part = Float32Array.from({ length: filters * size }, (_, k) => numbers[k * width + j]);
      return new Matrix(part, null, filters, size);
    });
  }

  linear(layer, x, at = 0) {
    const matrix = this.model.matrix(layer), out = new Float32Array(matrix.rows);
    matrix.multiply(x, at, out, 0);
    return out;
  }

  /** Features at a place to logits; of an adaptive softmax, log-probabilities. */
  head(x, at = 0) {
    const head = this.model.head, first = this.linear(head, x, at);
    if (head.kind !== "adaptive") return first;
    const logs = logSoftmax(first), frequent = head.ends[0], out = logs.slice(0, frequent);
    head.tails.forEach(([narrow, wide], c) => {
      const rare = logSoftmax(this.linear(wide, this.linear(narrow, x, at)));
      for (const p of rare) out.push(logs[frequent + c] + p);
    });
    return Float32Array.from(out);
  }

  /** Run the layers; the logits are asked of the result: of the whole sequence, or of a step. */
  run(fields, steps, states = null) {
    const ran = this.stack.run(this.embed(fields, steps), steps, states), wide = this.stack.output;
    return {
      ...ran,
      steps,
      whole: () => this.head(pooled(this.model.pool, this.model, ran, steps, wide)),
      at: (t) => this.head(ran.y, t * wide),
    };
  }

  /** The tags of the highest score together (Viterbi), from emissions by step. */
  viterbi(emissions) {
    const { transitions, start, end, penalty } = this.model.head, count = emissions[0].length, { tensors } = this.model;
    const [a, b, c, p] = [transitions, start, end, penalty].map((k) => tensors[k]), row = count + 1;
    let score = Array.from(emissions[0], (e, k) => b[k] + p[count * row + k] + e);
    const back = emissions.slice(1).map((e) => {
      const from = new Array(count);
      score = Array.from(e, (value, to) => {
        let best = -Infinity;
        for (let k = 0; k < count; k++) {
          const sum = score[k] + a[k * count + to] + p[k * row + to];
          if (sum > best) [best, from[to]] = [sum, k];
        }
        return best + value;
      });
      return from;
    });
    let tag = argmax(score.map((value, k) => value + c[k] + p[k * row + count]));
    const tags = [tag];
    for (const from of back.reverse()) tags.unshift(tag = from[tag]);
    return tags;
  }
}

/** The index of the largest number, of several the first. */
const argmax = (numbers) => numbers.reduce((best, value, k) => (value > numbers[best] ? k : best), 0);
