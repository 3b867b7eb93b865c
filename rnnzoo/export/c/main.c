#ifdef RNN_MAIN
/* Each line of standard input is a sequence: numbers, with blanks or commas between them. */
int main(void) {
  size_t room = 1024, count = 0;
  KIND *values = malloc(room * sizeof(KIND));
  char text[64];
  int used = 0, c;
  do {
    c = getchar();
    if (c != ' ' && c != ',' && c != '\t' && c != '\r' && c != '\n' && c != EOF) {
      if (used == 63) return fputs("a number is too long\n", stderr), 2;
      text[used++] = (char)c;
      continue;
    }
    if (used) {
      char *end;
      text[used] = 0;
      if (count == room) values = realloc(values, (room *= 2) * sizeof(KIND));
      if (!values) return 1;
      values[count++] = READ;
      if (*end) return fprintf(stderr, "'%s' is not a number\n", text), 2;
      used = 0;
    }
    if ((c == '\n' || c == EOF) && count) {
      const int steps = (int)(count / WIDTH), answers = RNN_ONE ? 1 : steps;
      if (count % WIDTH) return fputs("a line must have WIDTH numbers a step\n", stderr), 2;
      float *logits = malloc((size_t)answers * RNN_CLASSES * sizeof(float));
      if (!logits) return 1;
      const int bad = rnn_run(0, values, steps, logits);
      if (bad) return fputs(bad == -2 ? "an id is not the model's\n" : "no memory\n", stderr), 2;
      for (int k = 0; k < answers * RNN_CLASSES; k++)
        printf("%.6g%c", logits[k], (k + 1) % RNN_CLASSES ? ' ' : '\n');
      free(logits);
      count = 0;
    }
  } while (c != EOF);
  free(values);
  return 0;
}
#endif
