// Times the static plan on an MLP 48-512-256-128-12 with swish: random weights, no lowering needed.
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "graphs/plan.hpp"
#include "kernels/functions.hpp"

namespace {

using rtinfer::graphs::OpSpec;
using rtinfer::graphs::Plan;
using rtinfer::graphs::PlanSpec;
using rtinfer::kernels::padded;
using rtinfer::kernels::Unary;

constexpr int64_t kWidths[] = {48, 512, 256, 128, 12};
constexpr int kLayers = 4;

std::unique_ptr<Plan> build_mlp() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> weights;
  std::vector<OpSpec> ops;
  int64_t bytes = 0, arena = 0;
  for (int l = 0; l < kLayers; ++l) bytes += 4 * (kWidths[l] + 1) * padded(kWidths[l + 1]);
  for (int l = 0; l < kLayers; ++l) {
    const int64_t k = kWidths[l], n = kWidths[l + 1];
    const auto w = static_cast<int64_t>(4 * weights.size());
    for (int64_t i = 0; i < k * padded(n); ++i) {
      weights.push_back(normal(random) / std::sqrt(static_cast<float>(k)));
    }
    const auto b = static_cast<int64_t>(4 * weights.size());
    for (int64_t i = 0; i < padded(n); ++i) weights.push_back(0.1f * normal(random));
    const auto act = static_cast<int64_t>(l + 1 < kLayers ? Unary::kSilu : Unary::kTanh);
    ops.push_back(
        {"gemv", {bytes + arena, w, b, bytes + arena + 4 * padded(k), 1, k, n, act}, {0, 0}});
    arena += 4 * padded(k);
  }
  PlanSpec spec;
  spec.weights = std::as_bytes(std::span(weights));
  spec.arena_bytes = arena + 64;
  spec.ops = ops;
  std::string error;
  auto plan = Plan::create(spec, error);
  if (!plan) {
    std::fprintf(stderr, "%s\n", error.c_str());
    std::exit(1);
  }
  auto* const x = reinterpret_cast<float*>(plan->block() + plan->weights_bytes());
  for (int64_t i = 0; i < kWidths[0]; ++i) x[i] = normal(random);
  return plan;
}

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

// Usage: plan_bench [CORE [RUNS]]
int main(int argc, char** argv) {
  if (argc > 1) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(static_cast<unsigned>(std::atoi(argv[1])), &cores);
    if (sched_setaffinity(0, sizeof cores, &cores) != 0) std::perror("sched_setaffinity");
  }
  const auto runs = static_cast<std::size_t>(argc > 2 ? std::atoi(argv[2]) : 20000);
  const auto plan = build_mlp();
  std::vector<int64_t> ns(runs);
  for (int warm = 0; warm < 500; ++warm) plan->run();
  for (int64_t& t : ns) {
    const int64_t start = now_ns();
    plan->run();
    t = now_ns() - start;
  }
  std::sort(ns.begin(), ns.end());
  std::printf("%s: min %ld p50 %ld p90 %ld p99 %ld p99.9 %ld max %ld ns\n", plan->isa(), ns[0],
              ns[runs / 2], ns[runs * 9 / 10], ns[runs * 99 / 100], ns[runs * 999 / 1000],
              ns.back());
}
