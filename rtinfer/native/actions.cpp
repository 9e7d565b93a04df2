// The action table, fixed at start from the configuration.
#include "rtinfer/native/actions.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace rtinfer::rt {
namespace {

constexpr float kUnlimited = std::numeric_limits<float>::infinity();
constexpr float kLeastAccel = 1e-30f;  // of a change a tick, which is divided by it

float at(const std::vector<double>& list, int64_t index, float otherwise, const std::string& what,
         const GroupSpec& spec) {
  if (list.empty()) return otherwise;
  if (static_cast<int64_t>(list.size()) != spec.size) {
    throw std::invalid_argument("group '" + spec.name + "': " + what + " has " +
                                std::to_string(list.size()) + " values, expected " +
                                std::to_string(spec.size));
  }
  return static_cast<float>(list[static_cast<size_t>(index)]);
}

ActionGroup make_group(const GroupSpec& spec, uint32_t first) {
  if (spec.on_miss.empty() || spec.on_miss.size() > kMaxMissSteps) {
    throw std::invalid_argument("group '" + spec.name + "': on_miss needs 1 to " +
                                std::to_string(kMaxMissSteps) + " steps");
  }
  ActionGroup group;
  group.kind = static_cast<GroupKind>(spec.kind);
  group.first = first;
  group.size = static_cast<uint32_t>(spec.size);
  group.refuse = spec.over == 1;
  group.measured_source = spec.measured_source;
  group.measured_start = spec.measured_start;
  group.step_count = static_cast<uint32_t>(spec.on_miss.size());
  for (size_t i = 0; i < spec.on_miss.size(); ++i) group.steps[i] = spec.on_miss[i];
  return group;
}

}  // namespace

ActionTable ActionTable::create(const LoopSpec& spec) {
  const int64_t count = spec.value_count();
  if (count < 1 || count > int64_t{kMaxValues}) {
    throw std::invalid_argument("loop '" + spec.name + "' has " + std::to_string(count) +
                                " action values, expected 1 to " + std::to_string(kMaxValues));
  }
  ActionTable table;
  table.count = static_cast<uint32_t>(count);
  table.blend_ticks = static_cast<uint32_t>(spec.blend_ticks);
  table.period_s = static_cast<double>(spec.period_ns) * 1e-9;
  uint32_t first = 0;
  for (const GroupSpec& group : spec.groups) {
    table.groups.push_back(make_group(group, first));
    for (int64_t i = 0; i < group.size; ++i) {
      const size_t v = first + static_cast<size_t>(i);
      table.scale[v] = at(group.scale, i, 1.0f, "scale", group);
      table.default_pose[v] = at(group.default_pose, i, 0.0f, "default_pose", group);
      // Only a position is relative to a pose.
      const bool position = group.kind == static_cast<int>(GroupKind::kPosition);
      table.offset[v] = position ? table.default_pose[v] : 0.0f;
      table.kp[v] = at(group.kp, i, 0.0f, "kp", group);
      table.kd[v] = at(group.kd, i, 0.0f, "kd", group);
      const float rate = at(group.rate, i, kUnlimited, "rate", group);
      const float accel = at(group.accel, i, kUnlimited, "accel", group);
      table.limits[v] = {
          at(group.min, i, -kUnlimited, "min", group), at(group.max, i, kUnlimited, "max", group),
          static_cast<float>(double{rate} * table.period_s),
          std::max(kLeastAccel,
                   static_cast<float>(double{accel} * table.period_s * table.period_s))};
    }
    first += static_cast<uint32_t>(group.size);
  }
  return table;
}

}  // namespace rtinfer::rt
