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
// even.
class PhaseLock {
 public:
  explicit PhaseLock(int64_t margin_ns = 0) noexcept : margin_ns_(margin_ns) {}

  // The grid from `tick + 1` on, given when the newest observation arrived that `tick` saw.
  RT_TICK Grid next(const Grid& grid, uint64_t tick, int64_t arrival_ns) noexcept {
    const auto error = static_cast<double>(grid.scheduled_ns(tick) - arrival_ns - margin_ns_);
    const double slew = static_cast<double>(grid.period_ns) / 100;
    // The integral takes up the difference between the sensor's clock and ours.
    drift_ns_ = std::clamp(drift_ns_ + kIntegral * error, -slew, slew);
    const double shift = std::clamp(kProportional * error + drift_ns_, -slew, slew);
    mean_error_ns_ += (std::abs(error) - mean_error_ns_) / 32;
    return {tick + 1, grid.scheduled_ns(tick + 1) - static_cast<int64_t>(shift), grid.period_ns};
  }

  // The mean distance from the phase that is aimed at is within the margin.
  RT_TICK bool locked() const noexcept { return mean_error_ns_ < static_cast<double>(margin_ns_); }

 private:
  static constexpr double kProportional = 0.05;
  static constexpr double kIntegral = 0.0005;

  int64_t margin_ns_;
  double drift_ns_ = 0.0;
  double mean_error_ns_ = 1e18;  // not locked until shown otherwise
};

// With trigger = "observation" a tick starts with the arrival; this much later at the latest, so
// that a silent sensor does not silence the loop.
inline constexpr double kObservationSlack = 0.1;

// The grid after a tick that started at `start_ns`: its successor is due one period and slack
// later.
RT_TICK inline Grid after_start(const Grid& grid, uint64_t tick, int64_t start_ns) noexcept {
  const auto slack = static_cast<int64_t>(kObservationSlack * static_cast<double>(grid.period_ns));
  return {tick + 1, start_ns + grid.period_ns + slack, grid.period_ns};
}

}  // namespace rtinfer::rt
