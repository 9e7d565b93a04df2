// Exactly one action a tick: two rings of slots, one 64-bit word {tick, slot}, one
// compare-and-swap. Fill first, then commit: whoever reads the word finds the slot complete.
#pragma once

#include <atomic>
#include <cstdint>

#include "rtinfer/native/action.hpp"
#include "rtinfer/native/seqlock.hpp"

namespace rtinfer::rt {

enum class Writer : uint32_t { kTick = 0, kWatchdog = 1 };
inline constexpr uint32_t kSlotsPerRing = 4;

constexpr uint64_t pack_word(uint64_t tick, uint32_t slot) noexcept {
  return tick << 8 | slot;
}
constexpr uint64_t tick_of(uint64_t word) noexcept {
  return word >> 8;
}
constexpr uint32_t slot_of(uint64_t word) noexcept {
  return static_cast<uint32_t>(word & 0xff);
}

// Lies in shared memory; 0 in `word` means that nothing was committed yet.
struct CommitArea {
  alignas(64) std::atomic<uint64_t> word;  // partner: commit() and read_committed()
  alignas(64) Seqlock<Action> slots[2 * kSlotsPerRing];
};

// One writer's way into the area. Each of the two threads owns one.
class Committer {
 public:
  Committer(CommitArea& area, Writer writer) noexcept
      : area_(area), base_(static_cast<uint32_t>(writer) * kSlotsPerRing) {}

  // True when `action` became the action of its tick; false when that tick already has one.
  RT_TICK bool commit(const Action& action) noexcept {
    const uint32_t slot = base_ + cursor_;
    area_.slots[slot].write(action, action_bytes(action.count));
    uint64_t seen = area_.word.load(std::memory_order_acquire);  // partner: the other writer's CAS
    // A second round only when the other writer committed an older tick between load and swap.
    while (tick_of(seen) < action.tick) {
      // partner: read_committed() and the other writer: the slot's words happen before the word.
      if (area_.word.compare_exchange_strong(seen, pack_word(action.tick, slot),
                                             std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
        cursor_ = (cursor_ + 1) % kSlotsPerRing;  // a committed slot stays whole for 3 more commits
        return true;
      }
    }
    return false;
  }

 private:
  CommitArea& area_;
  uint32_t base_;
  uint32_t cursor_ = 0;
};

// The newest action. False when there is none, or when it was overwritten four times in a row.
RT_TICK inline bool read_committed(const CommitArea& area, uint32_t count, Action& out) noexcept {
  for (int attempt = 0; attempt < 4; ++attempt) {
    const uint64_t word = area.word.load(std::memory_order_acquire);  // partner: commit()
    if (word == 0) return false;
    if (area.slots[slot_of(word)].read(out, action_bytes(count)) && out.tick == tick_of(word)) {
      return true;
    }
  }
  return false;
}

}  // namespace rtinfer::rt
