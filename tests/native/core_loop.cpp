// One loop under the virtual clock: the timing contract under faults, in milliseconds of test.
#include <cmath>
#include <random>

#include "rtinfer/native/record_drain.hpp"
#include "rtinfer/native/virtual_loop.hpp"
#include "tests/native/check.hpp"
#include "tests/native/core_fixture.hpp"

using namespace rtinfer::rt;
using fixture::kPeriod_ns;

namespace {

struct Bench {
  fixture::HalfEngine half;
  VirtualLoop loop;
  uint64_t seq = 0;
  uint64_t epoch = 1;
  float values[4] = {1.0f, -1.0f, 0.3f, -0.2f};

  explicit Bench(const LoopSpec& spec = fixture::loop())
      : loop(spec, fixture::sources(), half.engine(), 0) {}

  Drop observe() { return loop.observe(0, {epoch, ++seq, loop.now_ns()}, values); }

  bool step(VirtualLoop::Step step = {}) { return loop.step(step); }

  Action last() const {
    Action action{};
    read_committed(loop.file().commits, loop.file().value_count, action);
    return action;
  }

  Health health() const { return static_cast<Health>(loop.file().health.load()); }

  void run_good(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      observe();
      step();
    }
  }
};

float position(const Action& action, uint32_t index) {
  return action.channel(Channel::kPosition)[index];
}

}  // namespace

TEST("nothing leaves before arming, and one action a tick from the first armed tick on") {
  LoopSpec spec = fixture::loop();
  spec.arm = 0;
  Bench bench(spec);
  CHECK(!bench.step());
  CHECK(bench.health() == Health::kInit);
  bench.observe();
  CHECK(!bench.step());
  CHECK(bench.health() == Health::kReady);
  CHECK(bench.loop.command("arm").empty());
  bench.observe();
  CHECK(!bench.step());  // takes effect with the next tick
  for (int i = 0; i < 20; ++i) {
    bench.observe();
    CHECK(bench.step());
  }
  CHECK(bench.health() == Health::kNominal);
}

TEST("the first action ramps from the measured pose to the policy's") {
  Bench bench;
  bench.observe();
  bench.step();
  float previous = 0.3f;  // measured
  const float wanted = 0.5f + 0.1f;
  for (int i = 0; i < 11; ++i) {
    bench.observe();
    CHECK(bench.step());
    const Action action = bench.last();
    CHECK(position(action, 0) >= previous - 1e-6f && position(action, 0) <= wanted + 1e-6f);
    CHECK((action.flags & kGood) != 0);
    if (i < 10) CHECK((action.flags & kRamp) != 0 && action.origin == Origin::kSafe);
    previous = position(action, 0);
  }
  CHECK(std::fabs(previous - wanted) < 1e-6f);
  CHECK(bench.last().origin == Origin::kPolicy && (bench.last().flags & kRamp) == 0);
}

TEST("a slow engine loses its tick to the watchdog, and its state does not move") {
  Bench bench;
  bench.run_good(30);
  const float state = bench.half.state;
  const Action before = bench.last();
  bench.observe();
  CHECK(bench.step({0, 900'000, true, 0, true}));
  const Action held = bench.last();
  CHECK(held.origin == Origin::kHeld && held.reason == Reason::kLate && (held.flags & kGood) == 0);
  CHECK(position(held, 0) == position(before, 0));
  CHECK(bench.half.state == state);
  CHECK(bench.health() == Health::kDegraded);
  bench.observe();
  CHECK(bench.step());
  CHECK(bench.last().origin == Origin::kPolicy);
  CHECK(bench.half.state == state + 1.0f);
  CHECK(bench.loop.file().late_results.get() == 1);
}

TEST("an engine that takes several periods costs exactly those ticks, each with an action") {
  Bench bench;
  bench.run_good(30);
  const uint64_t first = bench.loop.next_tick();
  bench.observe();
  CHECK(bench.step({0, 5'500'000, true, 0, true}));
  for (int i = 0; i < 8; ++i) {
    bench.observe();
    CHECK(bench.step());
  }
  const auto& reasons = bench.loop.file().by_reason;
  CHECK(reasons[static_cast<size_t>(Reason::kLate)].get() +
            reasons[static_cast<size_t>(Reason::kSkipped)].get() >=
        5);
  CHECK(bench.loop.file().lost.get() == 0);
  std::vector<TickRecord> records;
  RecordDrain drain;
  drain.drain(bench.loop.file(), records);
  // The stall is charged to every tick it delayed.
  int64_t charged = 0;
  for (const TickRecord& record : records) {
    if (record.tick > first && record.tick < first + 5) charged += record.wakeup_ns > 0 ? 1 : 0;
  }
  CHECK(charged == 4);
}

TEST("misses follow the declared steps: hold three ticks, then towards the default pose") {
  Bench bench;
  bench.run_good(30);
  const float start = position(bench.last(), 0);  // 0.6; the default pose is 0.1
  for (int i = 1; i <= 3; ++i) {
    CHECK(bench.step({0, 0, false, 0, true}));
    CHECK(bench.last().origin == Origin::kHeld && position(bench.last(), 0) == start);
  }
  for (int i = 1; i <= 10; ++i) {
    CHECK(bench.step({0, 0, false, 0, true}));
    CHECK(bench.last().origin == Origin::kSafe);
    CHECK(std::fabs(position(bench.last(), 0) - (start - 0.01f * static_cast<float>(i))) < 1e-5f);
  }
  CHECK(bench.health() == Health::kSafe);
}

TEST("a stale observation never drives the policy, and recovery is counted in ticks") {
  Bench bench;
  bench.run_good(30);
  const uint64_t fault = bench.loop.next_tick() + 3;  // max_age is three periods
  for (int i = 0; i < 20; ++i) CHECK(bench.step());
  CHECK(bench.last().reason == Reason::kStale && bench.health() == Health::kSafe);
  const uint64_t end = bench.loop.next_tick();
  float previous = position(bench.last(), 0);
  for (int i = 0; i < 60; ++i) {
    bench.observe();
    CHECK(bench.step());
    CHECK(std::fabs(position(bench.last(), 0) - previous) < 0.1f);  // back without a jump
    previous = position(bench.last(), 0);
  }
  CHECK(bench.health() == Health::kNominal);
  CHECK(bench.loop.file().recoveries_total.get() == 1);
  Recovery recovery;
  CHECK(bench.loop.file().recoveries[0].read(recovery));
  CHECK(recovery.first_fault_tick == fault || recovery.first_fault_tick == fault + 1);
  CHECK(recovery.fault_end_tick == end && recovery.nominal_tick == end + 49);
}

TEST("a policy that says NaN is refused, and one that fails too") {
  Bench bench;
  bench.run_good(30);
  bench.half.says_nan = true;
  bench.observe();
  CHECK(bench.step());
  CHECK(bench.last().reason == Reason::kNonFinite && std::isfinite(position(bench.last(), 0)));
  bench.half.says_nan = false;
  bench.half.fails = true;
  bench.observe();
  CHECK(bench.step());
  CHECK(bench.last().reason == Reason::kEngineError);
}

TEST("an observation that is not finite is dropped, and the last one serves on") {
  Bench bench;
  bench.run_good(30);
  bench.values[1] = std::nanf("");
  CHECK(bench.observe() == Drop::kNonFinite);
  CHECK(bench.step());
  CHECK(bench.last().origin == Origin::kPolicy);
}

TEST("over = refuse turns a value beyond a limit into a miss; clip clips and counts") {
  LoopSpec spec = fixture::loop();
  Bench clip(spec);
  clip.run_good(30);
  clip.values[0] = 100.0f;
  clip.run_good(10);
  CHECK(position(clip.last(), 0) == 2.0f && (clip.last().flags & kClipped) != 0);
  CHECK(clip.loop.file().clipped.get() > 0);
  spec.groups[0].over = 1;
  Bench refuse(spec);
  refuse.run_good(30);
  refuse.values[0] = 100.0f;
  refuse.run_good(1);
  CHECK(refuse.last().reason == Reason::kOverLimit);
}

TEST("stop: safe actions each tick until reset, whatever the policy says") {
  Bench bench;
  bench.run_good(30);
  CHECK(bench.loop.command("stop").empty());
  for (int i = 0; i < 100; ++i) {
    bench.observe();
    CHECK(bench.step());
    CHECK(bench.last().origin == Origin::kSafe && (bench.last().flags & kStopped) != 0);
  }
  CHECK(std::fabs(position(bench.last(), 0) - 0.1f) < 1e-6f);  // the default pose
  CHECK(bench.loop.command("reset").empty());
  bench.observe();
  CHECK(bench.step());  // the reset's own tick is still a safe one
  CHECK(bench.health() == Health::kReady);
  CHECK(bench.half.state != 0.0f);
  bench.run_good(3);
  CHECK(bench.health() == Health::kNominal && bench.half.state < 5.0f);  // state began at zero
}

TEST("a robot that restarts under auto re-arms through the ramp, from its new pose") {
  Bench bench;
  bench.run_good(30);
  for (int i = 0; i < 10; ++i) bench.step();
  CHECK(bench.health() == Health::kSafe);
  bench.epoch = 2;
  bench.seq = 0;
  bench.values[2] = -1.0f;
  bench.observe();
  CHECK(bench.step());
  CHECK(bench.last().origin != Origin::kPolicy);
  bench.observe();
  CHECK(bench.step());
  CHECK((bench.last().flags & kArming) != 0 && position(bench.last(), 0) < -0.5f);
  bench.run_good(60);
  CHECK(bench.health() == Health::kNominal);
  CHECK(bench.loop.file().recoveries_total.get() == 1);
}

TEST("an old robot's frames are refused after a restart") {
  Bench bench;
  bench.run_good(5);
  bench.epoch = 2;
  CHECK(bench.observe() == Drop::kNone);
  bench.epoch = 1;
  CHECK(bench.observe() == Drop::kRetiredEpoch);
}

TEST("ticks in which neither thread ran are lost, counted, and the only ones without an action") {
  Bench bench;
  bench.run_good(30);
  for (int i = 0; i < 7; ++i) CHECK(!bench.step({0, 0, false, 0, false}));
  bench.run_good(1);
  CHECK(bench.loop.file().lost.get() == 7);
}

TEST("300,000 ticks of random faults: one action a tick, in limits, finite, never stale") {
  Bench bench;
  bench.run_good(2);
  std::mt19937 random(11);
  const auto chance = [&](uint32_t per_mille) { return random() % 1000 < per_mille; };
  uint64_t silent = 0, no_action = 0, bad = 0;
  int outage = 0, slow = 0;
  uint64_t last_seq = bench.last().seq;
  for (int i = 0; i < 300'000; ++i) {
    if (outage == 0 && chance(3)) outage = static_cast<int>(random() % 40);
    if (slow == 0 && chance(5)) slow = static_cast<int>(random() % 10);
    if (outage > 0) --outage;
    if (outage == 0) {
      for (float& value : bench.values)
        value = static_cast<float>(random() % 2000) / 100.0f - 10.0f;
      if (chance(2)) bench.values[1] = std::nanf("");
      bench.half.says_nan = chance(2);
      if (chance(1)) {
        bench.epoch += 1;
        bench.seq = 0;
      }
      bench.observe();
    }
    VirtualLoop::Step step;
    step.wakeup_ns = static_cast<int64_t>(random() % 50'000);
    step.engine_ns = slow > 0 ? static_cast<int64_t>(random() % 3'000'000) : 100'000;
    if (slow > 0) --slow;
    step.tick_runs = !chance(10);
    step.watchdog_wakeup_ns = static_cast<int64_t>(random() % 40'000);
    step.watchdog_runs = !chance(5);
    const bool neither = !step.watchdog_runs;
    const bool committed = bench.step(step);
    if (!committed) {
      ++no_action;
      if (!neither) ++silent;  // the watchdog ran, and yet nothing left
      continue;
    }
    const Action action = bench.last();
    if (action.seq != last_seq + 1) ++bad;
    last_seq = action.seq;
    for (uint32_t v = 0; v < 2; ++v) {
      const float value = position(action, v);
      if (!std::isfinite(value) || value < -2.0f || value > 2.0f) ++bad;
    }
    const bool policy = action.origin == Origin::kPolicy;
    if (policy && action.scheduled_ns - action.sources[0].stamp_ns > 3 * kPeriod_ns) ++bad;
  }
  bench.run_good(1);
  CHECK(silent == 0);
  CHECK(bad == 0);
  CHECK(bench.loop.file().lost.get() == no_action);
}

int main() {
  return check::run();
}
