// Lanes in plain C++: N floats in an array. Scalar<16> runs on any CPU; Scalar<1> is the reference.
#pragma once

#include <cstdint>

namespace rtinfer::kernels {
namespace {

// Applies op element by element to arrays v of N values.
template <class R, int N, class Op, class... V>
inline R each(Op op, const V&... in) {
  R r;
  for (int i = 0; i < N; ++i) r.v[i] = op(in.v[i]...);
  return r;
}

template <int N>
struct ScalarMask {
  using M = ScalarMask;
  bool v[N];

  friend M operator|(M a, M b) {
    return each<M, N>([](bool x, bool y) { return x || y; }, a, b);
  }
  friend bool any(M a) {
    bool r = false;
    for (bool e : a.v) r = r || e;
    return r;
  }
};

template <int N>
struct ScalarInts {
  using I = ScalarInts;
  using U = uint32_t;
  U v[N];

  static I set(U x) {
    I r;
    for (U& e : r.v) e = x;
    return r;
  }
  static I load(const U* p) {
    I r;
    for (int i = 0; i < N; ++i) r.v[i] = p[i];
    return r;
  }
  void store(U* p) const {
    for (int i = 0; i < N; ++i) p[i] = v[i];
  }
  friend I operator+(I a, I b) {
    return each<I, N>([](U x, U y) { return x + y; }, a, b);
  }
  friend I operator-(I a, I b) {
    return each<I, N>([](U x, U y) { return x - y; }, a, b);
  }
  friend I operator&(I a, I b) {
    return each<I, N>([](U x, U y) { return x & y; }, a, b);
  }
  friend I operator|(I a, I b) {
    return each<I, N>([](U x, U y) { return x | y; }, a, b);
  }
  friend I shl23(I a) {
    return each<I, N>([](U x) { return x << 23; }, a);
  }
  friend I shr23(I a) {
    return each<I, N>([](U x) { return x >> 23; }, a);
  }
  friend ScalarMask<N> nonzero(I a) {
    return each<ScalarMask<N>, N>([](U x) { return x != 0; }, a);
  }
};

template <int N>
struct Scalar {
  static constexpr int kWidth = N;
  static constexpr int kPanels = 1;  // panels of gemv in flight
  using F = Scalar;
  using Mask = ScalarMask<N>;
  using Ints = ScalarInts<N>;
  float v[N];

  static F set(float x) {
    F r;
    for (float& e : r.v) e = x;
    return r;
  }
  static F load(const float* p) { return load_first(p, N); }
  static F load_first(const float* p, int64_t n) {  // the rest: 0
    F r;
    for (int i = 0; i < N; ++i) r.v[i] = i < n ? p[i] : 0.0f;
    return r;
  }
  void store(float* p) const { store_first(p, N); }
  void store_first(float* p, int64_t n) const {
    for (int i = 0; i < N && i < n; ++i) p[i] = v[i];
  }
  friend F operator+(F a, F b) {
    return each<F, N>([](float x, float y) { return x + y; }, a, b);
  }
  friend F operator-(F a, F b) {
    return each<F, N>([](float x, float y) { return x - y; }, a, b);
  }
  friend F operator*(F a, F b) {
    return each<F, N>([](float x, float y) { return x * y; }, a, b);
  }
  friend F operator/(F a, F b) {
    return each<F, N>([](float x, float y) { return x / y; }, a, b);
  }
  friend F fma(F a, F b, F c) {
    return each<F, N>([](float x, float y, float z) { return __builtin_fmaf(x, y, z); }, a, b, c);
  }
  friend F sqrt(F a) {
    return each<F, N>([](float x) { return __builtin_sqrtf(x); }, a);
  }
  friend F floor(F a) {
    return each<F, N>([](float x) { return __builtin_floorf(x); }, a);
  }
  friend F ceil(F a) {
    return each<F, N>([](float x) { return __builtin_ceilf(x); }, a);
  }
  friend F round_even(F a) {
    return each<F, N>([](float x) { return __builtin_nearbyintf(x); }, a);
  }
  friend Mask operator<(F a, F b) {
    return each<Mask, N>([](float x, float y) { return x < y; }, a, b);
  }
  friend Mask operator<=(F a, F b) {
    return each<Mask, N>([](float x, float y) { return x <= y; }, a, b);
  }
  friend Mask operator==(F a, F b) {
    return each<Mask, N>([](float x, float y) { return x == y; }, a, b);
  }
  friend Mask is_nan(F a) {
    return each<Mask, N>([](float x) { return x != x; }, a);
  }
  friend F select(Mask m, F a, F b) {  // m ? a : b
    return each<F, N>([](bool t, float x, float y) { return t ? x : y; }, m, a, b);
  }
  // The bound where a is beyond it; a NaN stays one. The bound is not 0.
  friend F at_least(F a, float bound) {
    return each<F, N>([=](float x) { return x < bound ? bound : x; }, a);
  }
  friend F at_most(F a, float bound) {
    return each<F, N>([=](float x) { return x > bound ? bound : x; }, a);
  }
  // a * 2^n for whole n, -252 <= n <= 254, 1/2 < a < 2: two steps, so that a denormal result is
  // rounded once.
  friend F times_power_of_two(F a, F n) {
    return each<F, N>(
        [](float x, float e) {
          if (e != e) return e;
          const int whole = static_cast<int>(e), first = whole / 2;
          const auto power = [](int p) {
            return __builtin_bit_cast(float, static_cast<uint32_t>(p + 127) << 23);
          };
          return x * power(first) * power(whole - first);
        },
        a, n);
  }
  friend Ints bits(F a) {
    return each<Ints, N>([](float x) { return __builtin_bit_cast(uint32_t, x); }, a);
  }
  static F from_bits(Ints a) {
    return each<F, N>([](uint32_t x) { return __builtin_bit_cast(float, x); }, a);
  }
  static F to_float(Ints a) {  // as signed
    return each<F, N>([](uint32_t x) { return static_cast<float>(static_cast<int32_t>(x)); }, a);
  }
};

}  // namespace
}  // namespace rtinfer::kernels
