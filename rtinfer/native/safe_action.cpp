// safe_action: the declared miss behaviour of each group, one step of it a tick.
#include <cmath>
#include <cstring>

#include "rtinfer/native/actions.hpp"

namespace rtinfer::rt {
namespace {

struct Chosen {
  const MissStep* step;
  bool first_tick;  // of this step
};

// The step that is due in the `miss`-th miss in a row (1 is the first).
RT_TICK Chosen choose_step(const ActionGroup& group, uint32_t miss, bool pass_hold) noexcept {
  int64_t begin = 1;
  Chosen chosen{nullptr, false};
  for (uint32_t i = 0; i < group.step_count; ++i) {
    const MissStep& step = group.steps[i];
    const bool hold = static_cast<MissDo>(step.action) == MissDo::kHoldLast;
    if (hold && pass_hold && i + 1 < group.step_count) continue;
    chosen = {&step, int64_t{miss} == begin};
    if (step.ticks < 0 || int64_t{miss} < begin + step.ticks) return chosen;
    begin += step.ticks;
  }
  return chosen;  // past the end: the last step goes on
}

RT_TICK float towards(float from, float to, float reach) noexcept {
  const float gap = to - from;
  return gap > reach ? from + reach : (gap < -reach ? from - reach : to);
}

// What one group does; the values of its own channels start as those of the last action.
class GroupMiss {
 public:
  GroupMiss(const ActionTable& table, const ActionGroup& group, const Action* last,
            const float* measured, Action& action) noexcept
      : table_(table), group_(group), last_(last), measured_(measured), action_(action) {}

  RT_TICK bool apply(const Chosen& chosen) noexcept {
    switch (static_cast<MissDo>(chosen.step->action)) {
      case MissDo::kHoldLast:
        return last_ != nullptr || hold_measured(true);
      case MissDo::kHoldMeasured:
        return hold_measured(chosen.first_tick || last_ == nullptr);
      case MissDo::kDecelerate:
        return approach_zero(Channel::kVelocity, *chosen.step);
      case MissDo::kDamp:
        return damp(*chosen.step);
      case MissDo::kDefaultPose:
        return approach_default(*chosen.step);
      case MissDo::kZero:
        return zero();
    }
    return false;
  }

 private:
  RT_TICK float* values(Channel channel) noexcept {
    return action_.channel(channel) + group_.first;
  }

  RT_TICK bool hold_measured(bool latch) noexcept {
    if (!latch) return true;
    if (measured_ == nullptr) return last_ != nullptr;
    float* position = values(Channel::kPosition);
    for (uint32_t i = 0; i < group_.size; ++i) {
      if (!std::isfinite(measured_[i])) return last_ != nullptr;
      const Limits& limit = table_.limits[group_.first + i];
      position[i] = measured_[i] < limit.min   ? limit.min
                    : measured_[i] > limit.max ? limit.max
                                               : measured_[i];
    }
    return true;
  }

  RT_TICK bool approach_zero(Channel channel, const MissStep& step) noexcept {
    const float reach = static_cast<float>(step.rate * table_.period_s);
    float* value = values(channel);
    for (uint32_t i = 0; i < group_.size; ++i) value[i] = towards(value[i], 0.0f, reach);
    return true;
  }

  RT_TICK bool approach_default(const MissStep& step) noexcept {
    if (last_ == nullptr && !hold_measured(true)) return false;
    const float reach = static_cast<float>(step.rate * table_.period_s);
    float* position = values(Channel::kPosition);
    for (uint32_t i = 0; i < group_.size; ++i) {
      position[i] = towards(position[i], table_.default_pose[group_.first + i], reach);
    }
    return true;
  }

  // kp = 0 and a velocity of zero with gain kd: the joint brakes, and holds nothing.
  RT_TICK bool damp(const MissStep& step) noexcept {
    if (last_ == nullptr && measured_ != nullptr) hold_measured(true);
    for (uint32_t i = 0; i < group_.size; ++i) {
      values(Channel::kVelocity)[i] = 0.0f;
      values(Channel::kKp)[i] = 0.0f;
      values(Channel::kKd)[i] = static_cast<float>(step.kd);
      values(Channel::kTorque)[i] = 0.0f;
    }
    return true;
  }

  RT_TICK bool zero() noexcept {
    for (uint32_t i = 0; i < group_.size; ++i) {
      values(Channel::kPosition)[i] = 0.0f;
      values(Channel::kVelocity)[i] = 0.0f;
      values(Channel::kTorque)[i] = 0.0f;
    }
    return true;
  }

  const ActionTable& table_;
  const ActionGroup& group_;
  const Action* last_;
  const float* measured_;
  Action& action_;
};

RT_TICK void start_from_last(const ActionTable& table, const Action* last,
                             Action& action) noexcept {
  if (last != nullptr) {
    std::memcpy(action.values, last->values, size_t{kStoredChannels} * table.count * sizeof(float));
    return;
  }
  std::memset(action.values, 0, size_t{kStoredChannels} * table.count * sizeof(float));
  std::memcpy(action.channel(Channel::kKp), table.kp.data(), table.count * sizeof(float));
  std::memcpy(action.channel(Channel::kKd), table.kd.data(), table.count * sizeof(float));
}

RT_TICK void restore_gains(const ActionTable& table, const ActionGroup& group,
                           Action& action) noexcept {
  const size_t bytes = group.size * sizeof(float);
  std::memcpy(action.channel(Channel::kKp) + group.first, &table.kp[group.first], bytes);
  std::memcpy(action.channel(Channel::kKd) + group.first, &table.kd[group.first], bytes);
}

// What changed since the last action, for the acceleration limit of the ticks to come.
RT_TICK void note_steps(const ActionGroup& group, const Action* last, Action& action) noexcept {
  const float* now = action.channel(channel_of(group.kind)) + group.first;
  float* steps = action.channel(Channel::kStep) + group.first;
  const float* before = last == nullptr ? now : last->channel(channel_of(group.kind)) + group.first;
  const auto elapsed = static_cast<float>(last == nullptr ? 1 : action.tick - last->tick);
  for (uint32_t i = 0; i < group.size; ++i) steps[i] = (now[i] - before[i]) / elapsed;
}

}  // namespace

RT_TICK bool safe_action(const ActionTable& table, const Action* last, const Measured& measured,
                         bool stopped, Action& action) noexcept {
  start_from_last(table, last, action);
  bool all_held = true;
  for (const ActionGroup& group : table.groups) {
    const Chosen chosen = choose_step(group, action.miss_ticks, stopped);
    if (static_cast<MissDo>(chosen.step->action) != MissDo::kHoldLast) all_held = false;
    restore_gains(table, group, action);  // a step of damping before this one took them away
    if (!GroupMiss(table, group, last, measured.of(group), action).apply(chosen)) return false;
    note_steps(group, last, action);
  }
  // Where nothing was sent yet, "held" would be a lie: the pose held is the measured one.
  action.origin = all_held && last != nullptr ? Origin::kHeld : Origin::kSafe;
  action.ramp_left = last == nullptr ? 0 : last->ramp_left;
  action.flags = last == nullptr ? 0u : last->flags & kArming;
  return true;
}

}  // namespace rtinfer::rt
