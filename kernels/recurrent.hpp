// LSTM and GRU of ONNX, one direction, batch 1, and their scalar references.
#pragma once

#include "kernels/args.hpp"
#include "kernels/gemv.hpp"
#include "kernels/math.hpp"

namespace rtinfer::kernels {
namespace {

using ProductFn = void (*)(const float* x, const float* w, const float* b, float* y, int64_t k,
                           int64_t n);

inline const float* block(const float* p, int64_t gate, int64_t size) {
  return p ? p + gate * size : nullptr;
}

inline void copy_values(const float* x, float* y, int64_t count) {
  if (y) __builtin_memmove(y, x, static_cast<uint64_t>(count) * sizeof(float));
}

// gates: i, o, f, c as rows of `size`; c and h are rows of `size` too.
template <class V>
inline void lstm_cell(const float* gates, float* c, float* h, int64_t size) {
  for (int64_t i = 0; i < size; i += V::kWidth) {
    const V in = sigmoid(V::load(gates + i));
    const V out = sigmoid(V::load(gates + size + i));
    const V forget = sigmoid(V::load(gates + 2 * size + i));
    const V candidate = tanh(V::load(gates + 3 * size + i));
    const V cell = canonical(fma(forget, V::load(c + i), in * candidate));
    cell.store(c + i);
    canonical(out * tanh(cell)).store(h + i);
  }
}

// Each gate is one chain of FMAs (or four) over x, continued over h.
template <class V, ProductFn Product>
void lstm(const OpArgs& args) noexcept {
  const LstmArgs& op = args.lstm;
  const int64_t size = padded(op.hidden);
  float* gates = op.scratch;
  float* next[2] = {gates + 4 * size, gates + 5 * size};
  float* c = gates + 6 * size;
  const float* h = op.h;
  copy_values(op.c, c, op.hidden);
  for (int64_t step = 0; step < op.steps; ++step) {
    const int64_t t = op.reverse ? op.steps - 1 - step : step;
    const float* x = op.x + t * op.input;
    for (int64_t g = 0; g < 4; ++g) {
      float* gate = gates + g * size;
      Product(x, block(op.w, g, op.input * size), block(op.b, g, size), gate, op.input, op.hidden);
      Product(h, block(op.r, g, op.hidden * size), gate, gate, op.hidden, op.hidden);
    }
    float* h_new = next[step % 2];
    lstm_cell<V>(gates, c, h_new, size);
    copy_values(h_new, op.y ? op.y + t * op.hidden : nullptr, op.hidden);
    h = h_new;
  }
  copy_values(h, op.h_out, op.hidden);
  copy_values(c, op.c_out, op.hidden);
}

// ax, ah: z, r, h parts from x and from h, as rows of `size`; only the candidate's row of ah is
// already gated when linear_before_reset is off.
template <class V>
inline void gru_cell(const float* ax, const float* ah, const float* h, float* h_new, int64_t size,
                     bool linear_before_reset) {
  for (int64_t i = 0; i < size; i += V::kWidth) {
    const V update = sigmoid(V::load(ax + i) + V::load(ah + i));
    const V from_x = V::load(ax + 2 * size + i);
    const V from_h = V::load(ah + 2 * size + i);
    V sum = from_x + from_h;
    if (linear_before_reset) {
      sum = fma(sigmoid(V::load(ax + size + i) + V::load(ah + size + i)), from_h, from_x);
    }
    const V kept = (V::set(1.0f) - update) * tanh(sum);
    canonical(fma(update, V::load(h + i), kept)).store(h_new + i);
  }
}

template <class V>
inline void gru_reset(const float* ax, const float* ah, const float* h, float* gated,
                      int64_t size) {
  for (int64_t i = 0; i < size; i += V::kWidth) {
    const V reset = sigmoid(V::load(ax + size + i) + V::load(ah + size + i));
    canonical(reset * V::load(h + i)).store(gated + i);
  }
}

// Each gate is x . W + wb plus h . R + rb, two products added.
template <class V, ProductFn Product>
void gru(const OpArgs& args) noexcept {
  const GruArgs& op = args.gru;
  const int64_t size = padded(op.hidden);
  float* ax = op.scratch;
  float* ah = ax + 3 * size;
  float* state[2] = {ax + 6 * size, ax + 7 * size};
  float* gated = ax + 8 * size;
  copy_values(op.h, state[1], op.hidden);
  for (int64_t step = 0; step < op.steps; ++step) {
    const int64_t t = op.reverse ? op.steps - 1 - step : step;
    const float* h = state[(step + 1) % 2];
    float* h_new = state[step % 2];
    for (int64_t g = 0; g < 3; ++g) {
      Product(op.x + t * op.input, block(op.w, g, op.input * size), block(op.wb, g, size),
              ax + g * size, op.input, op.hidden);
      const bool reset_first = g == 2 && !op.linear_before_reset;
      if (reset_first) gru_reset<V>(ax, ah, h, gated, size);
      Product(reset_first ? gated : h, block(op.r, g, op.hidden * size), block(op.rb, g, size),
              ah + g * size, op.hidden, op.hidden);
    }
    gru_cell<V>(ax, ah, h, h_new, size, op.linear_before_reset);
    copy_values(h_new, op.y ? op.y + t * op.hidden : nullptr, op.hidden);
  }
  copy_values(state[(op.steps + 1) % 2], op.h_out, op.hidden);
}

}  // namespace
}  // namespace rtinfer::kernels
