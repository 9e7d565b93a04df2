// What an action is: values, where they came from, and what they were made of.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rtinfer::rt {

inline constexpr uint32_t kMaxValues = 128;     // action values of one loop
inline constexpr uint32_t kMaxSources = 8;      // sources of one loop
inline constexpr uint32_t kChannels = 5;        // on the wire
inline constexpr uint32_t kStoredChannels = 6;  // in a slot: the change of each value as well

enum class Channel : uint32_t { kPosition, kVelocity, kKp, kKd, kTorque, kStep };
enum class Origin : uint8_t { kNone, kPolicy, kChunk, kHeld, kFallback, kSafe };
inline constexpr size_t kOrigins = 6;

// Why a tick got no policy action.
enum class Reason : uint8_t {
  kNone,
  kLate,
  kNoObservation,
  kStale,
  kNonFinite,
  kOverLimit,
  kSkipped,
  kStopped,
  kLost,
  kEngineError,
  kRestart,  // a source restarted while the loop was armed
};
inline constexpr size_t kReasons = 11;

enum ActionFlag : uint32_t {
  kGood = 1,         // a valid policy result before the deadline
  kRamp = 2,         // blended from what went out before
  kClipped = 4,      // a limit was applied
  kLate = 8,         // committed after the deadline
  kStopped = 16,     // after `stop`
  kBestEffort = 32,  // the service runs without real-time rights
  kArming = 64,      // the ramp after `arm`
};

struct SourceStamp {
  uint64_t epoch;
  uint64_t seq;
  int64_t stamp_ns;
};

// One action as it stands in a slot. The first `6 * count` values are in use, channel after
// channel.
struct Action {
  uint64_t tick;
  uint64_t seq;  // actions committed since the start, this one included
  int64_t scheduled_ns;
  int64_t stamp_ns;  // when it was filled, just before the commit
  uint32_t flags;
  uint32_t ramp_left;   // ticks until the policy alone decides
  uint32_t miss_ticks;  // misses in a row, this one included; 0 when good
  uint32_t session;     // the arming it belongs to
  Origin origin;
  uint8_t health;
  Reason reason;
  uint8_t reserved;
  uint32_t count;
  uint64_t engine[4];  // hash of the engine that serves (SHA-256, as its bytes lie in memory)
  SourceStamp sources[kMaxSources];
  float values[kStoredChannels * kMaxValues];

  float* channel(Channel which) noexcept { return values + static_cast<uint32_t>(which) * count; }
  const float* channel(Channel which) const noexcept {
    return values + static_cast<uint32_t>(which) * count;
  }
};

// Bytes of an action of `count` values that are worth copying.
constexpr size_t action_bytes(uint32_t count) noexcept {
  return offsetof(Action, values) + size_t{kStoredChannels} * count * sizeof(float);
}

}  // namespace rtinfer::rt
