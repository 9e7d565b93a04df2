// 16 lanes in four NEON registers (AArch64).
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace rtinfer::kernels {
namespace {

// Applies op register by register to arrays q of four.
template <class R, class Op, class... V>
inline R quads(Op op, const V&... in) {
  return {{op(in.q[0]...), op(in.q[1]...), op(in.q[2]...), op(in.q[3]...)}};
}

struct Mask4x4 {
  uint32x4_t q[4];

  friend Mask4x4 operator|(Mask4x4 a, Mask4x4 b) {
    return quads<Mask4x4>([](uint32x4_t x, uint32x4_t y) { return vorrq_u32(x, y); }, a, b);
  }
  friend bool any(Mask4x4 a) {
    return vmaxvq_u32(vorrq_u32(vorrq_u32(a.q[0], a.q[1]), vorrq_u32(a.q[2], a.q[3]))) != 0;
  }
};

struct Ints4x4 {
  using I = Ints4x4;
  using U = uint32x4_t;
  U q[4];

  static I set(uint32_t x) {
    const U v = vdupq_n_u32(x);
    return {{v, v, v, v}};
  }
  static I load(const uint32_t* p) {
    return {{vld1q_u32(p), vld1q_u32(p + 4), vld1q_u32(p + 8), vld1q_u32(p + 12)}};
  }
  void store(uint32_t* p) const {
    for (int i = 0; i < 4; ++i) vst1q_u32(p + 4 * i, q[i]);
  }
  friend I operator+(I a, I b) {
    return quads<I>([](U x, U y) { return vaddq_u32(x, y); }, a, b);
  }
  friend I operator-(I a, I b) {
    return quads<I>([](U x, U y) { return vsubq_u32(x, y); }, a, b);
  }
  friend I operator&(I a, I b) {
    return quads<I>([](U x, U y) { return vandq_u32(x, y); }, a, b);
  }
  friend I operator|(I a, I b) {
    return quads<I>([](U x, U y) { return vorrq_u32(x, y); }, a, b);
  }
  friend I shl23(I a) {
    return quads<I>([](U x) { return vshlq_n_u32(x, 23); }, a);
  }
  friend I shr23(I a) {
    return quads<I>([](U x) { return vshrq_n_u32(x, 23); }, a);
  }
  friend Mask4x4 nonzero(I a) {
    return quads<Mask4x4>([](U x) { return vtstq_u32(x, x); }, a);
  }
};

struct Lanes {
  static constexpr int kWidth = 16;
  static constexpr int kPanels = 4;  // panels of gemv in flight
  using F = Lanes;
  using Mask = Mask4x4;
  using Ints = Ints4x4;
  using Q = float32x4_t;
  Q q[4];

  static F set(float x) {
    const Q v = vdupq_n_f32(x);
    return {{v, v, v, v}};
  }
  static F load(const float* p) {
    return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
  }
  static F load_first(const float* p, int64_t n) {
    float all[kWidth] = {};
    for (int i = 0; i < kWidth && i < n; ++i) all[i] = p[i];
    return load(all);
  }
  void store(float* p) const {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, q[i]);
  }
  void store_first(float* p, int64_t n) const {
    float all[kWidth];
    store(all);
    for (int i = 0; i < kWidth && i < n; ++i) p[i] = all[i];
  }
  friend F operator+(F a, F b) {
    return quads<F>([](Q x, Q y) { return vaddq_f32(x, y); }, a, b);
  }
  friend F operator-(F a, F b) {
    return quads<F>([](Q x, Q y) { return vsubq_f32(x, y); }, a, b);
  }
  friend F operator*(F a, F b) {
    return quads<F>([](Q x, Q y) { return vmulq_f32(x, y); }, a, b);
  }
  friend F operator/(F a, F b) {
    return quads<F>([](Q x, Q y) { return vdivq_f32(x, y); }, a, b);
  }
  friend F fma(F a, F b, F c) {
    return quads<F>([](Q x, Q y, Q z) { return vfmaq_f32(z, x, y); }, a, b, c);
  }
  friend F sqrt(F a) {
    return quads<F>([](Q x) { return vsqrtq_f32(x); }, a);
  }
  friend F floor(F a) {
    return quads<F>([](Q x) { return vrndmq_f32(x); }, a);
  }
  friend F ceil(F a) {
    return quads<F>([](Q x) { return vrndpq_f32(x); }, a);
  }
  friend F round_even(F a) {
    return quads<F>([](Q x) { return vrndnq_f32(x); }, a);
  }
  friend Mask operator<(F a, F b) {
    return quads<Mask>([](Q x, Q y) { return vcltq_f32(x, y); }, a, b);
  }
  friend Mask operator<=(F a, F b) {
    return quads<Mask>([](Q x, Q y) { return vcleq_f32(x, y); }, a, b);
  }
  friend Mask operator==(F a, F b) {
    return quads<Mask>([](Q x, Q y) { return vceqq_f32(x, y); }, a, b);
  }
  friend Mask is_nan(F a) {
    return quads<Mask>([](Q x) { return vmvnq_u32(vceqq_f32(x, x)); }, a);
  }
  friend F select(Mask m, F a, F b) {
    return quads<F>([](uint32x4_t t, Q x, Q y) { return vbslq_f32(t, x, y); }, m, a, b);
  }
  friend F at_least(F a, float bound) {  // a NaN stays one
    return quads<F>([=](Q x) { return vmaxq_f32(x, vdupq_n_f32(bound)); }, a);
  }
  friend F at_most(F a, float bound) {
    return quads<F>([=](Q x) { return vminq_f32(x, vdupq_n_f32(bound)); }, a);
  }
  static Q scaled(Q a, Q n) {
    const int32x4_t whole = vcvtq_s32_f32(n), first = vshrq_n_s32(whole, 1);
    const int32x4_t bias = vdupq_n_s32(127), rest = vsubq_s32(whole, first);
    const int32x4_t p = vshlq_n_s32(vaddq_s32(first, bias), 23);
    const int32x4_t q = vshlq_n_s32(vaddq_s32(rest, bias), 23);
    return vmulq_f32(vmulq_f32(a, vreinterpretq_f32_s32(p)), vreinterpretq_f32_s32(q));
  }
  friend F times_power_of_two(F a, F n) {
    return quads<F>([](Q x, Q e) { return scaled(x, e); }, a, n);
  }
  friend Ints bits(F a) {
    return quads<Ints>([](Q x) { return vreinterpretq_u32_f32(x); }, a);
  }
  static F from_bits(Ints a) {
    return quads<F>([](uint32x4_t x) { return vreinterpretq_f32_u32(x); }, a);
  }
  static F to_float(Ints a) {
    return quads<F>([](uint32x4_t x) { return vcvtq_f32_s32(vreinterpretq_s32_u32(x)); }, a);
  }
};

}  // namespace
}  // namespace rtinfer::kernels
