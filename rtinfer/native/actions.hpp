// From policy output to a valid action, and what goes out when there is none.
// Pure functions of (outputs, last committed action, measured pose); the numbers are fixed at
// start.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "rtinfer/native/action.hpp"
#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/rt_tick.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

inline constexpr int kMaxMissSteps = 8;

// The channel that a group of this kind speaks through.
constexpr Channel channel_of(GroupKind kind) noexcept {
  switch (kind) {
    case GroupKind::kPosition:
      return Channel::kPosition;
    case GroupKind::kVelocity:
      return Channel::kVelocity;
    case GroupKind::kTorque:
      return Channel::kTorque;
  }
  return Channel::kPosition;
}

struct ActionGroup {
  GroupKind kind = GroupKind::kPosition;
  uint32_t first = 0;  // index of its first value in the action
  uint32_t size = 0;
  bool refuse = false;  // over a limit: refuse instead of clip
  int64_t measured_source = -1;
  int64_t measured_start = 0;
  uint32_t step_count = 0;
  std::array<MissStep, kMaxMissSteps> steps{};
};

struct Limits {
  float min, max;
  float rate_per_tick;    // largest change in one period
  float accel_per_tick2;  // largest change of that change in one period
};

struct ActionTable {
  uint32_t count = 0;
  uint32_t blend_ticks = 0;
  double period_s = 0.0;
  std::vector<ActionGroup> groups;
  std::array<float, kMaxValues> scale{}, offset{}, default_pose{}, kp{}, kd{};
  std::array<Limits, kMaxValues> limits{};

  // Throws std::invalid_argument with a sentence. Not called from a tick.
  static ActionTable create(const LoopSpec& spec);
};

// Where a measured pose is read from: the values of each source, null when none came yet.
struct Measured {
  std::array<const float*, kMaxSources> source{};

  RT_TICK const float* of(const ActionGroup& group) const noexcept {
    if (group.measured_source < 0) return nullptr;
    const float* values = source[static_cast<size_t>(group.measured_source)];
    return values == nullptr ? nullptr : values + group.measured_start;
  }
};

// Fills `action.values`, `flags`, `ramp_left` and `origin` from the engine's outputs.
// `last` is the newest committed action of this session, null when there is none; `blend` starts
// the ramp anew, from it. Returns kNone, or why the action must not leave.
RT_TICK Reason compose_action(const ActionTable& table, const BoundEngine& bound,
                              const Action* last, const Measured& measured, bool blend,
                              Action& action) noexcept;

// Fills `action` with what the groups declare for a miss. `action.miss_ticks` counts it already.
// `stopped`: hold_last is passed over. False when nothing safe is known (no action, nothing
// measured).
RT_TICK bool safe_action(const ActionTable& table, const Action* last, const Measured& measured,
                         bool stopped, Action& action) noexcept;

}  // namespace rtinfer::rt
