// A loop small enough to reason about: one source of four values, one position group of two.
#pragma once

#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/spec.hpp"

namespace fixture {

using namespace rtinfer::rt;

inline constexpr int64_t kPeriod_ns = 1'000'000;

// output = half of the first two inputs, plus a recurrent count of accepted runs in the third
// value.
struct HalfEngine {
  alignas(64) std::array<float, 16> block{};  // inputs at 0..3, outputs at 4..6
  float state = 0.0f;
  float next_state = 0.0f;
  bool fails = false;
  bool says_nan = false;

  Engine engine() {
    return {this,
            reinterpret_cast<std::byte*>(block.data()),
            sizeof(block),
            [](void* self, const EngineCall&) noexcept {
              return static_cast<HalfEngine*>(self)->run();
            },
            [](void* self) noexcept {
              auto* half = static_cast<HalfEngine*>(self);
              half->state = half->next_state;
            },
            [](void* self) noexcept { static_cast<HalfEngine*>(self)->state = 0.0f; }};
  }

 private:
  RunResult run() noexcept {
    block[4] = says_nan ? std::numeric_limits<float>::quiet_NaN() : block[0] / 2;
    block[5] = block[1] / 2;
    next_state = state + 1.0f;
    block[6] = next_state;
    return fails ? RunResult::kFailed : RunResult::kDone;
  }
};

inline std::vector<SourceSpec> sources() {
  SourceSpec spec;
  spec.name = "robot";
  spec.fields = {{"obs", 4}};
  spec.max_age_ns = 3 * kPeriod_ns;
  return {spec};
}

inline LoopSpec loop() {
  GroupSpec group;
  group.name = "legs";
  group.size = 2;
  group.output_offset = 4 * sizeof(float);
  group.default_pose = {0.1, -0.1};
  group.min = {-2.0, -2.0};
  group.max = {2.0, 2.0};
  group.rate = {500.0, 500.0};  // 0.5 a tick
  group.measured_source = 0;
  group.measured_start = 2;
  group.on_miss = {{static_cast<int>(MissDo::kHoldLast), 3, 0.0, 0.0},
                   {static_cast<int>(MissDo::kDefaultPose), -1, 10.0, 0.0}};
  LoopSpec spec;
  spec.name = "walk";
  spec.period_ns = kPeriod_ns;
  spec.deadline_ns = kPeriod_ns * 8 / 10;
  spec.guard_ns = 50'000;
  spec.arm = 1;
  spec.blend_ticks = 10;
  spec.terms = {{0, 0, 4, 0}};
  spec.groups = {group};
  return spec;
}

}  // namespace fixture
