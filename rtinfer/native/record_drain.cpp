// Merges the three parts of each record; a part that its thread never wrote leaves -1.
#include "rtinfer/native/record_drain.hpp"

#include <algorithm>

namespace rtinfer::rt {
namespace {

TickRecord merge(const LoopFile& file, uint64_t tick) {
  TickRecord record{};
  record.tick = tick;
  record.scheduled_ns = kAbsent;
  record.wakeup_ns = record.age_ns = record.assemble_ns = record.engine_ns = kAbsent;
  record.commit_ns = record.delivery_ns = record.watchdog_wakeup_ns = record.guard_ns = kAbsent;
  const Record& from = file.records[tick % kRecords];
  WatchPart watch;
  if (from.watch.read(watch) && watch.tick == tick) {
    record.scheduled_ns = watch.scheduled_ns;
    record.watchdog_wakeup_ns = watch.wakeup_ns;
    record.guard_ns = watch.guard_ns;
    record.commit_ns = watch.commit_ns;
    record.origin = static_cast<uint8_t>(watch.origin);
    record.health = static_cast<uint8_t>(watch.health);
    record.reason = static_cast<uint8_t>(watch.reason);
    record.flags = watch.flags;
  }
  TickPart part;
  if (from.tick.read(part) && part.tick == tick) {
    record.scheduled_ns = part.scheduled_ns;
    record.wakeup_ns = part.wakeup_ns;
    record.age_ns = part.age_ns;
    record.assemble_ns = part.assemble_ns;
    record.engine_ns = part.engine_ns;
    record.obs_seq = part.obs_seq;
    if (part.commit_ns != kAbsent) record.commit_ns = part.commit_ns;
  }
  SendPart send;
  if (from.send.read(send) && send.tick == tick) record.delivery_ns = send.delivery_ns;
  return record;
}

}  // namespace

void RecordDrain::drain(const LoopFile& file, std::vector<TickRecord>& out) {
  const uint64_t watched = file.watch_done.load(std::memory_order_acquire);  // partner: watchdog
  const uint64_t ticked = file.tick_done.load(std::memory_order_acquire);    // partner: tick thread
  const uint64_t sent = file.send_done.load(std::memory_order_acquire);      // partner: egress
  const uint64_t newest = std::max(watched, ticked);
  const uint64_t patience = newest > kRecords / 2 ? newest - kRecords / 2 : 0;
  // Egress sends within the tick; what it has not sent by the next ones it never will.
  const uint64_t egress = std::max(sent, newest > 4 ? newest - 4 : 0);
  const uint64_t complete = std::max(std::min({watched, ticked, egress}), patience);
  const uint64_t oldest = newest > kRecords - 64 ? newest - (kRecords - 64) : 1;
  if (next_ < oldest) {
    dropped_ += oldest - next_;
    next_ = oldest;
  }
  for (; next_ <= complete; ++next_) out.push_back(merge(file, next_));
}

}  // namespace rtinfer::rt
