// The observation mailbox: a seqlock per slot, and a counter that names the newest slot.
#include "rtinfer/native/mailbox.hpp"

namespace rtinfer::rt {
namespace {

constexpr size_t kHeaderWords = sizeof(ObservationHeader) / 8;

// partner: load_bytes(), with acquire: who sees a new word sees the slot's odd version too.
RT_TICK void store_bytes(std::atomic<uint64_t>* words, const void* from, size_t bytes) noexcept {
  const auto* source = static_cast<const unsigned char*>(from);
  for (size_t done = 0; done < bytes; done += 8) {
    uint64_t word = 0;
    std::memcpy(&word, source + done, bytes - done < 8 ? bytes - done : 8);
    words[done / 8].store(word, std::memory_order_release);
  }
}

// partner: store_bytes(), with release.
RT_TICK void load_bytes(void* to, const std::atomic<uint64_t>* words, size_t bytes) noexcept {
  auto* target = static_cast<unsigned char*>(to);
  for (size_t done = 0; done < bytes; done += 8) {
    const uint64_t word = words[done / 8].load(std::memory_order_acquire);
    std::memcpy(target + done, &word, bytes - done < 8 ? bytes - done : 8);
  }
}

}  // namespace

void Mailbox::write(const ObservationHeader& header, const float* values) noexcept {
  const uint64_t arrivals = area_->newest.load(std::memory_order_relaxed);
  const size_t index = arrivals % kMailboxSlots;
  MailboxArea::Slot& slot = area_->slots[index];
  const uint64_t version = slot.version.load(std::memory_order_relaxed);
  slot.version.store(version + 1, std::memory_order_relaxed);
  store_bytes(slot.header, &header, sizeof(header));
  store_bytes(words_ + index * value_words(value_count_), values, value_count_ * sizeof(float));
  slot.version.store(version + 2, std::memory_order_release);    // partner: read()
  area_->newest.store(arrivals + 1, std::memory_order_release);  // partner: read()
}

RT_TICK bool Mailbox::read(ObservationHeader& header, float* values) const noexcept {
  static_assert(kHeaderWords * 8 == sizeof(ObservationHeader));
  for (int attempt = 0; attempt < 4; ++attempt) {
    const uint64_t arrivals = area_->newest.load(std::memory_order_acquire);  // partner: write()
    if (arrivals == 0) return false;
    const size_t index = (arrivals - 1) % kMailboxSlots;
    const MailboxArea::Slot& slot = area_->slots[index];
    const uint64_t before = slot.version.load(std::memory_order_acquire);  // partner: write()
    if ((before & 1) != 0) continue;
    load_bytes(&header, slot.header, sizeof(header));
    if (values != nullptr) {
      load_bytes(values, words_ + index * value_words(value_count_), value_count_ * sizeof(float));
    }
    // partner: store_bytes(), whose release came after the odd version.
    if (slot.version.load(std::memory_order_relaxed) == before) return true;
  }
  return false;
}

}  // namespace rtinfer::rt
