// Running percentiles: how much earlier than the deadline the watchdog must wake (p99.9), and how
// long a worker takes at least (p1).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

// A decaying histogram of durations with 8 buckets per power of two: within 12.5 % of the truth.
class RunningTail {
 public:
  RT_TICK void add(int64_t ns) noexcept {
    ++buckets_[bucket(ns)];
    if (++count_ >= kHalveAt) halve();
  }

  // The upper edge of the bucket that holds p99.9; 0 before kMinimum samples.
  RT_TICK int64_t p999_ns() const noexcept {
    if (count_ < kMinimum) return 0;
    uint32_t above = count_ / 1000;
    for (size_t i = kBuckets; i-- > 0;) {
      if (buckets_[i] > above) return upper_edge(i);
      above -= buckets_[i];
    }
    return 0;
  }

  // The lower edge of the bucket that holds p1; 0 before kMinimum samples.
  RT_TICK int64_t p1_ns() const noexcept {
    if (count_ < kMinimum) return 0;
    uint32_t below = count_ / 100;
    for (size_t i = 0; i < kBuckets; ++i) {
      if (buckets_[i] > below) return i == 0 ? 0 : upper_edge(i - 1);
      below -= buckets_[i];
    }
    return 0;
  }

 private:
  static constexpr size_t kBuckets = 8 * 40;
  static constexpr uint32_t kMinimum = 256;
  static constexpr uint32_t kHalveAt = 65536;

  static size_t bucket(int64_t ns) noexcept {
    if (ns < 8) return 0;
    const auto value = static_cast<uint64_t>(ns);
    const auto power = static_cast<size_t>(std::bit_width(value)) - 1;  // >= 3
    const size_t index = 8 * (power - 3) + ((value >> (power - 3)) & 7);
    return index < kBuckets ? index : kBuckets - 1;
  }

  static int64_t upper_edge(size_t index) noexcept {
    return static_cast<int64_t>((8 + index % 8 + 1) << (index / 8));
  }

  RT_TICK void halve() noexcept {
    count_ = 0;
    for (uint32_t& bucket : buckets_) count_ += bucket /= 2;
  }

  std::array<uint32_t, kBuckets> buckets_{};
  uint32_t count_ = 0;
};

}  // namespace rtinfer::rt
