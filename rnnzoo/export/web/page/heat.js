// A picture of gates or states: a column for each step, a row for each unit.

const WIDEST = 8000; // pixels of a picture
const SHOWN_STEPS = 120; // of a text that is being written, the last ones

/** The channels of a colour of the style sheet, 0 to 255. */
function channels(name) {
  const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((k) => parseInt(value.slice(k, k + 2), 16));
}

/** A blank and a line end as something that can be seen. */
const visible = (token) => token.replace(/ /g, "\u2423").replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5") || "\u2205";

class Heat {
  constructor(says) {
    this.canvas = document.getElementById("heat");
    this.box = document.getElementById("heat-box");
    this.says = says;
    this.cursor = null;
    this.data = null;
    this.layer = document.getElementById("layer");
    this.what = document.getElementById("what");
    this.chosen = 0;
    this.layer.addEventListener("change", () => { this.choices(); this.draw(); });
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.point(event));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  /** seen: of each layer and direction, as `Stack.run` gives it. labels: of the steps. end: show the last steps. */
  show(seen, labels, end = false) {
    const first = !this.data;
    this.data = { seen, labels };
    if (first) this.fill();
    if (this.cursor && this.cursor.step >= labels.length) this.cursor = null;
    this.draw();
    if (end) this.box.scrollLeft = this.box.scrollWidth;
  }

  /** The choice of layers, once. */
  fill() {
    const { seen } = this.data, both = seen.some(({ layer }) => layer.reverse);
    seen.forEach(({ layer }, k) => {
      const depth = both ? (k >> 1) + 1 : k + 1, single = seen.length === (both ? 2 : 1);
      const name = [single ? "" : `${depth}`, both ? (layer.reverse ? "backward" : "forward") : ""].filter(Boolean).join(", ");
      this.layer.append(new Option(name || "1", k));
    });
    this.choices();
  }

  /** A button for each gate and each state of the chosen layer's cell. */
  choices() {
    const { layer } = this.data.seen[+this.layer.value];
    const names = [...layer.gates.map(({ name }) => ["gate", name]), ...layer.states.map(({ name }) => ["state", name])];
    this.chosen = this.chosen < names.length ? this.chosen : 0;
    if (!this.what.childElementCount) this.chosen = layer.gates.length; // the output, at first
    this.what.replaceChildren(...names.map(([kind, name], k) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(`${kind} `, Object.assign(document.createElement("b"), { textContent: name }));
      button.setAttribute("aria-pressed", String(k === this.chosen));
      button.addEventListener("click", () => {
        this.chosen = k;
        for (const [other, one] of [...this.what.children].entries()) one.setAttribute("aria-pressed", String(other === k));
        this.draw();
      });
      return button;
    }));
  }

  /** The chosen values, (steps, size), with their name and range. */
  values() {
    const { layer, gates, states } = this.data.seen[+this.layer.value], { size } = layer;
    const isGate = this.chosen < layer.gates.length, index = isGate ? this.chosen : this.chosen - layer.gates.length;
    const facts = (isGate ? layer.gates : layer.states)[index], wide = (isGate ? layer.gates : layer.states).length * size;
    const from = isGate ? gates : states;
    const at = (step, unit) => from[step * wide + index * size + unit];
    let most = 0;
    for (let k = 0; k < this.data.labels.length; k++) for (let j = 0; j < size; j++) most = Math.max(most, Math.abs(at(k, j)));
    const range = (isGate && facts.range) || [-most || -1, most || 1];
    return { at, size, range, name: `${isGate ? "gate" : "state"} ${facts.name}` };
  }

  draw() {
    if (!this.data) return;
    const { labels } = this.data, steps = labels.length, { at, size, range } = this.values(), context = this.canvas.getContext("2d");
    const letters = labels.every((label) => Array.from(label).length <= 1), least = letters ? 9 : 24;
    const fitting = Math.min(56, Math.max(least, Math.floor(this.box.clientWidth / steps))), ratio = devicePixelRatio || 1;
    const column = Math.max(1, Math.min(fitting, Math.floor(WIDEST / steps)));
    context.font = "12px system-ui, sans-serif";
    const widths = labels.map((label) => context.measureText(label).width), widest = Math.max(...widths), turned = !letters && widest > column - 4;
    const wide = column * steps, high = Math.max(160, Math.min(320, 3 * size)), below = turned ? 14 + Math.ceil(0.87 * Math.min(widest, 80)) : 22;
    const right = turned ? 8 : 0;
    this.geometry = { column, high, size, steps };
    this.canvas.width = (wide + right) * ratio;
    this.canvas.height = (high + below) * ratio;
    this.canvas.style.width = `${wide + right}px`;
    this.canvas.style.height = `${high + below}px`;
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.cells(at, size, steps, range), 0, 0, wide, high);
    const css = getComputedStyle(document.documentElement), ink = css.getPropertyValue("--ink"), quiet = css.getPropertyValue("--quiet");
    context.font = "12px system-ui, sans-serif";
    const every = Math.ceil((letters ? 9 : 20) / column);
    labels.forEach((label, k) => {
      if (k % every) return;
      const on = this.cursor?.step === k;
      context.fillStyle = on ? ink : quiet;
      context.save();
      context.translate((k + 0.5) * column, high + (turned ? 8 : 15));
      if (turned) context.rotate(Math.PI / 3);
      context.textAlign = turned ? "left" : "center";
      const shown = Array.from(label);
      context.fillText(shown.length > 11 && turned ? `${shown.slice(0, 10).join("")}…` : label, 0, turned ? 4 : 0);
      context.restore();
    });
    if (this.cursor) {
      const { step, unit } = this.cursor, row = high / size;
      context.strokeStyle = ink;
      context.lineWidth = 1;
      context.strokeRect(step * column + 0.5, 0.5, column - 1, high - 1);
      context.strokeRect(step * column - 1.5, unit * row - 1.5, column + 3, row + 3);
    }
    this.legend(range);
    this.say();
  }

  /** The cells as a picture of one pixel each. */
  cells(at, size, steps, [low, high]) {
    const picture = document.createElement("canvas");
    picture.width = steps;
    picture.height = size;
    const image = new ImageData(steps, size), paper = channels("--wash"), up = channels("--s0"), down = channels("--s1");
    for (let unit = 0, k = 0; unit < size; unit++) {
      for (let step = 0; step < steps; step++, k += 4) {
        const value = at(step, unit), share = low < 0 ? value / high : (value - low) / (high - low);
        const full = share < 0 ? down : up, part = Math.min(1, Math.abs(share));
        for (let c = 0; c < 3; c++) image.data[k + c] = paper[c] + (full[c] - paper[c]) * part;
        image.data[k + 3] = 255;
      }
    }
    picture.getContext("2d").putImageData(image, 0, 0);
    return picture;
  }

  legend([low, high]) {
    document.getElementById("low").textContent = plain(low);
    document.getElementById("high").textContent = plain(high);
    document.getElementById("scale").className = low < 0 ? "scale both" : "scale";
  }

  point(event) {
    if (!this.geometry) return;
    const { column, high, size, steps } = this.geometry, box = this.canvas.getBoundingClientRect();
    const step = Math.floor((event.clientX - box.left) / column), unit = Math.floor(((event.clientY - box.top) / high) * size);
    if (step < 0 || step >= steps || unit < 0) return;
    this.move(step, Math.min(unit, size - 1));
  }

  press(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move || !this.geometry) return;
    event.preventDefault();
    const { size, steps, column } = this.geometry, { step, unit } = this.cursor || { step: move[0] ? -move[0] : 0, unit: 0 };
    const clamp = (value, most) => Math.max(0, Math.min(most - 1, value));
    this.move(clamp(step + move[0], steps), clamp(unit + move[1], size));
    this.box.scrollLeft = Math.min(Math.max(this.box.scrollLeft, (this.cursor.step + 2) * column - this.box.clientWidth), this.cursor.step * column);
  }

  move(step, unit) {
    if (this.cursor?.step === step && this.cursor?.unit === unit) return;
    this.cursor = { step, unit };
    this.draw();
  }

  say() {
    const { at, name } = this.values();
    if (!this.cursor) { this.says.textContent = `${name}, ${this.geometry.size} units, ${this.geometry.steps} steps`; return; }
    const { step, unit } = this.cursor;
    this.says.textContent = `step ${step + 1} “${this.data.labels[step]}”, unit ${unit + 1}: ${name} is ${plain(at(step, unit), 3)}`;
  }
}

/** A number for a reader, with a real minus. */
const plain = (value, digits = 2) => {
  const words = Number.isInteger(value) ? String(value) : value.toFixed(digits);
  return +words === 0 ? words.replace("-", "") : words.replace("-", "\u2212");
};
