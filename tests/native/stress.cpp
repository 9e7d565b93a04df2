// The shared memory of a service at full rate: mailbox, commit area, notifier and records under the
// threads that use them, and a worker's file beside them. Nobody waits for a grid here.
//
//   stress [SECONDS]   (2 unless given; `make soak` runs it for long, plain and under TSan)
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/layout.hpp"
#include "rtinfer/native/notifier.hpp"
#include "rtinfer/native/realtime.hpp"
#include "rtinfer/native/record_drain.hpp"
#include "rtinfer/native/worker_engine.hpp"
#include "rtinfer/native/worker_port.hpp"
#include "tests/native/check.hpp"

using namespace rtinfer::rt;

namespace {

constexpr uint32_t kCount = 29;               // values of an action
constexpr uint32_t kValues = 48;              // of an observation
constexpr int64_t kPause_ns = 200'000;        // long enough for egress to fall asleep
constexpr int64_t kHang_ns = 20'000'000'000;  // a wake-up that takes this long was lost
constexpr size_t kWorkerFloats = 64;

double seconds = 2.0;

// What stops the threads, and what they have to say in the end.
struct Run {
  std::atomic<bool> over{false};  // partner: every thread here but egress
  std::atomic<bool> last{false};  // nobody commits any more; partner: egress
  int64_t end_ns = monotonic_ns() + static_cast<int64_t>(seconds * 1e9);

  bool lasts() const { return monotonic_ns() < end_ns; }
};

// Now and then a thread is somewhere else, as on a machine with other work.
class Moods {
 public:
  explicit Moods(uint32_t seed) : random_(seed) {}
  void have_one() {
    const uint32_t mood = static_cast<uint32_t>(random_()) % 4096;
    if (mood == 0) sleep_until_ns(monotonic_ns() + kPause_ns);
    if (mood < 32) std::this_thread::yield();
  }

 private:
  std::minstd_rand random_;
};

// Every value says the tick and who made it.
float mark_of(uint64_t tick, Writer writer) {
  return static_cast<float>(tick % 100'000) + (writer == Writer::kTick ? 0.25f : 0.5f);
}

bool whole(const Action& action) {
  const float* values = action.values;
  for (uint32_t i = 1; i < kStoredChannels * kCount; ++i) {
    if (values[i] != values[0]) return false;
  }
  return values[0] == mark_of(action.tick, Writer::kTick) ||
         values[0] == mark_of(action.tick, Writer::kWatchdog);
}

// One loop's memory, its threads, and their own counts.
struct Loop {
  std::unique_ptr<LoopFile> file = std::make_unique<LoopFile>();
  MailboxArea area{};
  std::vector<std::atomic<uint64_t>> words =
      std::vector<std::atomic<uint64_t>>(kMailboxSlots * Mailbox::value_words(kValues));
  Mailbox mailbox{&area, words.data(), kValues};
  Notifier committed;
  uint64_t observations = 0;
  std::array<uint64_t, 2> won{};
  uint64_t sent = 0;
  uint64_t unsent = 0;
  uint64_t last_sent = 0;
  uint64_t drained = 0;
  uint64_t dropped = 0;
};

void ingress(Loop& loop, const Run& run) {
  std::array<float, kValues> values{};
  Moods moods(1);
  for (uint64_t seq = 1; !run.over.load(std::memory_order_acquire); ++seq) {
    values.fill(static_cast<float>(seq % 100'000));
    loop.mailbox.write({{1, seq, 0}, 0}, values.data());
    loop.observations = seq;
    moods.have_one();
  }
}

void look_at_mailbox(const Loop& loop, uint64_t& last) {
  ObservationHeader header{};
  std::array<float, kValues> values{};
  if (!loop.mailbox.read(header, values.data())) return;
  CHECK(header.stamp.seq >= last);
  last = header.stamp.seq;
  for (const float value : values) CHECK(value == static_cast<float>(last % 100'000));
}

// Makes the action of `tick` from the newest one, as both cores do.
bool provide(Loop& loop, Committer& committer, Writer writer, uint64_t tick) {
  Action last{};
  Action action{};
  for (int attempt = 0; attempt < 2; ++attempt) {
    const bool any = loop.file->commits.word.load() != 0;  // partner: Committer::commit
    const uint64_t word = read_committed(loop.file->commits, kCount, last);
    // It takes three commits in each of four copies to keep a reader from the newest action.
    CHECK(word != 0 || !any);
    if (word != 0) CHECK(whole(last));
    if (tick_of(word) >= tick) return false;
    action.tick = tick;
    action.seq = word != 0 ? last.seq + 1 : 1;
    action.count = kCount;
    for (uint32_t i = 0; i < kStoredChannels * kCount; ++i) {
      action.values[i] = mark_of(tick, writer);
    }
    if (committer.commit(action, word)) return true;
  }
  return false;
}

bool is_figure(int64_t figure, uint64_t tick, int64_t factor) {
  return figure == kAbsent || figure == factor * static_cast<int64_t>(tick);
}

// The part that the tick thread may be writing at this moment, as WatchdogCore::why_missing reads
// it.
void look_at_part(const LoopFile& file, uint64_t tick) {
  TickPart part;
  if (!file.records[tick % kRecords].tick.read(part)) return;
  CHECK(is_figure(part.wakeup_ns, part.tick, 1));
  CHECK(is_figure(part.engine_ns, part.tick, 2));
}

// Both threads want every tick; each writes its part of the record, with figures that follow from
// the tick.
void commit_ticks(Loop& loop, const Run& run, Writer writer) {
  LoopFile& file = *loop.file;
  Committer committer(file.commits, writer);
  Moods moods(2 + static_cast<uint32_t>(writer));
  uint64_t seen = 0;
  uint64_t done = 0;
  while (!run.over.load(std::memory_order_acquire)) {
    look_at_mailbox(loop, seen);
    // partner: Committer::commit; this is the test's grid
    const uint64_t tick = std::max(done, tick_of(file.commits.word.load())) + 1;
    const bool won = provide(loop, committer, writer, tick);
    loop.won[static_cast<size_t>(writer)] += won ? 1 : 0;
    const auto figure = static_cast<int64_t>(tick);
    if (writer == Writer::kTick) {
      TickPart part{};
      part.tick = tick;
      part.wakeup_ns = figure;
      part.engine_ns = 2 * figure;
      part.commit_ns = kAbsent;
      file.records[tick % kRecords].tick.write(part);
      file.tick_done.store(tick, std::memory_order_release);  // partner: RecordDrain
    } else {
      look_at_part(file, tick);
      look_at_part(file, tick + 1);
      WatchPart part{};
      part.tick = tick;
      part.wakeup_ns = 3 * figure;
      part.guard_ns = 4 * figure;
      file.records[tick % kRecords].watch.write(part);
      file.watch_done.store(tick, std::memory_order_release);  // partner: RecordDrain
    }
    if (won) loop.committed.notify();
    done = tick;
    moods.have_one();
  }
}

// As Egress::run; a sleep has no end here but the one that betrays a lost wake-up.
void egress(Loop& loop, const Run& run) {
  LoopFile& file = *loop.file;
  Action action{};
  uint64_t last_tick = 0;
  while (true) {
    const bool last = run.last.load(std::memory_order_acquire);  // before the look, not after
    const uint32_t count = loop.committed.count();
    const uint64_t word = file.commits.word.load(std::memory_order_acquire);  // partner: commit()
    if (tick_of(word) > last_tick && read_committed(file.commits, kCount, action) != 0) {
      CHECK(whole(action));
      CHECK(action.tick > last_tick);
      CHECK(action.seq > loop.last_sent);
      loop.unsent += action.seq - loop.last_sent - 1;
      ++loop.sent;
      loop.last_sent = action.seq;
      last_tick = action.tick;
      file.records[last_tick % kRecords].send.write(
          {last_tick, 5 * static_cast<int64_t>(last_tick)});
      file.send_done.store(last_tick, std::memory_order_release);  // partner: RecordDrain
      continue;
    }
    if (last) return;
    const int64_t asleep_ns = monotonic_ns();
    loop.committed.wait(count, asleep_ns + kHang_ns);
    CHECK(monotonic_ns() - asleep_ns < kHang_ns);
  }
}

void drain(Loop& loop, const Run& run) {
  RecordDrain drainer;
  std::vector<TickRecord> records;
  uint64_t last = 0;
  while (!run.over.load(std::memory_order_acquire)) {
    records.clear();
    drainer.drain(*loop.file, records);
    for (const TickRecord& record : records) {
      CHECK(record.tick > last);
      last = record.tick;
      CHECK(is_figure(record.wakeup_ns, record.tick, 1));
      CHECK(is_figure(record.engine_ns, record.tick, 2));
      CHECK(is_figure(record.watchdog_wakeup_ns, record.tick, 3));
      CHECK(is_figure(record.guard_ns, record.tick, 4));
      CHECK(is_figure(record.delivery_ns, record.tick, 5));
    }
    loop.drained += records.size();
    if (records.empty()) std::this_thread::yield();
  }
  loop.dropped = drainer.dropped();
  CHECK(loop.drained + loop.dropped == last);
}

// Answers each input with twice its value; leaves now and then without an answer, as if it died.
void work(const std::string& path, const Run& run) {
  std::minstd_rand random(9);
  while (!run.over.load(std::memory_order_acquire)) {
    WorkerPort port(path, std::string(kHashBytes, 'h'), monotonic_ns() + kHang_ns);
    port.attach();
    while (!run.over.load(std::memory_order_acquire)) {
      if (port.wait(monotonic_ns() + 1'000'000) < 0) continue;
      if (random() % 2048 == 0) break;
      if (random() % 512 == 0) sleep_until_ns(monotonic_ns() + kPause_ns);
      for (size_t i = 0; i < kWorkerFloats; ++i) port.outputs()[i] = 2.0f * port.inputs()[i];
      port.answer(true);
    }
  }
}

}  // namespace

TEST("no action, observation, record or wake-up is torn, lost or doubled at full rate") {
  Loop loop;
  Run run;
  std::vector<std::thread> threads;
  threads.emplace_back([&] { ingress(loop, run); });
  threads.emplace_back([&] { drain(loop, run); });
  std::thread sender([&] { egress(loop, run); });
  std::thread tick([&] { commit_ticks(loop, run, Writer::kTick); });
  std::thread watchdog([&] { commit_ticks(loop, run, Writer::kWatchdog); });
  while (run.lasts()) sleep_until_ns(std::min(run.end_ns, monotonic_ns() + 100'000'000));
  run.over.store(true, std::memory_order_release);
  tick.join();
  watchdog.join();
  run.last.store(true, std::memory_order_release);
  loop.committed.notify();
  sender.join();
  for (std::thread& thread : threads) thread.join();

  Action last{};
  CHECK(read_committed(loop.file->commits, kCount, last) != 0);
  CHECK(last.seq == loop.won[0] + loop.won[1]);  // each action was made from the one before it
  CHECK(last.seq == loop.sent + loop.unsent);
  CHECK(loop.won[0] > 0 && loop.won[1] > 0 && loop.drained > 0);
  std::printf(
      "%zu actions (tick %zu, watchdog %zu; sent %zu, overwritten %zu), %zu observations, "
      "%zu records (%zu overwritten)\n",
      last.seq, loop.won[0], loop.won[1], loop.sent, loop.unsent, loop.observations, loop.drained,
      loop.dropped);
}

TEST("a worker's answer is the one to this very request, however often workers die") {
  const std::string path = "/tmp/rtinfer-stress-" + std::to_string(getpid());
  WorkerEngine worker({path, std::string(kHashBytes, 'h'), kWorkerFloats, kWorkerFloats, false});
  const Engine engine = worker.engine();
  auto* inputs = reinterpret_cast<float*>(engine.block);
  const float* outputs = inputs + kWorkerFloats;
  Run run;
  std::thread thread([&] { work(path, run); });
  CHECK(worker.wait_ready(monotonic_ns() + kHang_ns));
  uint64_t asked = 0;
  uint64_t done = 0;
  for (; run.lasts(); ++asked) {
    const auto value = static_cast<float>(asked % 100'000);
    for (size_t i = 0; i < kWorkerFloats; ++i) inputs[i] = value;
    const RunResult result = engine.run(engine.self, {asked + 1, monotonic_ns() + kPause_ns / 2});
    CHECK(result != RunResult::kFailed);
    if (result != RunResult::kDone) continue;
    for (size_t i = 0; i < kWorkerFloats; ++i) CHECK(outputs[i] == 2.0f * value);
    ++done;
  }
  run.over.store(true, std::memory_order_release);
  thread.join();
  unlink(path.c_str());
  CHECK(done > 0);
  CHECK(worker.file().torn.get() == 0);
  std::printf(
      "%zu requests: %zu answered, %zu late, %zu while a worker was busy or gone, by %u "
      "workers\n",
      asked, done, static_cast<size_t>(worker.file().late.get()),
      static_cast<size_t>(worker.file().busy.get()), worker.file().generation.load());
}

int main(int argc, char** argv) {
  if (argc > 1) seconds = std::atof(argv[1]);
  if (seconds <= 0.0) {
    std::fprintf(stderr, "usage: stress [SECONDS]\n");
    return 2;
  }
  seconds /= 2;  // two tests
  return check::run();
}
