// One recurrent cell over ragged sequences: generated code stands where a line begins with a dollar sign.
//
// Rows are packed: all sequences of step 0, longest first, then all of step 1, ... Slot b is the b-th longest sequence.
// A state buffer holds `rows` rows, one a step of a sequence, and then `batch` rows of first states, one a slot.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#if defined(__AVX512F__)
#define LANES 16
#define TALL 12
#elif defined(__AVX__)
#define LANES 8
#define TALL 6
#else
#define LANES 4
#define TALL 6
#endif
#define WIDE (2 * LANES)  // columns of a panel
#define MANY (8 * TALL)

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

// ---- scalar functions that compilers vectorise; NaN goes through all of them

static inline float bits_to_float(int32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

// exp by 2^k * p(r) for -87.3 <= x <= 88.3, infinity a little later: r in +-ln(2)/2, p of degree 6, about one unit in the last place.
static inline float power_(float x) {
  const float k = (x * 1.44269504088896341f + 12582912.f) - 12582912.f;  // the nearest whole number
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  return p * bits_to_float((int32_t)(k + 127.f) << 23);
}
static inline float within_(float x, float low, float high) {
  x = high < x ? high : x;
  return low > x ? low : x;
}
static inline float exp_(float x) {
  const float half = power_(within_(.5f * x, -52.f, 44.5f));  // exp(89) overflows only when it is squared
  return half * half;
}
// Beyond 88.4 the power of two is infinite, so that sigmoid is 0 there, and -inf * sigmoid(-inf) is NaN.
static inline float sigmoid_(float x) { return 1.f / (1.f + power_(within_(-x, -87.f, 88.8f))); }
// By exp(2 x) - 1, which keeps the digits of a small x.
static inline float tanh_(float x) {
  const float y = within_(2.f * x, -40.f, 40.f);
  const float k = (y * 1.44269504088896341f + 12582912.f) - 12582912.f;
  const float r = (y - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r;
  const float two = bits_to_float((int32_t)(k + 127.f) << 23), less = two * p + (two - 1.f);
  return copysignf(less / (less + 2.f), x);  // -0.0 stays
}
// x - y * floor(x / y), of y's sign, and that floor, both as torch rounds them.
static inline float remainder_(float x, float y) {
  const float rest = fmodf(x, y);
  return rest != 0.f && (y < 0.f) != (rest < 0.f) ? rest + y : rest;
}
static inline float floor_divide_(float x, float y) {
  if (y == 0.f) return x / y;
  const float rest = fmodf(x, y);
  float whole = (x - rest) / y;
  if (rest != 0.f && (y < 0.f) != (rest < 0.f)) whole -= 1.f;
  if (whole == 0.f) return copysignf(0.f, x / y);
  const float low = floorf(whole);
  return whole - low > .5f ? low + 1.f : low;
}

// ---- products: c (m, n) = start + a (m, k) b (k, n), with b packed in panels of WIDE columns

// Where the sums begin: at zero, at a row of biases, or at what stands in c.
enum Start { ZERO, BIAS, SUM };

// A block of M rows and V vectors, its sums in registers.
template <int M, int V>
static inline void block(int64_t k, const float* a, int64_t row, int64_t step, const float* panel, float* c, int64_t ldc,
                         Start start, const float* bias) {
  vec sum[M][V];
  const float* from = start == BIAS ? bias : c;
  const int64_t down = start == BIAS ? 0 : ldc;
  if (start == ZERO)
    for (int i = 0; i < M; i++)
      for (int v = 0; v < V; v++) sum[i][v] = vec{};
  else
    for (int i = 0; i < M; i++)
      for (int v = 0; v < V; v++) sum[i][v] = *(const vec*)(from + i * down + v * LANES);
  for (int64_t p = 0; p < k; p++) {
    vec b[V];
    for (int v = 0; v < V; v++) b[v] = *(const vec*)(panel + p * WIDE + v * LANES);
    #pragma GCC unroll 12
    for (int i = 0; i < M; i++) {
      const float factor = a[i * row + p * step];
      for (int v = 0; v < V; v++) sum[i][v] += factor * b[v];
    }
  }
  for (int i = 0; i < M; i++)
    for (int v = 0; v < V; v++) *(vec*)(c + i * ldc + v * LANES) = sum[i][v];
}

// The block that has m rows, at most M.
template <int M>
static inline void fitting(int64_t m, int64_t k, const float* a, int64_t row, int64_t step, const float* panel, float* c,
                           int64_t ldc, Start start, const float* bias) {
  if (m == M) return block<M, 2>(k, a, row, step, panel, c, ldc, start, bias);
  if constexpr (M > 1) fitting<M - 1>(m, k, a, row, step, panel, c, ldc, start, bias);
}

// The last columns, fewer than WIDE: in a copy of c.
static void narrow(int64_t m, int64_t columns, int64_t k, const float* a, int64_t row, int64_t step, const float* panel,
                   float* c, int64_t ldc, Start start, const float* bias) {
  float tile[TALL * WIDE] = {}, own[WIDE] = {};
  if (start == BIAS) memcpy(own, bias, columns * sizeof(float));
  if (start == SUM) for (int64_t i = 0; i < m; i++) memcpy(tile + i * WIDE, c + i * ldc, columns * sizeof(float));
  columns > LANES || m < TALL ? fitting<TALL>(m, k, a, row, step, panel, tile, WIDE, start, own)
                              : block<TALL, 1>(k, a, row, step, panel, tile, WIDE, start, own);
  for (int64_t i = 0; i < m; i++) memcpy(c + i * ldc, tile + i * WIDE, columns * sizeof(float));
}

// a's element (i, p) stands at a[i * row + p * step].
static void product(int64_t m, int64_t n, int64_t k, const float* a, int64_t row, int64_t step, const float* panels,
                    float* c, int64_t ldc, Start start, const float* bias = nullptr) {
  for (int64_t begin = 0; begin < m; begin += MANY) {  // rows of a that stay in the cache while all panels pass
    const int64_t end = m - begin < MANY ? m : begin + MANY;
    const float* panel = panels;
    for (int64_t column = 0; column < n; column += WIDE, panel += k * WIDE) {
      const float* own = start == BIAS ? bias + column : nullptr;
      for (int64_t first = begin; first < end; first += TALL) {
        const int64_t high = end - first < TALL ? end - first : TALL;
        const float* from = a + first * row;
        float* to = c + first * ldc + column;
        if (n - column < WIDE) narrow(high, n - column, k, from, row, step, panel, to, ldc, start, own);
        else fitting<TALL>(high, k, from, row, step, panel, to, ldc, start, own);
      }
    }
  }
}

// b's element (p, j), at b[p * row + j * step], into panels, zeros past the last column.
static void pack(int64_t k, int64_t n, const float* b, int64_t row, int64_t step, float* panels) {
  for (int64_t column = 0; column < n; column += WIDE)
    for (int64_t p = 0; p < k; p++)
      for (int64_t j = 0; j < WIDE; j++) *panels++ = column + j < n ? b[p * row + (column + j) * step] : 0.f;
}

static inline int64_t within(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }
static inline int64_t panels_of(int64_t n) { return (n + WIDE - 1) / WIDE * WIDE; }

enum { DEEP = 256 };  // rows that are summed at a time

template <int N>
static inline void copy(float* to, const float* from, int64_t count) {
  if (count >= N) {
    memcpy(to, from, N * sizeof(float));
  } else {
    memcpy(to, from, count * sizeof(float));
    memset(to + count, 0, (N - count) * sizeof(float));
  }
}

// The gradient of a weight: c (m, n) += sum over rows of a's row times b's, b's row r at place[r] (at r if null).
// `scratch` holds DEEP * (TALL + panels_of(n)) numbers.
static void outer(int64_t rows, int64_t m, int64_t n, const float* a, int64_t lda, const float* b, int64_t ldb,
                  const int64_t* place, float* c, int64_t ldc, float* scratch) {
  float *panels = scratch, *tall = scratch + DEEP * panels_of(n);
  for (int64_t first = 0; first < rows; first += DEEP) {
    const int64_t deep = rows - first < DEEP ? rows - first : DEEP;
    for (int64_t p = 0; p < deep; p++) {
      const float* from = b + (place ? place[first + p] : first + p) * ldb;
      for (int64_t column = 0; column < n; column += WIDE)
        copy<WIDE>(panels + column * deep + p * WIDE, from + column, n - column);
    }
    for (int64_t i = 0; i < m; i += TALL) {
      for (int64_t p = 0; p < deep; p++) copy<TALL>(tall + p * TALL, a + (first + p) * lda + i, m - i);
      product(m - i < TALL ? m - i : TALL, n, deep, tall, 1, TALL, panels, c + i * ldc, ldc, SUM);
    }
  }
}

// ---- the scan

$CALL

enum { GATES = $GATES, PRODUCTS = $PRODUCTS, ADDITIVE = $ADDITIVE, KEPT = $KEPT };

enum { TILE = MANY };  // rows whose gates are computed together where they are not kept
enum { CHUNK = 512 };  // rows whose projections are computed together, shortly before they are used

// Numbers in `scratch`: what a row keeps, packed weights of the recurrent product and of the projection, what `outer` needs.
static inline int64_t recurrent_scratch(int64_t hidden, int64_t blocks) {
  const int64_t G = GATES * hidden, width = hidden / blocks;
  if (!PRODUCTS) return 0;
  if (blocks > 1) return GATES * blocks * panels_of(width) * width;
  return panels_of(G) * hidden > panels_of(hidden) * G ? panels_of(G) * hidden : panels_of(hidden) * G;
}
static inline int64_t input_scratch(int64_t hidden, int64_t input) {
  const int64_t G = GATES * hidden;
  return panels_of(G) * input > panels_of(input) * G ? panels_of(G) * input : panels_of(input) * G;
}
extern "C" int64_t tile_size() { return TILE; }
extern "C" int64_t scratch_size(int64_t hidden, int64_t blocks, int64_t input) {
  const int64_t wide = panels_of(hidden > input ? hidden : input);
  return KEPT * hidden + recurrent_scratch(hidden, blocks) + input_scratch(hidden, input) + DEEP * (TALL + wide) +
         CHUNK * input;
}

// Gates from h: c (m, gates * hidden) = start + h (m, hidden) U'.
static void recur(const Call* s, int64_t m, const float* h, float* c) {
  const int64_t H = s->hidden, G = GATES * H, blocks = s->blocks, width = H / blocks;
  const Start start = ADDITIVE ? SUM : BIAS;
  if (blocks == 1) return product(m, G, H, h, H, 1, s->scratch + KEPT * H, c, G, start, s->bias);
  const float* panels = s->scratch + KEPT * H;
  for (int64_t g = 0; g < GATES; g++)
    for (int64_t k = 0; k < blocks; k++, panels += panels_of(width) * width) {
      const int64_t place = g * H + k * width;
      product(m, width, width, h + k * width, H, 1, panels, c + place, G, start, ADDITIVE ? nullptr : s->bias + place);
    }
}

// The way back: dh (m, hidden) += d (m, gates * hidden) U.
static void recur_back(const Call* s, int64_t m, const float* d, float* dh) {
  const int64_t H = s->hidden, G = GATES * H, blocks = s->blocks, width = H / blocks;
  if (blocks == 1) return product(m, H, G, d, G, 1, s->scratch + KEPT * H, dh, H, SUM);
  const float* panels = s->scratch + KEPT * H;
  for (int64_t g = 0; g < GATES; g++)
    for (int64_t k = 0; k < blocks; k++, panels += panels_of(width) * width)
      product(m, width, width, d + g * H + k * width, G, 1, panels, dh + k * width, H, SUM);
}

static void pack_weight(const Call* s, bool back) {
  const int64_t H = s->hidden, G = GATES * H, blocks = s->blocks, width = H / blocks;
  float* panels = s->scratch + KEPT * H;
  if (blocks == 1) return back ? pack(G, H, s->weight, H, 1, panels) : pack(H, G, s->weight, 1, H, panels);
  for (int64_t k = 0; k < GATES * blocks; k++, panels += panels_of(width) * width) {
    const float* own = s->weight + k * width * width;
    back ? pack(width, width, own, width, 1, panels) : pack(width, width, own, 1, width, panels);
  }
}

// What a step touches: its first row, its sequences, and where the states before it are: for the first `carried`
// slots at rows from `before`, for the others among the first states.
struct Step { int64_t row, live, before, carried; };

struct Walk {
  const Call* s;
  int64_t t, row;
  Walk(const Call* call, bool from_end) : s(call), t(from_end ? call->steps - 1 : 0), row(0) {
    if (from_end) for (int64_t k = 0; k < t; k++) row += s->batch_sizes[k];
  }
  bool inside() const { return t >= 0 && t < s->steps; }
  Step here() const {
    const int64_t live = s->batch_sizes[t];
    if (s->reverse) {
      const int64_t later = t + 1 < s->steps ? s->batch_sizes[t + 1] : 0;
      return {row, live, row + live, later};
    }
    return t ? Step{row, live, row - s->batch_sizes[t - 1], live} : Step{row, live, 0, 0};
  }
  void up() { row += s->batch_sizes[t++]; }
  void down() { if (--t >= 0) row -= s->batch_sizes[t]; }
};

extern "C" void forward(const Call* s) {
  const int64_t H = s->hidden, G = GATES * H, I = s->input;
  float* gates = ADDITIVE ? s->gx : s->gh;
  float *kept = s->scratch, *panels = kept + KEPT * H + recurrent_scratch(H, s->blocks);
  (void)kept;
  float* chunk = panels + input_scratch(H, I);
  if (s->x) pack(I, G, s->weight_ih, 1, I, panels);
  if (PRODUCTS) pack_weight(s, false);
  int64_t begin = 0, end = 0;  // the rows of the chunk
  Walk walk(s, s->reverse);
  while (walk.inside()) {
    const Step at = walk.here();
    const int64_t after = at.row + at.live;
    if (s->x && (at.row < begin || after > end)) {
      begin = !s->reverse ? at.row : after - CHUNK < 0 ? 0 : after - CHUNK < at.row ? after - CHUNK : at.row;
      end = s->reverse ? after : begin + CHUNK > s->rows ? s->rows : begin + CHUNK > after ? begin + CHUNK : after;
      for (int64_t first = begin; first < end; first += CHUNK) {
        const int64_t rows = end - first < CHUNK ? end - first : CHUNK;
        const float* from = s->x + first * I;
        if (s->position) {
          for (int64_t r = 0; r < rows; r++) memcpy(chunk + r * I, s->x + s->position[first + r] * I, I * sizeof(float));
          from = chunk;
        }
        product(rows, G, I, from, I, 1, panels, s->gx + first * G, G, BIAS, s->bias_ih);
      }
    }
    for (int64_t first = 0; first < at.live;) {  // slots first..last: all of them, or a tile that stays in the cache
      const int64_t last = s->table && at.live - first > TILE ? first + TILE : at.live;
      const int64_t shift = s->table ? -first : at.row;  // from a slot to its row of gates
      if (s->table)
        for (int64_t b = first; b < last; b++)
          memcpy(s->gx + (b + shift) * G, s->table + s->symbol[at.row + b] * G, G * sizeof(float));
      if (PRODUCTS) {
        const int64_t carried = within(at.carried, first, last);
        const int64_t known = s->has_first ? last : carried;  // the others come from a state of zeros
        if (first < carried) recur(s, carried - first, s->state[0] + (at.before + first) * H, gates + (first + shift) * G);
        if (carried < known)
          recur(s, known - carried, s->state[0] + (s->rows + carried) * H, gates + (carried + shift) * G);
        if (!ADDITIVE)
          for (int64_t b = known; b < last; b++) memcpy(gates + (b + shift) * G, s->bias, G * sizeof(float));
      }
      for (int64_t b = first; b < last; b++) {
        const int64_t r = at.row + b, before = b < at.carried ? at.before + b : s->rows + b, place = b + shift;
        (void)place;
        s->before[r] = before;
$FORWARD_POINTERS
$FORWARD
      }
      first = last;
    }
    s->reverse ? walk.down() : walk.up();
  }
}

// to (n,) += the sum of a's rows.
static void sum_rows(int64_t rows, int64_t n, const float* a, int64_t lda, float* to) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) to[j] += a[r * lda + j];
}

// The gradients of weights, biases and input that rows begin..end add, once those of their gates are there.
static void gather(const Call* s, int64_t begin, int64_t end, const float* panels, float* scratch) {
  const int64_t H = s->hidden, G = GATES * H, I = s->input, blocks = s->blocks, width = H / blocks, rows = end - begin;
  const float *dgh = s->dgh + begin * G, *dgx = s->dgx + begin * G;
  if (PRODUCTS) {
    if (blocks == 1) outer(rows, G, H, dgh, G, s->state[0], H, s->before + begin, s->dweight, H, scratch);
    else
      for (int64_t g = 0; g < GATES; g++)
        for (int64_t k = 0; k < blocks; k++)
          outer(rows, width, width, dgh + g * H + k * width, G, s->state[0] + k * width, H, s->before + begin,
                s->dweight + (g * blocks + k) * width * width, width, scratch);
    if (s->dbias) sum_rows(rows, G, dgh, G, s->dbias);
  }
  if (s->x) {
    sum_rows(rows, G, dgx, G, s->dbias_ih);
    if (s->position) outer(rows, G, I, dgx, G, s->x, I, s->position + begin, s->dweight_ih, I, scratch);
    else outer(rows, G, I, dgx, G, s->x + begin * I, I, nullptr, s->dweight_ih, I, scratch);
    if (s->dx && !s->position) product(rows, I, G, dgx, G, 1, panels, s->dx + begin * I, I, ZERO);
    if (s->dx && s->position)
      for (int64_t first = 0; first < rows; first += CHUNK) {
        const int64_t some = rows - first < CHUNK ? rows - first : CHUNK;
        product(some, I, G, dgx + first * G, G, 1, panels, scratch, I, ZERO);
        for (int64_t r = 0; r < some; r++)
          memcpy(s->dx + s->position[begin + first + r] * I, scratch + r * I, I * sizeof(float));
      }
  }
}

extern "C" void backward(const Call* s) {
  const int64_t H = s->hidden, G = GATES * H, I = s->input;
  float *kept = s->scratch, *panels = kept + KEPT * H + recurrent_scratch(H, s->blocks), *scratch = panels + input_scratch(H, I);
  (void)kept;
  if (s->dx) pack(G, I, s->weight_ih, I, 1, panels);
  if (PRODUCTS) pack_weight(s, true);
  int64_t begin = s->reverse ? 0 : s->rows, end = begin;  // rows whose gates' gradients are there, and not gathered
  Walk walk(s, !s->reverse);
  while (walk.inside()) {
    const Step at = walk.here();
    for (int64_t b = 0; b < at.live; b++) {
      const int64_t r = at.row + b, before = b < at.carried ? at.before + b : s->rows + b;
      const int64_t place = r;
      (void)before, (void)place;
$ADD_OUTPUT_GRADIENTS
$BACKWARD_POINTERS
$BACKWARD
    }
    if (PRODUCTS) recur_back(s, at.live, s->dgh + at.row * G, s->ds[0]);
    s->reverse ? walk.up() : walk.down();
    s->reverse ? end = at.row + at.live : begin = at.row;
    if (end - begin >= CHUNK || !walk.inside()) {
      gather(s, begin, end, panels, scratch);
      s->reverse ? begin = end : end = begin;
    }
  }
}
