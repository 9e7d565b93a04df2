// Reads finished tick records out of a loop file: for the supervisor, and for whoever looks later.
#pragma once

#include <cstdint>
#include <vector>

#include "rtinfer/native/layout.hpp"

namespace rtinfer::rt {

// One tick, as users see it (rtinfer/records.py). A figure that does not exist is -1.
struct TickRecord {
  uint64_t tick;
  int64_t scheduled_ns;
  int64_t wakeup_ns;
  int64_t age_ns;
  int64_t assemble_ns;
  int64_t engine_ns;
  int64_t commit_ns;
  int64_t delivery_ns;
  uint64_t obs_seq;
  int64_t watchdog_wakeup_ns;
  int64_t guard_ns;
  uint8_t origin;
  uint8_t health;
  uint8_t reason;
  uint8_t pad;
  uint32_t flags;
};

class RecordDrain {
 public:
  // Appends what is complete since the last call. A tick is complete when all threads have passed
  // it; one that hangs is waited for until half of the ring is full.
  void drain(const LoopFile& file, std::vector<TickRecord>& out);
  uint64_t dropped() const noexcept { return dropped_; }

 private:
  uint64_t next_ = 1;
  uint64_t dropped_ = 0;
};

}  // namespace rtinfer::rt
