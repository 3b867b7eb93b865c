// The bundle: text of 91 characters -> bytes -> the description of the model, and its tensors as Float32Array.

const LETTERS = Array.from({ length: 94 }, (_, k) => String.fromCharCode(0x21 + k)).filter((c) => !"<>&".includes(c));

/** Bytes of a text in which each two characters hold 13 bits; their number stands before, with a blank. */
function decoded(text) {
  const start = text.indexOf(" ") + 1;
  const bytes = new Uint8Array(+text.slice(0, start));
  const values = new Uint8Array(128);
  LETTERS.forEach((letter, k) => { values[letter.charCodeAt(0)] = k; });
  let bits = 0, held = 0, at = 0;
  for (let k = start; at < bytes.length; k += 2) {
    held |= (values[text.charCodeAt(k)] + 91 * values[text.charCodeAt(k + 1)]) << bits;
    for (bits += 13; bits >= 8 && at < bytes.length; bits -= 8) {
      bytes[at++] = held & 255;
      held >>>= 8;
    }
  }
  return bytes;
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers of `width` bytes that were written as all highest bytes, then all the next ones. */
function gathered(bytes, at, count, width) {
  const out = new Uint8Array(count * width);
  for (let plane = 0; plane < width; plane++) {
    for (let k = 0, to = width - 1 - plane; k < count; k++, to += width) out[to] = bytes[at + plane * count + k];
  }
  return out.buffer;
}

let halves = null;

/** Every number of half precision, by its 16 bits. */
function halfTable() {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let code = 0; code < 65536; code++) {
    const exponent = (code >> 10) & 31, fraction = code & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    halves[code] = code & 32768 ? -size : size;
  }
  return halves;
}

/** A tensor's numbers, row by row. */
function tensor(bytes, { type, shape, at }) {
  const count = shape.reduce((a, b) => a * b, 1);
  if (type === "float32") return new Float32Array(gathered(bytes, at, count, 4));
  const out = new Float32Array(count);
  if (type === "float16") {
    const codes = new Uint16Array(gathered(bytes, at, count, 2)), table = halfTable();
    for (let k = 0; k < count; k++) out[k] = table[codes[k]];
    return out;
  }
  const rows = shape[0], width = count / rows;
  const scales = new Float32Array(gathered(bytes, at, rows, 4));
  const whole = new Int8Array(bytes.buffer, bytes.byteOffset + at + 4 * rows, count);
  for (let row = 0, k = 0; row < rows; row++) {
    for (const end = k + width; k < end; k++) out[k] = whole[k] * scales[row];
  }
  return out;
}

/** The model's description, with `tensors` as arrays, `shapes` beside them, and `matrix` of a layer's weight and bias. */
async function unpacked(text) {
  const bytes = await inflated(decoded(text));
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const model = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const body = bytes.subarray(4 + length);
  model.shapes = model.tensors.map((one) => one.shape);
  model.tensors = model.tensors.map((one) => tensor(body, one));
  const matrices = new Map();
  model.matrix = ({ weight, bias }) => {
    if (!matrices.has(weight)) {
      const [rows, columns] = model.shapes[weight], added = bias === null ? null : model.tensors[bias];
      matrices.set(weight, new Matrix(model.tensors[weight], added, rows, columns));
    }
    return matrices.get(weight);
  };
  return model;
}
