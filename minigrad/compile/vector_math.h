// Elementary functions of float32 that a compiler turns into SIMD: plain C without branches, tables
// or calls, so that a loop over them vectorises without -ffast-math. Within 4 units in the last
// place for every float, with the signed zeros, denormals, infinities and NaNs of C99. Below, the
// plain names take them for float arguments; for others they are those of math.h.
//
// Polynomials and rationals are minimax fits (Remez), their coefficients rounded to float one by
// one, each time with a refit of those that are left.
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t bits_f32(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
static inline float float_of(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }
static inline uint64_t bits_f64(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
static inline double double_of(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

// The nearest integer n to x / log(4) is in the last bits of t, where a shift makes it the scale
// 2**n; exp(x) is scale * p * scale, which reaches denormals and infinity in one rounding. With what
// is left, |r| <= log(2), p = exp(r). log(4) is the sum of 16 bits, which n multiplies exactly, and
// a rest.
static inline float reduce_exp_f32(float x, float *scale) {
  float t = x * 0.72134752f + 12583039.0f; // 1.5 * 2**23 + 127, the bias of exponents
  float n = t - 12583039.0f;
  *scale = float_of(bits_f32(t) << 23);
  return (x - n * 0x1.62e4p+0f) - n * 2.8572136e-6f;
}
static inline float exp_f32(float x) {
  float s, r = reduce_exp_f32(x < -105 ? -105 : x > 89 ? 89 : x, &s);
  float p = ((((1.96165318e-4f * r + 1.41057628e-3f) * r + 8.33606627e-3f) * r + 4.16611917e-2f) * r
    + 0.16666615f) * r + 0.500000358f;
  return s * ((p * r + 1) * r + 1) * s;
}
static inline float expm1_f32(float x) {
  float s, r = reduce_exp_f32(x < -18 ? -18 : x > 89 ? 89 : x, &s);
  float p = (((((2.24721862e-5f * r + 2.00861919e-4f) * r + 1.39151618e-3f) * r + 8.33273306e-3f) * r
    + 4.16658707e-2f) * r + 0.166666701f) * r + 0.50000006f;
  float y = (s * (p * r * r + r) + (s - float_of(0x7f000000 - bits_f32(s)))) * s;
  return copysignf(y, x);
}

// log(1 + f) + k * log(2), for 1 + f between the square roots of 1/2 and 2.
static inline float log_sum_f32(float f, float k) {
  float p = ((((((-7.63610229e-2f * f + 0.127631977f) * f - 0.131602317f) * f + 0.142014667f) * f
    - 0.166233242f) * f + 0.200012445f) * f - 0.250008225f) * f + 0.333333313f;
  float z = f * f;
  return k * 0.693147182f + (f + (z * f * p - 0.5f * z));
}
static inline float log_f32(float x) {
  int tiny = x < 0x1p-126f;
  uint32_t u = bits_f32(tiny ? x * 0x1p23f : x) - 0x3f3504f3; // the square root of 1/2
  float f = float_of((u & 0x7fffff) + 0x3f3504f3) - 1;
  float y = log_sum_f32(f, (float)((int32_t)u >> 23) - (tiny ? 23.0f : 0.0f));
  y = x > 0 ? y : x == 0 ? -INFINITY : NAN;
  return x < INFINITY ? y : x;
}

// exp(x) - 1 for |x| < 40: with |r| <= log(2) / 2, and without care for the largest and smallest x.
static inline float expm1_inside_f32(float x) {
  float t = x * 1.44269502f + 12583039.0f, n = t - 12583039.0f, s = float_of(bits_f32(t) << 23);
  float r = x - n * 0.693147182f;
  float p = (((1.38418586e-3f * r + 8.3677154e-3f) * r + 4.1667711e-2f) * r + 0.166665345f) * r
    + 0.49999997f;
  return s * (r * r * p + r) + (s - 1);
}
static inline float tanh_f32(float x) {
  float a = fabsf(x), e = expm1_inside_f32(a > 10 ? 20 : a + a);
  return copysignf(e / (e + 2), x);
}
// 1 - exp(-p), where p is a fit of -log(erfc(x)).
static inline float erf_f32(float x) {
  float a = fabsf(x), b = a > 4 ? 4 : a; // erf(4) is 1 to the last digit
  float p = (((((((-9.38744233e-6f * b + 1.18856813e-4f) * b - 6.37350138e-4f) * b
    + 1.67565932e-3f) * b - 1.69494655e-4f) * b - 1.91478245e-2f) * b + 0.102776304f) * b
    + 0.636619568f) * b + 0.128379166f;
  return copysignf(expm1_inside_f32(-(p * b + b)), x);
}

// x - n * pi in double precision, with (-1)**n as its sign; for n + 1/2 instead of n if half is so.
// First go multiples of two numbers that are near multiples of 2 pi (found by continued fractions),
// which takes 2**128 to 2**87, and that to 2**40; they differ from such by 6e-17, which is put right
// at the end. Each step is exact, for it is a fused multiply-add.
static inline float reduce_pi_f32(float x, double half) {
  const double magic = 0x1.8p52, a = 0x1.f19e5d71b26bap+87, b = 0x1.065c829d68730p+41;
  double i = ((double)x * (1 / a) + magic) - magic, y = fma(-i, a, (double)x);
  double j = (y * (1 / b) + magic) - magic, z = fma(-j, b, y);
  double t = (z * 0.31830988618379067 - half) + magic, n = (t - magic) + half;
  double r = fma(-n, 3.141592653589793, z)
    + (i * -6.3113653716926704e-17 + (j * -6.0044894567583271e-17 - n * 1.2246467991473532e-16));
  return (float)double_of(bits_f64(r) ^ bits_f64(t) << 63);
}
static inline float sin_near_zero_f32(float r) {
  float z = r * r;
  return r * ((((2.59951821e-6f * z - 1.98068505e-4f) * z + 8.33303016e-3f) * z - 0.166666582f) * z + 1);
}
static inline float sin_f32(float x) { return sin_near_zero_f32(reduce_pi_f32(x, 0)); }
static inline float cos_f32(float x) { return sin_near_zero_f32(reduce_pi_f32(x, -0.5)); }

// x**y as 2**(y * log2(x)), in double precision. Exponents that are known when this is compiled, of
// those that often are: their products.
static inline float pow_f32(float x, float y) {
  if (__builtin_constant_p(y)) {
    if (y == 2) return x * x;
    if (y == 3) return x * x * x;
    if (y == -1) return 1 / x;
    if (y == 0.5f) return x == -INFINITY ? INFINITY : sqrtf(x + 0.0f);
  }
  float a = fabsf(x);
  uint64_t u = bits_f64(a) + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd); // the square root of 1/2
  double k = double_of(u >> 52 | 0x4330000000000000) - (0x1p52 + 1023);
  double f = double_of((u & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1;
  double l = ((((((((((((0.0773698240182064 * f - 0.142839065351635) * f + 0.144748667373469) * f
    - 0.143156579560152) * f + 0.158769778669473) * f - 0.180300584692595) * f + 0.206175359908712) * f
    - 0.240453166521507) * f + 0.288537293507815) * f - 0.36067367480894) * f + 0.480898361394215) * f
    - 0.721347520868821) * f + 1.44269504086871) * f + k;
  double t = l * (y > 1e20f ? 1e20f : y < -1e20f ? -1e20f : y);
  t = t > 200 ? 200 : t < -200 ? -200 : t;
  double n = t + (0x1.8p52 + 1023), r = t - (n - (0x1.8p52 + 1023));
  double p = (((((1.54614446985691e-4 * r + 1.34004281776158e-3) * r + 9.61805667852464e-3) * r
    + 0.055503272266703) * r + 0.240226509222888) * r + 0.693147206702833) * r + 1;
  float z = (float)(p * double_of(bits_f64(n) << 52));
  // What C99 says of the rest: 0, infinity, negative numbers, NaN.
  int zero = a == 0, whole = floorf(y) == y, odd = whole & (floorf(0.5f * y) != 0.5f * y);
  z = x < 0 && !whole ? NAN : z;
  z = zero || a == INFINITY ? zero == (y < 0) ? INFINITY : 0 : z;
  z = float_of(bits_f32(z) ^ (odd ? bits_f32(x) & 0x80000000 : 0));
  z = x != x || y != y ? x + y : z;
  return x == 1 || y == 0 ? 1 : z;
}




// The plain names. For integers and the rest, the functions of math.h, in double precision.
#define ONE_OF(g, f, x) _Generic((x), float: g, default: (f))(x)
#define TWO_OF(g, f, x, y) \
  _Generic((x), float: _Generic((y), float: g, default: (f)), default: (f))(x, y)
#define exp(x) ONE_OF(exp_f32, exp, x)
#define expm1(x) ONE_OF(expm1_f32, expm1, x)
#define log(x) ONE_OF(log_f32, log, x)
#define tanh(x) ONE_OF(tanh_f32, tanh, x)
#define erf(x) ONE_OF(erf_f32, erf, x)
#define sin(x) ONE_OF(sin_f32, sin, x)
#define cos(x) ONE_OF(cos_f32, cos, x)
#define pow(x, y) TWO_OF(pow_f32, pow, x, y)
// These, the hardware has.
#define sqrt(x) ONE_OF(sqrtf, sqrt, x)
#define fabs(x) ONE_OF(fabsf, fabs, x)
#define floor(x) ONE_OF(floorf, floor, x)
#define ceil(x) ONE_OF(ceilf, ceil, x)
#define trunc(x) ONE_OF(truncf, trunc, x)
#define rint(x) ONE_OF(rintf, rint, x)
// And these are not made for vectors yet.
#define log1p(x) ONE_OF(log1pf, log1p, x)
#define tan(x) ONE_OF(tanf, tan, x)
#define sinh(x) ONE_OF(sinhf, sinh, x)
#define cosh(x) ONE_OF(coshf, cosh, x)
#define asin(x) ONE_OF(asinf, asin, x)
#define acos(x) ONE_OF(acosf, acos, x)
#define atan(x) ONE_OF(atanf, atan, x)
#define asinh(x) ONE_OF(asinhf, asinh, x)
#define acosh(x) ONE_OF(acoshf, acosh, x)
#define atanh(x) ONE_OF(atanhf, atanh, x)
#define fmax(x, y) TWO_OF(fmaxf, fmax, x, y)
#define fmin(x, y) TWO_OF(fminf, fmin, x, y)
#define copysign(x, y) TWO_OF(copysignf, copysign, x, y)
#define atan2(x, y) TWO_OF(atan2f, atan2, x, y)
#define hypot(x, y) TWO_OF(hypotf, hypot, x, y)
#define fmod(x, y) TWO_OF(fmodf, fmod, x, y)
