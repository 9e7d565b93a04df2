// Wakes egress after a commit: a counter, and a futex that is called only when somebody sleeps.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

class Notifier {
 public:
  RT_TICK void notify() noexcept {
    count_.fetch_add(1, std::memory_order_seq_cst);  // partner: wait(), which reads after sleeping_
    if (sleeping_.load(std::memory_order_seq_cst) != 0) {  // partner: wait(), which sets it first
      syscall(SYS_futex, futex_word(), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
    }
  }

  uint32_t count() const noexcept {
    return count_.load(std::memory_order_acquire);  // partner: notify(): the committed word is seen
  }

  // Sleeps until the count leaves `seen`, `until_ns` (CLOCK_MONOTONIC), or a signal.
  void wait(uint32_t seen, int64_t until_ns) noexcept {
    sleeping_.store(1, std::memory_order_seq_cst);         // partner: notify()
    if (count_.load(std::memory_order_seq_cst) == seen) {  // partner: notify()
      timespec until{};
      until.tv_sec = static_cast<time_t>(until_ns / 1'000'000'000);
      until.tv_nsec = static_cast<long>(until_ns % 1'000'000'000);
      // WAIT_BITSET takes an absolute time.
      syscall(SYS_futex, futex_word(), FUTEX_WAIT_BITSET_PRIVATE, seen, &until, nullptr,
              FUTEX_BITSET_MATCH_ANY);
    }
    sleeping_.store(0,
                    std::memory_order_relaxed);  // partner: notify(); a spare wake-up is harmless
  }

 private:
  uint32_t* futex_word() noexcept { return reinterpret_cast<uint32_t*>(&count_); }

  std::atomic<uint32_t> count_{0};     // partner: wait() and count()
  std::atomic<uint32_t> sleeping_{0};  // partner: notify()
};

}  // namespace rtinfer::rt
