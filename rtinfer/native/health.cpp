// The health machine: stop beats reset beats restart beats arm beats the outcome of the tick.
#include "rtinfer/native/health.hpp"

namespace rtinfer::rt {
namespace {

RT_TICK void disarm(HealthState& state, bool observations_valid) noexcept {
  state.armed_from = kNever;
  state.health = observations_valid ? Health::kReady : Health::kInit;
  state.misses_in_row = 0;
  state.good_in_row = 0;
}

RT_TICK void close_episode(HealthStep& step, uint64_t tick) noexcept {
  HealthState& state = step.state;
  if (state.episode.first_fault_tick != 0) {
    step.recovered = true;
    step.recovery = state.episode;
    step.recovery.nominal_tick = tick;
  }
  state.episode = Recovery{};
}

RT_TICK void arm(HealthStep& step, uint64_t tick) noexcept {
  HealthState& state = step.state;
  state.armed_from = tick + 1;
  state.session += 1;
  state.health = Health::kNominal;
  state.misses_in_row = 0;
  state.good_in_row = 0;
  close_episode(step, tick + 1);
}

RT_TICK void after_miss(HealthState& state, const HealthConfig& config, uint64_t tick) noexcept {
  state.good_in_row = 0;
  state.misses_in_row += 1;
  state.episode.fault_end_tick = 0;
  if (state.episode.first_fault_tick == 0) {
    state.episode.first_fault_tick = tick;
    state.episode.first_safe_tick = tick;
  }
  if (state.misses_in_row >= config.safe_after) {
    state.health = Health::kSafe;
  } else if (state.misses_in_row >= config.degraded_after && state.health == Health::kNominal) {
    state.health = Health::kDegraded;
  }
}

RT_TICK void after_good(HealthStep& step, const HealthConfig& config, uint64_t tick) noexcept {
  HealthState& state = step.state;
  state.misses_in_row = 0;
  if (state.health == Health::kNominal) {
    // Fewer misses in a row than `degraded_after`: no episode came of them.
    state.episode = Recovery{};
    return;
  }
  if (state.good_in_row == 0) state.episode.fault_end_tick = tick;
  state.good_in_row += 1;
  if (state.health == Health::kSafe) state.health = Health::kRecovering;
  if (state.good_in_row >= config.recovery_ticks) {
    state.health = Health::kNominal;
    state.good_in_row = 0;
    close_episode(step, tick);
  }
}

// A robot that restarted: through the ramp again under arm = "auto", back to READY under "manual".
RT_TICK void after_restart(HealthState& state, const HealthConfig& config,
                           const HealthEvent& event) noexcept {
  if (state.episode.first_fault_tick == 0) state.episode.first_fault_tick = event.tick;
  if (!config.arm_auto) {
    disarm(state, event.observations_valid);
    return;
  }
  state.session += 1;
  state.good_in_row = 0;
  if (state.health != Health::kSafe) state.health = Health::kRecovering;
}

}  // namespace

RT_TICK HealthStep step_health(const HealthState& before, const HealthConfig& config,
                               const HealthEvent& event) noexcept {
  HealthStep step{before, false, {}};
  HealthState& state = step.state;
  const bool armed = state.armed_from != kNever;

  if (event.stop) {
    state.latched_stop = true;
    if (armed) state.health = Health::kSafe;
  }
  if (event.reset && !event.stop) {
    state.latched_stop = false;
    state.session += 1;
    state.episode = Recovery{};
    disarm(state, event.observations_valid);
    return step;  // READY first: a reset never arms in the same tick
  }
  if (!armed) {
    state.health = event.observations_valid ? Health::kReady : Health::kInit;
    const bool wanted = event.arm || config.arm_auto;
    if (state.health == Health::kReady && wanted && !state.latched_stop) arm(step, event.tick);
    return step;
  }
  if (state.latched_stop) return step;  // only `reset` leads out
  if (event.restarted) {
    after_restart(state, config, event);
    if (state.armed_from == kNever) return step;
  }
  if (event.outcome == Outcome::kMiss) after_miss(state, config, event.tick);
  if (event.outcome == Outcome::kGood) after_good(step, config, event.tick);
  return step;
}

}  // namespace rtinfer::rt
