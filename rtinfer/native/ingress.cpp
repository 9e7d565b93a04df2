// Receiving. At most 64 frames a wake-up and source socket; a flood costs this thread its priority,
// never the tick its time.
#include "rtinfer/native/ingress.hpp"

#include <algorithm>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/realtime.hpp"

namespace rtinfer::rt {
namespace {

constexpr int kFramesPerWake = 64;
constexpr double kFramesPerTick = 20.0;  // what a sane robot sends at most, times its loops' rate
constexpr int kReceiveHighWater = 256;
constexpr int kMaxFrame = 16 * 1024 * 1024;

// One frame of a message; closes itself.
class Frame {
 public:
  explicit Frame(const ZmqApi& api) : api_(api) { api_.msg_init(&message_); }
  ~Frame() { api_.msg_close(&message_); }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  bool receive(void* socket) noexcept {
    return api_.msg_recv(&message_, socket, zmq::kDontWait) >= 0;
  }
  bool more() const noexcept { return api_.msg_more(&message_) != 0; }
  Bytes bytes() noexcept {
    return {static_cast<const std::byte*>(api_.msg_data(&message_)), api_.msg_size(&message_)};
  }
  std::string text() {
    return {static_cast<const char*>(api_.msg_data(&message_)), api_.msg_size(&message_)};
  }

 private:
  const ZmqApi& api_;
  ZmqMessage message_{};
};

double frames_per_second(const ServiceSpec& spec) {
  double rate = 0.0;
  for (const LoopSpec& loop : spec.loops) rate += 1e9 / static_cast<double>(loop.period_ns);
  return std::max(1000.0, kFramesPerTick * rate);
}

}  // namespace

bool TokenBucket::take(int64_t now_ns) noexcept {
  if (last_ns_ != 0) {
    tokens_ = std::min(burst_, tokens_ + rate_ * 1e-9 * static_cast<double>(now_ns - last_ns_));
  }
  last_ns_ = now_ns;
  if (tokens_ < 1.0) return false;
  tokens_ -= 1.0;
  return true;
}

Ingress::Ingress(ServiceParts& parts, const ZmqApi& api, Loader& loader, int wake_fd)
    : parts_(parts),
      loader_(loader),
      context_(api, parts.fifo ? kIngressPriority : 0),
      wake_fd_(wake_fd),
      budget_(frames_per_second(*parts.spec), 4.0 * kFramesPerWake) {
  const ServiceSpec& spec = *parts.spec;
  for (size_t i = 0; i < spec.sources.size(); ++i) {
    if (spec.sources[i].loop < 0) add_source(i);
  }
  control_ = context_.socket(zmq::kRouter);
  context_.bind(control_, spec.control_endpoint, "the control endpoint");
}

void Ingress::add_source(size_t index) {
  const SourceSpec& spec = parts_.spec->sources[index];
  const auto count = static_cast<size_t>(spec.value_count());
  sources_.push_back({FrameFormat::create(spec, parts_.spec->boot_id),
                      {},
                      mailbox_of(*parts_.sources[index]),
                      parts_.sources[index],
                      std::vector<float>(count),
                      std::vector<float>(count)});
  for (auto& loop : parts_.loops) {
    if (loop->plan.trigger == Trigger::kObservation && leading_source(loop->plan) == index) {
      sources_.back().starts.push_back(&loop->arrivals);
    }
  }
  const auto same = std::find_if(sockets_.begin(), sockets_.end(), [&](const Socket& socket) {
    return sources_[socket.sources.front()].format.spec.endpoint == spec.endpoint;
  });
  if (same != sockets_.end()) {
    same->sources.push_back(sources_.size() - 1);
    return;
  }
  void* socket = context_.socket(zmq::kSub);
  sockets_.push_back({socket, {sources_.size() - 1}});
  context_.set(socket, zmq::kReceiveHwm, kReceiveHighWater);
  // Everything is subscribed: a frame of a wrong topic is counted rather than never seen.
  const ZmqApi& api = context_.api();
  if (api.setsockopt(socket, zmq::kSubscribe, "", 0) != 0) {
    throw std::runtime_error("libzmq refused to subscribe");
  }
  const int64_t limit = kMaxFrame;
  api.setsockopt(socket, zmq::kMaxMessageSize, &limit, sizeof(limit));
  context_.bind(socket, spec.endpoint, "source '" + spec.name + "'");
}

Ingress::~Ingress() {
  for (Socket& socket : sockets_) context_.close(socket.handle);
  context_.close(control_);
}

void Ingress::run() {
  std::vector<ZmqPollItem> items;
  for (const Socket& socket : sockets_) items.push_back({socket.handle, 0, zmq::kPollIn, 0});
  items.push_back({control_, 0, zmq::kPollIn, 0});
  items.push_back({nullptr, wake_fd_, zmq::kPollIn, 0});
  bool more = false;
  while (!parts_.exit.load(std::memory_order_acquire)) {  // partner: Service::join
    context_.api().poll(items.data(), static_cast<int>(items.size()), more ? 0 : 1000);
    more = false;
    for (Socket& socket : sockets_) more = drain(socket) || more;
    serve_control();
  }
}

// Newest valid frame wins. True when frames may be left.
bool Ingress::drain(Socket& socket) {
  int count = 0;
  for (; count < kFramesPerWake; ++count) {
    Frame topic(context_.api());
    if (!topic.receive(socket.handle)) break;
    const int64_t now = monotonic_ns();
    keep_budget(socket, now);
    if (!topic.more()) {
      SourceFile& file = *sources_[socket.sources.front()].file;
      file.received.add();
      file.dropped[static_cast<size_t>(Drop::kMalformed)].add();
      continue;
    }
    Frame payload(context_.api());
    payload.receive(socket.handle);
    bool extra = payload.more();
    while (extra) {
      Frame rest(context_.api());
      if (!rest.receive(socket.handle)) break;
      extra = rest.more();
    }
    take_frame(socket, topic.bytes(), payload.bytes(), now);
  }
  for (const size_t index : socket.sources) {
    Source& source = sources_[index];
    if (!source.fresh) continue;
    source.mailbox.write(source.header, source.newest.data());
    for (Notifier* start : source.starts) start->notify();
    source.fresh = false;
  }
  return count == kFramesPerWake;
}

void Ingress::take_frame(Socket& socket, Bytes topic, Bytes payload, int64_t now) {
  SourceStamp stamp{};
  for (const size_t index : socket.sources) {
    Source& source = sources_[index];
    const bool last = index == socket.sources.back();
    Drop drop = decode_observation(source.format, topic, payload, now, stamp, source.values.data());
    if (drop == Drop::kTopic && !last) continue;
    source.file->received.add();
    SourceOrder::Result order;
    if (drop == Drop::kNone) {
      order = source.order.admit(stamp);
      drop = order.drop;
    }
    if (drop != Drop::kNone) {
      source.file->dropped[static_cast<size_t>(drop)].add();
      return;
    }
    source.file->accepted.add();
    if (order.gap) source.file->gaps.add();
    if (order.restarted) source.file->restarts.add();
    if (source.fresh) source.file->skipped.add();
    source.fresh = true;
    source.header = {stamp, now};
    source.values.swap(source.newest);
    return;
  }
}

// Over budget the thread goes on as an ordinary one, until the flood is over.
void Ingress::keep_budget(Socket& socket, int64_t now) {
  const bool within = budget_.take(now);
  if (!within && !demoted_) {
    sources_[socket.sources.front()].file->budget.add();
    set_other();
    demoted_ = true;
  } else if (within && demoted_ && budget_.half_full()) {
    if (parts_.fifo) set_fifo(kIngressPriority);
    demoted_ = false;
  }
}

// Requests are [verb, loop], replies [ok | error, text]; with or without a REQ's empty delimiter.
void Ingress::serve_control() {
  for (int i = 0; i < kFramesPerWake; ++i) {
    std::vector<std::string> frames;
    Frame frame(context_.api());
    if (!frame.receive(control_)) return;
    frames.push_back(frame.text());
    bool more = frame.more();
    while (more) {
      Frame next(context_.api());
      if (!next.receive(control_)) break;
      if (frames.size() < 8) frames.push_back(next.text());
      more = next.more();
    }
    const bool delimiter = frames.size() > 1 && frames[1].empty();
    const size_t first = delimiter ? 2 : 1;
    std::array<std::string, 2> reply{"error", "expected the frames verb, loop"};
    if (frames.size() == first + 2) reply = answer(frames[first], frames[first + 1]);
    if (frames.size() == first + 3) {
      reply = exchange(frames[first], frames[first + 1], frames[first + 2]);
    }
    const ZmqApi& api = context_.api();
    const int flags = zmq::kSendMore | zmq::kDontWait;
    api.send(control_, frames[0].data(), frames[0].size(), flags);
    if (delimiter) api.send(control_, "", 0, flags);
    api.send(control_, reply[0].data(), reply[0].size(), flags);
    api.send(control_, reply[1].data(), reply[1].size(), zmq::kDontWait);
  }
}

std::array<std::string, 2> Ingress::answer(const std::string& verb, const std::string& name) {
  if (verb == "status") return {"ok", status_json(parts_)};
  bool found = false;
  std::array<std::string, 2> reply{"ok", verb};
  for (auto& loop : parts_.loops) {
    if (!name.empty() && loop->spec->name != name) continue;
    found = true;
    std::array<std::string, 2> one = command(verb, *loop);
    if (one[0] != "ok") reply = one;
  }
  if (!found) return {"error", "no loop '" + name + "' in service '" + parts_.spec->name + "'"};
  return reply;
}

// Hands an engine image to the loader: [swap | shadow, loop, path]; an empty path ends a shadow.
std::array<std::string, 2> Ingress::exchange(const std::string& verb, const std::string& name,
                                             const std::string& path) {
  if (verb != "swap" && verb != "shadow") return {"error", "unknown verb '" + verb + "'"};
  for (size_t i = 0; i < parts_.loops.size(); ++i) {
    if (parts_.loops[i]->spec->name != name) continue;
    if (verb == "swap" && path.empty()) return {"error", "swap needs an engine image"};
    parts_.loops[i]->swap.set("waiting", "");
    loader_.submit({i, path, verb == "shadow"});
    return {"ok", verb};
  }
  return {"error", "no loop '" + name + "' in service '" + parts_.spec->name + "'"};
}

std::array<std::string, 2> Ingress::command(const std::string& verb, ServiceLoop& loop) {
  LoopFile& file = *loop.file;
  const std::string& name = loop.spec->name;
  if (verb == "stop") {
    file.stop_now.store(1, std::memory_order_relaxed);         // partner: TickCore::publish
    file.requests.fetch_or(kStop, std::memory_order_release);  // partner: WatchdogCore::act
    return {"ok", "stop"};
  }
  if (verb == "reset") {
    file.requests.fetch_or(kReset, std::memory_order_release);  // partner: WatchdogCore::act
    return {"ok", "reset"};
  }
  if (verb != "arm") {
    return {"error", "unknown verb '" + verb + "', expected arm, stop, reset or status"};
  }
  if (file.latched_stop.load(std::memory_order_relaxed) != 0) {
    return {"error", "loop '" + name + "' is stopped, expected READY; send reset first"};
  }
  if (file.armed_from.load(std::memory_order_relaxed) != kNever) return {"ok", "already armed"};
  if (static_cast<Health>(file.health.load(std::memory_order_relaxed)) != Health::kReady) {
    return {"error",
            "loop '" + name +
                "' is in INIT, expected READY; it has no valid observation yet, check that "
                "the sources are sending"};
  }
  file.requests.fetch_or(kArm, std::memory_order_release);  // partner: WatchdogCore::act
  return {"ok", "arm"};
}

}  // namespace rtinfer::rt
