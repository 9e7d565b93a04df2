// The newest observation of one source: ingress writes, every tick thread and watchdog reads.
// Four slots, so that a reader is disturbed only when four observations arrive while it copies.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rtinfer/native/action.hpp"
#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

inline constexpr uint32_t kMailboxSlots = 4;

struct ObservationHeader {
  SourceStamp stamp;
  int64_t received_ns;
};

// Lies in shared memory, followed by the slots' values: kMailboxSlots * value_words words of 64
// bits.
struct MailboxArea {
  alignas(64)
      std::atomic<uint64_t> newest;  // arrivals so far; slot = (newest - 1) % 4. partner: read()
  struct Slot {
    std::atomic<uint64_t> version;  // odd while being written; partner: read()
    std::atomic<uint64_t> header[sizeof(ObservationHeader) / 8];  // partner: read(), under version
  } slots[kMailboxSlots];
};

class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(MailboxArea* area, std::atomic<uint64_t>* words, uint32_t value_count) noexcept
      : area_(area), words_(words), value_count_(value_count) {}

  static constexpr size_t value_words(uint32_t value_count) noexcept {
    return (size_t{value_count} * sizeof(float) + 7) / 8;
  }

  // `values` holds value_count floats. One writer only.
  void write(const ObservationHeader& header, const float* values) noexcept;

  // Copies the newest observation. False when none came yet. `values` may be null: the header only.
  RT_TICK bool read(ObservationHeader& header, float* values) const noexcept;

 private:
  MailboxArea* area_ = nullptr;
  std::atomic<uint64_t>* words_ = nullptr;  // partner: read() and write(), under the slot's version
  uint32_t value_count_ = 0;
};

}  // namespace rtinfer::rt
