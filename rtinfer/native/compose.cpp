// compose_action: scale, gate, ramp, rate limit; one straight line over the values of each group.
#include <bit>
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
RT_TICK uint32_t ramp_left(const ActionTable& table, const Action* last, bool known) noexcept {
  if (table.blend_ticks == 0 || !known) return 0;
  if (last == nullptr) return table.blend_ticks;
  if (last->origin == Origin::kSafe && (last->flags & kGood) == 0) return table.blend_ticks;
  const bool held = (last->flags & kGood) == 0;  // a held tick does not advance the ramp
  return held || last->ramp_left == 0 ? last->ramp_left : last->ramp_left - 1;
}

}  // namespace

RT_TICK Reason compose_action(const ActionTable& table, const BoundEngine& bound,
                              const Action* last, const Measured& measured,
                              Action& action) noexcept {
  uint32_t flags = kGood;
  uint32_t left = 0;
  const uint64_t elapsed = last == nullptr ? 1 : action.tick - last->tick;
  for (size_t g = 0; g < table.groups.size(); ++g) {
    const ActionGroup& group = table.groups[g];
    const float* from = nullptr;
    const bool known = start_values(group, last, measured, from);
    const uint32_t group_left = ramp_left(table, last, known);
    left = group_left > left ? group_left : left;
    float* out = action.channel(channel_of(group.kind)) + group.first;
    const std::byte* output = bound.engine.block + bound.outputs[g];
    for (uint32_t i = 0; i < group.size; ++i) {
      const uint32_t v = group.first + i;
      float raw;
      std::memcpy(&raw, output + size_t{i} * sizeof(float), sizeof(float));
      const float wanted = raw * table.scale[v] + table.offset[v];
      if (!finite(wanted)) return Reason::kNonFinite;
      const Limits& limit = table.limits[v];
      float value = clamp(wanted, limit.min, limit.max);
      bool over = value != wanted;
      if (known) {
        // Linear to the policy's value: each tick covers an equal part of what is left.
        if (group_left > 0)
          value = from[i] + (value - from[i]) / static_cast<float>(group_left + 1);
        const float reach = limit.rate_per_tick * static_cast<float>(elapsed);
        const float limited = clamp(value, from[i] - reach, from[i] + reach);
        over = over || limited != value;
        value = clamp(limited, limit.min, limit.max);
      }
      if (over) flags |= kClipped;
      if (over && group.refuse) return Reason::kOverLimit;
      if (!finite(value)) return Reason::kNonFinite;
      out[i] = value;
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
