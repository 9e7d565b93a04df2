// A block of 64-bit words that one thread writes and any number reads, without locks.
// After Boehm, "Can seqlocks get along with programming language memory models?" (2012): the words
// are atomics, so a torn read is detected, never undefined. The order lies in the words' own
// release and acquire (plain moves on x86) rather than in fences, which ThreadSanitizer cannot
// follow.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

template <typename T>
struct Seqlock {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0);
  static constexpr size_t kWords = sizeof(T) / 8;

  std::atomic<uint64_t> version{0};       // odd while being written; partner: read()
  std::atomic<uint64_t> words[kWords]{};  // partner: read()

  // Writes the first `bytes` of `value`. One writer only.
  RT_TICK void write(const T& value, size_t bytes = sizeof(T)) noexcept {
    const uint64_t v = version.load(std::memory_order_relaxed);
    version.store(v + 1, std::memory_order_relaxed);
    const auto* from = reinterpret_cast<const unsigned char*>(&value);
    for (size_t i = 0; i < (bytes + 7) / 8; ++i) {
      uint64_t word;
      std::memcpy(&word, from + 8 * i, 8);
      // partner: the acquire load in read(): who sees a new word sees the odd version too.
      words[i].store(word, std::memory_order_release);
    }
    version.store(v + 2, std::memory_order_release);  // partner: the first load in read()
  }

  // Copies the first `bytes` to `out`. False when a writer was at it meanwhile.
  RT_TICK bool read(T& out, size_t bytes = sizeof(T)) const noexcept {
    const uint64_t before = version.load(std::memory_order_acquire);  // partner: write()'s end
    if ((before & 1) != 0) return false;
    auto* to = reinterpret_cast<unsigned char*>(&out);
    for (size_t i = 0; i < (bytes + 7) / 8; ++i) {
      const uint64_t word = words[i].load(std::memory_order_acquire);  // partner: write()
      std::memcpy(to + 8 * i, &word, 8);
    }
    return version.load(std::memory_order_relaxed) == before;
  }
};

}  // namespace rtinfer::rt
