// One recurrent cell over ragged sequences: generated code stands where a line begins with a dollar sign.
//
// Rows are packed: all sequences of step 0, longest first, then all of step 1, ... Slot b is the b-th longest sequence.
// A state buffer holds `rows` rows, one a step of a sequence, and then `batch` rows of first states, one a slot.
#include <cmath>
#include <cstdint>
#include <cstring>

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

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

// ---- scalar functions that compilers vectorise; NaN goes through all of them

static inline float bits_to_float(int32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

// exp by 2^k * p(r): r in +-ln(2)/2, p of degree 6, about one unit in the last place; 2^k in two factors, as k may be 128.
static inline float exp_(float x) {
  const float v = x > 89.f ? 89.f : x < -87.3f ? -87.3f : x;
  const float k = (v * 1.44269504088896341f + 12582912.f) - 12582912.f;  // the nearest whole number
  const float r = (v - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  const float power = p * bits_to_float((int32_t)(k + 126.f) << 23) * 2.f;
  return x > 88.72284f ? INFINITY : x < -87.3f ? 0.f : power;
}
static inline float sigmoid_(float x) { return 1.f / (1.f + exp_(-x)); }
static inline float tanh_(float x) { return 1.f - 2.f / (exp_(2.f * x) + 1.f); }

// ---- c (m, n) = or += a (m, k) b (k, n), with b packed in panels of WIDE columns

template <int M>
static inline void block(int64_t k, const float* a, int64_t lda, const float* panel, float* c, int64_t ldc,
                         int64_t columns, bool add) {
  vec sum[M][2];
  float edge[M][WIDE];
  const bool whole = columns == WIDE;
  for (int i = 0; i < M; i++) {
    if (!add) {
      sum[i][0] = vec{} ;
      sum[i][1] = vec{} ;
    } else if (whole) {
      sum[i][0] = *(const vec*)(c + i * ldc);
      sum[i][1] = *(const vec*)(c + i * ldc + LANES);
    } else {
      memset(edge[i], 0, sizeof edge[i]);
      memcpy(edge[i], c + i * ldc, columns * sizeof(float));
      sum[i][0] = *(const vec*)edge[i];
      sum[i][1] = *(const vec*)(edge[i] + LANES);
    }
  }
  for (int64_t p = 0; p < k; p++) {
    const vec b0 = *(const vec*)(panel + p * WIDE), b1 = *(const vec*)(panel + p * WIDE + LANES);
    #pragma GCC unroll 12
    for (int i = 0; i < M; i++) {
      const float factor = a[i * lda + p];
      sum[i][0] += factor * b0;
      sum[i][1] += factor * b1;
    }
  }
  for (int i = 0; i < M; i++) {
    if (whole) {
      *(vec*)(c + i * ldc) = sum[i][0];
      *(vec*)(c + i * ldc + LANES) = sum[i][1];
    } else {
      *(vec*)edge[i] = sum[i][0];
      *(vec*)(edge[i] + LANES) = sum[i][1];
      memcpy(c + i * ldc, edge[i], columns * sizeof(float));
    }
  }
}

template <int M>
static inline void rest(int64_t m, int64_t k, const float* a, int64_t lda, const float* panel, float* c, int64_t ldc,
                        int64_t columns, bool add) {
  if (m == M) return block<M>(k, a, lda, panel, c, ldc, columns, add);
  if constexpr (M > 1) rest<M - 1>(m, k, a, lda, panel, c, ldc, columns, add);
}

static void product(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* panels, float* c,
                    int64_t ldc, bool add) {
  for (int64_t column = 0; column < n; column += WIDE, panels += k * WIDE) {
    const int64_t columns = n - column < WIDE ? n - column : WIDE;
    int64_t row = 0;
    for (; row + TALL <= m; row += TALL)
      block<TALL>(k, a + row * lda, lda, panels, c + row * ldc + column, ldc, columns, add);
    if (row < m) rest<TALL - 1>(m - row, k, a + row * lda, lda, panels, c + row * ldc + column, ldc, columns, add);
  }
}

// b (k, n), rows `ldb` and columns `step` numbers apart, into panels, zeros past the last column.
static void pack(int64_t k, int64_t n, const float* b, int64_t ldb, int64_t step, float* panels) {
  for (int64_t column = 0; column < n; column += WIDE)
    for (int64_t p = 0; p < k; p++)
      for (int64_t j = 0; j < WIDE; j++) *panels++ = column + j < n ? b[p * ldb + (column + j) * step] : 0.f;
}

// ---- the scan

struct Call {
  int64_t steps, rows, batch, hidden, blocks, reverse, given;  // given: the first state is not all zeros
  const int64_t* alive;       // (steps,) sequences that have a step t
  float* gx;                  // (rows, gates * hidden): projections of the input; their sum with gh if additive
  float* gh;                  // (rows, gates * hidden): unless additive
  float* state[$STATES];      // (rows + batch, hidden) each
  const float* noise[$NOISE1];     // (rows or batch, hidden) each
  int64_t noise_by_row[$NOISE1];   // whether a mask has a row a step, not one a sequence
  const float* channel[$CHANNELS1];  // (hidden,) each
  const float* weight;        // (gates * hidden, hidden), or (gates, blocks, width, width)
  const float* bias;          // (gates * hidden,): unless additive
  float* panels;              // room for the packed weight
  const float* dy[$STATES];   // (rows, hidden) each: gradients of all states, or null
  float* ds[$STATES];         // (batch, hidden) each: gradients of the last states, then of the first ones
  float* dgx;                 // (rows, gates * hidden)
  float* dgh;                 // the same; dgx itself if additive
  float* dchannel[$CHANNELS1];     // (hidden,) each, summed over rows
};

enum { GATES = $GATES, PRODUCTS = $PRODUCTS, STATES = $STATES, NOISE = $NOISE, CHANNELS = $CHANNELS, ADDITIVE = $ADDITIVE };

static inline int64_t panels_of(int64_t n) { return (n + WIDE - 1) / WIDE * WIDE; }

extern "C" int64_t room(int64_t hidden, int64_t blocks) {  // numbers in `panels`
  const int64_t width = hidden / blocks;
  const int64_t forward = blocks == 1 ? panels_of(GATES * hidden) * hidden : GATES * blocks * panels_of(width) * width;
  const int64_t backward = blocks == 1 ? panels_of(hidden) * GATES * hidden : GATES * blocks * panels_of(width) * width;
  return forward > backward ? forward : backward;
}

// Gates from h: c (m, gates * hidden) += h (m, hidden) U'.
static void recur(const Call* s, int64_t m, const float* h, float* c) {
  const int64_t H = s->hidden, G = GATES * H, blocks = s->blocks, width = H / blocks;
  if (blocks == 1) return product(m, G, H, h, H, s->panels, c, G, true);
  const float* panels = s->panels;
  for (int64_t g = 0; g < GATES; g++)
    for (int64_t k = 0; k < blocks; k++, panels += panels_of(width) * width)
      product(m, width, width, h + k * width, H, panels, c + g * H + k * width, G, true);
}

// The way back: dh (m, hidden) += d (m, gates * hidden) U.
static void recur_back(const Call* s, int64_t m, const float* d, float* dh) {
  const int64_t H = s->hidden, G = GATES * H, blocks = s->blocks, width = H / blocks;
  if (blocks == 1) return product(m, H, G, d, G, s->panels, dh, H, true);
  const float* panels = s->panels;
  for (int64_t g = 0; g < GATES; g++)
    for (int64_t k = 0; k < blocks; k++, panels += panels_of(width) * width)
      product(m, width, width, d + g * H + k * width, G, panels, dh + k * width, H, true);
}

static void pack_weight(const Call* s, bool back) {
  const int64_t H = s->hidden, G = GATES * H, blocks = s->blocks, width = H / blocks;
  if (blocks == 1) return back ? pack(G, H, s->weight, H, 1, s->panels) : pack(H, G, s->weight, 1, H, s->panels);
  float* panels = s->panels;
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
    if (from_end) for (int64_t k = 0; k < t; k++) row += s->alive[k];
  }
  bool inside() const { return t >= 0 && t < s->steps; }
  Step here() const {
    const int64_t live = s->alive[t];
    if (s->reverse) {
      const int64_t later = t + 1 < s->steps ? s->alive[t + 1] : 0;
      return {row, live, row + live, later};
    }
    return t ? Step{row, live, row - s->alive[t - 1], live} : Step{row, live, 0, 0};
  }
  void up() { row += s->alive[t++]; }
  void down() { if (--t >= 0) row -= s->alive[t]; }
};

extern "C" void forward(const Call* s) {
  const int64_t H = s->hidden, G = GATES * H;
  float* gates = ADDITIVE ? s->gx : s->gh;
  if (PRODUCTS) pack_weight(s, false);
  Walk walk(s, s->reverse);
  while (walk.inside()) {
    const Step at = walk.here();
    if (PRODUCTS) {
      if (!ADDITIVE) for (int64_t b = 0; b < at.live; b++) memcpy(gates + (at.row + b) * G, s->bias, G * sizeof(float));
      if (at.carried) recur(s, at.carried, s->state[0] + at.before * H, gates + at.row * G);
      if (at.carried < at.live && s->given)
        recur(s, at.live - at.carried, s->state[0] + (s->rows + at.carried) * H, gates + (at.row + at.carried) * G);
    }
    for (int64_t b = 0; b < at.live; b++) {
      const int64_t r = at.row + b, before = b < at.carried ? at.before + b : s->rows + b;
      (void)before;
$FORWARD_POINTERS
      #pragma GCC ivdep
      for (int64_t j = 0; j < H; j++) {
$FORWARD
      }
    }
    s->reverse ? walk.down() : walk.up();
  }
}

extern "C" void backward(const Call* s) {
  const int64_t H = s->hidden, G = GATES * H;
  if (PRODUCTS) pack_weight(s, true);
  Walk walk(s, !s->reverse);
  while (walk.inside()) {
    const Step at = walk.here();
    for (int64_t b = 0; b < at.live; b++) {
      const int64_t r = at.row + b, before = b < at.carried ? at.before + b : s->rows + b;
      (void)before;
$ADD_OUTPUT_GRADIENTS
$BACKWARD_POINTERS
      #pragma GCC ivdep
      for (int64_t j = 0; j < H; j++) {
$BACKWARD
      }
    }
    if (PRODUCTS) recur_back(s, at.live, s->dgh + at.row * G, s->ds[0]);
    s->reverse ? walk.up() : walk.down();
  }
}
