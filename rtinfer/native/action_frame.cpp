// Patching: integers big-endian as msgpack has them, values little-endian as they lie in memory.
#include "rtinfer/native/action_frame.hpp"

#include <cstring>
#include <stdexcept>

namespace rtinfer::rt {
namespace {

constexpr const char* kChannelNames[kChannels] = {"position", "velocity", "kp", "kd", "torque"};

}  // namespace

ActionFrame::ActionFrame(const SinkSpec& sink, const ActionTable& table, size_t source_count)
    : topic_(sink.topic),
      payload_(sink.payload.begin(), sink.payload.end()),
      lease_ns_(sink.lease_ns),
      seq_(at(sink, "seq", 8)),
      tick_(at(sink, "tick", 8)),
      stamp_ns_(at(sink, "stamp_ns", 8)),
      valid_until_ns_(at(sink, "valid_until_ns", 8)),
      origin_(at(sink, "origin", 1)),
      health_(at(sink, "health", 1)),
      flags_(at(sink, "flags", 4)),
      engine_(at(sink, "engine", 32)) {
  for (size_t i = 0; i < source_count; ++i) {
    const std::string prefix = "source." + std::to_string(i);
    if (!sink.offsets.contains(prefix + ".epoch")) continue;  // not read by this loop
    sources_.push_back({i, at(sink, prefix + ".epoch", 8), at(sink, prefix + ".seq", 8),
                        at(sink, prefix + ".stamp_ns", 8)});
  }
  for (size_t g = 0; g < table.groups.size(); ++g) {
    const ActionGroup& group = table.groups[g];
    for (uint32_t channel = 0; channel < kChannels; ++channel) {
      const std::string key = "group." + std::to_string(g) + "." + kChannelNames[channel];
      if (!sink.offsets.contains(key)) continue;
      const size_t offset = at(sink, key, group.size * sizeof(float));
      values_.push_back({offset, channel * table.count + group.first, group.size});
    }
  }
}

size_t ActionFrame::at(const SinkSpec& sink, const std::string& key, size_t bytes) const {
  const auto found = sink.offsets.find(key);
  if (found == sink.offsets.end()) {
    throw std::invalid_argument("the action template of " + sink.endpoint + " has no '" + key +
                                "'");
  }
  if (found->second < 0 || static_cast<size_t>(found->second) + bytes > payload_.size()) {
    throw std::invalid_argument("the action template of " + sink.endpoint + " has '" + key +
                                "' at byte " + std::to_string(found->second) + " of " +
                                std::to_string(payload_.size()));
  }
  return static_cast<size_t>(found->second);
}

void ActionFrame::put(size_t offset, uint64_t value, size_t bytes) noexcept {
  for (size_t i = 0; i < bytes; ++i) {
    payload_[offset + i] = static_cast<unsigned char>(value >> (8 * (bytes - 1 - i)));
  }
}

void ActionFrame::patch(const Action& action) noexcept {
  put(seq_, action.seq, 8);
  put(tick_, action.tick, 8);
  put(stamp_ns_, static_cast<uint64_t>(action.stamp_ns), 8);
  put(valid_until_ns_, static_cast<uint64_t>(action.stamp_ns + lease_ns_), 8);
  put(origin_, static_cast<uint64_t>(action.origin), 1);
  put(health_, action.health, 1);
  put(flags_, action.flags, 4);
  std::memcpy(payload_.data() + engine_, action.engine, sizeof(action.engine));
  for (const Source& source : sources_) {
    const SourceStamp& stamp = action.sources[source.index];
    put(source.epoch, stamp.epoch, 8);
    put(source.seq, stamp.seq, 8);
    put(source.stamp_ns, static_cast<uint64_t>(stamp.stamp_ns), 8);
  }
  for (const Values& values : values_) {
    std::memcpy(payload_.data() + values.offset, action.values + values.first,
                values.size * sizeof(float));
  }
}

}  // namespace rtinfer::rt
