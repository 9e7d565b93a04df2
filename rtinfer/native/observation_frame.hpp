// From two ZeroMQ frames to a valid observation, or the reason why not. docs/wire.md is the schema.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "rtinfer/native/action.hpp"
#include "rtinfer/native/layout.hpp"
#include "rtinfer/native/msgpack.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

inline constexpr uint64_t kWireSchema = 1;
inline constexpr uint64_t kClockMonotonic = 1;
inline constexpr int64_t kFutureTolerance_ns =
    1'000'000;  // stamps of another core may be ahead a bit

// What a source's frames must look like; fixed at start.
struct FrameFormat {
  SourceSpec spec;
  std::array<uint8_t, 16> boot_id{};
  size_t max_bytes = 0;

  static FrameFormat create(const SourceSpec& spec, const std::string& boot_id);
};

// Decodes into `stamp` and `values` (format.spec.value_count() floats). Stateless.
Drop decode_observation(const FrameFormat& format, Bytes topic, Bytes payload, int64_t now,
                        SourceStamp& stamp, float* values) noexcept;

// Epoch and sequence of one source: what was seen, what is never taken again.
class SourceOrder {
 public:
  struct Result {
    Drop drop = Drop::kNone;
    bool restarted = false;
    bool gap = false;
  };
  Result admit(const SourceStamp& stamp) noexcept;

 private:
  static constexpr size_t kRetired = 16;
  uint64_t epoch_ = 0;
  uint64_t seq_ = 0;
  bool started_ = false;
  std::array<uint64_t, kRetired> retired_{};
  size_t retired_count_ = 0;
};

}  // namespace rtinfer::rt
