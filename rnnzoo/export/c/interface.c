
/* ---- what a program calls ---- */

static int rnn_answered(rnn_state *s, const void *const *fields, int letters, int steps, float *logits) {
  float fresh[RNN_STATE_NUMBERS], pooled[RNN_POOLED], last[RNN_OUTPUT];
  const size_t wide = RNN_INPUT, out = RNN_OUTPUT;
  if (steps < 0) return -2;
  if (rnn_load()) return -1;
  float *x = calloc((size_t)steps * (wide + out) + 1, sizeof(float)), *y = x + (size_t)steps * wide;
  if (!x) return -1;
  if (!s) rnn_stack_start(&RNN_STACK, fresh);
  int bad = rnn_embed(RNN_INPUTS, RNN_FIELDS, fields, letters, steps, x);
  if (!bad) bad = rnn_stack_run(&RNN_STACK, x, steps, s ? s->number : fresh, y, last);
  if (!bad && RNN_ONE) {
    bad = rnn_pool(y, last, steps, pooled);
    if (!bad) bad = rnn_head(pooled, logits);
  }
  for (int t = 0; t < steps && !bad && !RNN_ONE; t++)
    bad = rnn_head(y + (size_t)t * out, logits + (size_t)t * RNN_CLASSES);
  free(x);
  return bad;
}
