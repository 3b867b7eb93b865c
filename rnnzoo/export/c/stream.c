/* ---- a sequence that arrives in parts: rnn_run(state, ...) with any number of steps, one say ---- */

/* A state before the first step; free() gives it back. NULL where there is no memory. */
rnn_state *rnn_new(void) {
  rnn_state *state = malloc(sizeof(rnn_state));
  if (state) rnn_stack_start(&RNN_STACK, state->number);
  return state;
}

/* Begin again. */
void rnn_reset(rnn_state *state) { rnn_stack_start(&RNN_STACK, state->number); }
