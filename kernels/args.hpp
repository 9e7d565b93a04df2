// What one call of a kernel is given: resolved pointers and sizes, laid out for a flat op list.
#pragma once

#include <cstdint>

namespace rtinfer::kernels {

inline constexpr int kLanes = 16;     // outputs in one panel of packed weights
inline constexpr int kMaxRank = 8;    // axes of a strided op
inline constexpr int kWideFrom = 64;  // outputs from which one FMA chain each suffices

using UnaryFn = void (*)(const float* x, float* y, int64_t count, float alpha, float beta) noexcept;

// y[r,:] = act(x[r,:] . W + b). w: [ceil(n/16)][k][16]; b: ceil(n/16)*16 values, or null for zero.
struct GemvArgs {
  const float* x;
  const float* w;
  const float* b;
  float* y;
  int64_t rows, k, n;
  UnaryFn act;  // null: none
  float alpha, beta;
};

struct UnaryArgs {
  const float* x;
  float* y;
  int64_t count;
  UnaryFn fn;
  float alpha, beta;
};

// Strides in elements; 0 repeats. The last axis is the inner one.
struct BinaryArgs {
  const float* a;
  const float* b;
  float* y;  // contiguous
  int64_t rank;
  int64_t dims[kMaxRank], a_strides[kMaxRank], b_strides[kMaxRank];
};

struct CopyArgs {
  const float* x;
  float* y;
  int64_t rank;
  int64_t dims[kMaxRank], x_strides[kMaxRank], y_strides[kMaxRank];
};

// One direction, batch 1. w, r: gates packed one after another, each like gemv's w.
struct LstmArgs {
  const float *x, *h, *c, *w, *r, *b;  // b: null or [4][padded hidden], both biases summed
  float *y, *h_out, *c_out;            // null: not wanted
  float* scratch;                      // lstm_scratch(hidden) floats
  int64_t steps, input, hidden;
  bool reverse;
};

struct GruArgs {
  const float *x, *h, *w, *r, *wb, *rb;  // wb, rb: null or [3][padded hidden]
  float *y, *h_out;                      // null: not wanted
  float* scratch;                        // gru_scratch(hidden) floats
  int64_t steps, input, hidden;
  bool linear_before_reset, reverse;
};

union OpArgs {
  GemvArgs gemv;
  UnaryArgs unary;
  BinaryArgs binary;
  CopyArgs copy;
  LstmArgs lstm;
  GruArgs gru;
};

using OpFn = void (*)(const OpArgs&) noexcept;

constexpr int64_t padded(int64_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}
constexpr int64_t lstm_scratch(int64_t hidden) {
  return 7 * padded(hidden);
}  // 4 gates, h twice, c
constexpr int64_t gru_scratch(int64_t hidden) {
  return 9 * padded(hidden);
}  // 3+3 gates, h twice, r*h

}  // namespace rtinfer::kernels
