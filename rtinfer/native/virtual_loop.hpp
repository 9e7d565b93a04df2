// One loop under the virtual clock, single-threaded: tick thread and watchdog act in the order of
// their times, so that the same input gives the same decisions and the same bytes.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rtinfer/native/fault_engine.hpp"
#include "rtinfer/native/loop_plan.hpp"
#include "rtinfer/native/observation_frame.hpp"

namespace rtinfer::rt {

class VirtualLoop {
 public:
  struct Step {
    int64_t wakeup_ns = 0;
    int64_t engine_ns = 0;
    bool tick_runs = true;
    int64_t watchdog_wakeup_ns = 0;
    bool watchdog_runs = true;
  };

  // Throws std::invalid_argument.
  // `faults`: what the engine does wrong on purpose; their delays are virtual too.
  // `fallback`: as the watchdog asks it, in no virtual time; without `run` there is none.
  VirtualLoop(const LoopSpec& loop, const std::vector<SourceSpec>& sources, Engine engine,
              int64_t t0_ns, const std::vector<EngineFault>& faults = {}, Engine fallback = {});

  // Any source, another loop's action included. With trigger = "observation" one of the leading
  // source starts the next step at `received_ns`, which may be to come.
  Drop observe(size_t source, const SourceStamp& stamp, const float* values) noexcept {
    return observe(source, stamp, values, clock_.now_ns());
  }
  Drop observe(size_t source, const SourceStamp& stamp, const float* values,
               int64_t received_ns) noexcept;
  std::string command(const std::string& verb);
  bool step(const Step& step) noexcept;

  uint64_t next_tick() const noexcept { return next_; }
  int64_t now_ns() const noexcept { return clock_.now_ns(); }
  int64_t engine_wall_ns() const noexcept { return engine_wall_ns_; }
  const LoopFile& file() const noexcept { return *file_; }
  const LoopPlan& plan() const noexcept { return plan_; }
  const SourceFile& source(size_t index) const noexcept { return *source_files_[index]; }
  size_t source_count() const noexcept { return source_files_.size(); }

 private:
  Engine timed(Engine engine) noexcept;
  void run_tick_thread(uint64_t tick, int64_t at_ns, int64_t engine_ns) noexcept;
  void finish_pending() noexcept;
  int64_t take_start(int64_t due_ns) noexcept;

  static constexpr int64_t kNoArrival = INT64_MAX;

  struct FreeDeleter {
    void operator()(void* memory) const noexcept;
  };

  VirtualClock clock_;
  FaultEngine faults_;
  Engine engine_;      // as given, with its faults
  BoundEngine bound_;  // what the core runs: the same, measured
  LoopPlan plan_;
  std::optional<BoundEngine> fallback_;
  std::unique_ptr<LoopFile, FreeDeleter> file_;
  std::vector<std::unique_ptr<SourceFile, FreeDeleter>> source_files_;
  std::vector<SourceSpec> source_specs_;
  std::vector<SourceOrder> order_;
  std::unique_ptr<TickCore> tick_;
  std::unique_ptr<WatchdogCore> watchdog_;
  int64_t guard_ns_;
  uint64_t next_ = 1;
  uint64_t tick_done_ = 0;  // by the tick thread, skipped ones included
  bool pending_ = false;    // an engine run that is not finished yet
  int64_t pending_end_ns_ = 0;
  int64_t engine_wall_ns_ = 0;
  int64_t arrival_ns_ = kNoArrival;  // the first of the leading source since the last step
};

}  // namespace rtinfer::rt
