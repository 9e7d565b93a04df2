// The health of one loop: a pure function of (state, event). The watchdog alone steps it.
#pragma once

#include <cstdint>
#include <limits>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

enum class Health : uint8_t { kInit, kReady, kNominal, kDegraded, kSafe, kRecovering };
inline constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

struct HealthConfig {
  uint32_t degraded_after = 1;
  uint32_t safe_after = 5;
  uint32_t recovery_ticks = 50;
  bool arm_auto = false;
};

// One way out of NOMINAL and back, in ticks. 0: did not happen.
struct Recovery {
  uint64_t first_fault_tick = 0;
  uint64_t first_safe_tick = 0;  // the first action that came from neither policy nor chunk
  uint64_t fault_end_tick = 0;   // the first of the good ticks that led back
  uint64_t nominal_tick = 0;
};

struct HealthState {
  Health health = Health::kInit;
  bool latched_stop = false;
  uint64_t armed_from = kNever;  // first tick that gets an action
  uint32_t session = 0;          // counts armings: policy state and ramp start anew with each
  uint32_t misses_in_row = 0;
  uint32_t good_in_row = 0;
  Recovery episode;  // open while first_fault_tick != 0
};

enum class Outcome : uint8_t { kNotArmed, kGood, kMiss };

struct HealthEvent {
  uint64_t tick = 0;
  Outcome outcome = Outcome::kNotArmed;
  bool observations_valid = false;
  bool restarted = false;  // a required source has a new epoch
  bool arm = false;
  bool stop = false;
  bool reset = false;
};

struct HealthStep {
  HealthState state;
  bool recovered = false;  // `recovery` is complete
  Recovery recovery;
};

RT_TICK HealthStep step_health(const HealthState& before, const HealthConfig& config,
                               const HealthEvent& event) noexcept;

}  // namespace rtinfer::rt
