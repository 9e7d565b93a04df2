// Limits of position, rate and acceleration over many ticks, and the fallback engine.
#include <cmath>
#include <random>

#include "rtinfer/native/virtual_loop.hpp"
#include "tests/native/check.hpp"
#include "tests/native/core_fixture.hpp"

using namespace rtinfer::rt;
using fixture::kPeriod_ns;

namespace {

constexpr double kRate = 100.0;      // 0.1 a tick
constexpr double kAccel = 10'000.0;  // 0.01 a tick, each tick
constexpr double kStep = kRate * 1e-3;
constexpr double kChange = kAccel * 1e-6;
constexpr double kTolerance = 2e-6;  // float arithmetic near 2.0

LoopSpec limited() {
  LoopSpec spec = fixture::loop();
  spec.groups[0].rate = {kRate, kRate};
  spec.groups[0].accel = {kAccel, kAccel};
  spec.groups[0].default_pose = {0.0, 0.0};
  spec.blend_ticks = 0;
  return spec;
}

struct Bench {
  fixture::HalfEngine half, second;
  VirtualLoop loop;
  uint64_t seq = 0;
  float values[4] = {0.0f, 0.0f, 0.0f, 0.0f};

  explicit Bench(const LoopSpec& spec, bool fallback = false)
      : loop(spec, fixture::sources(), half.engine(), 0, {},
             fallback ? second.engine() : Engine{}) {}

  Drop observe() { return loop.observe(0, {1, ++seq, loop.now_ns()}, values); }

  // The engine halves what it sees.
  void want(float target) { values[0] = values[1] = 2 * target; }

  void run(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      observe();
      loop.step({});
    }
  }

  Action last() const {
    Action action{};
    read_committed(loop.file().commits, loop.file().value_count, action);
    return action;
  }

  double position() const { return static_cast<double>(last().channel(Channel::kPosition)[0]); }
};

// Two engines in one loop spec: the second is bound at the same offsets of its own block.
LoopSpec with_fallback() {
  LoopSpec spec = fixture::loop();
  spec.blend_ticks = 0;
  spec.fallback_terms = spec.terms;
  spec.fallback_outputs = {5 * sizeof(float)};  // its values 1 and 2
  return spec;
}

}  // namespace

TEST("a step command is reached without overshoot, in the shortest time the limits allow") {
  for (const float target : {0.001f, 0.004f, 0.05f, 0.5f, 1.9f, -1.9f}) {
    Bench bench(limited());
    bench.run(3);
    bench.want(target);
    double before = bench.position(), step = 0.0;
    const double goal = static_cast<double>(target);
    int ticks = 0;
    while (std::fabs(bench.position() - goal) > kTolerance && ticks < 500) {
      bench.run(1);
      const double now = bench.position();
      CHECK(std::fabs(now - before) <= kStep + kTolerance);
      CHECK(std::fabs((now - before) - step) <= kChange + kTolerance);
      CHECK((goal - now) * std::copysign(1.0, goal) >= -kTolerance);
      step = now - before;
      before = now;
      ++ticks;
    }
    CHECK(std::fabs(bench.position() - goal) <= kTolerance);
    // Ten ticks to gather speed and ten to lose it, and whole ticks of it all.
    const double distance = std::fabs(goal);
    const double least =
        distance > 10 * kStep ? distance / kStep + 10 : 2 * std::sqrt(distance / kChange);
    CHECK(ticks <= least + 4);
  }
}

TEST("random targets: rate, acceleration and bounds hold in every tick, lost ticks included") {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    Bench bench(limited());
    bench.run(3);
    std::mt19937 random(seed);
    double before = bench.position(), step = 0.0;
    uint64_t tick = bench.last().tick;
    for (int i = 0; i < 5000; ++i) {
      if (random() % 7 == 0) bench.want(static_cast<float>(random() % 8001) / 1000.0f - 4.0f);
      bench.observe();
      const bool lost = random() % 50 == 0;
      bench.loop.step({0, 0, !lost, 0, !lost});
      if (lost) continue;
      const Action action = bench.last();
      const double now = bench.position(), elapsed = static_cast<double>(action.tick - tick);
      const double moved = (now - before) / elapsed;
      CHECK(action.origin == Origin::kPolicy);
      CHECK(std::fabs(now) <= 2.0);
      CHECK(std::fabs(moved) <= kStep + kTolerance);
      CHECK(std::fabs(moved - step) <= elapsed * kChange + kTolerance);
      step = moved;
      before = now;
      tick = action.tick;
    }
  }
}

TEST("lost ticks on the way do not carry the value past its target") {
  for (int lost = 1; lost < 9; ++lost) {
    for (int after = 1; after < 40; ++after) {
      Bench bench(limited());
      bench.run(3);
      bench.want(1.5f);
      bench.run(after);
      for (int i = 0; i < lost; ++i) bench.loop.step({0, 0, false, 0, false});
      for (int i = 0; i < 60; ++i) {
        bench.run(1);
        CHECK(bench.position() <= 1.5 + kTolerance);
      }
      CHECK(std::fabs(bench.position() - 1.5) <= kTolerance);
    }
  }
}

TEST("after a miss that held the value, it starts from rest") {
  Bench bench(limited());
  bench.run(3);
  bench.want(1.9f);
  bench.run(12);
  const double held = bench.position();
  bench.loop.step({0, 0, false, 0, true});
  CHECK(bench.last().origin == Origin::kHeld && bench.position() == held);
  bench.run(1);
  CHECK(std::fabs(bench.position() - held - kChange) <= kTolerance);
}

TEST("a late policy is replaced by the fallback, which counts as a miss") {
  Bench bench(with_fallback(), true);
  bench.values[0] = 1.0f;
  bench.values[1] = 0.8f;
  bench.run(30);
  bench.observe();
  CHECK(bench.loop.step({0, 900'000, true, 0, true}));
  const Action action = bench.last();
  CHECK(action.origin == Origin::kFallback && action.reason == Reason::kLate);
  CHECK((action.flags & kGood) == 0);
  // Its first value is what the other engine puts second, plus the default pose.
  CHECK(std::fabs(action.channel(Channel::kPosition)[0] - (0.4f + 0.1f)) < 1e-6f);
  const LoopFile& file = bench.loop.file();
  CHECK(file.by_origin[static_cast<size_t>(Origin::kFallback)].get() == 1);
  CHECK(file.by_reason[static_cast<size_t>(Reason::kLate)].get() == 1);
  CHECK(static_cast<Health>(file.health.load()) == Health::kDegraded);
}

TEST("a policy that says NaN or fails is replaced by the fallback as well") {
  Bench bench(with_fallback(), true);
  bench.run(30);
  bench.half.says_nan = true;
  bench.run(1);
  CHECK(bench.last().origin == Origin::kFallback && bench.last().reason == Reason::kNonFinite);
  bench.half.says_nan = false;
  bench.half.fails = true;
  bench.run(1);
  CHECK(bench.last().origin == Origin::kFallback && bench.last().reason == Reason::kEngineError);
  CHECK(bench.last().miss_ticks == 2);
}

TEST("the fallback gets no stale observation either: the declared steps go out") {
  Bench bench(with_fallback(), true);
  bench.run(30);
  for (int i = 0; i < 3; ++i) bench.loop.step({});
  for (int i = 0; i < 6; ++i) {
    CHECK(bench.loop.step({}));
    CHECK(bench.last().origin == Origin::kHeld || bench.last().origin == Origin::kSafe);
    CHECK(bench.last().reason == Reason::kStale);
  }
  CHECK(bench.last().origin == Origin::kSafe);
}

TEST("a fallback that is refused itself gives way to the declared steps") {
  Bench bench(with_fallback(), true);
  bench.run(30);
  bench.half.fails = true;
  bench.second.fails = true;
  bench.run(1);
  CHECK(bench.last().origin == Origin::kHeld && bench.last().reason == Reason::kEngineError);
  CHECK(bench.second.state == 0.0f);
}

TEST("after stop the fallback is not asked") {
  Bench bench(with_fallback(), true);
  bench.run(30);
  bench.loop.command("stop");
  bench.run(5);
  CHECK(bench.last().origin == Origin::kSafe && (bench.last().flags & kStopped) != 0);
}

TEST("the state of the fallback advances with its own commits, that of the policy with its own") {
  Bench bench(with_fallback(), true);
  bench.run(30);
  const float state = bench.half.state;
  CHECK(bench.second.state == 0.0f);
  for (int i = 1; i <= 4; ++i) {
    bench.observe();
    CHECK(bench.loop.step({0, 900'000, true, 0, true}));
    CHECK(bench.second.state == static_cast<float>(i) && bench.half.state == state);
  }
  bench.run(2);
  CHECK(bench.half.state == state + 2.0f && bench.second.state == 4.0f);
  // A new arming begins at zero, for both.
  bench.loop.command("stop");
  bench.run(1);
  bench.loop.command("reset");
  bench.run(4);
  CHECK(bench.half.state < 5.0f);
  bench.observe();
  CHECK(bench.loop.step({0, 900'000, true, 0, true}));
  CHECK(bench.last().origin == Origin::kFallback && bench.second.state == 1.0f);
}

TEST("a source that this loop does not read may come, go and restart without touching it") {
  std::vector<SourceSpec> sources = fixture::sources();
  SourceSpec other;
  other.name = "other";
  other.fields = {{"x", 1}};
  other.max_age_ns = kPeriod_ns;
  sources.push_back(other);
  fixture::HalfEngine half;
  VirtualLoop loop(fixture::loop(), sources, half.engine(), 0);
  const float values[4] = {1.0f, -1.0f, 0.3f, -0.2f};
  uint64_t seq = 0;
  for (int i = 0; i < 100; ++i) {
    loop.observe(0, {1, ++seq, loop.now_ns()}, values);
    if (i >= 40) loop.observe(1, {1 + seq / 10, seq, loop.now_ns()}, values);
    CHECK(loop.step({}) || i < 2);
  }
  Action action{};
  read_committed(loop.file().commits, loop.file().value_count, action);
  CHECK(action.origin == Origin::kPolicy && action.sources[1].seq == 0);
  for (size_t reason = 1; reason < kReasons; ++reason) {
    CHECK(loop.file().by_reason[reason].get() == 0);
  }
}

int main() {
  return check::run();
}
