// y = act(x . W + b): matrix-vector product over panels of 16 outputs, and its scalar reference.
#pragma once

#include "kernels/args.hpp"
#include "kernels/math.hpp"

namespace rtinfer::kernels {
namespace {

// From 64 outputs on: one FMA chain an output, k ascending, from the bias. Such layers are bound by
// the bandwidth of their weights, so longer chains cost nothing.
template <int Panels, class V>
inline void wide_panels(const float* x, const float* w, const float* b, float* y, int64_t k,
                        int64_t outputs) {
  const int64_t stride = k * kLanes;
  V sum[Panels];
  for (int p = 0; p < Panels; ++p) sum[p] = b ? V::load(b + p * kLanes) : V::set(0.0f);
  for (int64_t i = 0; i < k; ++i) {
    const V xi = V::set(x[i]);
    for (int p = 0; p < Panels; ++p) {
      sum[p] = fma(xi, V::load(w + p * stride + i * kLanes), sum[p]);
    }
  }
  for (int p = 0; p < Panels; ++p) {
    const int64_t n = outputs - p * kLanes;
    if (n >= kLanes) {
      canonical(sum[p]).store(y + p * kLanes);
    } else {
      canonical(sum[p]).store_first(y + p * kLanes, n);
    }
  }
}

// Below 64 outputs: four chains (k modulo 4; chain 0 starts from the bias), summed (0+1)+(2+3): few
// panels alone would wait for each FMA's latency.
template <class V>
inline void narrow_panel(const float* x, const float* w, const float* b, float* y, int64_t k,
                         int64_t outputs) {
  V sum[4] = {b ? V::load(b) : V::set(0.0f), V::set(0.0f), V::set(0.0f), V::set(0.0f)};
  int64_t i = 0;
  for (; i + 4 <= k; i += 4) {
    for (int c = 0; c < 4; ++c) {
      sum[c] = fma(V::set(x[i + c]), V::load(w + (i + c) * kLanes), sum[c]);
    }
  }
  for (int c = 0; c < 3; ++c) {
    if (i + c < k) sum[c] = fma(V::set(x[i + c]), V::load(w + (i + c) * kLanes), sum[c]);
  }
  const V total = canonical((sum[0] + sum[1]) + (sum[2] + sum[3]));
  if (outputs >= kLanes) {
    total.store(y);
  } else {
    total.store_first(y, outputs);
  }
}

// What follows each group of panels: its latency hides behind the next group's weights.
struct Activation {
  UnaryFn fn = nullptr;  // null: none
  float alpha = 0.0f, beta = 0.0f;

  void operator()(float* y, int64_t count) const {
    if (fn) fn(y, y, count, alpha, beta);
  }
};

// One row. b may be y.
template <class V>
inline void activated_product(const float* x, const float* w, const float* b, float* y, int64_t k,
                              int64_t n, Activation act) {
  int64_t o = 0;
  if (n < kWideFrom) {
    for (; o < n; o += kLanes) narrow_panel<V>(x, w + o * k, b ? b + o : b, y + o, k, n - o);
    act(y, n);
    return;
  }
  constexpr int64_t kGroup = V::kPanels * kLanes;
  for (; o + kGroup <= padded(n); o += kGroup) {
    wide_panels<V::kPanels, V>(x, w + o * k, b ? b + o : b, y + o, k, n - o);
    act(y + o, n - o < kGroup ? n - o : kGroup);
  }
  for (; o < n; o += kLanes) {
    wide_panels<1, V>(x, w + o * k, b ? b + o : b, y + o, k, n - o);
    act(y + o, n - o < kLanes ? n - o : kLanes);
  }
}

template <class V>
inline void product(const float* x, const float* w, const float* b, float* y, int64_t k,
                    int64_t n) {
  activated_product<V>(x, w, b, y, k, n, {});
}

template <class V>
void gemv(const OpArgs& args) noexcept {
  const GemvArgs& g = args.gemv;
  for (int64_t row = 0; row < g.rows; ++row) {
    activated_product<V>(g.x + row * g.k, g.w, g.b, g.y + row * g.n, g.k, g.n,
                         {g.act, g.alpha, g.beta});
  }
}

// The truth: what every table computes, one output at a time.
inline float reference_dot(const float* x, const float* column, float bias, int64_t k, bool wide) {
  float sum[4] = {bias, 0.0f, 0.0f, 0.0f};
  for (int64_t i = 0; i < k; ++i) {
    float& chain = sum[wide ? 0 : i % 4];
    chain = __builtin_fmaf(x[i], column[i * kLanes], chain);
  }
  const float total = wide ? sum[0] : (sum[0] + sum[1]) + (sum[2] + sum[3]);
  return total != total ? kNan : total;
}

inline void reference_product(const float* x, const float* w, const float* b, float* y, int64_t k,
                              int64_t n) {
  for (int64_t o = 0; o < n; ++o) {
    const float* column = w + o / kLanes * k * kLanes + o % kLanes;
    y[o] = reference_dot(x, column, b ? b[o] : 0.0f, k, n >= kWideFrom);
  }
}

inline void reference_gemv(const OpArgs& args) noexcept {
  const GemvArgs& g = args.gemv;
  for (int64_t row = 0; row < g.rows; ++row) {
    float* y = g.y + row * g.n;
    reference_product(g.x + row * g.k, g.w, g.b, y, g.k, g.n);
    if (g.act) g.act(y, y, g.n, g.alpha, g.beta);
  }
}

}  // namespace
}  // namespace rtinfer::kernels
