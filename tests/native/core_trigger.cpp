// What sets the time of a tick: the phase lock on its own, and both triggers under the virtual
// clock.
#include <cmath>
#include <cstdlib>
#include <random>

#include "rtinfer/native/trigger.hpp"
#include "rtinfer/native/virtual_loop.hpp"
#include "tests/native/check.hpp"
#include "tests/native/core_fixture.hpp"

using namespace rtinfer::rt;
using fixture::kPeriod_ns;

namespace {

constexpr int64_t kMargin_ns = kPeriod_ns / 10;

// A sensor whose observations arrive every `period`, each up to `jitter` late.
struct Sensor {
  double period;
  double first;
  double jitter = 0.0;
  std::mt19937 random{5};

  // The newest arrival at `now`; observation n + 1 never overtakes n.
  int64_t newest(int64_t now) {
    while (next() <= static_cast<double>(now)) {
      newest_ns = next();
      late = jitter * static_cast<double>(random() % 1000) / 1000.0;
      ++count;
    }
    return static_cast<int64_t>(newest_ns);
  }
  double next() const { return first + period * static_cast<double>(count) + late; }

  int64_t count = 0;
  double late = 0.0;
  double newest_ns = -1.0;
};

struct Locked {
  int64_t ticks_to_lock = -1;
  bool stayed = true;       // once locked
  int64_t worst_error = 0;  // from 300 ticks after the lock on
  int64_t largest_move = 0;
};

Locked run_lock(Sensor sensor, int64_t ticks) {
  PhaseLock phase(kMargin_ns);
  Grid grid{0, 0, kPeriod_ns};
  Locked found;
  int64_t seen = 0;
  for (int64_t i = 1; i <= ticks; ++i) {
    const auto tick = static_cast<uint64_t>(i);
    const int64_t arrival = sensor.newest(grid.scheduled_ns(tick));
    if (sensor.count == seen) continue;
    seen = sensor.count;
    const Grid next = phase.next(grid, tick, arrival);
    const int64_t move = std::abs(next.scheduled_ns(tick + 1) - grid.scheduled_ns(tick + 1));
    found.largest_move = std::max(found.largest_move, move);
    const int64_t error = std::abs(grid.scheduled_ns(tick) - arrival - kMargin_ns);
    if (phase.locked() && found.ticks_to_lock < 0) found.ticks_to_lock = i;
    if (found.ticks_to_lock >= 0) {
      found.stayed = found.stayed && phase.locked();
      if (i > found.ticks_to_lock + 300) found.worst_error = std::max(found.worst_error, error);
    }
    grid = next;
  }
  return found;
}

struct Bench {
  fixture::HalfEngine half;
  VirtualLoop loop;
  uint64_t seq = 0;
  float values[4] = {1.0f, -1.0f, 0.3f, -0.2f};

  explicit Bench(const LoopSpec& spec) : loop(spec, fixture::sources(), half.engine(), 0) {}

  bool observe(int64_t arrival) {
    return loop.observe(0, {1, ++seq, arrival}, values, arrival) == Drop::kNone;
  }

  Action last() const {
    Action action{};
    read_committed(loop.file().commits, loop.file().value_count, action);
    return action;
  }
};

LoopSpec triggered(Trigger trigger) {
  LoopSpec spec = fixture::loop();
  spec.trigger = static_cast<int>(trigger);
  spec.phase_margin_ns = kMargin_ns;
  return spec;
}

}  // namespace

TEST("the phase locks within 400 ticks from any start, and stays") {
  for (int phase = 0; phase < 100; ++phase) {
    const double first = static_cast<double>(kPeriod_ns) * phase / 100.0;
    const Locked found = run_lock({static_cast<double>(kPeriod_ns), first}, 2000);
    CHECK(found.ticks_to_lock > 0 && found.ticks_to_lock < 400);
    CHECK(found.stayed);
    CHECK(found.worst_error < kMargin_ns / 10);
    CHECK(found.largest_move <= kPeriod_ns / 100);
  }
}

TEST("it stays locked under jitter of three quarters of the margin and clocks 100 ppm apart") {
  for (int phase = 0; phase < 20; ++phase) {
    for (const double ppm : {-100.0, 100.0}) {
      const double period = static_cast<double>(kPeriod_ns) * (1.0 + ppm * 1e-6);
      const double first = static_cast<double>(kPeriod_ns) * phase / 20.0;
      const Locked found = run_lock({period, first, 0.75 * kMargin_ns}, 50'000);
      CHECK(found.ticks_to_lock > 0 && found.ticks_to_lock < 400);
      CHECK(found.stayed);
      CHECK(found.worst_error < kMargin_ns);
      CHECK(found.largest_move <= kPeriod_ns / 100);
    }
  }
}

TEST("a sensor that is twice as fast, or half as fast, is locked to as well") {
  for (const double factor : {0.5, 2.0}) {
    const Locked found = run_lock({factor * static_cast<double>(kPeriod_ns), 123'456.0}, 3000);
    CHECK(found.ticks_to_lock > 0 && found.ticks_to_lock < 800);
    CHECK(found.stayed && found.worst_error < kMargin_ns / 5);
  }
}

TEST("arrivals at random never move a tick by more than 1 % of the period") {
  std::mt19937_64 random(3);
  PhaseLock phase(kMargin_ns);
  Grid grid{0, 0, kPeriod_ns};
  for (uint64_t tick = 1; tick < 100'000; ++tick) {
    const auto age = static_cast<int64_t>(random() % static_cast<uint64_t>(5 * kPeriod_ns));
    const Grid next = phase.next(grid, tick, grid.scheduled_ns(tick) - age);
    const int64_t move = std::abs(next.scheduled_ns(tick + 1) - grid.scheduled_ns(tick + 1));
    CHECK(move <= kPeriod_ns / 100);
    grid = next;
  }
}

TEST("under the virtual clock the locked loop takes observations as old as the margin") {
  Bench bench(triggered(Trigger::kPhase));
  int64_t arrival = kPeriod_ns * 3 / 10;
  for (int i = 0; i < 1500; ++i) {
    for (; arrival <= bench.loop.now_ns(); arrival += kPeriod_ns) CHECK(bench.observe(arrival));
    bench.loop.step({});
  }
  const LoopFile& file = bench.loop.file();
  CHECK(file.phase_locked.load() == 1);
  CHECK(std::abs(file.age_locked_ns.load() - kMargin_ns) < kMargin_ns / 4);
  CHECK(file.age_locked_ns.load() < file.age_unlocked_ns.load());
  CHECK(file.lost.get() == 0 && bench.last().origin == Origin::kPolicy);
}

TEST("with trigger = observation a tick starts at the arrival, and has its deadline from there") {
  Bench bench(triggered(Trigger::kObservation));
  int64_t arrival = kPeriod_ns / 3;
  // Between 0.7 and 1.05 of the period that was declared.
  for (int i = 0; i < 100; ++i, arrival += kPeriod_ns * (70 + i % 36) / 100) {
    CHECK(bench.observe(arrival));
    const bool acted = bench.loop.step({0, 100'000, true, 0, true});
    if (i < 5) continue;
    CHECK(acted);
    const Action action = bench.last();
    CHECK(action.scheduled_ns == arrival);
    CHECK(action.sources[0].seq == bench.seq && action.stamp_ns == arrival + 100'000);
  }
  // An engine that misses it: the watchdog acts before D from the arrival.
  CHECK(bench.observe(arrival));
  CHECK(bench.loop.step({0, 900'000, true, 0, true}));
  const Action late = bench.last();
  CHECK(late.origin == Origin::kHeld && late.reason == Reason::kLate);
  CHECK(late.scheduled_ns == arrival && (late.flags & kLate) == 0);
  CHECK(late.stamp_ns == arrival + kPeriod_ns * 8 / 10 - 50'000);
}

TEST("observations in a flood do not drive the loop faster than 1.8 times its rate") {
  Bench bench(triggered(Trigger::kObservation));
  int64_t before = 0;
  for (int i = 0; i < 200; ++i) {
    CHECK(bench.observe(bench.loop.now_ns() - kPeriod_ns));  // always one waiting
    const bool acted = bench.loop.step({});
    const int64_t now = bench.last().scheduled_ns;
    if (acted && before != 0) CHECK(now - before >= kPeriod_ns * 55 / 100);
    if (acted) before = now;
  }
  CHECK(before > 0);
}

TEST("without observations the loop still ticks, a tenth slower, with safe actions") {
  Bench bench(triggered(Trigger::kObservation));
  int64_t arrival = kPeriod_ns;
  for (int i = 0; i < 50; ++i, arrival += kPeriod_ns) {
    CHECK(bench.observe(arrival));
    bench.loop.step({});
  }
  const uint64_t first = bench.loop.next_tick();
  for (int i = 0; i < 20; ++i) {
    const int64_t before = bench.last().scheduled_ns;
    CHECK(bench.loop.step({}));
    CHECK(bench.last().scheduled_ns - before == kPeriod_ns * 11 / 10);
  }
  CHECK(bench.last().tick == first + 19 && bench.last().reason == Reason::kStale);
  CHECK(bench.last().origin == Origin::kSafe);
  CHECK(static_cast<Health>(bench.loop.file().health.load()) == Health::kSafe);
  // And the next arrival starts a tick again.
  arrival = bench.last().scheduled_ns + kPeriod_ns * 8 / 10;
  CHECK(bench.observe(arrival));
  CHECK(bench.loop.step({}));
  CHECK(bench.last().scheduled_ns == arrival && bench.last().origin == Origin::kPolicy);
}

int main() {
  return check::run();
}
