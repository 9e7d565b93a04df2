// A candidate engine beside the one that serves: the same observations, nothing published.
#include <cmath>
#include <cstring>

#include "rtinfer/native/loop_core.hpp"

namespace rtinfer::rt {
namespace {

constexpr int64_t kFirstShadow_ns = 200'000;  // what it may take before anything was measured

}  // namespace

RT_TICK void TickCore::run_shadow() noexcept {
  if (engines_ == nullptr || !ran_) return;
  const BoundEngine* shadow = engines_->shadow.load(std::memory_order_acquire);  // partner: Loader
  if (shadow != shadow_) {
    engines_->shadow_active.store(shadow,
                                  std::memory_order_release);  // partner: Loader::free_unused
    shadow_ = shadow;
    shadow_tail_ = RunningTail();
    if (shadow != nullptr) shadow->engine.reset(shadow->engine.self);
  }
  if (shadow == nullptr) return;
  const int64_t start = clock_.now_ns();
  const int64_t tail = shadow_tail_.p999_ns();
  const int64_t needed = tail == 0 ? kFirstShadow_ns : 2 * tail;
  if (start + needed > grid_.scheduled_ns(part_.tick + 1)) {
    file_.shadow_passed.add();
    return;
  }
  observations_.stage(*shadow);
  if (shadow->engine.run(shadow->engine.self, {part_.tick, 0}) != RunResult::kDone) return;
  shadow->engine.accept(shadow->engine.self);
  compare_shadow(*shadow);
  shadow_tail_.add(clock_.now_ns() - start);
}

// In units of the action, before limits: what the robot would have been told differently.
RT_TICK void TickCore::compare_shadow(const BoundEngine& shadow) noexcept {
  double largest = 0.0;
  for (size_t g = 0; g < plan_.actions.groups.size(); ++g) {
    const ActionGroup& group = plan_.actions.groups[g];
    for (uint32_t i = 0; i < group.size; ++i) {
      float serves = 0.0f;
      float candidate = 0.0f;
      std::memcpy(&serves, bound_->engine.block + bound_->outputs[g] + size_t{i} * 4, 4);
      std::memcpy(&candidate, shadow.engine.block + shadow.outputs[g] + size_t{i} * 4, 4);
      if (!std::isfinite(candidate)) file_.shadow_nonfinite.add();
      const double gap = std::fabs(double{candidate} - double{serves}) *
                         std::fabs(double{plan_.actions.scale[group.first + i]});
      if (gap > largest) largest = gap;
    }
  }
  file_.shadow_runs.add();
  // partner: status readers; no order needed between these.
  const double mean = file_.shadow_mean.load(std::memory_order_relaxed);
  const auto runs = static_cast<double>(file_.shadow_runs.get());
  file_.shadow_mean.store(mean + (largest - mean) / runs, std::memory_order_relaxed);
  if (largest > file_.shadow_max.load(std::memory_order_relaxed)) {
    file_.shadow_max.store(largest, std::memory_order_relaxed);
  }
}

}  // namespace rtinfer::rt
