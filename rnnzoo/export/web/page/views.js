// What a page shows of an answer, by what the model can do. Words of the model and of the reader are only ever text.

/** An element with a class and content. */
function element(name, kind, ...content) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...content);
  return made;
}

const percent = (p) => `${(100 * p).toFixed(1)} %`;

/** Probabilities by name as bars, the largest first. */
function bars(shares, most = 12) {
  const rows = Object.entries(shares).sort(([, a], [, b]) => b - a).slice(0, most);
  return element("ol", "bars", ...rows.map(([name, p]) => {
    const fill = element("span", "fill");
    fill.style.width = `${Math.max(0.4, 100 * p)}%`;
    return element("li", "", element("span", "name", visible(name)), element("span", "track", fill), element("span", "number", percent(p)));
  }));
}

const DRAWN = 6; // features of a series

/** A series as a line for each feature; of named ones with their names. */
function lines({ values, size, names = [] }) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), steps = values.length / size;
  svg.setAttribute("viewBox", "0 0 640 120");
  svg.setAttribute("class", "series");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${steps} steps of ${size} ${size === 1 ? "feature" : "features"}`);
  const low = Math.min(...values), high = Math.max(...values), tall = high - low || 1;
  for (let k = 0; k < Math.min(size, DRAWN); k++) {
    const line = document.createElementNS(svg.namespaceURI, "polyline");
    const points = Array.from({ length: steps }, (_, t) => `${(steps < 2 ? 320 : 4 + (632 * t) / (steps - 1)).toFixed(1)},${(114 - (108 * (values[t * size + k] - low)) / tall).toFixed(1)}`);
    line.setAttribute("points", points.join(" "));
    line.setAttribute("class", `line c${k}`);
    svg.append(line);
  }
  const legend = names.slice(0, DRAWN).map((name, k) => element("span", `of c${k}`, name));
  return names.length ? element("div", "", svg, element("p", "quiet legend-lines", ...legend)) : svg;
}

/** Equal tags in a row as one: the steps, counted from 1, and the tag. */
function stretches(tags) {
  const starts = tags.map((_, k) => k).filter((k) => !k || tags[k] !== tags[k - 1]);
  return starts.map((start, k) => {
    const end = starts[k + 1] ?? tags.length;
    return [end - start > 1 ? `${start + 1}\u2013${end}` : `${end}`, tags[start]];
  });
}

const SHOW = {
  classes(model, { answer, asked }) {
    const best = element("p", "best", element("b", "", answer.label), ` ${percent(answer.confidence)}`);
    const parts = [best, bars(answer.probabilities)];
    if (asked.drawn) parts.push(lines(asked.drawn));
    else parts.push(tokensOf(model, asked));
    return parts;
  },
  labels(model, { answer, asked }) {
    const best = element("p", "best", element("b", "", answer.labels.join(", ") || "none"));
    return [best, bars(answer.probabilities), tokensOf(model, asked)];
  },
  tags(model, { answer, asked }) {
    const names = [...new Set(answer.tags)].sort((a, b) => model.labels.indexOf(a) - model.labels.indexOf(b));
    const pieces = answer.words ? answer.tags.map((tag, k) => [answer.words[k], tag]) : stretches(answer.tags);
    const words = pieces.map(([word, tag]) => {
      const colour = tag === "O" ? "out" : `k${model.labels.indexOf(model.spans ? tag.slice(2) && names.find((n) => n.slice(2) === tag.slice(2)) : tag) % 6}`;
      return element("span", `word ${colour}`, element("b", "", word), element("i", "", tag));
    });
    return [element("p", "tagged", ...words), ...(asked.drawn ? [lines(asked.drawn)] : [])];
  },
  writes() { return []; },
  numbers(model, { answer, asked }) {
    const numbers = answer.values.flatMap((value, k) => [
      ...(answer.targets ? [`${k ? ", " : ""}${answer.targets[k]} `] : k ? ["  "] : []),
      element("b", "", String(+value.toPrecision(6)).replaceAll("-", "\u2212")),
    ]);
    return [element("p", "best", ...numbers), lines(asked.drawn)];
  },
  gaps(model, { answer }) {
    return answer.gaps.flatMap((shares, k) => [...(answer.gaps.length > 1 ? [element("h3", "", `Gap ${k + 1}`)] : []), bars(shares)]);
  },
};

/** The tokens of a text; `explain` colours them. */
function tokensOf(model, asked) {
  const tight = model.encoders.tokens.options.unit === "character" ? " tight" : "";
  const tokens = asked.shown.map((token, k) => {
    const kind = asked.fields.tokens[k] === UNK ? "token unknown" : "token";
    return element("span", kind, visible(token));
  });
  const words = element("p", `tokens${tight}`, ...tokens);
  words.setAttribute("aria-label", "Tokens, coloured by what each adds to the answer");
  return element("div", "", words, element("p", "quiet says legend-words"));
}

const ERASED_MOST = 100; // tokens of a text whose part in the answer is asked for, one by one

/** Colour each token by how much less sure of the label the model is without it, a few at a time. */
async function explain(model, reply, answer, isStale) {
  const words = answer.querySelector(".tokens"), says = answer.querySelector(".legend-words");
  if (!words || reply.asked.steps > ERASED_MOST || !reply.asked.shown[0]) return;
  const label = model.labels.indexOf(reply.answer.label), adds = [];
  let since = performance.now();
  for (const value of model.erased(reply.asked, label)) {
    adds.push(value);
    if (performance.now() - since > 10) {
      await new Promise((resume) => setTimeout(resume));
      if (isStale()) return;
      since = performance.now();
    }
  }
  const most = Math.max(0.5, ...adds.map(Math.abs));
  adds.forEach((value, k) => {
    const token = words.children[k];
    token.classList.add(value < 0 ? "against" : "for");
    token.style.setProperty("--part", `${Math.round((100 * Math.abs(value)) / most)}%`);
    token.title = `${value < 0 ? "against" : "for"} ${reply.answer.label}: ${plain(value)} nats`;
  });
  says.replaceChildren("Without a word, the answer moves: ", element("span", "token for full", "for"), " ", element("span", "token against full", "against"),
    ` ${reply.answer.label}. Underlined words are unknown to the model.`);
  if (!words.querySelector(".unknown")) says.lastChild.textContent = ` ${reply.answer.label}.`;
}
