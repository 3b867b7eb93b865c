// Text to numbers, as rnnzoo/data/encoding/text.py, subwords.py and word_features.py do it: the same ids for any text.

const PAD = 0, UNK = 1, BOS = 2, EOS = 3;
const BLANKS = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u; // of Python's str.split
const W = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d", S = "\\p{White_Space}\\x1c-\\x1f";
const WORD = new RegExp(`[${W}]+(?:'[${W}]+)?|[^${W}${S}]\\p{M}*(?:\\u200d[^${W}\\p{White_Space}]\\p{M}*)*`, "gu");
const STRAIGHT = /[\u2018\u2019\u201b\u02bc\uff07]/g;
const CAPITAL = /^\p{Uppercase}$/u, LETTER = /^\p{L}$/u, ALPHANUMERIC = /^[\p{L}\p{N}]$/u;
const DIGIT = new RegExp("^[\\p{Nd}\\xb2\\xb3\\xb9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089" +
  "\\u2460-\\u2468\\u2474-\\u247c\\u2488-\\u2490\\u24ea\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e\\u2780-\\u2788" +
  "\\u278a-\\u2792\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}]$", "u");
const MARK = /[!-\x2f:-@\[-`{-~\p{P}]/u; // that a subword never holds together with others
const LONGEST = 64; // letters of a piece of typed text that is looked at for punctuation

/** The text in composed form, in small letters if asked. */
const normal = (text, lowercase) => (lowercase ? text.toLowerCase() : text).normalize("NFC");

/** Pieces of words: a pair that stands earlier among the merges is joined first. */
class Subwords {
  constructor(names, merges) {
    this.known = new Set(names);
    this.ranks = new Map(merges.map((merge, rank) => [merge, rank]));
  }

  cut(text) {
    if (!text) return [];
    let marked = text.replaceAll(" ", "\u2581");
    if (!marked.startsWith("\u2581")) marked = "\u2581" + marked;
    const words = [];
    for (const part of marked.split(/(?=\u2581)/u)) words.push(...part.split(new RegExp(`(${MARK.source})`, "u")));
    return words.filter(Boolean).flatMap((word) => this.pieces(word));
  }

  pieces(word) {
    const pieces = Array.from(word, (letter) => (this.known.has(letter) ? letter : "<unk>"));
    for (;;) {
      let best = Infinity, where = -1;
      for (let k = 0; k + 1 < pieces.length; k++) {
        const rank = this.ranks.get(`${pieces[k]} ${pieces[k + 1]}`);
        if (rank !== undefined && rank < best) [best, where] = [rank, k];
      }
      if (where < 0) return pieces;
      pieces.splice(where, 2, pieces[where] + pieces[where + 1]);
    }
  }
}

/** Tokens to ids and back, by a field of tokens. */
class Encoder {
  constructor({ names, options }) {
    this.names = names;
    this.options = options;
    this.ids = new Map(names.slice(4).map((name, k) => [name, k + 4]));
    this.ids.set("<unk>", UNK).set("<eos>", EOS);
    this.subwords = options.unit === "subword" ? new Subwords(names, options.merges || []) : null;
  }

  /** The tokens of a text. */
  tokens(text) {
    const { unit, lowercase, quotes } = this.options;
    let plain = normal(text, lowercase);
    if (unit === "character") return Array.from(plain);
    if (unit === "space") return plain.split(BLANKS).filter(Boolean);
    if (unit === "subword") return this.subwords.cut(plain);
    if ((quotes || "straight") === "straight") plain = plain.replace(STRAIGHT, "'");
    return plain.match(WORD) || [];
  }

  /** A word that stays whole. */
  word(word) {
    return normal(word, this.options.lowercase);
  }

  id(token) {
    return this.ids.get(token) ?? UNK;
  }

  /** Tokens as far as the data's max_length lets them be read: their head, their tail, or half of each. */
  truncated(tokens) {
    const { max_length: most, truncate } = this.options;
    if (!most || tokens.length <= most) return tokens;
    const head = { head: most, tail: 0, head_tail: (most + 1) >> 1 }[truncate || "head"];
    return [...tokens.slice(0, head), ...tokens.slice(tokens.length - (most - head))];
  }

  /** The text of ids up to the first end. */
  decode(ids) {
    const end = ids.indexOf(EOS);
    const words = (end < 0 ? ids : ids.slice(0, end)).map((id) => this.names[id]);
    if (this.options.unit === "subword") return words.join("").replaceAll("\u2581", " ").trim();
    return words.join(this.options.unit === "character" ? "" : " ");
  }
}

/** A typed text as words: a piece that is not known as a whole loses the marks at its ends, each a word of its own. */
function bareWords(text, encoder) {
  return text.split(BLANKS).filter(Boolean).flatMap((whole) => {
    const letters = Array.from(whole), before = [], after = [];
    while (letters.length > 1 && letters.length <= LONGEST && !encoder.ids.has(encoder.word(letters.join("")))) {
      if (!ALPHANUMERIC.test(letters[letters.length - 1])) after.push(letters.pop());
      else if (!ALPHANUMERIC.test(letters[0])) before.push(letters.shift());
      else break;
    }
    return [...before, letters.join(""), ...after.reverse()];
  });
}

/** The kinds of a word's letters, of those that are alike the first: "McCoy" is XxXx. */
function shape(word) {
  const kinds = Array.from(word.normalize("NFC"), (letter) =>
    CAPITAL.test(letter) ? "X" : LETTER.test(letter) ? "x" : DIGIT.test(letter) ? "d" : letter);
  return kinds.filter((kind, k) => kind !== kinds[k - 1]).join("");
}

/** The ids of a word's letters. */
const lettersOf = (word, encoder) => encoder.truncated(Array.from(encoder.word(word))).map((c) => encoder.id(c));
