// compose_action: scale, gate, ramp, rate limit; one straight line over the values of each group.
#include <bit>
#include <cmath>
#include <cstring>

#include "rtinfer/native/actions.hpp"

namespace rtinfer::rt {
namespace {

RT_TICK bool finite(float value) noexcept {
  return (std::bit_cast<uint32_t>(value) & 0x7f800000u) != 0x7f800000u;
}

RT_TICK float clamp(float value, float low, float high) noexcept {
  return value < low ? low : (value > high ? high : value);
}

// The value that this group's change is counted from: what was sent last, else the measured pose,
// else (velocity, torque) standstill. False for a position of which nothing is known.
RT_TICK bool start_values(const ActionGroup& group, const Action* last, const Measured& measured,
                          const float*& from) noexcept {
  static constexpr float kStandstill[kMaxValues] = {};
  if (last != nullptr) {
    from = last->channel(channel_of(group.kind)) + group.first;
    return true;
  }
  if (group.kind != GroupKind::kPosition) {
    from = kStandstill;
    return true;
  }
  from = measured.of(group);
  return from != nullptr;
}

// How many more ticks blend towards the policy after this one.
RT_TICK uint32_t ramp_left(const ActionTable& table, const Action* last, bool blend) noexcept {
  if (last == nullptr || blend) return table.blend_ticks;
  if (last->origin == Origin::kSafe && (last->flags & kGood) == 0) return table.blend_ticks;
  const bool held = (last->flags & kGood) == 0;  // a held tick does not advance the ramp
  return held || last->ramp_left == 0 ? last->ramp_left : last->ramp_left - 1;
}

// The longest step a tick towards a target at `distance` from which braking by `accel` a tick still
// stops there, when it is kept for n ticks: n s + (s - a) + ... + (s - k a) <= distance with k
// whole steps of braking, so s = (distance + a k (k + 1) / 2) / (n + k), where k is the largest
// number for which s = k a is still short enough.
RT_TICK float braking_step(float distance, float accel, float ticks) noexcept {
  const float odd = 2 * ticks - 1;
  const float k = std::floor((std::sqrt(odd * odd + 8 * distance / accel) - odd) / 2);
  return (distance + accel * k * (k + 1) / 2) / (ticks + k);
}

// Moves from `from` towards `wanted`, in limits of rate and acceleration. `step` is the last change
// a tick, and becomes the new one.
RT_TICK float limited_move(float from, float wanted, const Limits& limit, float elapsed,
                           float& step) noexcept {
  const float reach = limit.rate_per_tick * elapsed;
  float move = clamp(wanted - from, -reach, reach);
  if (finite(limit.accel_per_tick2)) {
    const float accel = limit.accel_per_tick2;
    const float brake = braking_step(std::fabs(wanted - from), accel, elapsed) * elapsed;
    move = clamp(move, -brake, brake);
    move = clamp(move, (step - accel * elapsed) * elapsed, (step + accel * elapsed) * elapsed);
  }
  step = move / elapsed;
  // Without a limit in the way the value is the wanted one to the last bit.
  return move == wanted - from ? wanted : from + move;
}

// What a group's values are made from in this tick.
struct GroupStart {
  const float* from;   // null: nothing is known, the policy's value goes out as it is
  const float* steps;  // the last change of each value; null: at rest
  uint32_t ramp_left;
  float elapsed;  // ticks since `from`
};

// Gates one value. False when it must not leave.
RT_TICK bool gate_value(const ActionTable& table, const GroupStart& start, uint32_t v, uint32_t i,
                        float raw, float& value, float& step, bool& over) noexcept {
  const float wanted = raw * table.scale[v] + table.offset[v];
  if (!finite(wanted)) return false;
  const Limits& limit = table.limits[v];
  value = clamp(wanted, limit.min, limit.max);
  over = value != wanted;
  step = 0.0f;
  if (start.from == nullptr) return true;
  const float from = start.from[i];
  // Linear to the policy's value: each tick covers an equal part of what is left.
  if (start.ramp_left > 0) value = from + (value - from) / static_cast<float>(start.ramp_left + 1);
  if (start.steps != nullptr) step = start.steps[i];
  const float limited = limited_move(from, value, limit, start.elapsed, step);
  over = over || limited != value;
  value = clamp(limited, limit.min, limit.max);
  return finite(value);
}

}  // namespace

RT_TICK Reason compose_action(const ActionTable& table, const BoundEngine& bound,
                              const Action* last, const Measured& measured, bool blend,
                              Action& action) noexcept {
  uint32_t flags = kGood;
  uint32_t left = 0;
  const auto elapsed = static_cast<float>(last == nullptr ? 1 : action.tick - last->tick);
  for (size_t g = 0; g < table.groups.size(); ++g) {
    const ActionGroup& group = table.groups[g];
    GroupStart start{nullptr, nullptr, 0, elapsed};
    if (start_values(group, last, measured, start.from)) {
      start.ramp_left = ramp_left(table, last, blend);
    }
    if (last != nullptr) start.steps = last->channel(Channel::kStep) + group.first;
    left = start.ramp_left > left ? start.ramp_left : left;
    float* out = action.channel(channel_of(group.kind)) + group.first;
    float* steps = action.channel(Channel::kStep) + group.first;
    const std::byte* output = bound.engine.block + bound.outputs[g];
    for (uint32_t i = 0; i < group.size; ++i) {
      float raw;
      std::memcpy(&raw, output + size_t{i} * sizeof(float), sizeof(float));
      bool over = false;
      if (!gate_value(table, start, group.first + i, i, raw, out[i], steps[i], over)) {
        return Reason::kNonFinite;
      }
      if (over && group.refuse) return Reason::kOverLimit;
      if (over) flags |= kClipped;
    }
    std::memcpy(action.channel(Channel::kKp) + group.first, &table.kp[group.first],
                group.size * sizeof(float));
    std::memcpy(action.channel(Channel::kKd) + group.first, &table.kd[group.first],
                group.size * sizeof(float));
  }
  const bool arming = left > 0 && (last == nullptr || (last->flags & kArming) != 0);
  action.ramp_left = left;
  action.flags = flags | (left > 0 ? kRamp : 0u) | (arming ? kArming : 0u);
  action.origin = arming ? Origin::kSafe : Origin::kPolicy;
  action.reason = Reason::kNone;
  action.miss_ticks = 0;
  return Reason::kNone;
}

}  // namespace rtinfer::rt
