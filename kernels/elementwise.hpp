// Unary, binary and copy kernels, and the loops over strided tensors.
#pragma once

#include "kernels/args.hpp"
#include "kernels/functions.hpp"
#include "kernels/math.hpp"

namespace rtinfer::kernels {
namespace {

// Selects keep a NaN a NaN: what is non-finite must reach the gate, not turn into a number.
template <Unary Fn, class V>
inline V apply(V x, V alpha, V beta) {
  const V zero = V::set(0.0f);
  const V one = V::set(1.0f);
  if constexpr (Fn == Unary::kIdentity) return x;
  if constexpr (Fn == Unary::kRelu) return select(x <= zero, zero, x);
  if constexpr (Fn == Unary::kLeakyRelu) return select(x < zero, alpha * x, x);
  if constexpr (Fn == Unary::kElu) return select(x < zero, alpha * expm1_negative(x), x);
  if constexpr (Fn == Unary::kTanh) return tanh(x);
  if constexpr (Fn == Unary::kSigmoid) return sigmoid(x);
  if constexpr (Fn == Unary::kSoftplus) return softplus(x);
  if constexpr (Fn == Unary::kClip) {
    const V bounded = select(x < alpha, alpha, x);
    return select(beta < bounded, beta, bounded);
  }
  if constexpr (Fn == Unary::kSilu) return x * sigmoid(x);
  if constexpr (Fn == Unary::kNeg) return negate(x);
  if constexpr (Fn == Unary::kAbs) return abs(x);
  if constexpr (Fn == Unary::kExp) return exp(x);
  if constexpr (Fn == Unary::kLog) return log(x);
  if constexpr (Fn == Unary::kSqrt) return sqrt(x);
  if constexpr (Fn == Unary::kReciprocal) return one / x;
  if constexpr (Fn == Unary::kSelu) {
    return beta * select(x < zero, alpha * expm1_negative(x), x);
  }
  if constexpr (Fn == Unary::kHardSigmoid) {
    const V y = fma(alpha, x, beta);
    const V bounded = select(y < zero, zero, y);
    return select(one < bounded, one, bounded);
  }
  if constexpr (Fn == Unary::kErf) return erf(x);
  if constexpr (Fn == Unary::kGelu) return gelu(x);
  if constexpr (Fn == Unary::kFloor) return floor(x);
  if constexpr (Fn == Unary::kCeil) return ceil(x);
  if constexpr (Fn == Unary::kRound) return round_even(x);
  if constexpr (Fn == Unary::kSign) {
    return select(zero < x, one, select(x < zero, V::set(-1.0f), select(x == zero, zero, x)));
  }
  if constexpr (Fn == Unary::kSin) return select(x == zero, x, sin_shifted(x, 0));
  if constexpr (Fn == Unary::kCos) return sin_shifted(x, 1);
}

template <Binary Fn, class V>
inline V apply(V a, V b) {
  if constexpr (Fn == Binary::kAdd) return a + b;
  if constexpr (Fn == Binary::kSub) return a - b;
  if constexpr (Fn == Binary::kMul) return a * b;
  if constexpr (Fn == Binary::kDiv) return a / b;
  if constexpr (Fn == Binary::kMin) return min(a, b);
  if constexpr (Fn == Binary::kMax) return max(a, b);
}

// x and y may be the same array.
template <Unary Fn, class V>
void unary(const float* x, float* y, int64_t count, float alpha, float beta) noexcept {
  const V a = V::set(alpha);
  const V b = V::set(beta);
  int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) {
    canonical(apply<Fn>(V::load(x + i), a, b)).store(y + i);
  }
  if (i < count) {
    canonical(apply<Fn>(V::load_first(x + i, count - i), a, b)).store_first(y + i, count - i);
  }
}

inline void unary_op(const OpArgs& args) noexcept {
  const UnaryArgs& u = args.unary;
  u.fn(u.x, u.y, u.count, u.alpha, u.beta);
}

// n <= V::kWidth values that lie `stride` apart; stride 0 repeats one.
template <class V>
inline V load_strided(const float* p, int64_t stride, int64_t n) {
  if (stride == 0) return V::set(*p);
  if (stride == 1) return n == V::kWidth ? V::load(p) : V::load_first(p, n);
  float values[V::kWidth] = {};
  for (int64_t i = 0; i < n; ++i) values[i] = p[i * stride];
  return V::load(values);
}

// Visits every index of all axes but the last, in order; offsets follow two sets of strides.
struct Rows {
  int64_t rank;
  const int64_t *dims, *first_strides, *second_strides;
  int64_t index[kMaxRank] = {};
  int64_t first = 0, second = 0;

  bool next() {
    for (int64_t axis = rank - 2; axis >= 0; --axis) {
      first += first_strides[axis];
      second += second_strides[axis];
      if (++index[axis] < dims[axis]) return true;
      first -= first_strides[axis] * dims[axis];
      second -= second_strides[axis] * dims[axis];
      index[axis] = 0;
    }
    return false;
  }
};

template <Binary Fn, class V>
void binary(const OpArgs& args) noexcept {
  const BinaryArgs& op = args.binary;
  const int64_t inner = op.dims[op.rank - 1];
  const int64_t a_stride = op.a_strides[op.rank - 1], b_stride = op.b_strides[op.rank - 1];
  Rows row{op.rank, op.dims, op.a_strides, op.b_strides};
  float* y = op.y;
  do {
    for (int64_t i = 0; i < inner; i += V::kWidth) {
      const int64_t n = inner - i < V::kWidth ? inner - i : V::kWidth;
      const V a = load_strided<V>(op.a + row.first + i * a_stride, a_stride, n);
      const V b = load_strided<V>(op.b + row.second + i * b_stride, b_stride, n);
      canonical(apply<Fn>(a, b)).store_first(y + i, n);
    }
    y += inner;
  } while (row.next());
}

// Moves bits: a NaN keeps its payload here.
inline void copy(const OpArgs& args) noexcept {
  const CopyArgs& op = args.copy;
  const int64_t inner = op.dims[op.rank - 1];
  const int64_t x_stride = op.x_strides[op.rank - 1], y_stride = op.y_strides[op.rank - 1];
  Rows row{op.rank, op.dims, op.x_strides, op.y_strides};
  do {
    const float* x = op.x + row.first;
    float* y = op.y + row.second;
    if (x_stride == 1 && y_stride == 1) {
      __builtin_memmove(y, x, static_cast<uint64_t>(inner) * sizeof(float));
    } else {
      for (int64_t i = 0; i < inner; ++i) y[i * y_stride] = x[i * x_stride];
    }
  } while (row.next());
}

inline void snap(const float* x, float* y, int64_t count) noexcept {
  for (int64_t i = 0; i < count; ++i) {
    y[i] = __builtin_fabsf(x[i]) < 0x1p-100f ? 0.0f : x[i];
  }
}

}  // namespace
}  // namespace rtinfer::kernels
