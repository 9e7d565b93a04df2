// The files of the runtime directory, as they lie in memory: <loop>.loop and <source>.source.
// Written by the loop process, read by supervisors and clients, also after the process died.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "rtinfer/native/cadence.hpp"
#include "rtinfer/native/commit.hpp"
#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/health.hpp"
#include "rtinfer/native/mailbox.hpp"

namespace rtinfer::rt {

inline constexpr uint64_t kLoopMagic = 0x31504f4f4c545230;    // "0RTLOOP1"
inline constexpr uint64_t kSourceMagic = 0x3143524f53545230;  // "0RTSORC1"
inline constexpr uint32_t kLayoutVersion = 3;
inline constexpr uint32_t kRecords = 4096;  // ticks of history
inline constexpr uint32_t kRecoveries = 64;
inline constexpr size_t kNameBytes = 64;
inline constexpr int64_t kAbsent = -1;  // a figure that does not exist

// A number that one thread counts and anyone may read.
struct Counter {
  std::atomic<uint64_t> value;  // partner: readers of the file, who need no order between counters
  RT_TICK void add(uint64_t n = 1) noexcept {
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t get() const noexcept { return value.load(std::memory_order_relaxed); }
};

// The record of a tick is written in three parts, each by the thread that knows it.
struct TickPart {
  uint64_t tick;
  int64_t scheduled_ns;
  uint64_t obs_seq;
  int64_t wakeup_ns;
  int64_t age_ns;
  int64_t assemble_ns;
  int64_t engine_ns;
  int64_t commit_ns;  // -1: did not commit
  uint32_t flags;     // ActionFlag bits of a committed action
  Reason reason;      // why it did not commit
  uint8_t pad[3];
};

struct WatchPart {
  uint64_t tick;
  int64_t scheduled_ns;
  int64_t wakeup_ns;
  int64_t guard_ns;
  int64_t commit_ns;  // -1: did not commit
  uint32_t flags;
  Origin origin;  // of the action that the tick got, whoever committed it
  Health health;
  Reason reason;
  uint8_t pad;
};

struct SendPart {
  uint64_t tick;
  int64_t delivery_ns;
};

struct Record {
  Seqlock<TickPart> tick;
  Seqlock<WatchPart> watch;
  Seqlock<SendPart> send;
};

struct LoopFile {
  uint64_t magic;
  uint32_t version;
  uint32_t pid;
  uint64_t file_bytes;
  uint64_t epoch;
  uint8_t boot_id[16];
  int64_t t0_ns;
  int64_t period_ns;
  int64_t deadline_ns;
  uint32_t value_count;
  uint32_t source_count;
  uint32_t best_effort;
  uint32_t reserved;
  char name[kNameBytes];
  char sources[kMaxSources][kNameBytes];

  Seqlock<Grid> grid;  // written by the tick thread once the loop runs

  CommitArea commits;

  // Published by the watchdog for the tick thread and for status readers.
  alignas(64) std::atomic<uint64_t> armed_from;  // partner: TickCore::finish (acquire)
  std::atomic<uint32_t> session;                 // partner: TickCore::begin, under armed_from
  std::atomic<uint32_t> health;                  // partner: readers; no order needed
  std::atomic<uint32_t> latched_stop;            // partner: ingress and readers; no order needed
  // Set by ingress at once, cleared by the watchdog on reset. partner: TickCore::finish
  std::atomic<uint32_t> stop_now;
  // Bits that ingress sets and the watchdog takes. partner: WatchdogCore::act
  std::atomic<uint32_t> requests;
  std::atomic<uint32_t> stopped_safely;  // set once a safe action left after stop; partner: service

  // Progress, for whoever drains the records.
  alignas(64) std::atomic<uint64_t> tick_current;  // the tick thread is in it; partner: watchdog
  std::atomic<uint64_t> tick_done;                 // partner: RecordDrain (acquire)
  alignas(64) std::atomic<uint64_t> watch_done;    // partner: RecordDrain (acquire)
  alignas(64) std::atomic<uint64_t> send_done;     // partner: RecordDrain (acquire)

  // Owned by the watchdog.
  alignas(64) Counter by_origin[kOrigins];
  Counter by_reason[kReasons];
  Counter lost;
  Counter recoveries_total;
  Seqlock<Recovery> recoveries[kRecoveries];
  // Owned by the tick thread.
  alignas(64) Counter skipped;
  Counter late_results;  // a result that came after the watchdog had acted
  Counter clipped;
  Counter resets;  // recurrent state was zeroed
  Counter swaps;   // engines taken over from the loader
  Counter shadow_runs;
  Counter shadow_passed;            // ticks with no time left for the candidate
  Counter shadow_nonfinite;         // values that the gate would have refused
  std::atomic<double> shadow_max;   // largest difference of a value; partner: status readers
  std::atomic<double> shadow_mean;  // running mean of the largest in each tick; partner: the same
  Seqlock<EngineHash> engine;       // what serves
  // With trigger = "phase": mean age of what ticks took, before and since the lock.
  std::atomic<int64_t> age_unlocked_ns;  // partner: readers; no order needed
  std::atomic<int64_t> age_locked_ns;    // partner: readers; no order needed
  std::atomic<uint32_t> phase_locked;    // partner: readers; no order needed
  // Owned by egress.
  alignas(64) Counter sent;
  Counter unsent;  // actions that were overwritten before egress saw them
  Counter send_errors;

  Record records[kRecords];
};

enum Request : uint32_t { kArm = 1, kStop = 2, kReset = 4 };

// Why a frame was not taken. The order is that of kDropNames.
enum class Drop : uint32_t {
  kNone,
  kSize,
  kTopic,
  kVersion,
  kMalformed,
  kShape,
  kDtype,
  kNonFinite,
  kStale,
  kFuture,
  kOldSeq,
  kRetiredEpoch,
  kForeignClock,
};
inline constexpr size_t kDrops = 13;
inline constexpr const char* kDropNames[kDrops] = {
    "none",      "size",  "topic",  "version", "malformed",     "shape",        "dtype",
    "nonfinite", "stale", "future", "old_seq", "retired_epoch", "foreign_clock"};

struct SourceFile {
  uint64_t magic;
  uint32_t version;
  uint32_t value_count;
  uint64_t file_bytes;
  char name[kNameBytes];
  MailboxArea mailbox;
  // Owned by ingress.
  alignas(64) Counter received;
  Counter accepted;
  Counter skipped;   // valid, but a newer one came in the same wake-up
  Counter gaps;      // jumps in seq
  Counter restarts;  // new epochs
  Counter budget;    // times ingress gave up its priority
  Counter dropped[kDrops];
  // Followed by Mailbox::value_words(value_count) * kMailboxSlots words.
};

}  // namespace rtinfer::rt
