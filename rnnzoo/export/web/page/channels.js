// A series of named channels: rows of numbers, gaps filled by the model's policy, scaled, with static columns.

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, MISSING = /^(nan|null)?$/i;

/** A cell as a number, NaN where there is none. */
function cellNumber(cell, step, name) {
  if (MISSING.test(cell)) return NaN;
  if (!NUMBER.test(cell)) throw new Error(`step ${step}: '${name}' is '${cell.slice(0, 40)}', not a number`);
  return Number(cell);
}

/** Lines of numbers, with or without a line of the channels' names above, as a list for each channel. */
function channelsOfLines(text, names) {
  const lines = text.replace(/^[\n\r]+|[\n\r ]+$/g, "").split(/\r\n|[\n\r]/);
  const mark = ["\t", ";", ","].find((one) => text.includes(one));
  const cells = (line) => {
    const parts = names.length === 1 ? [line] : mark ? line.split(mark) : line.trim().split(/\s+/);
    return parts.map((part) => part.trim().replace(/^"(.*)"$/, "$1"));
  };
  const rows = lines.map(cells), first = rows[0];
  let order = names;
  const isHeader = [...first].sort().join("\n") === [...names].sort().join("\n");
  if (isHeader) order = rows.shift();
  else if (first.every((cell) => !NUMBER.test(cell) && !MISSING.test(cell)))
    throw new Error(`expected the channels ${names.join(", ")}, found ${first.join(", ")}`);
  if (!rows.length) throw new Error("no numbers yet");
  const wrong = rows.findIndex((row) => row.length !== names.length);
  if (wrong >= 0) throw new Error(`step ${wrong + 1} has ${rows[wrong].length} values, where ${names.length} are expected: ${names.join(", ")}`);
  return names.map((name) => {
    const place = order.indexOf(name);
    return rows.map((row, step) => cellNumber(row[place], step + 1, name));
  });
}

/** JSON of rows, or of a list for each channel by its name, as `rnnzoo predict` takes it: null is a missing value. */
function channelsOfJson(text, names, columns) {
  let given;
  try {
    given = JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|\bNaN\b/g, (found) => (found === "NaN" ? "null" : found)));
  } catch {
    throw new Error("this is no JSON yet");
  }
  if (Array.isArray(given)) {
    const rows = given.map((row) => (Array.isArray(row) ? row : [row])), wrong = rows.findIndex((row) => row.length !== names.length);
    if (!rows.length) throw new Error("no numbers yet");
    if (wrong >= 0) throw new Error(`step ${wrong + 1} has ${rows[wrong].length} values, where ${names.length} are expected: ${names.join(", ")}`);
    given = Object.fromEntries(names.map((name, k) => [name, rows.map((row) => row[k])]));
    columns = [];
  }
  const known = [...names, ...columns.map(({ name }) => name)], found = Object.keys(given);
  const strange = [...known.filter((name) => !found.includes(name)), ...found.filter((name) => !known.includes(name))];
  if (strange.length) throw new Error(`'${strange[0]}' is not as expected: ${known.join(", ")}`);
  const lists = names.map((name) => given[name]);
  if (lists.some((list) => !Array.isArray(list) || list.length !== lists[0].length || !list.length))
    throw new Error("expected a list of numbers for each channel, all of one length");
  const numbers = lists.map((list, k) => list.map((value, step) => (value === null ? NaN : typeof value === "number" ? value : cellNumber(String(value) || "''", step + 1, names[k]))));
  return { numbers, fixed: columns.length ? columns.map(({ name }) => given[name]) : null };
}

const isGap = (value) => Number.isNaN(value);

/** Throws where a channel has no value at all. */
function anyValue(numbers, names) {
  const empty = numbers.findIndex((channel) => channel.every(isGap));
  if (empty >= 0) throw new Error(`'${names[empty]}' has no value at all, so there is none to go by`);
}

/** What is read where a value is missing, by the policy; see rnnzoo/data/encoding/gaps.py. numbers: a list a channel. */
const FILL = {
  refuse(numbers, names) {
    const step = numbers[0].findIndex((_, t) => numbers.some((channel) => isGap(channel[t])));
    if (step < 0) return numbers;
    const name = names[numbers.findIndex((channel) => isGap(channel[step]))], count = numbers.flat().filter(isGap).length;
    throw new Error(`step ${step + 1}: '${name}' has no value (${count} missing in the series), and this model was trained to refuse gaps`);
  },
  mask: (numbers, names, mean) => numbers.map((channel, k) => channel.map((value) => (isGap(value) ? mean[k] : value))),
  forward(numbers, names) {
    anyValue(numbers, names);
    const late = numbers.findIndex((channel) => isGap(channel[0]));
    if (late >= 0) throw new Error(`step 1: '${names[late]}' has no value, and none before it to carry forward`);
    return numbers.map((channel) => {
      let last = 0;
      return channel.map((value) => (last = isGap(value) ? last : value));
    });
  },
  interpolate(numbers, names) {
    anyValue(numbers, names);
    return numbers.map((channel) => {
      const there = [...channel.keys()].filter((t) => !isGap(channel[t]));
      let next = 0; // of `there`: the first value that is not before this step
      return channel.map((value, t) => {
        while (next < there.length && there[next] < t) next++;
        if (!isGap(value)) return value;
        const left = there[next - 1], right = there[next];
        if (left === undefined || right === undefined) return channel[left ?? right];
        return ((channel[right] - channel[left]) / (right - left)) * (t - left) + channel[left];
      });
    });
  },
};

/** A static column as features: a number standardised, of choices a 1 among zeros. */
function staticFeatures({ name, values, mean, std }, value) {
  if (!values) {
    const number = typeof value === "number" ? value : NUMBER.test(value ?? "") ? Number(value) : NaN;
    if (!Number.isFinite(number)) throw new Error(`'${name}' is not a number`);
    return [(number - mean) / std];
  }
  if (!values.includes(String(value))) throw new Error(`'${name}' is '${value}', which no training series has; known: ${values.slice(0, 20).join(", ")}`);
  return values.map((known) => (known === String(value) ? 1 : 0));
}

/** The static columns as they stand in their fields, in their order. */
const staticGiven = (columns) =>
  [...document.querySelectorAll("[data-static]")].map((one, k) => (columns[k].values ? columns[k].values[+one.value] : one.value.trim()));

/** What is typed as the model's input. */
function askedChannels({ size, options }, text) {
  const { channels: names, missing, scale, mean, std, static: columns } = options, plainText = text.trim();
  if (!plainText) throw new Error("no numbers yet");
  const json = /^[[{]/.test(plainText) ? channelsOfJson(plainText, names, columns) : null;
  const numbers = json ? json.numbers : channelsOfLines(text, names), steps = numbers[0].length;
  const filled = FILL[missing](numbers, names, mean);
  const scaled = filled.map((channel, k) => channel.map((value) => (value - (scale === "standard" ? mean[k] : 0)) / std[k]));
  const there = missing === "mask" ? numbers.map((channel) => channel.map((value) => (isGap(value) ? 0 : 1))) : [];
  const given = json?.fixed ?? staticGiven(columns), fixed = columns.flatMap((column, k) => staticFeatures(column, given[k]));
  const rows = Array.from({ length: steps }, (_, t) => [...scaled, ...there].map((channel) => channel[t]).concat(fixed));
  const values = Float32Array.from(rows.flat());
  if (values.length !== steps * size || !values.every(Number.isFinite)) throw new Error("a number is infinite, or too far from those of the training split");
  const drawn = { values: rows.flatMap((row) => row.slice(0, names.length)), size: names.length, names };
  return { shown: Array.from({ length: steps }, (_, t) => String(t + 1)), drawn, fields: { values }, steps };
}
