// What sets the time of the next tick: the timer's grid, the sensor's phase, or the observation
// itself. Pure functions of (grid, tick, arrival); the tick thread alone calls them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "rtinfer/native/cadence.hpp"

namespace rtinfer::rt {

enum class Trigger : int { kTimer, kObservation, kPhase };

// Aligns the grid so that each tick comes `margin` after the arrival of an observation: a PI
// control of the phase error, slewed by at most 1 % of the period a tick, so that the cadence stays
// even. The error is taken the short way round: an observation that just misses its tick pulls the
// next one later by that little, not earlier by almost a period.
class PhaseLock {
 public:
  explicit PhaseLock(int64_t margin_ns = 0) noexcept : margin_ns_(margin_ns) {}

  // The grid from `tick + 1` on, given when the newest observation arrived that `tick` saw.
  RT_TICK Grid next(const Grid& grid, uint64_t tick, int64_t arrival_ns) noexcept {
    const auto period = static_cast<double>(grid.period_ns);
    const double error = std::remainder(
        static_cast<double>(grid.scheduled_ns(tick) - arrival_ns - margin_ns_), period);
    const double slew = period / 100;
    const double wanted = kProportional * error + drift_ns_;
    const double shift = std::clamp(wanted, -slew, slew);
    // The integral takes up the difference between the sensor's clock and ours, and nothing else:
    // it stands still while the grid is on its way, or it would carry it past its aim.
    if (shift == wanted) {
      const double most = period * kMostDrift;
      drift_ns_ = std::clamp(drift_ns_ + kIntegral * error, -most, most);
    }
    if (mean_error_ns_ < 0) mean_error_ns_ = period;
    mean_error_ns_ += (std::abs(error) - mean_error_ns_) / 32;
    return {tick + 1, grid.scheduled_ns(tick + 1) - static_cast<int64_t>(shift), grid.period_ns};
  }

  // The mean distance from the phase that is aimed at is within the margin.
  RT_TICK bool locked() const noexcept {
    return mean_error_ns_ >= 0 && mean_error_ns_ < static_cast<double>(margin_ns_);
  }

 private:
  static constexpr double kProportional = 0.05;
  static constexpr double kIntegral = 0.0005;
  static constexpr double kMostDrift = 0.001;  // of the period a tick

  int64_t margin_ns_;
  double drift_ns_ = 0.0;
  double mean_error_ns_ = -1.0;  // a period at first: not locked until shown otherwise
};

// With trigger = "observation" a tick starts with the arrival; a tenth of a period after it was
// due at the latest, so that a silent sensor does not silence the loop. The grid of such a loop has
// this longer period, and the tick that started last as its base.
constexpr int64_t observation_period_ns(int64_t period_ns) noexcept {
  return period_ns + period_ns / 10;
}

// When a tick that is due at `due_ns` starts at the earliest, however fast observations come.
RT_TICK inline int64_t earliest_start_ns(const Grid& grid, int64_t due_ns) noexcept {
  return due_ns - grid.period_ns / 2;
}

}  // namespace rtinfer::rt
