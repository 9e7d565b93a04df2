// 16 lanes in two AVX registers. Needs AVX2 and FMA.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace rtinfer::kernels {
namespace {

struct Mask2x8 {
  __m256 lo, hi;

  friend Mask2x8 operator|(Mask2x8 a, Mask2x8 b) {
    return {_mm256_or_ps(a.lo, b.lo), _mm256_or_ps(a.hi, b.hi)};
  }
  friend bool any(Mask2x8 a) { return _mm256_movemask_ps(_mm256_or_ps(a.lo, a.hi)) != 0; }
};

struct Ints2x8 {
  using I = Ints2x8;
  __m256i lo, hi;

  static I set(uint32_t x) {
    const __m256i v = _mm256_set1_epi32(static_cast<int>(x));
    return {v, v};
  }
  static I load(const uint32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
  }
  void store(uint32_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), lo);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), hi);
  }
  friend I operator+(I a, I b) {
    return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
  }
  friend I operator-(I a, I b) {
    return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)};
  }
  friend I operator&(I a, I b) {
    return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
  }
  friend I operator|(I a, I b) {
    return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
  }
  friend I shl23(I a) { return {_mm256_slli_epi32(a.lo, 23), _mm256_slli_epi32(a.hi, 23)}; }
  friend I shr23(I a) { return {_mm256_srli_epi32(a.lo, 23), _mm256_srli_epi32(a.hi, 23)}; }
  friend Mask2x8 nonzero(I a) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i ones = _mm256_set1_epi32(-1);
    return {_mm256_castsi256_ps(_mm256_xor_si256(_mm256_cmpeq_epi32(a.lo, zero), ones)),
            _mm256_castsi256_ps(_mm256_xor_si256(_mm256_cmpeq_epi32(a.hi, zero), ones))};
  }
};

struct Lanes {
  static constexpr int kWidth = 16;
  static constexpr int kPanels = 4;  // panels of gemv in flight
  using F = Lanes;
  using Mask = Mask2x8;
  using Ints = Ints2x8;
  __m256 lo, hi;

  // A window into eight ones and eight zeros, placed so that its first n words are ones.
  static __m256i first(int64_t n) {
    alignas(64) static constexpr int32_t kWindow[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                        0,  0,  0,  0,  0,  0,  0,  0};
    const int64_t start = n <= 0 ? 8 : n >= 8 ? 0 : 8 - n;
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kWindow + start));
  }
  static F set(float x) {
    const __m256 v = _mm256_set1_ps(x);
    return {v, v};
  }
  static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static F load_first(const float* p, int64_t n) {
    return {_mm256_maskload_ps(p, first(n)), _mm256_maskload_ps(p + 8, first(n - 8))};
  }
  void store(float* p) const {
    _mm256_storeu_ps(p, lo);
    _mm256_storeu_ps(p + 8, hi);
  }
  void store_first(float* p, int64_t n) const {
    _mm256_maskstore_ps(p, first(n), lo);
    _mm256_maskstore_ps(p + 8, first(n - 8), hi);
  }
  friend F operator+(F a, F b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
  friend F operator-(F a, F b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
  friend F operator*(F a, F b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
  friend F operator/(F a, F b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
  friend F fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
  }
  friend F sqrt(F a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
  friend F floor(F a) { return {_mm256_floor_ps(a.lo), _mm256_floor_ps(a.hi)}; }
  friend F ceil(F a) { return {_mm256_ceil_ps(a.lo), _mm256_ceil_ps(a.hi)}; }
  friend F round_even(F a) {
    constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(a.lo, kMode), _mm256_round_ps(a.hi, kMode)};
  }
  friend Mask operator<(F a, F b) {
    return {_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)};
  }
  friend Mask operator<=(F a, F b) {
    return {_mm256_cmp_ps(a.lo, b.lo, _CMP_LE_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LE_OQ)};
  }
  friend Mask operator==(F a, F b) {
    return {_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ)};
  }
  friend Mask is_nan(F a) {
    return {_mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q), _mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q)};
  }
  friend F select(Mask m, F a, F b) {
    return {_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)};
  }
  // The second operand is the result where either is a NaN.
  friend F at_least(F a, float bound) {
    const __m256 b = _mm256_set1_ps(bound);
    return {_mm256_max_ps(b, a.lo), _mm256_max_ps(b, a.hi)};
  }
  friend F at_most(F a, float bound) {
    const __m256 b = _mm256_set1_ps(bound);
    return {_mm256_min_ps(b, a.lo), _mm256_min_ps(b, a.hi)};
  }
  static __m256 scaled(__m256 a, __m256 n) {
    const __m256i whole = _mm256_cvtps_epi32(n), first = _mm256_srai_epi32(whole, 1);
    const __m256i bias = _mm256_set1_epi32(127), rest = _mm256_sub_epi32(whole, first);
    const __m256i p = _mm256_slli_epi32(_mm256_add_epi32(first, bias), 23);
    const __m256i q = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(p)), _mm256_castsi256_ps(q));
  }
  friend F times_power_of_two(F a, F n) { return {scaled(a.lo, n.lo), scaled(a.hi, n.hi)}; }
  friend Ints bits(F a) { return {_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)}; }
  static F from_bits(Ints a) { return {_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)}; }
  static F to_float(Ints a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
};

}  // namespace
}  // namespace rtinfer::kernels
