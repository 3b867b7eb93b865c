/* ---- weights: unpacked once, from 5 characters for every 4 bytes ---- */

typedef struct { /* rows of numbers; of 8 bits, each row has a scale */
  int rows, columns;
  const float *number;
  const signed char *byte;
  const float *scale;
} rnn_matrix;

typedef struct { int rows, columns, bits; } rnn_shape;

static rnn_matrix W[RNN_MATRICES];
static int rnn_loaded = 0;
static unsigned char rnn_digit[128];

static uint32_t rnn_word(size_t word) {
  const char *text = RNN_TEXT[word / RNN_PIECE] + 5 * (word % RNN_PIECE);
  uint32_t value = 0;
  for (int k = 0; k < 5; k++) value = value * 85 + rnn_digit[(int)text[k]];
  return value;
}

static size_t rnn_floats(size_t word, size_t count, float *to) {
  for (size_t k = 0; k < count; k++) {
    const uint32_t bits = rnn_word(word + k);
    memcpy(to + k, &bits, 4);
  }
  return word + count;
}

/* Unpack the weights. Returns 0, or -1 where there is no memory. */
int rnn_load(void) {
  size_t word = 0;
  if (rnn_loaded) return 0;
  for (int k = 0; k < 85; k++) rnn_digit[(int)RNN_ALPHABET[k]] = (unsigned char)k;
  for (int k = 0; k < RNN_MATRICES; k++) {
    const rnn_shape s = RNN_SHAPES[k];
    const size_t count = (size_t)s.rows * (size_t)s.columns, floats = s.bits == 8 ? (size_t)s.rows : count;
    float *number = malloc(floats * sizeof(float) + 4);
    if (!number) return -1;
    word = rnn_floats(word, floats, number);
    W[k].rows = s.rows;
    W[k].columns = s.columns;
    if (s.bits == 8) {
      signed char *byte = malloc(count + 4);
      if (!byte) return -1;
      for (size_t i = 0; i < count; i += 4, word++) {
        const uint32_t bits = rnn_word(word);
        for (size_t b = 0; b < 4 && i + b < count; b++) byte[i + b] = (signed char)(int)((bits >> (8 * b) & 255) - 128);
      }
      W[k].byte = byte;
      W[k].scale = number;
    } else {
      W[k].number = number;
    }
  }
  rnn_loaded = 1;
  return 0;
}

static float rnn_at(int k, size_t i) {
  return W[k].byte ? (float)W[k].byte[i] * W[k].scale[i / (size_t)W[k].columns] : W[k].number[i];
}

/* to[r] = sum of W[first + r, i] x[i], over `wide` numbers a row, + bias[from + r]; bias may be -1 */
static void rnn_rows(int w, size_t first, int rows, int wide, int bias, int from, const float *x, float *to) {
  for (int r = 0; r < rows; r++) {
    const size_t start = (first + (size_t)r) * (size_t)wide;
    float sum = 0.f;
    if (W[w].byte && wide == W[w].columns) {
      for (int i = 0; i < wide; i++) sum += (float)W[w].byte[start + (size_t)i] * x[i];
      sum *= W[w].scale[first + (size_t)r];
    } else if (W[w].byte) {
      for (int i = 0; i < wide; i++) sum += rnn_at(w, start + (size_t)i) * x[i];
    } else {
      for (int i = 0; i < wide; i++) sum += W[w].number[start + (size_t)i] * x[i];
    }
    to[r] = sum + (bias < 0 ? 0.f : rnn_at(bias, (size_t)(from + r)));
  }
}

static void rnn_linear(int w, int bias, const float *x, float *to) {
  rnn_rows(w, 0, W[w].rows, W[w].columns, bias, 0, x, to);
}

/* ---- layers ---- */

typedef struct { /* a cell over time in one direction */
  int size, input, output, gates, states, kept, all_kept, reverse, blocks, recurrent, recurrent_bias, products;
  const int *weight, *bias;
  rnn_function *project, *step, *readout;
  int channels;
  const int *channel;
  int outers;
  const int *outer;
  const float *initial;
} rnn_layer;

typedef struct {
  const rnn_layer *layers;
  int count, both, merge, residual, output;
} rnn_stack;

enum { RNN_CONCAT, RNN_SUM, RNN_MEAN, RNN_PRODUCT };

/* x: (steps, input); y: (steps, output); state: (states, size), what the layer begins with, and then ends with */
static int rnn_layer_run(const rnn_layer *l, const float *x, int steps, float *state, float *y) {
  const int H = l->size, G = l->gates * H, A = l->all_kept * H;
  const float *given[RNN_MOST];
  float *made[RNN_MOST];
  int all = 0;
  for (int k = 0; k < l->products; k++) all += W[l->weight[k]].rows;
  float *memory = calloc((size_t)(all + 2 * G + A + 2 * l->states * H + 1), sizeof(float));
  if (!memory) return -1;
  float *product = memory, *gx = product + all, *gh = gx + G, *rest = gh + G, *now = rest + A;
  for (int turn = 0; turn < steps; turn++) {
    const int t = l->reverse ? steps - 1 - turn : turn;
    const float *in = x + (size_t)t * (size_t)l->input;
    int to = 0;
    for (int k = 0; k < l->products; k++) {
      rnn_linear(l->weight[k], l->bias[k], in, product + to);
      given[k] = product + to;
      to += W[l->weight[k]].rows;
    }
    if (l->project) {
      int n = l->products;
      given[n++] = in;
      for (int k = 0; k < l->outers; k++) given[n++] = W[l->outer[k]].number;
      made[0] = gx;
      made[1] = rest;
      l->project(H, given, made);
    } else {
      memcpy(gx, product, (size_t)G * sizeof(float));
      if (l->kept) memcpy(rest, product, (size_t)A * sizeof(float));
    }
    if (l->recurrent >= 0) {
      const int block = H / l->blocks;
      for (int k = 0; k < l->gates * l->blocks; k++)
        rnn_rows(l->recurrent, (size_t)(k * block), block, block, l->recurrent_bias, k * block,
                 state + k % l->blocks * block, gh + k * block);
    }
    int n = 0;
    given[n++] = gx;
    given[n++] = gh;
    for (int k = 0; k < l->states; k++) given[n++] = state + k * H, made[k] = now + k * H;
    for (int k = 0; k < l->channels; k++) given[n++] = W[l->channel[k]].number;
    l->step(H, given, made);
    memcpy(state, now, (size_t)(l->states * H) * sizeof(float));
    float *out = y + (size_t)t * (size_t)l->output;
    if (l->readout) {
      n = 0;
      given[n++] = rest;
      for (int k = 0; k < l->states; k++) given[n++] = state + k * H;
      for (int k = 0; k < l->outers; k++) given[n++] = W[l->outer[k]].number;
      made[0] = out;
      l->readout(H, given, made);
    } else {
      memcpy(out, state, (size_t)H * sizeof(float));
    }
  }
  free(memory);
  return 0;
}

static void rnn_merged(int how, const float *a, const float *b, int wide, float *to) {
  for (int j = 0; j < wide; j++) {
    const float one = a[j], other = b[j];
    if (how == RNN_CONCAT) to[j] = one, to[wide + j] = other;
    else to[j] = how == RNN_SUM ? one + other : how == RNN_MEAN ? (one + other) / 2.f : one * other;
  }
}

/* x: (steps, input); y: (steps, output); last: (output), zeros for no steps; state: of all layers, one after the other */
static int rnn_stack_run(const rnn_stack *s, const float *x, int steps, float *state, float *y, float *last) {
  const int wide = 1 + s->both;
  const size_t room = (size_t)steps * (size_t)RNN_WIDEST + 1;
  float *memory = calloc(4 * room, sizeof(float));
  if (!memory) return -1;
  float *below = memory, *one = memory + room, *other = memory + 2 * room, *above = memory + 3 * room;
  int features = s->layers[0].input;
  memcpy(below, x, (size_t)steps * (size_t)features * sizeof(float));
  memset(last, 0, (size_t)s->output * sizeof(float));
  for (int first = 0; first < s->count; first += wide) {
    const rnn_layer *l = s->layers + first;
    const int size = l->output, out = s->both && s->merge == RNN_CONCAT ? 2 * size : size;
    int bad = rnn_layer_run(l, below, steps, state, one);
    state += l->states * l->size;
    if (s->both) {
      bad |= rnn_layer_run(l + 1, below, steps, state, other);
      state += l[1].states * l[1].size;
    }
    if (bad) {
      free(memory);
      return -1;
    }
    const float *end = one + (size_t)(steps ? steps - 1 : 0) * (size_t)size;
    for (int t = 0; t < steps; t++) {
      const float *a = one + (size_t)t * (size_t)size, *b = other + (size_t)t * (size_t)size;
      float *to = above + (size_t)t * (size_t)out;
      if (s->both) rnn_merged(s->merge, a, b, size, to);
      else memcpy(to, a, (size_t)size * sizeof(float));
    }
    if (steps && s->both) rnn_merged(s->merge, end, other, size, last);
    else if (steps) memcpy(last, end, (size_t)size * sizeof(float));
    if (s->residual && first && steps) {
      const float *ending = below + (size_t)(steps - 1) * (size_t)out;
      for (size_t k = 0; k < (size_t)steps * (size_t)out; k++) above[k] += below[k];
      for (int j = 0; j < out; j++) {
        if (!s->both) last[j] += ending[j];
        else if (s->merge != RNN_CONCAT) last[j] += (ending[j] + below[j]) / 2.f;
        else last[j] += j < out / 2 ? ending[j] : below[j];
      }
    }
    float *swap = below;
    below = above;
    above = swap;
    features = out;
  }
  memcpy(y, below, (size_t)steps * (size_t)features * sizeof(float));
  free(memory);
  return 0;
}

static void rnn_stack_start(const rnn_stack *s, float *state) {
  for (int k = 0; k < s->count; k++)
    for (int n = 0; n < s->layers[k].states; n++)
      for (int j = 0; j < s->layers[k].size; j++) *state++ = s->layers[k].initial[n];
}

/* ---- inputs ---- */

enum { RNN_LOOKUP, RNN_VALUES, RNN_LETTERS };

typedef struct { /* letters: filters over windows of them, or layers that read them */
  int kind, table, width, windows;
  const int *weight, *bias, *span;
  const rnn_stack *stack;
} rnn_input;

static void rnn_row(int table, int row, float *to) {
  const int wide = W[table].columns;
  for (int j = 0; j < wide; j++) to[j] = rnn_at(table, (size_t)row * (size_t)wide + (size_t)j);
}

static int rnn_word_features(const rnn_input *in, const int *letters, int most, float *to) {
  const int size = W[in->table].columns;
  int count = 0;
  while (count < most && letters[count] != 0) count++;
  float *x = calloc((size_t)(count + 1) * (size_t)(size + in->width), sizeof(float));
  if (!x) return -1;
  for (int t = 0; t < count; t++) rnn_row(in->table, letters[t], x + t * size);
  if (in->stack) {
    float state[RNN_STATE_NUMBERS];
    rnn_stack_start(in->stack, state);
    const int bad = rnn_stack_run(in->stack, x, count, state, x + (count + 1) * size, to);
    free(x);
    return bad;
  }
  for (int w = 0; w < in->windows; w++) {
    const int filters = W[in->weight[w]].rows, span = in->span[w];
    for (int f = 0; f < filters; f++) {
      float best = 0.f;
      for (int t = 0; t < count; t++) {
        float sum = rnn_at(in->bias[w], (size_t)f);
        for (int j = 0; j < span; j++) {
          const int at = t + j - span / 2;
          for (int i = 0; at >= 0 && at < count && i < size; i++)
            sum += rnn_at(in->weight[w], ((size_t)f * (size_t)size + (size_t)i) * (size_t)span + (size_t)j) * x[at * size + i];
        }
        if (sum > best) best = sum;
      }
      *to++ = best;
    }
  }
  free(x);
  return 0;
}

static int rnn_embed(const rnn_input *in, int count, const void *const *fields, int letters, int steps, float *x) {
  for (int t = 0; t < steps; t++) {
    for (int k = 0; k < count; k++) {
      const int *ids = fields[k];
      if (in[k].kind == RNN_VALUES) {
        memcpy(x, (const float *)fields[k] + (size_t)t * (size_t)in[k].width, (size_t)in[k].width * sizeof(float));
      } else if (in[k].kind == RNN_LOOKUP) {
        if (ids[t] < 0 || ids[t] >= W[in[k].table].rows) return -2;
        rnn_row(in[k].table, ids[t], x);
      } else {
        for (int n = 0; n < letters; n++)
          if (ids[t * letters + n] < 0 || ids[t * letters + n] >= W[in[k].table].rows) return -2;
        if (rnn_word_features(in + k, ids + t * letters, letters, x)) return -1;
      }
      x += in[k].width;
    }
  }
  return 0;
}

/* ---- pooling and head ---- */

enum { RNN_LAST, RNN_POOL_MEAN, RNN_MAX, RNN_MAX_MEAN, RNN_ATTENTION };

static void rnn_log_softmax(float *z, int count) {
  float most = z[0], sum = 0.f;
  for (int k = 1; k < count; k++) most = z[k] > most ? z[k] : most;
  for (int k = 0; k < count; k++) sum += expf(z[k] - most);
  for (int k = 0; k < count; k++) z[k] -= most + logf(sum);
}

/* pooled: RNN_POOLED numbers */
static int rnn_pool(const float *y, const float *last, int steps, float *pooled) {
  const int wide = RNN_OUTPUT;
  float *most = pooled, *mean = RNN_POOL == RNN_MAX_MEAN ? pooled + wide : pooled;
  if (RNN_POOL == RNN_LAST) memcpy(pooled, last, (size_t)wide * sizeof(float));
  if (RNN_POOL == RNN_LAST) return 0;
  for (int j = 0; j < RNN_POOLED; j++) pooled[j] = 0.f;
  if (RNN_POOL == RNN_ATTENTION) {
    float *score = calloc((size_t)(steps + wide), sizeof(float)), *hidden = score + steps;
    if (!score) return -1;
    for (int t = 0; t < steps; t++) {
      rnn_linear(RNN_SCORE, RNN_SCORE_BIAS, y + (size_t)t * wide, hidden);
      for (int j = 0; j < wide; j++) score[t] += tanhf(hidden[j]) * rnn_at(RNN_SCORE_OUT, (size_t)j);
    }
    if (steps) rnn_log_softmax(score, steps);
    for (int t = 0; t < steps; t++)
      for (int j = 0; j < wide; j++) pooled[j] += expf(score[t]) * y[(size_t)t * wide + j];
    free(score);
    return 0;
  }
  for (int j = 0; j < wide && steps; j++) {
    float sum = 0.f, high = y[j];
    for (int t = 0; t < steps; t++) {
      const float value = y[(size_t)t * wide + j];
      sum += value;
      high = value > high ? value : high;
    }
    if (RNN_POOL != RNN_POOL_MEAN) most[j] = high;
    if (RNN_POOL != RNN_MAX) mean[j] = sum / (float)steps;
  }
  return 0;
}

/* features: RNN_FEATURES numbers; to: RNN_CLASSES */
static int rnn_head(const float *features, float *to) {
  rnn_linear(RNN_HEAD, RNN_HEAD_BIAS, features, to);
  if (RNN_TAILS == 0) return 0;
  const int first = W[RNN_HEAD].rows, frequent = first - RNN_TAILS;
  float *cluster = calloc((size_t)(RNN_TAILS + RNN_FEATURES + 1), sizeof(float)), *narrow = cluster + RNN_TAILS;
  if (!cluster) return -1;
  rnn_log_softmax(to, first);
  for (int c = 0; c < RNN_TAILS; c++) cluster[c] = to[frequent + c];
  to += frequent;
  for (int c = 0; c < RNN_TAILS; c++) {
    const int *tail = RNN_TAIL + 4 * c, words = W[tail[2]].rows;
    rnn_linear(tail[0], tail[1], features, narrow);
    rnn_linear(tail[2], tail[3], narrow, to);
    rnn_log_softmax(to, words);
    for (int k = 0; k < words; k++) to[k] += cluster[c];
    to += words;
  }
  free(cluster);
  return 0;
}
