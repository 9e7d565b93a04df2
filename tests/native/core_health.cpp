// The pure parts: the grid of ticks and the health machine.
#include "rtinfer/native/cadence.hpp"
#include "rtinfer/native/guard.hpp"
#include "rtinfer/native/health.hpp"
#include "tests/native/check.hpp"

using namespace rtinfer::rt;

namespace {

HealthState after(HealthState state, const HealthConfig& config, HealthEvent event) {
  return step_health(state, config, event).state;
}

HealthEvent event_at(uint64_t tick, Outcome outcome, bool valid = true) {
  HealthEvent event;
  event.tick = tick;
  event.outcome = outcome;
  event.observations_valid = valid;
  return event;
}

HealthState armed_state(const HealthConfig& config) {
  HealthEvent event = event_at(1, Outcome::kNotArmed);
  HealthState state = after({}, config, event);
  event.tick = 2;
  event.arm = true;
  return after(state, config, event);
}

}  // namespace

TEST("the grid never moves: a late thread skips whole ticks") {
  const Grid grid{0, 1000, 100};
  CHECK(grid.scheduled_ns(3) == 1300);
  CHECK(grid.due(1299) == 2);
  CHECK(grid.due(900) == 0);
  CHECK(grid.after(1, 1110, 60) == 2);  // in time for the next
  CHECK(grid.after(1, 1350, 60) == 3);  // the newest that is due can still be in time
  CHECK(grid.after(1, 1370, 60) == 4);  // it cannot
  CHECK(grid.after(5, 1100, 60) == 6);  // never a tick twice
}

TEST("READY needs a valid observation, and arm needs READY") {
  const HealthConfig config;
  HealthEvent event = event_at(1, Outcome::kNotArmed, false);
  event.arm = true;
  HealthState state = after({}, config, event);
  CHECK(state.health == Health::kInit && state.armed_from == kNever);
  state = after(state, config, event_at(2, Outcome::kNotArmed, true));
  CHECK(state.health == Health::kReady && state.armed_from == kNever);
  state = after(state, config, event_at(3, Outcome::kNotArmed, false));
  CHECK(state.health == Health::kInit);
  state = armed_state(config);
  CHECK(state.health == Health::kNominal && state.armed_from == 3 && state.session == 1);
}

TEST("arm = auto arms at the first valid observation") {
  HealthConfig config;
  config.arm_auto = true;
  const HealthState state = after({}, config, event_at(7, Outcome::kNotArmed, true));
  CHECK(state.health == Health::kNominal && state.armed_from == 8);
}

TEST("one miss degrades, five make it safe, fifty good ticks lead back") {
  const HealthConfig config;
  HealthState state = armed_state(config);
  state = after(state, config, event_at(3, Outcome::kMiss));
  CHECK(state.health == Health::kDegraded);
  for (uint64_t tick = 4; tick <= 7; ++tick)
    state = after(state, config, event_at(tick, Outcome::kMiss));
  CHECK(state.health == Health::kSafe);
  state = after(state, config, event_at(8, Outcome::kGood));
  CHECK(state.health == Health::kRecovering);
  for (uint64_t tick = 9; tick < 57; ++tick)
    state = after(state, config, event_at(tick, Outcome::kGood));
  CHECK(state.health == Health::kRecovering);
  const HealthStep last = step_health(state, config, event_at(57, Outcome::kGood));
  CHECK(last.state.health == Health::kNominal);
  CHECK(last.recovered);
  CHECK(last.recovery.first_fault_tick == 3 && last.recovery.first_safe_tick == 3);
  CHECK(last.recovery.fault_end_tick == 8 && last.recovery.nominal_tick == 57);
}

TEST("a degraded loop returns after fifty good ticks in a row, not before") {
  const HealthConfig config;
  HealthState state = armed_state(config);
  state = after(state, config, event_at(3, Outcome::kMiss));
  for (uint64_t tick = 4; tick < 53; ++tick)
    state = after(state, config, event_at(tick, Outcome::kGood));
  CHECK(state.health == Health::kDegraded);
  state = after(state, config, event_at(53, Outcome::kMiss));
  for (uint64_t tick = 54; tick < 103; ++tick)
    state = after(state, config, event_at(tick, Outcome::kGood));
  CHECK(state.health == Health::kDegraded);
  state = after(state, config, event_at(103, Outcome::kGood));
  CHECK(state.health == Health::kNominal);
}

TEST("stop is latched and beats arm and good ticks; only reset leads out") {
  const HealthConfig config;
  HealthState state = armed_state(config);
  HealthEvent stop = event_at(3, Outcome::kGood);
  stop.stop = stop.arm = stop.reset = true;
  state = after(state, config, stop);
  CHECK(state.latched_stop && state.health == Health::kSafe && state.armed_from != kNever);
  for (uint64_t tick = 4; tick < 100; ++tick) {
    HealthEvent event = event_at(tick, Outcome::kGood);
    event.arm = true;
    state = after(state, config, event);
  }
  CHECK(state.latched_stop && state.health == Health::kSafe);
  HealthEvent reset = event_at(100, Outcome::kMiss);
  reset.reset = true;
  state = after(state, config, reset);
  CHECK(!state.latched_stop && state.health == Health::kReady && state.armed_from == kNever);
}

TEST("a stop before arming keeps arm away until reset") {
  HealthConfig config;
  config.arm_auto = true;
  HealthEvent stop = event_at(1, Outcome::kNotArmed);
  stop.stop = true;
  HealthState state = after({}, config, stop);
  state = after(state, config, event_at(2, Outcome::kNotArmed));
  CHECK(state.armed_from == kNever && state.latched_stop);
}

TEST("a robot that restarts re-arms under auto, and waits in READY under manual") {
  HealthConfig config;
  HealthState state = armed_state(config);
  HealthEvent restart = event_at(10, Outcome::kMiss);
  restart.restarted = true;
  CHECK(after(state, config, restart).health == Health::kReady);
  CHECK(after(state, config, restart).armed_from == kNever);
  config.arm_auto = true;
  const HealthState again = after(state, config, restart);
  CHECK(again.armed_from != kNever && again.session == state.session + 1);
  CHECK(again.health == Health::kRecovering);
}

TEST("the running tail is within an eighth of p99.9") {
  RunningTail tail;
  CHECK(tail.p999_ns() == 0);
  for (int64_t i = 1; i <= 10'000; ++i) tail.add(i * 10);
  CHECK(tail.p999_ns() >= 99'900 && tail.p999_ns() <= 99'900 * 9 / 8 + 1);
}

int main() {
  return check::run();
}
