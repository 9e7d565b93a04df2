// Sleeping, spinning, sending. PUB never blocks: a slow subscriber loses old actions, nobody else
// does.
#include "rtinfer/native/egress.hpp"

#include <algorithm>
#include <limits>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/realtime.hpp"

namespace rtinfer::rt {
namespace {

constexpr int kSendHighWater = 64;        // per subscriber; older actions have expired anyway
constexpr int64_t kIdle_ns = 50'000'000;  // how long a sleep lasts when nothing is committed

}  // namespace

Egress::Egress(ServiceParts& parts, const ZmqApi& api)
    : parts_(parts), context_(api, parts.fifo ? kEgressPriority : 0), views_(parts.loops.size()) {
  for (const SinkSpec& spec : parts.spec->sinks) {
    ServiceLoop& loop = *parts.loops.at(static_cast<size_t>(spec.loop));
    void* socket = context_.socket(zmq::kPub);
    sinks_.push_back({static_cast<size_t>(spec.loop), socket,
                      ActionFrame(spec, loop.plan.actions, loop.plan.sources.size())});
    context_.set(socket, zmq::kSendHwm, kSendHighWater);
    context_.bind(socket, spec.endpoint, "sink");
  }
}

Egress::~Egress() {
  for (Sink& sink : sinks_) context_.close(sink.socket);
}

void Egress::run() noexcept {
  while (true) {
    // Read before the words: what was committed before the end is sent before the end.
    const bool ending = parts_.exit_egress.load(std::memory_order_acquire);  // partner: join
    const uint32_t seen = parts_.committed.count();
    bool any = false;
    for (size_t loop = 0; loop < views_.size(); ++loop) any = forward(loop) || any;
    if (any) continue;  // another commit may have come meanwhile
    if (ending) return;
    wait(seen);
  }
}

// Sends the newest action of `loop`, if it is new.
bool Egress::forward(size_t loop) noexcept {
  LoopFile& file = *parts_.loops[loop]->file;
  LoopView& view = views_[loop];
  const uint64_t word = file.commits.word.load(std::memory_order_acquire);  // partner: Committer
  if (tick_of(word) <= view.tick) return false;
  if (read_committed(file.commits, file.value_count, view.action) == 0) return false;
  if (view.action.tick <= view.tick) return false;
  for (Sink& sink : sinks_) {
    if (sink.loop == loop) send(sink, view);
  }
  const int64_t now = monotonic_ns();
  const int64_t delivery = now - view.action.scheduled_ns;
  file.unsent.add(view.action.seq - view.seq - 1);
  file.sent.add();
  file.records[view.action.tick % kRecords].send.write({view.action.tick, delivery});
  file.send_done.store(view.action.tick, std::memory_order_release);  // partner: RecordDrain
  const int64_t offset = view.action.stamp_ns - view.action.scheduled_ns;
  view.offset_ns += (offset - view.offset_ns) / 16;
  send_tail_.add(now - view.action.stamp_ns);
  // partner: the watchdog thread, which adds it to its guard.
  parts_.send_tail_ns.store(send_tail_.p999_ns(), std::memory_order_relaxed);
  view.tick = view.action.tick;
  view.seq = view.action.seq;
  return true;
}

void Egress::send(Sink& sink, LoopView& view) noexcept {
  sink.frame.patch(view.action);
  const ZmqApi& api = context_.api();
  const std::string& topic = sink.frame.topic();
  const std::vector<unsigned char>& payload = sink.frame.payload();
  const bool sent =
      api.send(sink.socket, topic.data(), topic.size(), zmq::kSendMore | zmq::kDontWait) >= 0 &&
      api.send(sink.socket, payload.data(), payload.size(), zmq::kDontWait) >= 0;
  if (!sent) parts_.loops[sink.loop]->file->send_errors.add();
}

// When the next commit is due, going by the last one.
int64_t Egress::next_commit_ns() const noexcept {
  int64_t next = std::numeric_limits<int64_t>::max();
  for (size_t loop = 0; loop < views_.size(); ++loop) {
    const LoopView& view = views_[loop];
    if (view.tick == 0) continue;
    Grid grid;
    if (!parts_.loops[loop]->file->grid.read(grid)) continue;
    next = std::min(next, grid.scheduled_ns(view.tick + 1) + view.offset_ns);
  }
  return next;
}

// Sleeps on the futex; with `egress_spin_us` it wakes just before the next commit is due and spins,
// which hides the way from one core to the other.
void Egress::wait(uint32_t seen) noexcept {
  const int64_t now = monotonic_ns();
  const int64_t spin = parts_.spec->egress_spin_ns;
  const int64_t due = spin > 0 ? next_commit_ns() : std::numeric_limits<int64_t>::max();
  if (due == std::numeric_limits<int64_t>::max() || due + spin <= now) {
    parts_.committed.wait(seen, now + kIdle_ns);
    return;
  }
  if (due - spin > now) parts_.committed.wait(seen, std::min(due - spin, now + kIdle_ns));
  while (parts_.committed.count() == seen && monotonic_ns() < due + spin) {
    if (monotonic_ns() < due - spin) return;  // a long period: sleep on
  }
}

}  // namespace rtinfer::rt
