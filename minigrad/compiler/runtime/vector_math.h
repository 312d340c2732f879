// Elementary functions that a compiler turns into SIMD: plain C without branches, tables or calls,
// so that a loop over them vectorises without -ffast-math (-fno-trapping-math it takes). Within 4
// units in the last place for every float, with signed zeros, denormals, infinities and NaNs as in
// C99. The plain names are theirs, at the end.
//
// Arguments are reduced after W. J. Cody and W. Waite, "Software Manual for the Elementary
// Functions" (1980). Polynomials are minimax fits of our own (Remez's algorithm), their coefficients
// rounded one by one, lowest power first, each time with a refit of those that are left.
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// In a long source, compilers would stop inlining, and so vectorising.
#ifdef __GNUC__
#define INLINE static inline __attribute__((always_inline, unused))
#define GENERIC __extension__ _Generic // also in C99
#define IS_CONSTANT(x) __builtin_constant_p(x)
#else
#define INLINE static inline
#define GENERIC _Generic
#define IS_CONSTANT(x) 1
#endif
// Compilers may fuse products and sums, which polynomials and sums of products gain from. What the
// program multiplies is rounded as in NumPy: else x*x - x*x is not 0, and x*2 - x hides an overflow.
// To add -0 changes no product; clang would see that, but looks at each operation's own pragma.
#ifdef __clang__
#pragma clang fp contract(fast)
#define PRODUCT(T, S, fma) INLINE T product_##S(T x, T y) { \
  _Pragma("clang fp contract(off)") \
  return x * y; \
}
#elif defined __FP_FAST_FMA && defined __FP_FAST_FMAF
#define PRODUCT(T, S, fma) INLINE T product_##S(T x, T y) { return fma(x, y, -0.0f); }
#else
#define PRODUCT(T, S, fma) INLINE T product_##S(T x, T y) { return x * y; }
#endif
PRODUCT(float, f32, __builtin_fmaf)
PRODUCT(double, f64, __builtin_fma)
INLINE int64_t product_int(uint64_t x, uint64_t y) { return x * y; }
#define product(x, y) \
  GENERIC((x) * (y), float: product_f32, double: product_f64, default: product_int)(x, y)
// The same in code that is not vectorised: to add nothing would take longer than the product does.
// gcc does not see through assembly, of which this is none.
#define LONE_PRODUCT(T, S, place) \
  INLINE T lone_##S(T x, T y) { x *= y; __asm__("" : place(x)); return x; }
#define lone_product(x, y) \
  GENERIC((x) * (y), float: lone_f32, double: lone_f64, default: product_int)(x, y)
#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
LONE_PRODUCT(float, f32, "+v")
LONE_PRODUCT(double, f64, "+v")
#elif defined __GNUC__ && !defined __clang__ && defined __aarch64__
LONE_PRODUCT(float, f32, "+w")
LONE_PRODUCT(double, f64, "+w")
#else
#undef lone_product
#define lone_product(x, y) product(x, y)
#endif
// Nor do pairs of single numbers become vectors: to join and to part them takes longer.
#if defined __GNUC__ && !defined __clang__
#define ONE_BY_ONE __attribute__((optimize("no-tree-slp-vectorize")))
#else
#define ONE_BY_ONE
#endif

// c ? a : b by bit masks: compilers may turn a conditional into a jump, which does not vectorise.
#define CHOOSE(T, U) INLINE T choose_##T(bool c, T a, T b) { \
  U x, y, mask = -(U)c; \
  memcpy(&x, &a, sizeof x); memcpy(&y, &b, sizeof y); \
  x = (x & mask) | (y & ~mask); \
  memcpy(&a, &x, sizeof x); \
  return a; \
}
CHOOSE(float, uint32_t)
CHOOSE(double, uint64_t)
INLINE int64_t choose_int(bool c, int64_t a, int64_t b) { return c ? a : b; }
#define choose(c, a, b) \
  GENERIC((b), float: choose_float, double: choose_double, default: choose_int)(c, a, b)
// Functions that C lacks, or whose NaN handling differs in NumPy.
#define relu(x) choose((x) <= 0, 0, x)
#define sign(x) choose((x) == (x), ((x) > 0) - ((x) < 0), x)
// For 0 and -0, the second argument, as in NumPy.
#define maximum(x, y) choose(((x) > (y)) | ((x) != (x)), x, y)
#define minimum(x, y) choose(((x) < (y)) | ((x) != (x)), x, y)

// A function that vectors compute but for few arguments, for which math.h is called: small(x, z) is
// NaN for these, and `called` an expression of x and z. A branch would leave the whole loop scalar;
// but gcc calls vector versions of functions that are declared so, and these look at all lanes at
// once. A source with kernels that call f begins with what LANES_FOR_f is. For single numbers, there
// is lone_##name.
#if defined __GNUC__ && !defined __clang__ && defined __x86_64__ && !defined MINIGRAD_SCALAR
#define RARELY_CALLED(T, name, small, called) \
  INLINE T called_##name(T x, T z) { (void)z; return called; } \
  INLINE T lone_##name(T x, T z) { T y = small(x, z); return y == y ? y : called_##name(x, z); } \
  __attribute__((simd("notinbranch"), const)) T minigrad_##name(T, T, T); \
  INLINE T name(T x, T z) { return minigrad_##name(x, z, small(x, z)); }
#define SHARED_NAME __attribute__((weak, used, cold, visibility("hidden"))) // each source has it
// The names are those of the ABI for vector functions, which says what registers they use, too.
#define LANES_OF(T, isa, n, name, any) \
  typedef T name##_##isa __attribute__((vector_size(n * sizeof(T)))); \
  name##_##isa name##_of_##isa(name##_##isa, name##_##isa, name##_##isa) \
    __asm__("_ZGV" #isa "N" #n "vvv_minigrad_" #name); \
  SHARED_NAME name##_##isa name##_of_##isa(name##_##isa x, name##_##isa z, name##_##isa y) { \
    if (__builtin_expect(any, 0)) \
      for (int l = 0; l < n; l++) if (y[l] != y[l]) y[l] = called_##name(x[l], z[l]); \
    return y; \
  }
typedef float sse_ps __attribute__((vector_size(16)));
typedef double sse_pd __attribute__((vector_size(16)));
#define LANES_SSE(T, n, name, P) \
  LANES_OF(T, b, n, name, __builtin_ia32_movmsk##P((sse_##P)(y != y)))
#ifdef __AVX__
typedef float avx_ps __attribute__((vector_size(32)));
typedef double avx_pd __attribute__((vector_size(32)));
#define LANES_AVX(T, n, name, P) \
  LANES_OF(T, c, n, name, __builtin_ia32_movmsk##P##256((avx_##P)(y != y)))
#else
#define LANES_AVX(T, n, name, P)
#endif
#ifdef __AVX2__
#define LANES_AVX2(T, n, name, P) \
  LANES_OF(T, d, n, name, __builtin_ia32_movmsk##P##256((avx_##P)(y != y)))
#else
#define LANES_AVX2(T, n, name, P)
#endif
#ifdef __AVX512F__
#define LANES_AVX512(T, n, name, P) \
  LANES_OF(T, e, n, name, __builtin_ia32_cmp##P##512_mask(y, y, 4, -1, 4))
#else
#define LANES_AVX512(T, n, name, P)
#endif
#define LANES(T, sse, avx, avx512, name, P) \
  T name##_alone(T, T, T) __asm__("minigrad_" #name); \
  SHARED_NAME T name##_alone(T x, T z, T y) { return y == y ? y : called_##name(x, z); } \
  LANES_SSE(T, sse, name, P) LANES_AVX(T, avx, name, P) LANES_AVX2(T, avx, name, P) \
  LANES_AVX512(T, avx512, name, P)
#else
#define RARELY_CALLED(T, name, small, called) \
  INLINE T name(T x, T z) { T y = small(x, z); (void)z; return y == y ? y : called; } \
  INLINE T lone_##name(T x, T z) { return name(x, z); }
#define LANES(T, sse, avx, avx512, name, P)
#endif
#define RARELY_CALLED_OF_ONE(T, name, small, called) \
  RARELY_CALLED(T, any_##name, small, called) \
  INLINE T name(T x) { return any_##name(x, x); } \
  INLINE T lone_##name(T x) { return lone_any_##name(x, x); }
#define LANES_float(name) LANES(float, 4, 8, 16, name, ps)
#define LANES_double(name) LANES(double, 2, 4, 8, name, pd)

INLINE uint32_t bits_f32(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
INLINE float float_of(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }
INLINE uint64_t bits_f64(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
INLINE double double_of(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

// The nearest integer n to x / log(4) is in the last bits of t, where a shift makes it the scale
// 2**n; exp(x) is scale * p * scale, which rounds once where it is denormal. With what is left,
// |r| <= log(2), p = exp(r). log(4) is the sum of 16 bits, which n multiplies exactly, and a rest.
// For x that are too large or small, the result is meaningless, and is replaced.
INLINE float reduce_exp_f32(float x, float *scale) {
  float t = x * 0.72134752f + 12583039.0f; // 1.5 * 2**23, and 127, the bias of exponents
  float n = t - 12583039.0f;
  *scale = float_of(bits_f32(t) << 23);
  return (x - n * 0x1.62e4p+0f) - n * 2.8572136e-6f;
}
INLINE float exp_of_rest_f32(float r) {
  float p = ((((1.96165318e-4f * r + 1.41057628e-3f) * r + 8.33606627e-3f) * r + 4.16611917e-2f) * r
    + 0.16666615f) * r + 0.500000358f;
  return (p * r + 1) * r + 1;
}
INLINE float exp_f32(float x) {
  float s, r = reduce_exp_f32(x, &s), y = s * exp_of_rest_f32(r) * s;
  y = x < -105 ? 0 : y;
  return x > 89 ? INFINITY : y;
}
INLINE float exp2_f32(float x) {
  float t = 0.5f * x + 12583039.0f, n = t - 12583039.0f, s = float_of(bits_f32(t) << 23);
  float y = s * exp_of_rest_f32((x - (n + n)) * 0.693147182f) * s;
  y = x < -151 ? 0 : y;
  return x > 129 ? INFINITY : y;
}
INLINE float expm1_f32(float x) {
  float s, r = reduce_exp_f32(x, &s);
  float p = (((((2.24721862e-5f * r + 2.00861919e-4f) * r + 1.39151618e-3f) * r
    + 8.33273306e-3f) * r + 4.16658707e-2f) * r + 0.166666701f) * r + 0.50000006f;
  float y = s * (s * (r * r * p + r) + (s - float_of(0x7f000000 - bits_f32(s)))); // s - 1 / s
  y = x < -18 ? -1 : y;
  return x > 89 ? INFINITY : copysignf(y, x);
}
// Half of exp(x), for x > 0, and so sinh and cosh where exp is too large.
INLINE float half_exp_f32(float x) {
  float s, r = reduce_exp_f32(x, &s), y = s * exp_of_rest_f32(r) * (0.5f * s);
  return x > 91 ? INFINITY : y;
}
INLINE float sinh_f32(float x) {
  float a = fabsf(x), h = half_exp_f32(a), z = a * a;
  float p = ((2.78221319e-6f * z + 1.98428956e-4f) * z + 8.33331048e-3f) * z + 0.166666672f;
  return copysignf(a < 1 ? z * a * p + a : h - 0.25f / h, x);
}
INLINE float cosh_f32(float x) {
  float h = half_exp_f32(fabsf(x));
  return h + 0.25f / h;
}

// exp(x) - 1 for |x| < 40, with |r| <= log(2) / 2.
INLINE float expm1_inside_f32(float x) {
  float t = x * 1.44269502f + 12583039.0f, n = t - 12583039.0f, s = float_of(bits_f32(t) << 23);
  float r = x - n * 0.693147182f;
  float p = (((1.38418586e-3f * r + 8.3677154e-3f) * r + 4.1667711e-2f) * r + 0.166665345f) * r
    + 0.49999997f;
  return s * (r * r * p + r) + (s - 1);
}
INLINE float tanh_f32(float x) {
  float a = fabsf(x), e = expm1_inside_f32(a + a), y = e / (e + 2);
  return copysignf(a > 10 ? 1 : y, x);
}
// 1 - exp(-p), where p is a fit of -log(erfc(x)).
INLINE float erf_f32(float x) {
  float a = fabsf(x);
  float p = (((((((-9.38744233e-6f * a + 1.18856813e-4f) * a - 6.37350138e-4f) * a
    + 1.67565932e-3f) * a - 1.69494655e-4f) * a - 1.91478245e-2f) * a + 0.102776304f) * a
    + 0.636619568f) * a + 0.128379166f;
  float y = -expm1_inside_f32(-(p * a + a));
  return copysignf(a > 4 ? 1 : y, x);
}

// log(1 + f) + k * log(2), for 1 + f between the square roots of 1/2 and 2.
INLINE float log_sum_f32(float f, float k) {
  float p = ((((((-7.63610229e-2f * f + 0.127631977f) * f - 0.131602317f) * f + 0.142014667f) * f
    - 0.166233242f) * f + 0.200012445f) * f - 0.250008225f) * f + 0.333333313f;
  float z = f * f;
  return k * 0.693147182f + (f + (z * f * p - 0.5f * z));
}
INLINE float log_f32(float x) {
  float up = x < 0x1p-126f ? 0x1p23f : 1; // out of the denormals
  uint32_t u = bits_f32(x * up) - bits_f32(up) + (0x3f800000 - 0x3f3504f3); // the root of 1/2
  float f = float_of((u & 0x7fffff) + 0x3f3504f3) - 1;
  float y = log_sum_f32(f, (float)((int32_t)u >> 23));
  y = x > 0 ? y : x == 0 ? -INFINITY : NAN;
  return x < INFINITY ? y : x;
}
// The exponent k is that of 1 + x; f = (1 + x) / 2**k - 1 is put together from exact parts.
INLINE float log1p_f32(float x) {
  uint32_t k = (bits_f32(1 + x) - 0x3f3504f3) & 0xff800000;
  float s = float_of(0x40800000 - k), f = 0.25f * x * s + (0.25f * s - 1); // 4 / 2**k
  float y = log_sum_f32(f, (float)((int32_t)k >> 23));
  y = x > -1 ? y : x == -1 ? -INFINITY : NAN;
  y = x < INFINITY ? y : x;
  return fabsf(x) < 0x1p-25f ? x : y;
}
// For large x, these are log(2 x).
INLINE float asinh_f32(float x) {
  float a = fabsf(x), t = a + a * a / (1 + sqrtf(a * a + 1));
  float y = log1p_f32(a > 0x1p30f ? a : t) + (a > 0x1p30f ? 0.693147182f : 0);
  return copysignf(y, x);
}
INLINE float acosh_f32(float x) {
  float a = x - 1, t = a + sqrtf(a * (a + 2));
  float y = log1p_f32(x > 0x1p30f ? x : t) + (x > 0x1p30f ? 0.693147182f : 0);
  return x < 1 ? NAN : y;
}
INLINE float atanh_f32(float x) {
  float a = fabsf(x);
  return copysignf(0.5f * log1p_f32(2 * a / (1 - a)), x);
}

// What is left of x after n periods, in double precision, or n + 1/2 of them if half is -0.5. First
// go multiples of a and b, near multiples of 2 pi found by continued fractions: they reduce 2**128
// to 2**87, and that to 2**40. They differ from these by 6e-17, which is corrected at the end. Each
// step is exact, as a fused multiply-add. The last bit of *odd is that of n.
INLINE double reduce_pi_f32(float x, double period, double rest, double half,
                              uint64_t *odd) {
  const double magic = 0x1.8p52, a = 0x1.f19e5d71b26bap+87, b = 0x1.065c829d68730p+41;
  double i = ((double)x * (1 / a) + magic) - magic, y = fma(-i, a, (double)x);
  double j = (y * (1 / b) + magic) - magic, z = fma(-j, b, y);
  double t = (z * (1 / period) - half) + magic, n = t - magic;
  if (half != 0) n += half;
  *odd = bits_f64(t);
  return fma(-n, period, z)
    + (i * -6.3113653716926704e-17 + (j * -6.0044894567583271e-17 - n * rest));
}
// (-1)**n sin(r)
INLINE float sin_or_cos_f32(float x, double half) {
  uint64_t odd;
  double d = reduce_pi_f32(x, 3.141592653589793, 1.2246467991473532e-16, half, &odd);
  float r = (float)double_of(bits_f64(d) ^ odd << 63), z = r * r;
  float p = ((2.59951821e-6f * z - 1.98068505e-4f) * z + 8.33303016e-3f) * z - 0.166666582f;
  return product(r, p * z + 1);
}
INLINE float sin_f32(float x) { return sin_or_cos_f32(x, 0); }
INLINE float cos_f32(float x) { return sin_or_cos_f32(x, -0.5); }
INLINE float tan_f32(float x) {
  uint64_t odd;
  float r = (float)reduce_pi_f32(x, 1.5707963267948966, 6.123233995736766e-17, 0, &odd), z = r * r;
  float p = ((((9.40341316e-3f * z + 3.09081306e-3f) * z + 2.44472586e-2f) * z + 5.34068644e-2f) * z
    + 0.13338846f) * z + 0.333331555f;
  float t = z * r * p + r;
  return (uint32_t)odd & 1 ? -1 / t : t;
}

// asin of a <= 1/2; beyond, pi / 2 - 2 asin(sqrt((1 - a) / 2)).
INLINE float asin_of_half_f32(float a) {
  float z = a > 0.5f ? 0.5f * (1 - a) : a * a, s = a > 0.5f ? sqrtf(z) : a;
  float p = (((4.21582907e-2f * z + 2.41847821e-2f) * z + 4.54691499e-2f) * z + 7.49530941e-2f) * z
    + 0.166667521f;
  return z * s * p + s;
}
INLINE float asin_f32(float x) {
  float a = fabsf(x), p = asin_of_half_f32(a);
  return copysignf(a > 0.5f ? 1.57079637f - 2 * p : p, x);
}
INLINE float acos_f32(float x) {
  float a = fabsf(x), p = copysignf(asin_of_half_f32(a), x);
  float far = (x < 0 ? 3.14159274f : 0) + 2 * p;
  return a > 0.5f ? far : 1.57079637f - p;
}
INLINE float atan_f32(float x) {
  float a = fabsf(x), t = a > 1 ? 1 / a : a, z = t * t;
  float p = ((((((2.91938731e-3f * z - 1.63630936e-2f) * z + 4.32046317e-2f) * z
    - 7.55165592e-2f) * z + 0.106657684f) * z - 0.14211002f) * z + 0.199937671f) * z - 0.333331525f;
  float y = z * t * p + t;
  return copysignf(a > 1 ? 1.57079637f - y : y, x);
}

// Exponents that are known when this is compiled, and often used, are products. Roots of -0 and
// -infinity are positive in pow.
#define KNOWN_POWERS(root, x, y) \
  if (IS_CONSTANT(y)) { \
    if (y == 1) return x; \
    if (y == 2) return product(x, x); \
    if (y == 3) return product(x * x, x); \
    if (y == 4) return product(x * x, x * x); \
    if (y == -1) return 1 / x; \
    if (y == 0.5) return x == -INFINITY ? INFINITY : root(x + 0); \
    if (y == -0.5) return x == -INFINITY ? 0 : 1 / root(x + 0); \
  }
// x**y as 2**(y * log2(x)), in double precision, for |x| and then by C99 for what is negative.
INLINE float pow_f32(float x, float y) {
  KNOWN_POWERS(sqrtf, x, y)
  float a = fabsf(x), edge = a == 0 ? -INFINITY : a < INFINITY ? 0 : a; // a NaN stays one
  uint64_t u = bits_f64(a) + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd); // the square root of 1/2
  double k = double_of(u >> 52 | 0x4330000000000000) - (0x1p52 + 1023);
  double f = double_of((u & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1;
  double l = (((((((((((-0.086345913691785 * f + 0.154857644888804) * f - 0.15698239290544) * f
    + 0.159001493872714) * f - 0.179046927942915) * f + 0.206096254295754) * f
    - 0.240504175796114) * f + 0.288540643716389) * f - 0.36067280049895) * f
    + 0.480898320726213) * f - 0.721347525213692) * f + 1.44269504093936) * f + (k + edge);
  double t = l == 0 ? 0 : l * y;
  double n = t + (0x1.8p52 + 1023), r = t - (n - (0x1.8p52 + 1023));
  double p = (((((1.54614446985691e-4 * r + 1.34004281776158e-3) * r + 9.61805667852464e-3) * r
    + 0.055503272266703) * r + 0.240226509222888) * r + 0.693147206702833) * r + 1;
  float z = (float)(p * double_of(bits_f64(n) << 52)), size = (float)t;
  z = size > 200 ? INFINITY : z;
  z = size < -200 ? 0 : z;
  int whole = floorf(y) == y, even = floorf(0.5f * y) == 0.5f * y;
  z = x < 0 && x > -INFINITY && !whole ? NAN : z;
  z = float_of(bits_f32(z) ^ (whole && !even ? bits_f32(x) & 0x80000000 : 0));
  return y == 0 ? 1 : z;
}

// The same in double precision: within 4 units in the last place. exp(r) is 1 + r + r * r * p.
INLINE double reduce_exp_f64(double x, double *scale) {
  double t = x * 0.7213475204444817 + (0x1.8p52 + 1023), n = t - (0x1.8p52 + 1023);
  *scale = double_of(bits_f64(t) << 52);
  return (x - n * 0x1.62e42fee00000p+0) - n * 3.816429858541175e-10;
}
INLINE double exp_of_rest_f64(double r) {
  double p = ((((1.5945840481084255e-10 * r + 2.1062080186254915e-9) * r + 2.505486236467558e-8) * r
    + 2.7556160124867797e-7) * r + 2.7557301619185735e-6) * r + 2.480159082559901e-5;
  return (((((p * r + 1.9841269890633273e-4) * r + 1.3888888883577411e-3) * r
    + 8.33333333327128e-3) * r + 4.16666666667021e-2) * r + 0.1666666666666694) * r
    + 0.4999999999999993;
}
INLINE double exp_f64(double x) {
  double s, r = reduce_exp_f64(x, &s), p = exp_of_rest_f64(r), y = s * ((p * r + 1) * r + 1) * s;
  y = x < -750 ? 0 : y;
  return x > 710 ? INFINITY : y;
}
INLINE double exp2_f64(double x) {
  double t = 0.5 * x + (0x1.8p52 + 1023), n = t - (0x1.8p52 + 1023);
  double s = double_of(bits_f64(t) << 52), r = (x - (n + n)) * 0.6931471805599453;
  double y = s * ((exp_of_rest_f64(r) * r + 1) * r + 1) * s;
  y = x < -1100 ? 0 : y;
  return x > 1100 ? INFINITY : y;
}
INLINE double expm1_f64(double x) {
  double s, r = reduce_exp_f64(x, &s), p = exp_of_rest_f64(r);
  double y = s * (s * (r * r * p + r) + (s - double_of(0x7fe0000000000000 - bits_f64(s))));
  y = x < -40 ? -1 : y;
  return x > 710 ? INFINITY : copysign(y, x);
}
INLINE double half_exp_f64(double x) {
  double s, r = reduce_exp_f64(x, &s), p = exp_of_rest_f64(r);
  double y = s * ((p * r + 1) * r + 1) * (0.5 * s);
  return x > 711 ? INFINITY : y;
}
INLINE double sinh_f64(double x) {
  double a = fabs(x), h = half_exp_f64(a), z = a * a;
  double p = ((((((7.775712479971967e-13 * z + 1.6056686624206043e-10) * z
    + 2.505213067989325e-8) * z + 2.7557319108467205e-6) * z + 1.9841269841589272e-4) * z
    + 8.333333333332915e-3) * z + 0.16666666666666669) * z;
  return copysign(a < 1 ? a * p + a : h - 0.25 / h, x);
}
INLINE double cosh_f64(double x) {
  double h = half_exp_f64(fabs(x));
  return h + 0.25 / h;
}
INLINE double expm1_inside_f64(double x) {
  double t = x * 1.4426950408889634 + (0x1.8p52 + 1023), n = t - (0x1.8p52 + 1023);
  double s = double_of(bits_f64(t) << 52);
  double r = (x - n * 0x1.62e42fee00000p-1) - n * 1.9082149292705877e-10;
  double p = (((((2.0892582275746573e-9 * r + 2.5108642283279464e-8) * r + 2.755733443750497e-7) * r
    + 2.755724528456233e-6) * r + 2.4801587273597227e-5) * r + 1.9841269885214133e-4) * r
    + 1.3888888888895445e-3;
  p = (((p * r + 8.333333333321837e-3) * r + 4.1666666666666685e-2) * r + 0.16666666666666677) * r
    + 0.5;
  return s * (r * r * p + r) + (s - 1);
}
INLINE double tanh_f64(double x) {
  double a = fabs(x), e = expm1_inside_f64(a + a), y = e / (e + 2);
  return copysign(a > 20 ? 1 : y, x);
}
INLINE double erf_f64(double x) {
  double a = fabs(x);
  double p = (((((((-3.587157468093349e-15 * a + 1.6132591540127579e-13) * a
    - 3.3622163715191268e-12) * a + 4.3004665389269934e-11) * a - 3.7606775195161947e-10) * a
    + 2.36115810738542e-9) * a - 1.077948810168177e-8) * a + 3.461863990521563e-8) * a
    - 6.586366180606833e-8;
  p = (((((((p * a - 1.1334773158034405e-8) * a + 5.698105904817962e-7) * a
    - 2.035782681537486e-6) * a + 3.131084176721592e-6) * a + 3.1716292947037794e-6) * a
    - 2.9577250165546706e-5) * a + 6.442145368823238e-5) * a + 2.5904040137518222e-5;
  p = ((((((p * a - 5.901322714976907e-4) * a + 1.6962076308121245e-3) * a
    - 2.0919484738551650e-4) * a - 0.019128446993788014) * a + 0.10277260330135703) * a
    + 0.6366197723675898) * a + 0.1283791670955126;
  double y = -expm1_inside_f64(-(p * a + a));
  return copysign(a > 5.95 ? 1 : y, x);
}

// With s = f / (2 + f), log(1 + f) is 2 atanh(s): log(1 + f) + k * log(2).
INLINE double log_sum_f64(double f, double k) {
  double s = f / (2 + f), z = s * s, h = 0.5 * f * f;
  double p = (((((0.147953836257784 * z + 0.15314109304877857) * z + 0.18183561933989337) * z
    + 0.22222198621335168) * z + 0.2857142874189353) * z + 0.39999999999417046) * z
    + 0.6666666666666734;
  double rest = h - (s * (h + z * p) + k * 1.9082149292705877e-10);
  return k * 0x1.62e42fee00000p-1 - (rest - f);
}
// x as (1 + f) * 2**k, for x > 0.
INLINE double parts_f64(double x, double *k) {
  double up = x < 0x1p-1022 ? 0x1p54 : 1;
  uint64_t u = bits_f64(x * up) - bits_f64(up) + (0x83e0000000000000 - 0x3fe6a09e667f3bcd);
  *k = double_of(u >> 52 | 0x4330000000000000) - (0x1p52 + 1087);
  return double_of((u & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1;
}
INLINE double with_limits_of_log(double x, double y) {
  y = x > 0 ? y : x == 0 ? -INFINITY : NAN;
  return x < INFINITY ? y : x;
}
INLINE double log_f64(double x) {
  double k, f = parts_f64(x, &k);
  return with_limits_of_log(x, log_sum_f64(f, k));
}
INLINE double log2_f64(double x) {
  double k, f = parts_f64(x, &k);
  return with_limits_of_log(x, log_sum_f64(f, 0) * 1.4426950408889634 + k);
}
INLINE double log10_f64(double x) {
  double k, f = parts_f64(x, &k), l = log_sum_f64(f, 0);
  double y = k * 0x1.34413509f0000p-2 + (k * 1.7336659603752853e-12 + l * 0.4342944819032518);
  return with_limits_of_log(x, y);
}
INLINE double log1p_f64(double x) {
  uint64_t k = (bits_f64(1 + x) - 0x3fe6a09e667f3bcd) & 0xfff0000000000000;
  double s = double_of(0x4010000000000000 - k), f = 0.25 * x * s + (0.25 * s - 1);
  double y = log_sum_f64(f, double_of((k >> 52 ^ 0x800) | 0x4330000000000000) - (0x1p52 + 2048));
  y = x > -1 ? y : x == -1 ? -INFINITY : NAN;
  y = x < INFINITY ? y : x;
  return fabs(x) < 0x1p-54 ? x : y;
}
INLINE double asinh_f64(double x) {
  double a = fabs(x), t = a + a * a / (1 + sqrt(a * a + 1));
  double y = log1p_f64(a > 0x1p60 ? a : t) + (a > 0x1p60 ? 0.6931471805599453 : 0);
  return copysign(y, x);
}
INLINE double acosh_f64(double x) {
  double a = x - 1, t = a + sqrt(a * (a + 2));
  double y = log1p_f64(x > 0x1p60 ? x : t) + (x > 0x1p60 ? 0.6931471805599453 : 0);
  return x < 1 ? NAN : y;
}
INLINE double atanh_f64(double x) {
  double a = fabs(x);
  return copysign(0.5 * log1p_f64(2 * a / (1 - a)), x);
}

INLINE double asin_of_half_f64(double a) {
  double z = a > 0.5 ? 0.5 * (1 - a) : a * a, s = a > 0.5 ? sqrt(z) : a;
  double p = (((((0.03268407473551102 * z - 0.021089314658783873) * z + 0.02177242465777258) * z
    + 0.0036791701550940754) * z + 0.010787616653089787) * z + 0.011397568864692242) * z
    + 0.013980988654480614;
  p = (((((p * z + 0.01735159763538275) * z + 0.022372215809438187) * z + 0.030381942677811722) * z
    + 0.04464285717525322) * z + 0.07499999999970115) * z + 0.16666666666666763;
  return z * s * p + s;
}
INLINE double asin_f64(double x) {
  double a = fabs(x), p = asin_of_half_f64(a);
  return copysign(a > 0.5 ? 1.5707963267948966 - (p + p - 6.123233995736766e-17) : p, x);
}
INLINE double acos_f64(double x) {
  double a = fabs(x), p = copysign(asin_of_half_f64(a), x);
  double far = (x < 0 ? 3.141592653589793 : 0) + 2 * p;
  return a > 0.5 ? far : 1.5707963267948966 - (p - 6.123233995736766e-17);
}
// atan(t) is t * z * p + t, for t below tan(pi / 8), where z is t * t.
INLINE double atan_of_rest_f64(double z) {
  double p = ((((-0.01793494193631301 * z + 0.03808681536019505) * z - 0.05040063045541581) * z
    + 0.05848032690434386) * z - 0.0666312055425764) * z + 0.0769206141020051;
  return ((((p * z - 0.09090897812204417) * z + 0.11111110784984204) * z - 0.1428571428022142) * z
    + 0.19999999999953802) * z - 0.333333333333332;
}
INLINE float atan_of_rest_f32(float z) {
  float p = (-6.0927108e-2f * z + 0.10600166f) * z - 0.1424451f;
  return (p * z + 0.19998533f) * z - 0.33333316f;
}
// Of y / x, neither of which is negative: above tan(pi / 8), y - x by x + y, which is the tangent
// of pi / 4 less; above tan(3 pi / 8), -x by y, that of pi / 2 less. *n is how often pi / 4 is to
// be added. atan2 is pi / 4 where both are infinite, and 0 where both are 0; y and x are made less
// where their sum would be too large, and more where quotients would lose bits.
#define ATAN2(T, S, quarter, rest, fabs, copysign, large, less, small, near, more) \
INLINE T atan_of_##S(T y, T x, T *n) { \
  bool above = y > (T)0.41421356237309503 * x, steep = y > (T)2.414213562373095 * x; \
  T up = choose(steep, -x, choose(above, y - x, y)); \
  T t = up / choose(steep, y, choose(above, x + y, x)), z = t * t; \
  *n = steep + above; \
  return z * t * atan_of_rest_##S(z) + t; \
} \
INLINE T atan2_##S(T y, T x) { \
  T a = fabs(y), b = fabs(x), n; \
  T scale = ((a > large) | (b > large)) ? less : ((b < small) & (a < near)) ? more : 1; \
  bool infinite = (a == INFINITY) & (b == INFINITY), zero = (a == 0) & (b == 0); \
  a = infinite ? 1 : a * scale; \
  b = (infinite | zero) ? 1 : b * scale; \
  T t = atan_of_##S(a, b, &n), back = copysign(1, x); \
  n = back < 0 ? 4 - n : n; \
  return copysign(n * quarter + (back * t + n * rest), y); \
}
ATAN2(double, f64, 0.7853981633974483, 3.061616997868383e-17, fabs, copysign,
  0x1p1000, 0x1p-54, 0x1p-900, 0x1p900, 0x1p100)
ATAN2(float, f32, 0.785398163f, -2.18556941e-8f, fabsf, copysignf,
  0x1p120f, 0x1p-24f, 0x1p-100f, 0x1p100f, 0x1p24f)
INLINE double atan_f64(double x) {
  double n, y = atan_of_f64(fabs(x), 1, &n);
  return copysign(n * 0.7853981633974483 + (y + n * 3.061616997868383e-17), x);
}
INLINE double hypot_f64(double x, double y) {
  double a = fabs(x), b = fabs(y), scale = 1;
  scale = ((a < 0x1p-400) & (b < 0x1p-400)) ? 0x1p600 : scale;
  scale = ((a > 0x1p400) | (b > 0x1p400)) ? 0x1p-600 : scale;
  double z = sqrt((a * scale) * (a * scale) + (b * scale) * (b * scale)) / scale;
  return ((a == INFINITY) | (b == INFINITY)) ? INFINITY : z;
}
// Three times the exponent is taken off; the root of m, which is from 1/4 to 2, is m * r * r, where
// r is that of 1 / m: a polynomial, then Newton's method for it, of the second and the first order.
INLINE double cbrt_f64(double x) {
  double a = fabs(x), up = a < 0x1p-1022 ? 0x1p54 : 1, down = a < 0x1p-1022 ? 0x1p-18 : 1;
  uint64_t u = bits_f64(a * up);
  double k = double_of(u >> 52 | 0x4330000000000000) - (0x1p52 + 1022);
  double n = (k * 0.3333333333333333 + 0x1.8p52) - 0x1.8p52, more = k - 3 * n;
  double m = double_of((u & 0xfffffffffffff) | 0x3fe0000000000000);
  double r = ((((-0.6858256656663725 * m + 3.144974857806316) * m - 6.024418223063271) * m
    + 6.267041528872432) * m - 3.9457109254085396) * m + 2.2439322925789056;
  r *= more < 0 ? 1.2599210498948732 : more > 0 ? 0.7937005259840998 : 1;
  m *= more < 0 ? 0.5 : more > 0 ? 2 : 1;
  double h = 1 - m * r * r * r, y, rest;
  r += r * h * (0.2222222222222222 * h + 0.3333333333333333);
  y = m * r * r;
  rest = m - y * y * y;
  y += rest * (r * r * 0.3333333333333333);
  y *= double_of(bits_f64(n + (0x1.8p52 + 1023)) << 52) * down;
  return a < INFINITY && a > 0 ? copysign(y, x) : x;
}

// x**y as 2**(y * log2(x)), with what each number lacks beside it, after T. J. Dekker, "A
// floating-point technique for extending the available precision" (1971): of products, fused
// multiply-adds give it. Powers that are floats are exact. log2(m) is 2 / log(2) times
// s + s * (z / 3 + z * z * p), where z is s * s, and s is m - 1 by m + 1.
#ifdef __FP_FAST_FMA
INLINE double exp2_of_sum_f64(double x, double more) {
  double n = (x + 0x1.8p52) - 0x1.8p52, t = 0.5 * n + (0x1.8p52 + 1023);
  double half = t - (0x1.8p52 + 1023), other = n - half + (0x1.8p52 + 1023);
  double u = x - n, v = u + more, v_rest = (u - v) + more, r = product(v, 0.6931471805599453);
  double rest = fma(v, 0.6931471805599453, -r)
    + (v * 2.3190468138462996e-17 + v_rest * 0.6931471805599453);
  double y = 1 + r;
  y += ((1 - y) + r) + (r * r * exp_of_rest_f64(r) + rest);
  y = double_of(bits_f64(t) << 52) * y * double_of(bits_f64(other) << 52);
  y = x < -1100 ? 0 : y;
  return x > 1100 ? INFINITY : y;
}
INLINE double any_pow_f64(double x, double y) {
  double a = fabs(x), edge = a == 0 ? -INFINITY : a < INFINITY ? 0 : a, k, f = parts_f64(a, &k);
  double d = f + 2, inverse = 1 / d, s = product(f, inverse);
  double s_rest = (fma(-s, d, f) - s * (f - (d - 2))) * inverse;
  double z = product(s, s), z_rest = fma(s, s, -z) + 2 * s * s_rest;
  double p = z * (((((((0.05990905096696981 * z + 0.05837887393624838) * z
    + 0.06668132370789523) * z + 0.07692279211837155) * z + 0.09090909422020324) * z
    + 0.11111111108894778) * z + 0.1428571428572192) * z + 0.1999999999999999);
  double q = 0.3333333333333333 + p;
  double q_rest = ((0.3333333333333333 - q) + p) + 1.850371707708594e-17;
  double v = product(z, q), v_rest = fma(z, q, -v) + (z * q_rest + z_rest * q);
  double w = product(s, v), w_rest = fma(s, v, -w) + (s * v_rest + s_rest * v);
  double l = s + w, l_rest = ((s - l) + w) + (w_rest + s_rest);
  double g = product(l, 2.8853900817779268);
  double g_rest = fma(l, 2.8853900817779268, -g)
    + (l * 4.0710547481862066e-17 + l_rest * 2.8853900817779268);
  double h = k + g, h_rest = ((k - h) + g) + g_rest;
  h += edge;
  double t = h == 0 ? 0 : product(h, y), t_rest = h == 0 ? 0 : fma(h, y, -t) + h_rest * y;
  double r = exp2_of_sum_f64(t, fabs(t) > 1100 ? 0 : t_rest);
  bool whole = floor(y) == y, even = floor(0.5 * y) == 0.5 * y;
  r = (x < 0) & (x > -INFINITY) & !whole ? NAN : r;
  r = double_of(bits_f64(r) ^ (whole & !even ? bits_f64(x) & 0x8000000000000000 : 0));
  return y == 0 ? 1 : r;
}
#else
INLINE double any_pow_f64(double x, double y) { return pow(x, y); }
#endif
INLINE double pow_f64(double x, double y) {
  KNOWN_POWERS(sqrt, x, y)
  return any_pow_f64(x, y);
}

// Of float32, in double precision.
INLINE float log2_f32(float x) { return (float)log2_f64(x); }
INLINE float log10_f32(float x) { return (float)log10_f64(x); }
INLINE float cbrt_f32(float x) { return (float)cbrt_f64(x); }
INLINE float hypot_f32(float x, float y) { return (float)hypot_f64(x, y); }

// sin and cos as in float32, within 3 units, for numbers that are not too large. pi is the sum of
// three parts, of which multiples of the first are taken off exactly, those of the second with what
// is lost of them. `period` is pi, or 1/2 of it.
#ifdef __FP_FAST_FMA
INLINE double reduce_pi_f64(double x, double period, double half, uint64_t *odd) {
  const double part = period * 0.3183098861837907;
  double t = (x * (0.3183098861837907 / part) - half) + 0x1.8p52, n = t - 0x1.8p52;
  if (half != 0) n += half;
  double a = fma(-n, period, x), b = product(n, 1.2246467991473532e-16 * part);
  double lost = fma(n, 1.2246467991473532e-16 * part, -b) + n * (-2.9947698097183397e-33 * part);
  *odd = bits_f64(t);
  return fabs(x) < 0x1p26 ? (a - b) - lost : NAN;
}
INLINE double sin_or_cos_f64(double x, double half) {
  uint64_t odd;
  double r = reduce_pi_f64(x, 3.141592653589793, half, &odd), z, w, p;
  r = double_of(bits_f64(r) ^ odd << 63), z = r * r, w = z * z;
  p = (2.73144475909634e-15 * z - 7.643970296165793e-13) * w
    + (1.6058977312444268e-10 * z - 2.5052107616995878e-8);
  p = (p * w + (2.755731921916323e-6 * z - 1.9841269841254974e-4)) * w
    + (8.333333333333316e-3 * z - 0.16666666666666666);
  return copysign(r * z * p + r, r);
}
// The quotient of the sine and the cosine of |r| <= pi / 4, or the other one, negated.
INLINE double small_tan_f64(double x) {
  uint64_t odd;
  double r = reduce_pi_f64(x, 1.5707963267948966, 0, &odd), z = r * r;
  double s = ((((1.5918115263265974e-10 * z - 2.505113165023518e-8) * z + 2.7557316101617874e-6) * z
    - 1.9841269836756774e-4) * z + 8.333333333330948e-3) * z - 0.16666666666666666;
  double c = ((((-1.1382623647474604e-11 * z + 2.087614614655861e-9) * z - 2.7557317271145144e-7) * z
    + 2.480158729876456e-5) * z - 1.3888888888887398e-3) * z + 0.041666666666666664;
  s = r * z * s + r;
  c = z * z * c - 0.5 * z + 1;
  double up = choose(odd & 1, -c, s), down = choose(odd & 1, s, c);
  return choose(x == 0, x, up / down);
}
#else
#define sin_or_cos_f64(x, half) NAN
#define small_tan_f64(x) NAN
#endif
#define SMALL_SIN(x, z) sin_or_cos_f64(x, 0)
#define SMALL_COS(x, z) sin_or_cos_f64(x, -0.5)
#define SMALL_TAN(x, z) small_tan_f64(x)
RARELY_CALLED_OF_ONE(double, sin_f64, SMALL_SIN, sin(x))
RARELY_CALLED_OF_ONE(double, cos_f64, SMALL_COS, cos(x))
RARELY_CALLED_OF_ONE(double, tan_f64, SMALL_TAN, tan(x))
#define LANES_FOR_sin LANES_double(any_sin_f64)
#define LANES_FOR_cos LANES_double(any_cos_f64)
#define LANES_FOR_tan LANES_double(any_tan_f64)

// Numbers win over NaN; the functions of math.h are calls.
INLINE float fmax_f32(float x, float y) { return choose((x > y) | (y != y), x, y); }
INLINE float fmin_f32(float x, float y) { return choose((x < y) | (y != y), x, y); }
INLINE double fmax_f64(double x, double y) { return choose((x > y) | (y != y), x, y); }
INLINE double fmin_f64(double x, double y) { return choose((x < y) | (y != y), x, y); }
INLINE int64_t fmax_i64(int64_t x, int64_t y) { return x > y ? x : y; }
INLINE int64_t fmin_i64(int64_t x, int64_t y) { return x < y ? x : y; }

// What truncating division leaves of x. A quotient that is rounded up to a whole number is one too
// large; what is left by it is exact, as that is no larger than y, and a multiple of its last place.
#define SMALL_FMOD(T, S, FMA, fabs, trunc, copysign, large) \
INLINE T small_fmod_##S(T x, T y) { \
  T a = fabs(x), b = fabs(y), q = a / b, rest = FMA(-trunc(q), b, a); \
  rest = choose(rest < 0, rest + b, rest); \
  return q < large ? copysign(rest, x) : (T)NAN; \
}
#if defined __FP_FAST_FMA && defined __FP_FAST_FMAF
SMALL_FMOD(float, f32, fmaf, fabsf, truncf, copysignf, 0x1p22f)
SMALL_FMOD(double, f64, fma, fabs, trunc, copysign, 0x1p51)
#else
#define small_fmod_f32(x, y) NAN
#define small_fmod_f64(x, y) NAN
#endif
RARELY_CALLED(float, fmod_of_f32, small_fmod_f32, fmodf(x, z))
RARELY_CALLED(double, fmod_of_f64, small_fmod_f64, fmod(x, z))
#define LANES_FOR_fmod_of LANES_float(fmod_of_f32) LANES_double(fmod_of_f64)
#define LANES_FOR_floor_mod LANES_float(fmod_of_f32) LANES_double(fmod_of_f64)
#define LANES_FOR_floor_div LANES_float(fmod_of_f32) LANES_double(fmod_of_f64)

// Floor division, and its remainder, which has the sign of y, as in Python: exact
// as fmod is. Of integers, by 0 both are 0; the least by -1 is the least again.
#define FLOORED(T, S, fmod, copysign, floor) \
INLINE T floor_mod_##S(T x, T y) { \
  T rest = fmod(x, y); \
  return rest == 0 ? copysign(rest, y) : (rest < 0) != (y < 0) ? rest + y : rest; \
} \
INLINE T floor_div_##S(T x, T y) { \
  T rest = fmod(x, y), whole = (x - rest) / y - (rest != 0 && (rest < 0) != (y < 0)); \
  T down = floor(whole); \
  return y == 0 ? x / y : whole == 0 ? copysign(0, x / y) : whole - down > 0.5 ? down + 1 : down; \
}
FLOORED(float, f32, fmod_of_f32, copysignf, floorf)
FLOORED(double, f64, fmod_of_f64, copysign, floor)
INLINE uint64_t floor_mod_u64(uint64_t x, uint64_t y) { return y ? x % y : 0; }
INLINE uint64_t floor_div_u64(uint64_t x, uint64_t y) { return y ? x / y : 0; }
INLINE int64_t floor_mod_i64(int64_t x, int64_t y) {
  int64_t rest = y == 0 || y == -1 ? 0 : x % y;
  return rest && (rest < 0) != (y < 0) ? rest + y : rest;
}
INLINE int64_t floor_div_i64(int64_t x, int64_t y) {
  if (y == 0 || y == -1) return y ? (int64_t)-(uint64_t)x : 0;
  return x / y - (x % y && (x < 0) != (y < 0));
}
// Truncating division, and its remainder, which has the sign of x.
INLINE uint64_t fmod_of_u64(uint64_t x, uint64_t y) { return y ? x % y : 0; }
INLINE int64_t fmod_of_i64(int64_t x, int64_t y) { return y == 0 || y == -1 ? 0 : x % y; }
#define BY_TYPE(f, x, y) GENERIC((x), float: f##_f32, double: f##_f64, \
  unsigned char: f##_u64, unsigned short: f##_u64, unsigned: f##_u64, unsigned long: f##_u64, \
  unsigned long long: f##_u64, default: f##_i64)(x, y)
#define floor_mod(x, y) BY_TYPE(floor_mod, x, y)
#define floor_div(x, y) BY_TYPE(floor_div, x, y)
#define fmod_of(x, y) BY_TYPE(fmod_of, x, y)

// Shifts by more than there are bits, or by a negative number, move all bits out.
INLINE int64_t left_shift(int64_t x, int64_t by) { return (uint64_t)by < 64 ? (uint64_t)x << by : 0; }
INLINE int64_t right_shift(int64_t x, int64_t by) { return x >> ((uint64_t)by < 64 ? by : 63); }
// Of absolute values, that of the least integer being one more than the largest.
INLINE uint64_t size_of(int64_t x) { return x < 0 ? -(uint64_t)x : (uint64_t)x; }
INLINE int64_t gcd(int64_t x, int64_t y) {
  uint64_t a = size_of(x), b = size_of(y);
  while (a) { uint64_t rest = b % a; b = a; a = rest; }
  return b;
}
INLINE int64_t lcm(int64_t x, int64_t y) {
  uint64_t common = gcd(x, y);
  return common ? size_of(x) / common * size_of(y) : 0;
}

// The exponent is a whole number; from some thousands on, all give infinity or 0.
#define INSIDE(x, bound) ((int)((x) < -(bound) ? -(bound) : (x) > (bound) ? (bound) : (x)))
INLINE float ldexp_f32(float x, float y) { return ldexpf(x, INSIDE(y, 3000)); }
INLINE double ldexp_f64(double x, double y) { return ldexp(x, INSIDE(y, 3000)); }
#define heaviside(x, y) choose((x) == 0, y, choose((x) == (x), (x) > 0, x))
// x + log2(1 + 2**(y - x)), for x the larger one; of infinities that are equal, they themselves.
#define LOGADDEXP2(T, S, fmax, fabs, log1p, exp2) INLINE T logaddexp2_##S(T x, T y) { \
  T more = log1p(exp2(-fabs(x - y))) * (T)1.4426950408889634; \
  return fmax(x, y) + choose(x == y, 1, more); \
}
LOGADDEXP2(float, f32, fmax_f32, fabsf, log1p_f32, exp2_f32)
LOGADDEXP2(double, f64, fmax_f64, fabs, log1p_f64, exp2_f64)

// The plain names, for float arguments. For others they are what they are in math.h.
#define ONE_OF(g, f, x) GENERIC((x), float: g, default: (f))(x)
#define TWO_OF(g, f, x, y) \
  GENERIC((x), float: GENERIC((y), float: g, default: (f)), default: (f))(x, y)
#define exp(x) ONE_OF(exp_f32, exp_f64, x)
#define expm1(x) ONE_OF(expm1_f32, expm1_f64, x)
#define log(x) ONE_OF(log_f32, log_f64, x)
#define log1p(x) ONE_OF(log1p_f32, log1p_f64, x)
#define sinh(x) ONE_OF(sinh_f32, sinh_f64, x)
#define cosh(x) ONE_OF(cosh_f32, cosh_f64, x)
#define tanh(x) ONE_OF(tanh_f32, tanh_f64, x)
#define asinh(x) ONE_OF(asinh_f32, asinh_f64, x)
#define acosh(x) ONE_OF(acosh_f32, acosh_f64, x)
#define atanh(x) ONE_OF(atanh_f32, atanh_f64, x)
#define sin(x) ONE_OF(sin_f32, sin_f64, x)
#define lone_sin(x) ONE_OF(sin_f32, lone_sin_f64, x)
#define cos(x) ONE_OF(cos_f32, cos_f64, x)
#define lone_cos(x) ONE_OF(cos_f32, lone_cos_f64, x)
#define tan(x) ONE_OF(tan_f32, tan_f64, x)
#define lone_tan(x) ONE_OF(tan_f32, lone_tan_f64, x)
#define asin(x) ONE_OF(asin_f32, asin_f64, x)
#define acos(x) ONE_OF(acos_f32, acos_f64, x)
#define atan(x) ONE_OF(atan_f32, atan_f64, x)
#define erf(x) ONE_OF(erf_f32, erf_f64, x)
#define pow(x, y) TWO_OF(pow_f32, pow_f64, x, y)
#define OF_BOTH(f, x, y) \
  GENERIC((x) + (y), float: f##_f32, double: f##_f64, default: f##_i64)(x, y)
#define fmax(x, y) OF_BOTH(fmax, x, y)
#define fmin(x, y) OF_BOTH(fmin, x, y)
#define logaddexp2(x, y) TWO_OF(logaddexp2_f32, logaddexp2_f64, x, y)
#define ldexp(x, y) TWO_OF(ldexp_f32, ldexp_f64, x, y)
#define nextafter(x, y) TWO_OF(nextafterf, nextafter, x, y)
#define exp2(x) ONE_OF(exp2_f32, exp2_f64, x)
#define log2(x) ONE_OF(log2_f32, log2_f64, x)
#define log10(x) ONE_OF(log10_f32, log10_f64, x)
#define cbrt(x) ONE_OF(cbrt_f32, cbrt_f64, x)
#define hypot(x, y) TWO_OF(hypot_f32, hypot_f64, x, y)
#define atan2(x, y) TWO_OF(atan2_f32, atan2_f64, x, y)
// These vectorise unchanged.
#define sqrt(x) ONE_OF(sqrtf, sqrt, x)
#define fabs(x) ONE_OF(fabsf, fabs, x)
#define floor(x) ONE_OF(floorf, floor, x)
#define ceil(x) ONE_OF(ceilf, ceil, x)
#define trunc(x) ONE_OF(truncf, trunc, x)
#define rint(x) ONE_OF(rintf, rint, x)
#define copysign(x, y) TWO_OF(copysignf, copysign, x, y)
