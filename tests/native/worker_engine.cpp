// A worker's whole range of behaviour, played by threads: good, late, drained, dead, restarted,
// failing, mad; none of it costs more than its own ticks.
#include "rtinfer/native/worker_engine.hpp"

#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/realtime.hpp"
#include "rtinfer/native/worker_port.hpp"
#include "tests/native/check.hpp"

using namespace rtinfer::rt;

namespace {

constexpr int64_t kLong_ns = 20'000'000'000;
constexpr int64_t kShort_ns = 2'000'000;
constexpr size_t kInputs = 16;
constexpr size_t kOutputs = 16;
const std::string kHash(kHashBytes, 'h');

std::string path_of_test() {
  static int count = 0;
  return "/tmp/rtinfer-worker-" + std::to_string(getpid()) + "-" + std::to_string(++count);
}

// The loop's side.
struct Side {
  std::string path = path_of_test();
  WorkerEngine worker{{path, kHash, kInputs, kOutputs, true}};
  Engine engine = worker.engine();

  ~Side() { unlink(path.c_str()); }
  float* inputs() { return reinterpret_cast<float*>(engine.block); }
  float* outputs() { return inputs() + kInputs; }
  RunResult run(float value, int64_t patience_ns = kLong_ns) {
    for (size_t i = 0; i < kInputs; ++i) inputs()[i] = value;
    return engine.run(engine.self, {1, monotonic_ns() + patience_ns});
  }
  bool all(float value) {
    for (size_t i = 0; i < kOutputs; ++i) {
      if (outputs()[i] != value) return false;
    }
    return true;
  }
};

// A worker whose outputs are input + state; each run would add one to the state.
struct Worker {
  WorkerPort port;
  float state = 0.0f;
  float next = 0.0f;

  explicit Worker(const std::string& path) : port(path, kHash, monotonic_ns() + kLong_ns) {
    port.attach();
  }
  // Serves one request, if one comes.
  bool serve(int64_t timeout_ns = kLong_ns, bool done = true) {
    const int64_t flags = port.wait(monotonic_ns() + timeout_ns);
    if (flags < 0) return false;
    if ((flags & kAcceptPrevious) != 0) state = next;
    if ((flags & kResetState) != 0) state = 0.0f;
    next = state + 1.0f;
    for (size_t i = 0; i < kOutputs; ++i) port.outputs()[i] = port.inputs()[i] + state;
    port.answer(done);
    return true;
  }
};

// A worker in a thread, serving until it is told to leave.
struct Serving {
  std::atomic<bool> leave{false};  // partner: the thread below
  std::thread thread;

  explicit Serving(const std::string& path)
      : thread([this, path] {
          Worker worker(path);
          while (!leave.load(std::memory_order_acquire)) worker.serve(1'000'000);
        }) {}
  ~Serving() {
    leave.store(true, std::memory_order_release);
    thread.join();
  }
};

}  // namespace

TEST("a run gives the worker's answer to this very request") {
  Side side;
  const Serving serving(side.path);
  CHECK(side.worker.wait_ready(monotonic_ns() + kLong_ns));
  side.engine.reset(side.engine.self);
  for (int i = 0; i < 3000; ++i) {
    const auto value = static_cast<float>(i);
    CHECK(side.run(value) == RunResult::kDone);
    CHECK(side.all(value));
  }
  CHECK(side.worker.file().answers.get() == 3000);
  CHECK(side.worker.file().late.get() == 0);
}

TEST("state moves on with accepted runs alone, and a reset zeroes it") {
  Side side;
  const Serving serving(side.path);
  CHECK(side.worker.wait_ready(monotonic_ns() + kLong_ns));
  CHECK(side.run(0.0f) == RunResult::kDone && side.all(0.0f));
  CHECK(side.run(0.0f) == RunResult::kDone && side.all(0.0f));  // the first was not accepted
  side.engine.accept(side.engine.self);
  CHECK(side.run(0.0f) == RunResult::kDone && side.all(1.0f));
  side.engine.accept(side.engine.self);
  CHECK(side.run(0.0f) == RunResult::kDone && side.all(2.0f));
  CHECK(side.run(0.0f) == RunResult::kDone && side.all(2.0f));
  side.engine.accept(side.engine.self);
  side.engine.reset(side.engine.self);
  CHECK(side.run(0.0f) == RunResult::kDone && side.all(0.0f));
}

TEST("without a worker every run is late at once, and nothing is asked") {
  Side side;
  for (int i = 0; i < 1000; ++i) CHECK(side.run(1.0f) == RunResult::kLate);
  CHECK(side.worker.file().busy.get() == 1000);
  CHECK(side.worker.file().asks.get() == 0);
  CHECK(!side.worker.wait_ready(monotonic_ns() + 1'000'000));
}

TEST("a run whose time is up asks nothing") {
  Side side;
  const Worker worker(side.path);
  CHECK(side.run(1.0f, 0) == RunResult::kLate);
  CHECK(side.engine.run(side.engine.self, EngineCall{}) == RunResult::kLate);
  CHECK(side.worker.file().asks.get() == 0);
}

TEST("a late worker is asked again only after it answered, and the late answer is nobody's") {
  Side side;
  Worker worker(side.path);
  CHECK(side.run(1.0f, kShort_ns) == RunResult::kLate);
  for (int i = 0; i < 100; ++i) CHECK(side.run(2.0f) == RunResult::kLate);
  CHECK(side.worker.file().asks.get() == 1);
  CHECK(side.worker.file().busy.get() == 100);
  CHECK(worker.serve());  // the first request, after all
  CHECK(!side.all(1.0f));
  std::thread server([&] { worker.serve(); });
  CHECK(side.run(3.0f) == RunResult::kDone);
  server.join();
  CHECK(side.all(3.0f));
}

TEST("a request that was late with an accepted run before it accepts it once") {
  Side side;
  Worker worker(side.path);
  std::thread first([&] { worker.serve(); });
  CHECK(side.run(0.0f) == RunResult::kDone);
  first.join();
  side.engine.accept(side.engine.self);
  CHECK(side.run(0.0f, kShort_ns) == RunResult::kLate);
  CHECK(worker.serve());
  std::thread second([&] { worker.serve(); });
  CHECK(side.run(0.0f) == RunResult::kDone);
  second.join();
  CHECK(side.all(1.0f));
}

TEST("a worker that failed to run says so") {
  Side side;
  Worker worker(side.path);
  std::thread server([&] { worker.serve(kLong_ns, false); });
  CHECK(side.run(0.0f) == RunResult::kFailed);
  server.join();
  CHECK(side.worker.file().errors.get() == 1);
}

TEST("a worker that dies within a request is replaced, and its state is lost and counted") {
  Side side;
  {
    Worker worker(side.path);
    std::thread server([&] { worker.serve(); });
    CHECK(side.run(0.0f) == RunResult::kDone);
    server.join();
    side.engine.accept(side.engine.self);
    CHECK(side.run(0.0f, kShort_ns) == RunResult::kLate);
  }
  CHECK(side.run(0.0f) == RunResult::kLate);
  const Serving next(side.path);
  CHECK(side.worker.file().state_losses.get() == 0);
  while (side.run(5.0f) != RunResult::kDone) sleep_until_ns(monotonic_ns() + 1'000'000);
  CHECK(side.all(5.0f));
  CHECK(side.worker.file().state_losses.get() == 1);
  CHECK(side.worker.file().generation.load() == 2);
}

TEST("a worker that starts while its loop waits answers for the one before: late, not done") {
  Side side;
  {
    const Worker gone(side.path);
  }
  std::atomic<bool> asked{false};  // partner: the thread below
  std::thread starter([&] {
    while (!asked.load(std::memory_order_acquire) || side.worker.file().asks.get() == 0) {
    }
    const Worker worker(side.path);
  });
  asked.store(true, std::memory_order_release);
  CHECK(side.run(1.0f) == RunResult::kLate);
  starter.join();
}

TEST("one worker at a time has the file, and only one with the same engine") {
  Side side;
  const auto refused = [&](const std::string& hash, int64_t timeout_ns) {
    try {
      const WorkerPort port(side.path, hash, monotonic_ns() + timeout_ns);
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refused(std::string(kHashBytes, 'x'), kLong_ns).find("replaced") != std::string::npos);
  const Worker worker(side.path);
  CHECK(refused(kHash, kLong_ns).find("worker already") != std::string::npos);
  unlink(side.path.c_str());
  CHECK(refused(kHash, 0).find("no loop made") != std::string::npos);
}

TEST(
    "a mad worker that writes all over the file at any time never blocks a run or tears a result") {
  Side side;
  SharedFile mapping = SharedFile::open_shared(side.path, sizeof(WorkerFile));
  auto& file = *static_cast<WorkerFile*>(mapping.data());
  SharedWord* words = input_words(file);
  std::atomic<bool> leave{false};  // partner: the thread below
  std::thread mad([&] {
    uint64_t random = 88172645463325252u;
    while (!leave.load(std::memory_order_acquire)) {
      random ^= random << 13;
      random ^= random >> 7;
      random ^= random << 17;
      const uint32_t asked = file.asked.load(std::memory_order_relaxed);
      file.generation.store(1 + (random & 1), std::memory_order_relaxed);
      file.worker_sleeps.store(random >> 5 & 1, std::memory_order_relaxed);
      file.answering.store(random & 3, std::memory_order_relaxed);
      for (size_t i = 0; i < 1 + (kInputs + kOutputs) / 2; ++i) {
        words[i].store(random * i, std::memory_order_relaxed);
      }
      if ((random & 6) != 0) words[kInputs / 2].store(asked, std::memory_order_release);
      file.answered.store(random & 8 ? asked : static_cast<uint32_t>(random),
                          std::memory_order_release);
    }
  });
  int counts[3] = {};
  for (int i = 0; i < 2000; ++i) ++counts[static_cast<int>(side.run(1.0f, 200'000))];
  leave.store(true, std::memory_order_release);
  mad.join();
  CHECK(counts[0] + counts[1] + counts[2] == 2000);
  CHECK(counts[static_cast<int>(RunResult::kLate)] > 0);
}

TEST("an answer that changes while it is read is refused") {
  Side side;
  SharedFile mapping = SharedFile::open_shared(side.path, sizeof(WorkerFile));
  auto& file = *static_cast<WorkerFile*>(mapping.data());
  Worker worker(side.path);
  const auto next_run = [&](const std::function<void()>& spoil) {
    std::thread server([&] {
      worker.port.wait(monotonic_ns() + kLong_ns);
      spoil();
      file.answered.store(file.asked.load());
      wake_shared(file.answered);
    });
    const RunResult result = side.run(1.0f);
    server.join();
    return result;
  };
  CHECK(next_run([&] { file.answering.fetch_or(1); }) == RunResult::kFailed);  // half-written
  CHECK(next_run([&] { file.answering.store(8); }) == RunResult::kFailed);     // of another request
  CHECK(side.worker.file().torn.get() == 2);
}

TEST("at full rate with a busy worker every answer is whole and its own") {
  Side side;
  const Serving serving(side.path);
  CHECK(side.worker.wait_ready(monotonic_ns() + kLong_ns));
  int done = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto value = static_cast<float>(i);
    // Impatient now and then, so that late answers mix with the others.
    const RunResult result = side.run(value, i % 7 == 0 ? 5'000 : kLong_ns);
    CHECK(result != RunResult::kFailed);
    if (result != RunResult::kDone) continue;
    CHECK(side.all(value));
    ++done;
  }
  CHECK(done > 0);
  CHECK(side.worker.file().torn.get() == 0);
}

int main() {
  return check::run();
}
