// A whole schedule of steps and arrivals on the virtual clock, and what left in each tick.
#pragma once

#include <cstdint>
#include <vector>

#include "rtinfer/native/virtual_loop.hpp"

namespace rtinfer::rt {

// One observation as it reaches the loop.
struct Arrival {
  size_t source = 0;
  SourceStamp stamp{};
  const float* values = nullptr;
};

struct ScheduledStep {
  VirtualLoop::Step step;
  size_t arrivals_end = 0;  // arrivals before this one have come when the tick begins
};

// What became of one tick.
struct PlayedTick {
  int64_t committed = 0;
  int64_t seq = 0;
  int64_t scheduled_ns = 0;
  int64_t stamp_ns = 0;
  int64_t origin = 0;
  int64_t health = 0;  // after the tick
  int64_t reason = 0;
  int64_t flags = 0;
  int64_t session = 0;  // the arming that it belongs to
};

struct Played {
  std::vector<PlayedTick> ticks;
  std::vector<SourceStamp> sources;  // of each tick's action, source after source
  std::vector<float> values;         // of each tick's action, each group's own channel
  std::vector<int64_t> drops;        // of each arrival, as Drop
};

Played play(VirtualLoop& loop, const std::vector<ScheduledStep>& steps,
            const std::vector<Arrival>& arrivals);

}  // namespace rtinfer::rt
