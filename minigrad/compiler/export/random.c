// NumPy's PCG64: numbers as those of Generator.random.
INLINE uint64_t generator_next(generator *g) {
  const uint64_t high = 0x2360ed051fc65da4, low = 0x4385df649fccf645;
  uint64_t s[4];
  for (int k = 0; k < 4; k++) s[k] = g->words[2 * k] | (uint64_t)g->words[2 * k + 1] << 32;
  // state * multiplier + increment, of 128 bits
  const uint64_t a = s[0] & 0xffffffff, b = s[0] >> 32, c = low & 0xffffffff, d = low >> 32;
  const uint64_t middle = (a * c >> 32) + (a * d & 0xffffffff) + (b * c & 0xffffffff);
  const uint64_t carry = b * d + (a * d >> 32) + (b * c >> 32) + (middle >> 32);
  const uint64_t upper = carry + s[1] * low + s[0] * high;
  s[0] = s[0] * low + s[2];
  s[1] = upper + s[3] + (s[0] < s[2]);
  for (int k = 0; k < 4; k++) g->words[k] = (uint32_t)(s[k / 2] >> 32 * (k % 2));
  const uint64_t x = s[0] ^ s[1];
  const int by = (int)(s[1] >> 58);
  return x >> by | x << (-by & 63);
}
INLINE void random_double(generator *g, double *x, int64_t n) {
  for (int64_t k = 0; k < n; k++) x[k] = (double)(generator_next(g) >> 11) * (1.0 / 9007199254740992.0);
}
INLINE void random_float(generator *g, float *x, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    uint32_t bits = g->words[8];
    if (!g->words[9]) {
      const uint64_t both = generator_next(g);
      bits = (uint32_t)both;
      g->words[8] = (uint32_t)(both >> 32);
    }
    g->words[9] = !g->words[9];
    x[k] = (float)(bits >> 8) * (1.0f / 16777216.0f);
  }
}
