// 16 lanes in one AVX-512 register. Needs AVX512F, DQ, BW, VL.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace rtinfer::kernels {
namespace {

struct Mask16 {
  __mmask16 v;

  friend Mask16 operator|(Mask16 a, Mask16 b) { return {static_cast<__mmask16>(a.v | b.v)}; }
  friend bool any(Mask16 a) { return a.v != 0; }
};

struct Ints16 {
  using I = Ints16;
  __m512i v;

  static I set(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  static I load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(uint32_t* p) const { _mm512_storeu_si512(p, v); }
  friend I operator+(I a, I b) { return {_mm512_add_epi32(a.v, b.v)}; }
  friend I operator-(I a, I b) { return {_mm512_sub_epi32(a.v, b.v)}; }
  friend I operator&(I a, I b) { return {_mm512_and_si512(a.v, b.v)}; }
  friend I operator|(I a, I b) { return {_mm512_or_si512(a.v, b.v)}; }
  friend I shl23(I a) { return {_mm512_slli_epi32(a.v, 23)}; }
  friend I shr23(I a) { return {_mm512_srli_epi32(a.v, 23)}; }
  friend Mask16 nonzero(I a) { return {_mm512_test_epi32_mask(a.v, a.v)}; }
};

struct Lanes {
  static constexpr int kWidth = 16;
  static constexpr int kPanels = 4;  // panels of gemv in flight
  using F = Lanes;
  using Mask = Mask16;
  using Ints = Ints16;
  __m512 v;

  static __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static F set(float x) { return {_mm512_set1_ps(x)}; }
  static F load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static F load_first(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_first(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, first(n), v); }
  friend F operator+(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend F operator-(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend F operator*(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend F operator/(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
  friend F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  friend F sqrt(F a) { return {_mm512_sqrt_ps(a.v)}; }
  friend F floor(F a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
  }
  friend F ceil(F a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)};
  }
  friend F round_even(F a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  friend Mask operator<(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
  friend Mask operator<=(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
  friend Mask operator==(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
  friend Mask is_nan(F a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
  friend F select(Mask m, F a, F b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }
  // The second operand is the result where either is a NaN.
  friend F at_least(F a, float bound) { return {_mm512_max_ps(_mm512_set1_ps(bound), a.v)}; }
  friend F at_most(F a, float bound) { return {_mm512_min_ps(_mm512_set1_ps(bound), a.v)}; }
  friend F times_power_of_two(F a, F n) { return {_mm512_scalef_ps(a.v, n.v)}; }
  friend Ints bits(F a) { return {_mm512_castps_si512(a.v)}; }
  static F from_bits(Ints a) { return {_mm512_castsi512_ps(a.v)}; }
  static F to_float(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
};

}  // namespace
}  // namespace rtinfer::kernels
