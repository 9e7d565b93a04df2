// Time in nanoseconds: CLOCK_MONOTONIC, or a virtual clock that a replay or a test moves.
#pragma once

#include <time.h>

#include <cstdint>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

RT_TICK inline int64_t monotonic_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // vDSO: no syscall
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// What the pure parts read time from. Only the threads of a service ever sleep.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t now_ns() const noexcept = 0;
};

class MonotonicClock final : public Clock {
 public:
  RT_TICK int64_t now_ns() const noexcept override { return monotonic_ns(); }
};

class VirtualClock final : public Clock {
 public:
  int64_t now_ns() const noexcept override { return now_; }
  void set_ns(int64_t now) noexcept { now_ = now; }

 private:
  int64_t now_ = 0;
};

}  // namespace rtinfer::rt
