// The file <loop>.worker: what a tick thread and the worker of its engine share in memory.
// One request is under way at most: a worker that is late is asked again only after it answered.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rtinfer/native/layout.hpp"

namespace rtinfer::rt {

inline constexpr uint64_t kWorkerMagic = 0x314b524f57545230;  // "0RTWORK1"
inline constexpr size_t kHashBytes = 32;

enum RequestFlag : uint32_t {
  kAcceptPrevious = 1,  // the run before this one counts: recurrent state moves on first
  kResetState = 2,      // recurrent state to zero first
};

enum class AnswerCode : uint32_t { kDone, kFailed, kRestarted };

struct WorkerFile {
  std::atomic<uint64_t> magic;  // set last; partner: WorkerPort::WorkerPort (acquire)
  uint32_t version;
  uint32_t loop_pid;
  uint64_t file_bytes;
  uint32_t input_words;  // of 8 bytes each
  uint32_t output_words;
  uint8_t engine_hash[kHashBytes];

  // Owned by the tick thread.
  alignas(64) std::atomic<uint32_t> asked;  // newest request, a futex; partner: WorkerPort::wait
  std::atomic<uint32_t> flags;              // RequestFlag bits; partner: WorkerPort::wait
  std::atomic<uint32_t> tick_sleeps;        // partner: WorkerPort::publish
  Counter asks;
  Counter answers;       // in time
  Counter late;          // not in time
  Counter busy;          // ticks in which a late request was still under way, or nobody was there
  Counter errors;        // the worker said that its engine failed
  Counter torn;          // answers that changed while they were read
  Counter state_losses;  // recurrent state that went with a worker

  // Owned by the worker.
  alignas(64) std::atomic<uint32_t> answered;  // a futex; partner: WorkerEngine::wait_for_answer
  std::atomic<uint32_t> worker_sleeps;         // partner: WorkerEngine::ask
  std::atomic<uint32_t> generation;            // workers so far; partner: WorkerEngine::meet
  std::atomic<uint32_t> worker_pid;            // partner: readers; no order needed
  std::atomic<int64_t> beat_ns;     // when the worker last was in wait(); partner: the supervisor
  std::atomic<uint64_t> answering;  // odd while an answer is written; partner: WorkerEngine::take
  // Followed by the input words, the answer's head (request | AnswerCode << 32), the output words.
};

// partner: each side writes its own words and reads the other's; asked and answering order them.
using SharedWord = std::atomic<uint64_t>;
static_assert(sizeof(SharedWord) == 8 && SharedWord::is_always_lock_free);

inline size_t worker_file_bytes(size_t input_words, size_t output_words) noexcept {
  return sizeof(WorkerFile) + 8 * (input_words + 1 + output_words);
}
inline SharedWord* input_words(WorkerFile& file) noexcept {
  return reinterpret_cast<SharedWord*>(&file + 1);
}

RT_TICK inline void copy_out(const std::byte* from, SharedWord* to, size_t words) noexcept {
  for (size_t i = 0; i < words; ++i) {
    uint64_t word;
    std::memcpy(&word, from + 8 * i, 8);
    to[i].store(word, std::memory_order_release);  // partner: copy_in
  }
}
RT_TICK inline void copy_in(const SharedWord* from, std::byte* to, size_t words) noexcept {
  for (size_t i = 0; i < words; ++i) {
    const uint64_t word = from[i].load(std::memory_order_acquire);  // partner: copy_out
    std::memcpy(to + 8 * i, &word, 8);
  }
}

// The futex lies in a shared file, so these are not the private ones.
RT_TICK inline void wake_shared(std::atomic<uint32_t>& word) noexcept {  // partner: sleep_on
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}
// Sleeps while `word` is `seen`, until `until_ns` (CLOCK_MONOTONIC) at the latest.
RT_TICK inline void sleep_on(std::atomic<uint32_t>& word, uint32_t seen,  // partner: wake_shared
                             int64_t until_ns) noexcept {
  timespec until{};
  until.tv_sec = static_cast<time_t>(until_ns / 1'000'000'000);
  until.tv_nsec = static_cast<long>(until_ns % 1'000'000'000);
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_BITSET, seen, &until, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

}  // namespace rtinfer::rt
