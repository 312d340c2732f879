// NumPy's generator of random numbers: the bits of np.random.default_rng, on any machine.
//
// They are those of PCG64 (O'Neill, "PCG: a family of simple fast space-efficient statistically
// good algorithms for random number generation", 2014), seeded by NumPy's SeedSequence. Normally
// distributed numbers are not here: NumPy's depend on a table and on the C library.
#ifndef MINIGRAD_RANDOM_H
#define MINIGRAD_RANDOM_H
#include <stdint.h>

// 128 bits of state and 128 of increment, lowest first, 32 bits that are left over from a draw, and
// whether there are such.
typedef struct { uint32_t words[10]; } minigrad_generator;

// The upper half of a product of 128 bits.
static inline uint64_t minigrad_upper(uint64_t x, uint64_t y) {
  const uint64_t a = x & 0xffffffff, b = x >> 32, c = y & 0xffffffff, d = y >> 32;
  const uint64_t middle = (a * c >> 32) + (a * d & 0xffffffff) + b * c;
  return b * d + (a * d >> 32) + (middle >> 32);
}

// 64 bits.
static inline uint64_t minigrad_bits64(minigrad_generator *g) {
  const uint64_t high = 0x2360ed051fc65da4u, low = 0x4385df649fccf645u; // the multiplier
  uint64_t s[4], x;
  int k, by;
  for (k = 0; k < 4; k++) s[k] = g->words[2 * k] | (uint64_t)g->words[2 * k + 1] << 32;
  x = minigrad_upper(s[0], low) + s[1] * low + s[0] * high;
  s[0] = s[0] * low + s[2];
  s[1] = x + s[3] + (s[0] < s[2]);
  for (k = 0; k < 4; k++) g->words[k] = (uint32_t)(s[k / 2] >> 32 * (k % 2));
  x = s[0] ^ s[1];
  by = (int)(s[1] >> 58);
  return x >> by | x << (-by & 63);
}

// 32 bits: half of a draw of 64; the other half is left over for the next time.
static inline uint32_t minigrad_bits32(minigrad_generator *g) {
  uint64_t both;
  g->words[9] = !g->words[9];
  if (!g->words[9]) return g->words[8];
  both = minigrad_bits64(g);
  g->words[8] = (uint32_t)(both >> 32);
  return (uint32_t)both;
}

// A number from [0, 1): rng.random(), and rng.random(dtype=np.float32).
static inline double minigrad_random(minigrad_generator *g) {
  return (double)(minigrad_bits64(g) >> 11) * (1.0 / 9007199254740992.0);
}
static inline float minigrad_random_float(minigrad_generator *g) {
  return (float)(minigrad_bits32(g) >> 8) * (1.0f / 16777216.0f);
}

// An integer from [low, high), for low < high: rng.integers(low, high). (Lemire, "Fast random integer
// generation in an interval", 2019.)
static inline int64_t minigrad_integers(minigrad_generator *g, int64_t low, int64_t high) {
  const uint64_t n = (uint64_t)high - (uint64_t)low;
  uint64_t x;
  if (n <= 1) return low;
  if (n >> 32 == 0) {
    const uint32_t least = (uint32_t)((0x100000000u - n) % n);
    do x = minigrad_bits32(g) * n; while ((uint32_t)x < least);
    return (int64_t)((uint64_t)low + (x >> 32));
  }
  if (n == 0x100000000u) return (int64_t)((uint64_t)low + minigrad_bits32(g));
  do x = minigrad_bits64(g); while (x * n < (0 - n) % n);
  return (int64_t)((uint64_t)low + minigrad_upper(x, n));
}

// Reorder n numbers: rng.shuffle(x). Of 0 to n - 1 it makes rng.permutation(n).
static inline void minigrad_shuffle(minigrad_generator *g, int64_t *x, int64_t n) {
  int64_t k;
  for (k = n - 1; k > 0; k--) {
    uint64_t mask = (uint64_t)k, other;
    int64_t kept;
    int by;
    for (by = 1; by < 64; by *= 2) mask |= mask >> by;
    do other = (mask >> 32 ? minigrad_bits64(g) : minigrad_bits32(g)) & mask; while (other > (uint64_t)k);
    kept = x[k];
    x[k] = x[other];
    x[other] = kept;
  }
}

static inline uint32_t minigrad_hash(uint32_t x, uint32_t *constant, uint32_t factor) {
  x ^= *constant;
  *constant *= factor;
  x *= *constant;
  return x ^ x >> 16;
}

// np.random.default_rng(seed). (O'Neill, "Developing a seed_seq alternative", 2015.)
static inline void minigrad_seed(minigrad_generator *g, uint64_t seed) {
  uint32_t pool[4], made[8], constant = 0x43b0d7e5u;
  uint64_t s[4], carry;
  int k, from, to;
  for (k = 0; k < 4; k++) {
    pool[k] = minigrad_hash(k < 2 ? (uint32_t)(seed >> 32 * k) : 0, &constant, 0x931e8875u);
  }
  for (from = 0; from < 4; from++) {
    for (to = 0; to < 4; to++) {
      if (from != to) {
        const uint32_t hashed = minigrad_hash(pool[from], &constant, 0x931e8875u);
        const uint32_t mixed = 0xca01f9ddu * pool[to] - 0x4973f715u * hashed;
        pool[to] = mixed ^ mixed >> 16;
      }
    }
  }
  constant = 0x8b51f9ddu;
  for (k = 0; k < 8; k++) made[k] = minigrad_hash(pool[k % 4], &constant, 0x58f38dedu);
  // State and increment, upper half first. The increment is made odd, and the state, from 0, goes a
  // step, is added, and goes another.
  for (k = 0; k < 4; k++) s[k] = made[2 * k] | (uint64_t)made[2 * k + 1] << 32;
  for (k = 0; k < 10; k++) g->words[k] = 0;
  for (k = 0; k < 2; k++) {
    const uint64_t increment = k ? s[2] << 1 | s[3] >> 63 : s[3] << 1 | 1;
    g->words[4 + 2 * k] = (uint32_t)increment;
    g->words[5 + 2 * k] = (uint32_t)(increment >> 32);
  }
  (void)minigrad_bits64(g);
  for (k = 0, carry = 0; k < 4; k++) {
    carry += (uint64_t)g->words[k] + (uint32_t)(s[k < 2] >> 32 * (k % 2));
    g->words[k] = (uint32_t)carry;
    carry >>= 32;
  }
  (void)minigrad_bits64(g);
}
#endif
