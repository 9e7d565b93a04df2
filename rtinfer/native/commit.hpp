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

  // Fills the next own slot, then tries to move the word from `expected`, under which `action` was
  // made. False when the other writer was faster, for this tick or for the one before.
  RT_TICK bool commit(const Action& action, uint64_t expected) noexcept {
    if (tick_of(expected) >= action.tick) return false;
    const uint32_t slot = base_ + cursor_;
    area_.slots[slot].write(action, action_bytes(action.count));
    // partner: read_committed() and the other writer: the slot's words happen before the word.
    if (!area_.word.compare_exchange_strong(expected, pack_word(action.tick, slot),
                                            std::memory_order_acq_rel, std::memory_order_acquire)) {
      return false;
    }
    cursor_ = (cursor_ + 1) % kSlotsPerRing;  // a committed slot stays whole for 3 more commits
    return true;
  }

 private:
  CommitArea& area_;
  uint32_t base_;
  uint32_t cursor_ = 0;
};

// Copies the newest action and returns the word that names it: 0 when there is none yet, or when
// the slot was overwritten during each of four attempts (it would take four commits a copy).
RT_TICK inline uint64_t read_committed(const CommitArea& area, uint32_t count,
                                       Action& out) noexcept {
  for (int attempt = 0; attempt < 4; ++attempt) {
    const uint64_t word = area.word.load(std::memory_order_acquire);  // partner: commit()
    if (word == 0) return 0;
    if (area.slots[slot_of(word)].read(out, action_bytes(count)) && out.tick == tick_of(word)) {
      return word;
    }
  }
  return 0;
}

}  // namespace rtinfer::rt
