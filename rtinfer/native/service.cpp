// The life of a service: check, map, bind, warm up, start, wait, stop in the safe action, join.
#include "rtinfer/native/service.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <thread>

#include "rtinfer/native/egress.hpp"
#include "rtinfer/native/fault_engine.hpp"
#include "rtinfer/native/ingress.hpp"
#include "rtinfer/native/loop_plan.hpp"
#include "rtinfer/native/realtime.hpp"
#include "rtinfer/native/signals.hpp"
#include "rtinfer/native/systemd.hpp"
#include "rtinfer/native/threads.hpp"

namespace rtinfer::rt {
namespace {

constexpr int64_t kStartDelay_ns = 20'000'000;  // from ready to tick 0
constexpr int kWarmUpRuns = 20;

// Of some runs that warm it up, none of them accepted.
int64_t slowest_run_ns(const Engine& engine) {
  int64_t slowest = 0;
  for (int i = 0; i < 2 * kWarmUpRuns; ++i) {
    const int64_t start = monotonic_ns();
    engine.run(engine.self, EngineCall{});
    if (i >= kWarmUpRuns) slowest = std::max(slowest, monotonic_ns() - start);
  }
  engine.reset(engine.self);
  return slowest;
}

class Service {
 public:
  Service(const ServiceSpec& spec, const std::vector<Engine>& engines,
          const std::vector<Engine>& fallbacks);
  ~Service();
  void run();

 private:
  void check() const;
  void take_rights();
  void map_sources();
  void map_loop(const LoopSpec& spec, Engine engine, Engine fallback);
  void connect(ServiceLoop& loop);
  void warm_up();
  void start();
  void wait_for_the_end();
  bool ticking();
  void stop_safely();
  void join();
  void say(const std::string& line) const;

  const ServiceSpec& spec_;
  ServiceParts parts_;
  std::vector<std::unique_ptr<FaultEngine>> faults_;
  ZmqApi api_{};
  Systemd systemd_;
  std::vector<uint64_t> settled_;
  int wake_fd_ = -1;
  int end_fd_ = -1;
  int latency_fd_ = -1;
  Loader loader_{parts_};
  std::optional<Egress> egress_;
  std::optional<Ingress> ingress_;
  std::vector<std::thread> sleepers_;  // tick threads and watchdogs
  std::vector<std::thread> others_;
};

Service::Service(const ServiceSpec& spec, const std::vector<Engine>& engines,
                 const std::vector<Engine>& fallbacks)
    : spec_(spec) {
  parts_.spec = &spec;
  check();
  if (engines.size() != spec.loops.size() || fallbacks.size() != spec.loops.size()) {
    throw std::invalid_argument("each loop needs one engine");
  }
  wake_fd_ = eventfd(0, EFD_CLOEXEC);
  end_fd_ = take_signals();

  api_ = ZmqApi::load(spec.libzmq);
  take_rights();
  map_sources();
  for (size_t i = 0; i < spec.loops.size(); ++i) map_loop(spec.loops[i], engines[i], fallbacks[i]);
  for (auto& loop : parts_.loops) connect(*loop);
  egress_.emplace(parts_, api_);
  ingress_.emplace(parts_, api_, loader_, wake_fd_);
  warm_up();
}

Service::~Service() {
  ignore_end();  // a second SIGTERM while leaving changes nothing
  for (const int fd : {wake_fd_, end_fd_, latency_fd_}) {
    if (fd >= 0) close(fd);
  }
}

void Service::check() const {
  if (spec_.loops.empty()) throw std::invalid_argument("a service needs at least one loop");
  if (spec_.boot_id.size() != 16) throw std::invalid_argument("the boot id needs 16 bytes");
  for (const LoopSpec& loop : spec_.loops) {
    if (loop.core >= 0 && !may_use(loop.core)) {
      throw std::invalid_argument("loop '" + loop.name + "': core " + std::to_string(loop.core) +
                                  " is not among the cores this process may use");
    }
  }
  for (const SinkSpec& sink : spec_.sinks) {
    if (sink.loop < 0 || sink.loop >= static_cast<int64_t>(spec_.loops.size())) {
      throw std::invalid_argument("sink " + sink.endpoint + " names no loop");
    }
  }
}

// Asks for what real time needs; goes on without, and says so in every result.
void Service::take_rights() {
  parts_.fifo = set_fifo(kIngressPriority);
  set_other();  // the main thread only waits; each thread asks for its own class
  const bool locked = lock_memory();
  latency_fd_ = hold_cpu_latency();
  sharpen_timers();
  parts_.fifo = parts_.fifo && locked;
  // An ordinary thread that is pinned cannot flee a busy core: without real-time rights none is.
  // With them, everything but the tick threads lives on the cores that no tick thread has.
  std::vector<int> cores;
  for (const LoopSpec& loop : spec_.loops) cores.push_back(loop.core);
  if (parts_.fifo) leave_cores(cores);
}

void Service::map_sources() {
  for (const SourceSpec& source : spec_.sources) {
    if (source.loop >= 0) {
      parts_.sources.push_back(nullptr);
      continue;
    }
    const std::string path = spec_.runtime_dir + "/" + source.name + ".source";
    parts_.source_mappings.push_back(
        std::make_unique<SharedFile>(SharedFile::create(path, source_file_bytes(source))));
    auto* file = static_cast<SourceFile*>(parts_.source_mappings.back()->data());
    init_source_file(*file, source);
    parts_.sources.push_back(file);
  }
}

void Service::map_loop(const LoopSpec& spec, Engine engine, Engine fallback) {
  auto loop = std::make_unique<ServiceLoop>();
  loop->spec = &spec;
  loop->plan = make_loop_plan(spec, spec_.sources);
  loop->plan.best_effort = !parts_.fifo;
  const std::string path = spec_.runtime_dir + "/" + spec.name + ".loop";
  loop->mapping = std::make_unique<SharedFile>(SharedFile::create(path, sizeof(LoopFile)));
  loop->file = static_cast<LoopFile*>(loop->mapping->data());
  loop->file->pid = static_cast<uint32_t>(getpid());
  loop->file->epoch = spec_.epoch;
  std::memcpy(loop->file->boot_id, spec_.boot_id.data(), sizeof(loop->file->boot_id));
  init_loop_file(*loop->file, spec, spec_.sources, loop->plan);
  if (!spec_.engine_faults.empty()) {
    const auto index = static_cast<int64_t>(parts_.loops.size());
    faults_.push_back(std::make_unique<FaultEngine>(engine, spec, index, spec_.engine_faults));
    engine = faults_.back()->engine();
  }
  loop->bound = bind_engine(spec, spec_.sources, engine);
  if (fallback.run != nullptr) loop->fallback = bind_fallback(spec, spec_.sources, fallback);
  parts_.loops.push_back(std::move(loop));
}

// Gives the loop its sources: mailboxes, and the actions of loops that exist by now.
void Service::connect(ServiceLoop& loop) {
  for (size_t i = 0; i < spec_.sources.size(); ++i) {
    const SourceSpec& spec = spec_.sources[i];
    LoopSource& source = loop.plan.sources[i];
    if (spec.loop < 0) {
      source.mailbox = mailbox_of(*parts_.sources[i]);
      continue;
    }
    const ServiceLoop& upstream = *parts_.loops.at(static_cast<size_t>(spec.loop));
    if (source.value_count != upstream.plan.actions.count) {
      throw std::invalid_argument("source '" + spec.name + "' has " +
                                  std::to_string(source.value_count) + " values, expected the " +
                                  std::to_string(upstream.plan.actions.count) + " of loop '" +
                                  upstream.spec->name + "'");
    }
    source.upstream = &upstream.file->commits;
    source.upstream_actions = &upstream.plan.actions;
    source.upstream_epoch = spec_.epoch;
  }
}

// Touches weights and code paths. No run is accepted, so recurrent state stays at zero.
void Service::warm_up() {
  for (auto& loop : parts_.loops) {
    const Engine& engine = loop->bound.engine;
    for (int i = 0; i < kWarmUpRuns; ++i) engine.run(engine.self, EngineCall{});
    engine.reset(engine.self);
    if (loop->fallback) loop->fallback_ns = slowest_run_ns(loop->fallback->engine);
  }
}

void Service::run() {
  start();
  say("ready");
  systemd_.say("READY=1\nMAINPID=" + std::to_string(getpid()));
  wait_for_the_end();
  systemd_.say("STOPPING=1");
  stop_safely();
  join();
}

// The threads are made with signals blocked, so that none of their sleeps ends early.
void Service::start() {
  sigset_t signals, before;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  const int64_t t0 = monotonic_ns() + kStartDelay_ns;
  for (auto& loop : parts_.loops) {
    loop->plan.grid.base_ns = t0;
    loop->file->t0_ns = t0;
    loop->file->grid.write(loop->plan.grid);
  }
  others_.emplace_back([this] {
    name_thread("rtinfer-egress");
    touch_stack();
    if (parts_.fifo) set_fifo(kEgressPriority);
    egress_->run();
  });
  others_.emplace_back([this] {
    name_thread("rtinfer-ingress");
    touch_stack();
    if (parts_.fifo) set_fifo(kIngressPriority);
    ingress_->run();
  });
  others_.emplace_back([this] { loader_.run(); });
  for (auto& loop : parts_.loops) {
    ServiceLoop* one = loop.get();
    sleepers_.emplace_back([this, one] { watchdog_thread(parts_, *one); });
    sleepers_.emplace_back([this, one] { tick_thread(parts_, *one); });
  }
  sigdelset(&before, SIGTERM);  // whoever started us may have held it back until now
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Service::wait_for_the_end() {
  pollfd items[2] = {{end_fd_, POLLIN, 0}, {spec_.supervisor_fd, POLLIN, 0}};
  while (true) {
    const nfds_t count = items[1].fd >= 0 ? 2 : 1;
    const int ready = poll(items, count, systemd_.watchdog_ms());
    if (ready == 0 && ticking()) systemd_.say("WATCHDOG=1");
    if (ready <= 0) continue;
    if ((items[0].revents & POLLIN) != 0) return;
    if (count == 2 && items[1].revents != 0) {
      // The supervisor is gone. The loop keeps its cadence unless the configuration says otherwise.
      if (!spec_.keep_without_supervisor) return;
      items[1].fd = -1;
    }
  }
}

// Whether every loop's watchdog has settled a tick since the last call: what systemd is told is
// alive.
bool Service::ticking() {
  bool all = true;
  settled_.resize(parts_.loops.size());
  for (size_t i = 0; i < parts_.loops.size(); ++i) {
    const LoopFile& file = *parts_.loops[i]->file;
    const uint64_t settled = file.watch_done.load(std::memory_order_acquire);  // partner: watchdog
    if (settled == settled_[i]) all = false;
    settled_[i] = settled;
  }
  return all;
}

// Each armed loop sends one safe action before its threads end.
void Service::stop_safely() {
  int64_t longest = 0;
  for (auto& loop : parts_.loops) {
    loop->file->stop_now.store(1, std::memory_order_relaxed);         // partner: TickCore::publish
    loop->file->requests.fetch_or(kStop, std::memory_order_release);  // partner: WatchdogCore::act
    longest = std::max(longest, loop->spec->period_ns);
  }
  const int64_t give_up = monotonic_ns() + 3 * longest + 100'000'000;
  for (auto& loop : parts_.loops) {
    Action last;
    while (monotonic_ns() < give_up) {
      const bool armed = loop->file->armed_from.load(std::memory_order_acquire) != kNever;
      if (!armed && loop->file->latched_stop.load(std::memory_order_relaxed) != 0) break;
      if (read_committed(loop->file->commits, loop->file->value_count, last) != 0 &&
          (last.flags & kStopped) != 0 &&
          loop->file->send_done.load(std::memory_order_acquire) >= last.tick) {  // partner: egress
        break;
      }
      sleep_until_ns(monotonic_ns() + 500'000);
    }
  }
}

void Service::join() {
  parts_.exit.store(true, std::memory_order_release);  // partner: every thread's loop
  for (std::thread& thread : sleepers_) {
    pthread_kill(thread.native_handle(), SIGUSR1);
    thread.join();
  }
  parts_.exit_egress.store(true, std::memory_order_release);  // partner: Egress::run
  parts_.committed.notify();
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
  loader_.end();
  for (std::thread& thread : others_) thread.join();
}

void Service::say(const std::string& line) const {
  if (spec_.ready_fd < 0) return;
  const std::string text = line + "\n";
  [[maybe_unused]] const ssize_t written = write(spec_.ready_fd, text.data(), text.size());
  close(spec_.ready_fd);
}

}  // namespace

std::string serve(const ServiceSpec& spec, const std::vector<Engine>& engines,
                  const std::vector<Engine>& fallbacks) {
  try {
    Service(spec, engines, fallbacks).run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace rtinfer::rt
