// exp, tanh, erf and their kin on lanes: own polynomials, so every CPU gives the same bytes.
// Coefficients: Lawson-weighted least squares, rounded to float32 from the lowest order up.
// Largest errors are measured in tests/native/kernels_math.cpp and listed in docs/numerics.md.
#pragma once

#include <cstdint>

#include "kernels/trig_reduction.hpp"

namespace rtinfer::kernels {
namespace {

inline constexpr float kInfinity = __builtin_inff();
inline constexpr float kNan = __builtin_bit_cast(float, 0x7fc00000u);

// c[0] + x*c[1] + x^2*c[2] + ... (Horner)
template <class V, int N>
inline V polynomial(V x, const float (&c)[N]) {
  V p = V::set(c[N - 1]);
  for (int i = N - 2; i >= 0; --i) p = fma(p, x, V::set(c[i]));
  return p;
}

template <class V>
inline V canonical(V x) {
  return select(is_nan(x), V::set(kNan), x);
}
template <class V>
inline V negate(V x) {
  using I = typename V::Ints;
  return V::from_bits(bits(x) - I::set(0x80000000u));  // flips the sign bit
}
template <class V>
inline V abs(V x) {
  return V::from_bits(bits(x) & V::Ints::set(0x7fffffffu));
}
// |magnitude| with the sign of `sign`; magnitude >= 0
template <class V>
inline V with_sign(V magnitude, V sign) {
  return V::from_bits(bits(magnitude) | (bits(sign) & V::Ints::set(0x80000000u)));
}
template <class V>
inline V min(V a, V b) {  // NaN if either is; equal: b
  return select(is_nan(a), a, select(a < b, a, b));
}
template <class V>
inline V max(V a, V b) {
  return select(is_nan(a), a, select(b < a, a, b));
}

// Adding and subtracting it rounds to even, for |x| < 2^22.
inline constexpr float kRounder = 12582912.0f;

// x = n*ln2 + r, |r| <= ln2/2; tail = exp(r) - 1.
template <class V>
struct ExpParts {
  V n;
  V tail;
};

template <class V>
inline ExpParts<V> exp_parts(V x) {
  const V rounder = V::set(kRounder);
  const V n = fma(x, V::set(0x1.715476p+0f), rounder) - rounder;
  V r = fma(n, V::set(-0x1.62e43p-1f), x);
  r = fma(n, V::set(0x1.05c61p-29f), r);
  const V q = polynomial(
      r, {0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558b4p-5f, 0x1.1239ap-7f, 0x1.6a495cp-10f});
  return {n, fma(r * r, q, r)};
}

// exp(x) for x <= 89 and for NaN; below -104 the result is 0 all the same.
template <class V>
inline V exp_bounded(V x) {
  const ExpParts<V> e = exp_parts(at_least(x, -104.0f));
  return times_power_of_two(V::set(1.0f) + e.tail, e.n);
}

template <class V>
inline V exp(V x) {
  return exp_bounded(at_most(x, 89.0f));
}

// exp(x) - 1 for x <= 0.
template <class V>
inline V expm1_negative(V x) {
  const ExpParts<V> e = exp_parts(at_least(x, -40.0f));
  const V scale = times_power_of_two(V::set(1.0f), e.n);
  return fma(scale, e.tail, scale - V::set(1.0f));
}

template <class V>
inline V sigmoid(V x) {
  const V e = exp_bounded(negate(abs(x)));  // never overflows
  const V one = V::set(1.0f);
  return select(x < V::set(0.0f), e, one) / (one + e);
}

template <class V>
inline V tanh(V x) {
  const V a = abs(x);
  const V w = x * x;
  const V p = polynomial(w, {-0x1.555554p-2f, 0x1.11107ap-3f, -0x1.b9f188p-5f, 0x1.63a55p-6f,
                             -0x1.0c5edp-7f, 0x1.1a2816p-9f});
  const V small = fma(a * w, p, a);
  const V large = V::set(1.0f) - V::set(2.0f) / (exp(a + a) + V::set(1.0f));
  return with_sign(select(a < V::set(0.625f), small, large), x);
}

// log(1 + y) for 0 <= y <= 1, through 2 atanh(y / (2 + y)).
template <class V>
inline V log1p_unit(V y) {
  const V z = (y + y) / (V::set(2.0f) + y);
  const V w = z * z;
  const V p = polynomial(
      w, {0x1.555558p-4f, 0x1.9996d8p-7f, 0x1.25051p-9f, 0x1.b72bb8p-12f, 0x1.f08af8p-14f});
  return fma(z * w, p, z);
}

template <class V>
inline V softplus(V x) {
  const V zero = V::set(0.0f);
  return select(zero < x, x, zero) + log1p_unit(exp_bounded(negate(abs(x))));
}

template <class V>
inline V log(V x) {
  using I = typename V::Ints;
  const V zero = V::set(0.0f);
  const auto denormal = x < V::set(0x1p-126f);
  const V scaled = select(denormal, x * V::set(0x1p23f), x);
  // x = 2^k * (1 + f), 1 + f in [sqrt(1/2), sqrt 2)
  const I shifted = bits(scaled) + I::set(0x3f800000u - 0x3f3504f3u);
  const V k = V::to_float(shr23(shifted) - I::set(127)) - select(denormal, V::set(23.0f), zero);
  const V f = V::from_bits((shifted & I::set(0x007fffffu)) + I::set(0x3f3504f3u)) - V::set(1.0f);
  const V s = f / (V::set(2.0f) + f);
  const V z = s * s;
  const V r = z * polynomial(z, {0x1.555554p-1f, 0x1.999c26p-2f, 0x1.23d3dcp-2f, 0x1.f13d0ep-3f});
  const V half_square = V::set(0.5f) * f * f;
  const V low = fma(s, half_square + r, k * V::set(0x1.2fefa4p-17f));
  const V y = fma(k, V::set(0x1.62e3p-1f), f - (half_square - low));
  const V at_zero = select(x == zero, V::set(-kInfinity), V::set(kNan));
  const V bounded = select(x == V::set(kInfinity), x, y);
  return select(zero < x, bounded, at_zero);  // below zero, and for a NaN: NaN
}

template <class V>
inline V erf(V x) {
  const V a = abs(x);
  const V w = x * x;
  const V p = polynomial(w, {0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2ce6p-4f, -0x1.b7f71ap-6f,
                             0x1.53f224p-8f, -0x1.a3515ep-11f, 0x1.4771fcp-14f});
  const V small = fma(a, p, a);
  const V bounded = at_most(a, 4.0f);
  const V q =
      polynomial(bounded, {-0x1.8b3e3ep-13f, 0x1.212c2cp+0f, 0x1.4434f6p-1f, 0x1.bc1898p-4f,
                           -0x1.9d0b46p-6f, 0x1.13984p-8f, -0x1.cee93ep-12f, 0x1.6c0584p-16f});
  const V large = V::set(1.0f) - exp_bounded(negate(q));  // q = -log(1 - erf(a))
  return with_sign(select(a < V::set(1.0f), small, large), x);
}

template <class V>
inline V gelu(V x) {
  return V::set(0.5f) * x * (V::set(1.0f) + erf(x * V::set(0x1.6a09e6p-1f)));
}

// sin(x + quarter_turns * pi/2)
template <class V>
inline V sin_shifted(V x, uint32_t quarter_turns) {
  using I = typename V::Ints;
  const Angle<V> angle = reduce(x);
  const I quadrant = angle.quadrant + I::set(quarter_turns);
  const V r = angle.rest;
  const V w = r * r;
  const V sine =
      fma(r * w,
          polynomial(w, {-0x1.555556p-3f, 0x1.111174p-7f, -0x1.a058dcp-13f, 0x1.7bec32p-19f}), r);
  const V cosine = fma(
      w * w, polynomial(w, {0x1.555556p-5f, -0x1.6c175ap-10f, 0x1.a06d42p-16f, -0x1.34e23ap-22f}),
      fma(w, V::set(-0.5f), V::set(1.0f)));
  const V y = select(nonzero(quadrant & I::set(1)), cosine, sine);
  return select(nonzero(quadrant & I::set(2)), negate(y), y);
}

}  // namespace
}  // namespace rtinfer::kernels
