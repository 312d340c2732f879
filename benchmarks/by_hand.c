// Small dense work, written by hand with the intrinsics of AVX-512: what `benchmarks.dense` holds
// minigrad's kernels against. A vector has 16 numbers, as many as the small networks are wide.
//
// Each program gets its arrays in one table, as the programs of minigrad do.
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

typedef __m512 v16;
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define LOADI _mm512_loadu_si512
#define ALL _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#define ADD _mm512_add_ps
#define SUB _mm512_sub_ps
#define MUL _mm512_mul_ps
#define DIV _mm512_div_ps
#define MAX _mm512_max_ps
#define ZERO _mm512_setzero_ps()
#define SUM _mm512_reduce_add_ps
#define WHERE _mm512_maskz_mov_ps
#define POSITIVE(x) _mm512_cmp_ps_mask(x, ZERO, _CMP_GT_OQ)

// How many seconds so many runs take.
double seconds_of(void (*run)(void *), void *x, int64_t times) {
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int64_t k = 0; k < times; k++) run(x);
  clock_gettime(CLOCK_MONOTONIC, &b);
  return b.tv_sec - a.tv_sec + 1e-9 * (b.tv_nsec - a.tv_nsec);
}
void nothing(void *x) { (void)x; }

// z (rows, columns) = x (rows, depth) @ y (depth, columns), of which x has any strides; in tiles
// of `high` rows and `wide` vectors, which stay in registers.
INLINE void product(float *z, int zn, const float *x, int xr, int xk, const float *y, int yn,
                    int rows, int depth, int columns, const int high, const int wide) {
  for (int j = 0; j < columns; j += 16 * wide)
    for (int i = 0; i < rows; i += high) {
      v16 s[16][2];
      UNROLLED for (int r = 0; r < high; r++)
        UNROLLED for (int c = 0; c < wide; c++) s[r][c] = ZERO;
      for (int k = 0; k < depth; k++) {
        v16 b[2];
        UNROLLED for (int c = 0; c < wide; c++) b[c] = LOAD(y + k * yn + j + 16 * c);
        UNROLLED for (int r = 0; r < high; r++) {
          v16 a = ALL(x[(i + r) * xr + k * xk]);
          UNROLLED for (int c = 0; c < wide; c++) s[r][c] = FMA(a, b[c], s[r][c]);
        }
      }
      UNROLLED for (int r = 0; r < high; r++)
        UNROLLED for (int c = 0; c < wide; c++) STORE(z + (i + r) * zn + j + 16 * c, s[r][c]);
    }
}

// Products of square matrices: {z, x, y}.
void product_8(float **a) {
  __m256 s[8];
  UNROLLED for (int r = 0; r < 8; r++) s[r] = _mm256_setzero_ps();
  UNROLLED for (int k = 0; k < 8; k++) {
    __m256 b = _mm256_loadu_ps(a[2] + 8 * k);
    UNROLLED for (int r = 0; r < 8; r++) s[r] = _mm256_fmadd_ps(_mm256_set1_ps(a[1][8 * r + k]), b, s[r]);
  }
  UNROLLED for (int r = 0; r < 8; r++) _mm256_storeu_ps(a[0] + 8 * r, s[r]);
}
void product_16(float **a) { product(a[0], 16, a[1], 16, 1, a[2], 16, 16, 16, 16, 16, 1); }
void product_32(float **a) { product(a[0], 32, a[1], 32, 1, a[2], 32, 32, 32, 32, 8, 2); }
void product_64(float **a) { product(a[0], 64, a[1], 64, 1, a[2], 64, 64, 64, 64, 8, 2); }

// to (16, 16) = from.T, of which rows are `n` numbers apart.
INLINE void transposed(float *to, const float *from, int n) {
  v16 x[16], y[16];
  UNROLLED for (int i = 0; i < 16; i++) x[i] = LOAD(from + i * n);
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  UNROLLED for (int m = 8; m; m /= 2) {  // swap blocks of m by m across the diagonal
    const __m512i own = _mm512_and_si512(lane, _mm512_set1_epi32(m));
    const __mmask16 high = _mm512_test_epi32_mask(own, own);
    const __m512i low = _mm512_mask_add_epi32(lane, high, lane, _mm512_set1_epi32(16 - m));
    const __m512i rest = _mm512_mask_add_epi32(
      _mm512_add_epi32(lane, _mm512_set1_epi32(m)), high, lane, _mm512_set1_epi32(16));
    UNROLLED for (int i = 0; i < 16; i++)
      if (!(i & m)) {
        y[i] = _mm512_permutex2var_ps(x[i], low, x[i + m]);
        y[i + m] = _mm512_permutex2var_ps(x[i], rest, x[i + m]);
      }
    UNROLLED for (int i = 0; i < 16; i++) x[i] = y[i];
  }
  UNROLLED for (int i = 0; i < 16; i++) STORE(to + 16 * i, x[i]);
}

INLINE void descend(float *w, v16 gradient) { STORE(w, FMA(ALL(-0.1f), gradient, LOAD(w))); }

// A step of two moons: {loss, x (100, 2), y (100), w1 (2, 16), b1, w2 (16, 16), b2, w3 (16), b3}.
void moons(float **a) {
  enum { N = 100 };
  const float *x = a[1], *y = a[2];
  float *w1 = a[3], *b1 = a[4], *w2 = a[5], *b2 = a[6], *w3 = a[7], *b3 = a[8];
  static float h1[N * 16], h2[N * 16], d2[N * 16], score[112], dscore[112], w2t[256];
  const v16 row0 = LOAD(w1), row1 = LOAD(w1 + 16), bias1 = LOAD(b1), bias2 = LOAD(b2);
  const v16 last = LOAD(w3);
  for (int i = 0; i < N; i++)
    STORE(h1 + 16 * i, MAX(ZERO, FMA(ALL(x[2 * i]), row0, FMA(ALL(x[2 * i + 1]), row1, bias1))));
  for (int i = 0; i < N; i += 20) {
    v16 s[20];
    _Pragma("GCC unroll 20") for (int r = 0; r < 20; r++) s[r] = bias2;
    for (int k = 0; k < 16; k++) {
      v16 b = LOAD(w2 + 16 * k);
      _Pragma("GCC unroll 20") for (int r = 0; r < 20; r++)
        s[r] = FMA(ALL(h1[16 * (i + r) + k]), b, s[r]);
    }
    _Pragma("GCC unroll 20") for (int r = 0; r < 20; r++) {
      v16 h = MAX(ZERO, s[r]);
      STORE(h2 + 16 * (i + r), h);
    }
  }
  for (int i = 0; i < N; i += 16) {  // the lanes of 16 rows are summed together
    v16 p[16];
    UNROLLED for (int r = 0; r < 16; r++) p[r] = i + r < N ? MUL(LOAD(h2 + 16 * (i + r)), last) : ZERO;
    UNROLLED for (int m = 8; m; m /= 2) {
      int low[16], high[16];
      UNROLLED for (int k = 0, n = 0; k < 32; k++)
        if (!(k & m)) { low[n] = k; high[n++] = k + m; }
      const __m512i l = LOADI(low), h = LOADI(high);
      UNROLLED for (int r = 0; r < m; r++)
        p[r] = ADD(_mm512_permutex2var_ps(p[2 * r], l, p[2 * r + 1]),
                   _mm512_permutex2var_ps(p[2 * r], h, p[2 * r + 1]));
    }
    STORE(score + i, ADD(p[0], ALL(*b3)));
  }
  v16 total = ZERO, sum3 = ZERO;
  for (int i = 0; i < 112; i += 16) {
    const __mmask16 there = i + 16 <= N ? 0xffff : (1 << (N - i)) - 1;
    v16 label = _mm512_maskz_loadu_ps(there, y + i);
    v16 margin = _mm512_fnmadd_ps(label, LOAD(score + i), ALL(1));
    const __mmask16 wrong = POSITIVE(margin) & there;
    total = ADD(total, WHERE(wrong, margin));
    v16 d = WHERE(wrong, MUL(label, ALL(-1.0f / N)));
    STORE(dscore + i, d);
    sum3 = ADD(sum3, d);
  }
  *a[0] = SUM(total) / N;
  v16 g3 = ZERO, sum2 = ZERO, sum1 = ZERO, g10 = ZERO, g11 = ZERO;
  for (int i = 0; i < N; i++) {
    v16 d = ALL(dscore[i]), h = LOAD(h2 + 16 * i);
    g3 = FMA(d, h, g3);
    v16 back = WHERE(POSITIVE(h), MUL(d, last));
    sum2 = ADD(sum2, back);
    STORE(d2 + 16 * i, back);
  }
  transposed(w2t, w2, 16);
  for (int i = 0; i < N; i += 20) {
    v16 s[20];
    _Pragma("GCC unroll 20") for (int r = 0; r < 20; r++) s[r] = ZERO;
    for (int k = 0; k < 16; k++) {
      v16 b = LOAD(w2t + 16 * k);
      _Pragma("GCC unroll 20") for (int r = 0; r < 20; r++)
        s[r] = FMA(ALL(d2[16 * (i + r) + k]), b, s[r]);
    }
    _Pragma("GCC unroll 20") for (int r = 0; r < 20; r++) {
      v16 d = WHERE(POSITIVE(LOAD(h1 + 16 * (i + r))), s[r]);
      sum1 = ADD(sum1, d);
      g10 = FMA(ALL(x[2 * (i + r)]), d, g10);
      g11 = FMA(ALL(x[2 * (i + r) + 1]), d, g11);
    }
  }
  v16 g2[16];
  UNROLLED for (int k = 0; k < 16; k++) g2[k] = ZERO;
  for (int i = 0; i < N; i++) {
    v16 d = LOAD(d2 + 16 * i);
    UNROLLED for (int k = 0; k < 16; k++) g2[k] = FMA(ALL(h1[16 * i + k]), d, g2[k]);
  }
  UNROLLED for (int k = 0; k < 16; k++) descend(w2 + 16 * k, g2[k]);
  descend(w1, g10);
  descend(w1 + 16, g11);
  descend(b1, sum1);
  descend(b2, sum2);
  descend(w3, g3);
  *b3 -= 0.1f * SUM(sum3);
}

// exp(x), as 2**n times a polynomial in the rest.
INLINE v16 exponential(v16 x) {
  v16 n = _mm512_roundscale_ps(MUL(x, ALL(1.44269504f)), 0);
  v16 r = FMA(n, ALL(-0.693359375f), x);
  r = FMA(n, ALL(2.12194440e-4f), r);
  v16 p = ALL(1.9875691500e-4f);
  p = FMA(p, r, ALL(1.3981999507e-3f));
  p = FMA(p, r, ALL(8.3334519073e-3f));
  p = FMA(p, r, ALL(4.1665795894e-2f));
  p = FMA(p, r, ALL(1.6666665459e-1f));
  p = FMA(p, r, ALL(5.0000001201e-1f));
  return _mm512_scalef_ps(ADD(FMA(MUL(p, r), r, r), ALL(1)), n);
}

// y = x / sqrt(mean(x**2) + eps), of 16 rows, and 1 / sqrt of each.
INLINE void norm(float *y, float *inverse, const float *x) {
  for (int t = 0; t < 16; t++) {
    v16 row = LOAD(x + 16 * t);
    inverse[t] = 1 / sqrtf(SUM(MUL(row, row)) / 16 + 1e-5f);
    STORE(y + 16 * t, MUL(row, ALL(inverse[t])));
  }
}
// The cotangent of x, from those of y, added to `more`.
INLINE void norm_back(float *dx, const float *y, const float *inverse, const float *dy, const float *more) {
  for (int t = 0; t < 16; t++) {
    v16 row = LOAD(y + 16 * t), d = LOAD(dy + 16 * t);
    v16 mean = ALL(SUM(MUL(row, d)) / 16), found = MUL(ALL(inverse[t]), SUB(d, MUL(row, mean)));
    STORE(dx + 16 * t, more ? ADD(LOAD(more + 16 * t), found) : found);
  }
}
#define SQUARE(z, x, y) product(z, 16, x, 16, 1, y, 16, 16, 16, 16, 16, 1)
#define SQUARE_T(z, x, y) product(z, 16, x, 1, 16, y, 16, 16, 16, 16, 16, 1)  // x.T @ y

// A step of microgpt, 16 wide and long, of one sequence, by Adam: {loss, tokens x, targets y (int64
// of 16), mask (16), step (1), parameters, and Adam's first and second moments, of tokens (27, 16),
// places, query, key, value, mix (16, 16), up (16, 64), down (64, 16), head (16, 27)}.
enum { V = 27, PARAMETERS = 9 };
void microgpt(void **table) {
  float **a = (float **)table;
  const int64_t *x = table[1], *target = table[2];
  const float *mask = a[3];
  float **w = a + 5;
  static float h0[256], h[256], z[256], q[256], k[256], v[256], o[256], h1[256], n2[256], u[1024], h2[256];
  static float r0[16], r1[16], r2[16], kt[256], vt[256], p[4][256], kh[4][256], vh[4][256], qh[4][256];
  static float head[16 * 32], scores[16 * 32], turned[1024], headt[512], part[256];
  static float dh2[256], du[1024], dn[256], dh1[256], d_o[256], doh[4][256], ds[4][256];
  static float dq[256], dk[256], dv[256], dz[256], dh[256], dhead[512], first[256];
  static float g[V * 16 + 5 * 256 + 2048 + V * 16 + 16];
  float *gt = g, *gp = g + V * 16, *gq = gp + 256, *gk = gq + 256, *gv = gk + 256, *gm = gv + 256;
  float *gu = gm + 256, *gd = gu + 1024, *gh = gd + 1024;
  for (int t = 0; t < 16; t++) STORE(h0 + 16 * t, ADD(LOAD(w[0] + 16 * x[t]), LOAD(w[1] + 16 * t)));
  norm(h, r0, h0);
  norm(z, r1, h);
  SQUARE(q, z, w[2]);
  SQUARE(k, z, w[3]);
  SQUARE(v, z, w[4]);
  transposed(kt, k, 16);
  transposed(vt, v, 16);
  for (int t = 0; t < 16; t++)
    UNROLLED for (int e = 0; e < 4; e++) {
      const __mmask16 own = 15 << 4 * e;
      STORE(kh[e] + 16 * t, WHERE(own, LOAD(k + 16 * t)));
      STORE(vh[e] + 16 * t, WHERE(own, LOAD(v + 16 * t)));
      STORE(qh[e] + 16 * t, WHERE(own, LOAD(q + 16 * t)));
    }
  for (int e = 0; e < 4; e++) {
    product(p[e], 16, q + 4 * e, 16, 1, kt + 64 * e, 16, 16, 4, 16, 16, 1);
    for (int t = 0; t < 16; t++) {
      const __mmask16 seen = (2 << t) - 1;
      v16 s = MUL(LOAD(p[e] + 16 * t), ALL(0.5f));
      v16 most = ALL(_mm512_mask_reduce_max_ps(seen, s));
      v16 y = WHERE(seen, exponential(SUB(s, most)));
      STORE(p[e] + 16 * t, MUL(y, ALL(1 / SUM(y))));
    }
  }
  {  // o = the sum over heads of p @ v, of which only the columns of the head are not 0
    v16 s[16];
    UNROLLED for (int t = 0; t < 16; t++) s[t] = ZERO;
    for (int e = 0; e < 4; e++)
      for (int n = 0; n < 16; n++) {
        v16 b = LOAD(vh[e] + 16 * n);
        UNROLLED for (int t = 0; t < 16; t++) s[t] = FMA(ALL(p[e][16 * t + n]), b, s[t]);
      }
    UNROLLED for (int t = 0; t < 16; t++) STORE(o + 16 * t, s[t]);
  }
  SQUARE(h1, o, w[5]);
  for (int t = 0; t < 256; t += 16) STORE(h1 + t, ADD(LOAD(h1 + t), LOAD(h + t)));
  norm(n2, r2, h1);
  product(u, 64, n2, 16, 1, w[6], 64, 16, 16, 64, 8, 2);
  for (int t = 0; t < 1024; t += 16) STORE(u + t, MAX(ZERO, LOAD(u + t)));
  product(h2, 16, u, 64, 1, w[7], 16, 16, 64, 16, 16, 1);
  for (int t = 0; t < 256; t += 16) STORE(h2 + t, ADD(LOAD(h2 + t), LOAD(h1 + t)));
  const __mmask16 rest = (1 << (V - 16)) - 1;
  for (int t = 0; t < 16; t++) {
    STORE(head + 32 * t, LOAD(w[8] + V * t));
    STORE(head + 32 * t + 16, _mm512_maskz_loadu_ps(rest, w[8] + V * t + 16));
  }
  product(scores, 32, h2, 16, 1, head, 32, 16, 16, 32, 8, 2);
  float weight = SUM(LOAD(mask)), loss = 0;
  for (int t = 0; t < 16; t++) {
    v16 s = LOAD(scores + 32 * t), s2 = LOAD(scores + 32 * t + 16);
    float most = fmaxf(_mm512_reduce_max_ps(s), _mm512_mask_reduce_max_ps(rest, s2));
    v16 y = exponential(SUB(s, ALL(most))), y2 = WHERE(rest, exponential(SUB(s2, ALL(most))));
    float total = SUM(ADD(y, y2)), share = mask[t] / weight;
    loss += (logf(total) + most - scores[32 * t + target[t]]) * share;
    STORE(scores + 32 * t, MUL(y, ALL(share / total)));
    STORE(scores + 32 * t + 16, MUL(y2, ALL(share / total)));
    scores[32 * t + target[t]] -= share;
  }
  *a[0] = loss;
  product(dhead, 32, h2, 1, 16, scores, 32, 16, 16, 32, 8, 2);
  for (int t = 0; t < 16; t++) {
    STORE(gh + V * t, LOAD(dhead + 32 * t));
    _mm512_mask_storeu_ps(gh + V * t + 16, rest, LOAD(dhead + 32 * t + 16));
  }
  transposed(headt, head, 32);
  transposed(headt + 256, head + 16, 32);
  product(dh2, 16, scores, 32, 1, headt, 16, 16, V, 16, 16, 1);
  for (int c = 0; c < 64; c += 16) {  // turned (16, 64) = down.T
    transposed(part, w[7] + 16 * c, 16);
    for (int t = 0; t < 16; t++) STORE(turned + 64 * t + c, LOAD(part + 16 * t));
  }
  product(du, 64, dh2, 16, 1, turned, 64, 16, 16, 64, 8, 2);
  for (int t = 0; t < 1024; t += 16) STORE(du + t, WHERE(POSITIVE(LOAD(u + t)), LOAD(du + t)));
  product(gd, 16, u, 1, 64, dh2, 16, 64, 16, 16, 16, 1);
  for (int c = 0; c < 64; c += 16) transposed(turned + 16 * c, w[6] + c, 64);  // (64, 16) = up.T
  product(dn, 16, du, 64, 1, turned, 16, 16, 64, 16, 16, 1);
  product(gu, 64, n2, 1, 16, du, 64, 16, 16, 64, 8, 2);
  norm_back(dh1, n2, r2, dn, dh2);
  SQUARE_T(gm, o, dh1);
  transposed(turned, w[5], 16);
  SQUARE(d_o, dh1, turned);
  for (int t = 0; t < 16; t++)
    UNROLLED for (int e = 0; e < 4; e++)
      STORE(doh[e] + 16 * t, WHERE((__mmask16)(15 << 4 * e), LOAD(d_o + 16 * t)));
  for (int e = 0; e < 4; e++) {
    product(ds[e], 16, d_o + 4 * e, 16, 1, vt + 64 * e, 16, 16, 4, 16, 16, 1);
    for (int t = 0; t < 16; t++) {
      v16 y = LOAD(p[e] + 16 * t), d = LOAD(ds[e] + 16 * t);
      STORE(ds[e] + 16 * t, MUL(MUL(y, ALL(0.5f)), SUB(d, ALL(SUM(MUL(y, d))))));
    }
  }
  product(dv, 16, p[0], 1, 16, doh[0], 16, 16, 64, 16, 16, 1);
  product(dk, 16, ds[0], 1, 16, qh[0], 16, 16, 64, 16, 16, 1);
  {
    v16 s[16];
    UNROLLED for (int t = 0; t < 16; t++) s[t] = ZERO;
    for (int e = 0; e < 4; e++)
      for (int n = 0; n < 16; n++) {
        v16 b = LOAD(kh[e] + 16 * n);
        UNROLLED for (int t = 0; t < 16; t++) s[t] = FMA(ALL(ds[e][16 * t + n]), b, s[t]);
      }
    UNROLLED for (int t = 0; t < 16; t++) STORE(dq + 16 * t, s[t]);
  }
  SQUARE_T(gq, z, dq);
  SQUARE_T(gk, z, dk);
  SQUARE_T(gv, z, dv);
  {  // dz = dq @ query.T + dk @ key.T + dv @ value.T
    transposed(turned, w[2], 16);
    transposed(turned + 256, w[3], 16);
    transposed(turned + 512, w[4], 16);
    const float *d[3] = {dq, dk, dv};
    v16 s[16];
    UNROLLED for (int t = 0; t < 16; t++) s[t] = ZERO;
    for (int e = 0; e < 3; e++)
      for (int n = 0; n < 16; n++) {
        v16 b = LOAD(turned + 256 * e + 16 * n);
        UNROLLED for (int t = 0; t < 16; t++) s[t] = FMA(ALL(d[e][16 * t + n]), b, s[t]);
      }
    UNROLLED for (int t = 0; t < 16; t++) STORE(dz + 16 * t, s[t]);
  }
  norm_back(dh, z, r1, dz, dh1);
  norm_back(first, h, r0, dh, 0);
  memcpy(gp, first, sizeof first);
  memset(gt, 0, V * 16 * sizeof(float));
  for (int t = 0; t < 16; t++) STORE(gt + 16 * x[t], ADD(LOAD(gt + 16 * x[t]), LOAD(first + 16 * t)));
  const int sizes[PARAMETERS] = {V * 16, 256, 256, 256, 256, 256, 1024, 1024, V * 16};
  const float step = *a[4] += 1, eps = 1e-8f;
  const float rate = 1e-3f / (1 - powf(0.85f, step)), root = 1 / sqrtf(1 - powf(0.99f, step));
  const float *gradient = g;
  for (int n = 0; n < PARAMETERS; gradient += sizes[n++]) {
    float *m = w[PARAMETERS + n], *s = w[2 * PARAMETERS + n];
    for (int t = 0; t < sizes[n]; t += 16) {
      v16 d = LOAD(gradient + t);
      v16 one = FMA(ALL(0.85f), LOAD(m + t), MUL(ALL(0.15f), d));
      v16 two = FMA(ALL(0.99f), LOAD(s + t), MUL(ALL(0.01f), MUL(d, d)));
      STORE(m + t, one);
      STORE(s + t, two);
      v16 by = DIV(MUL(ALL(rate), one), FMA(_mm512_sqrt_ps(two), ALL(root), ALL(eps)));
      STORE(w[n] + t, SUB(LOAD(w[n] + t), by));
    }
  }
}
