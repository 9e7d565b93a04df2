// x as a whole number of quarter turns and a rest within +-pi/4, for sin and cos of any float.
#pragma once

#include <cstdint>

namespace rtinfer::kernels {
namespace {

template <class V>
struct Angle {
  typename V::Ints quadrant;  // modulo 4
  V rest;
};

// Payne and Hanek: multiplies the 24-bit significand of |x| by the bits of 2/pi that matter modulo
// 4 turns. For |x| >= 2^16; infinity and NaN give NaN.
inline float reduce_large(float x, uint32_t& quadrant) {
  static constexpr uint32_t kTwoOverPi[] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0,
                                            0xdb629599, 0x3c439041, 0xfe5163ab};
  const uint32_t word = __builtin_bit_cast(uint32_t, x);
  const int exponent = static_cast<int>((word >> 23) & 255u);
  quadrant = 0;
  if (exponent == 255) return x - x;
  const uint64_t significand = (word & 0x007fffffu) | 0x00800000u;  // |x| = significand * 2^e
  const int e = exponent - 150;
  const int skipped = e > 2 ? e - 2 : 0;  // leading bits of 2/pi that contribute whole turns only
  const int first = skipped / 32, offset = skipped % 32;
  uint32_t window[3];  // the next 96 bits
  for (int i = 0; i < 3; ++i) {
    const uint64_t two =
        (static_cast<uint64_t>(kTwoOverPi[first + i]) << 32) | kTwoOverPi[first + i + 1];
    window[i] = static_cast<uint32_t>((two << offset) >> 32);
  }
  using Wide = unsigned __int128;
  const uint64_t high = (static_cast<uint64_t>(window[0]) << 32) | window[1];
  const Wide product = ((Wide{significand} * high) << 32) + Wide{significand} * window[2];
  // In units of 2^-94 quarter turns; bits above 96 are whole turns.
  const Wide scaled = product >> (2 - (e - skipped));
  const uint64_t turn = static_cast<uint64_t>(scaled >> 32);  // quadrant: top 2 bits
  const int64_t rest = static_cast<int64_t>(turn << 2);       // of a quarter turn, in +-1/2
  quadrant = static_cast<uint32_t>(turn >> 62) + (rest < 0 ? 1u : 0u);
  const float r = static_cast<float>(static_cast<double>(rest) * 0x1.921fb54442d18p-64);
  if (word >> 31) {
    quadrant = 0u - quadrant;
    return -r;
  }
  return r;
}

template <class V>
inline Angle<V> reduce(V x) {
  const V rounder = V::set(12582912.0f);
  const V sum = fma(x, V::set(0x1.45f306p-1f), rounder);
  const V n = sum - rounder;
  V r = fma(n, V::set(-0x1.921fb6p+0f), x);  // pi/2 in three parts
  r = fma(n, V::set(0x1.777a5cp-25f), r);
  r = fma(n, V::set(0x1.ee59dap-50f), r);
  Angle<V> angle{bits(sum) - bits(rounder), r};
  const V magnitude = V::from_bits(bits(x) & V::Ints::set(0x7fffffffu));
  const auto large = V::set(65536.0f) <= magnitude;
  if (any(large)) {
    float in[V::kWidth], rest[V::kWidth];
    uint32_t quadrant[V::kWidth];
    x.store(in);
    angle.rest.store(rest);
    angle.quadrant.store(quadrant);
    for (int i = 0; i < V::kWidth; ++i) {
      if (__builtin_fabsf(in[i]) >= 65536.0f) rest[i] = reduce_large(in[i], quadrant[i]);
    }
    angle = {V::Ints::load(quadrant), V::load(rest)};
  }
  return angle;
}

}  // namespace
}  // namespace rtinfer::kernels
