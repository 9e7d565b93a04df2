// Fails a tick that allocates: operator new and malloc are watched while the tick and watchdog run.
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

#include "rtinfer/native/clock.hpp"
#include "rtinfer/native/realtime.hpp"
#include "rtinfer/native/virtual_loop.hpp"
#include "rtinfer/native/worker_engine.hpp"
#include "rtinfer/native/worker_port.hpp"
#include "tests/native/check.hpp"
#include "tests/native/core_fixture.hpp"

namespace {

thread_local bool armed = false;
thread_local int allocations = 0;

}  // namespace

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void __libc_free(void*);

void* malloc(size_t bytes) {
  if (armed) ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  if (armed) ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  if (armed) ++allocations;
  return __libc_realloc(memory, bytes);
}
void free(void* memory) {
  if (armed && memory != nullptr) ++allocations;
  __libc_free(memory);
}
}

namespace {

struct Guarded {
  Guarded() { armed = true; }
  ~Guarded() { armed = false; }
};

}  // namespace

TEST("the guard sees an allocation") {
  allocations = 0;
  {
    const Guarded guarded;
    void* volatile memory = std::malloc(10);
    std::free(memory);
    delete new int(3);
  }
  CHECK(allocations == 4);
}

TEST("no tick allocates or frees: good, late, stale, refused, stopped or recovering") {
  using namespace rtinfer::rt;
  fixture::HalfEngine half;
  VirtualLoop loop(fixture::loop(), fixture::sources(), half.engine(), 0);
  const float values[4] = {1.0f, -1.0f, 0.3f, -0.2f};
  allocations = 0;
  for (uint64_t i = 1; i <= 2000; ++i) {
    if (i % 100 < 80) loop.observe(0, {1, i, loop.now_ns()}, values);
    const int64_t engine_ns = i % 37 == 0 ? 2'500'000 : 50'000;
    half.fails = i % 41 == 0;
    if (i == 1500) loop.command("stop");
    const Guarded guarded;
    loop.step({0, engine_ns, i % 53 != 0, 0, i % 59 != 0});
  }
  CHECK(allocations == 0);
  CHECK(loop.file().by_origin[static_cast<size_t>(Origin::kPolicy)].get() > 500);
}

TEST("asking a worker allocates nothing, whether it answers or not") {
  using namespace rtinfer::rt;
  const std::string path = "/tmp/rtinfer-guard-" + std::to_string(getpid());
  const std::string hash(kHashBytes, 'h');
  WorkerEngine worker({path, hash, 16, 16, true});
  const Engine engine = worker.engine();
  std::atomic<bool> leave{false};  // partner: the thread below
  std::thread serving([&] {
    WorkerPort port(path, hash, monotonic_ns() + 20'000'000'000);
    port.attach();
    while (!leave.load(std::memory_order_acquire)) {
      if (port.wait(monotonic_ns() + 1'000'000) >= 0) port.answer(true);
    }
  });
  worker.wait_ready(monotonic_ns() + 20'000'000'000);
  allocations = 0;
  RunResult result = RunResult::kDone;
  for (uint64_t i = 0; i < 1000; ++i) {
    // A late worker is asked again once it has answered.
    if (result == RunResult::kLate) sleep_until_ns(monotonic_ns() + 200'000);
    const int64_t patience_ns = i % 9 == 0 ? 1'000 : 100'000'000;
    const Guarded guarded;
    result = engine.run(engine.self, {i, monotonic_ns() + patience_ns});
    if (result == RunResult::kDone) engine.accept(engine.self);
  }
  CHECK(allocations == 0);
  CHECK(worker.file().answers.get() > 500);
  leave.store(true, std::memory_order_release);
  serving.join();
  unlink(path.c_str());
}

int main() {
  return check::run();
}
