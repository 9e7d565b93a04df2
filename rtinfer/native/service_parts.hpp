// What the threads of one service share: files, plans, flags. Made before any of them starts.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rtinfer/native/engine_switch.hpp"
#include "rtinfer/native/loop_core.hpp"
#include "rtinfer/native/notifier.hpp"
#include "rtinfer/native/shared_file.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

// What became of the last order to the loader; status readers wait for each other, no tick does.
class SwapNote {
 public:
  void set(const std::string& state, const std::string& error) {
    const std::lock_guard lock(mutex_);
    state_ = state;
    error_ = error;
  }
  std::pair<std::string, std::string> get() const {
    const std::lock_guard lock(mutex_);
    return {state_, error_};
  }

 private:
  mutable std::mutex mutex_;
  std::string state_ = "idle", error_;
};

// One loop of the service.
struct ServiceLoop {
  const LoopSpec* spec = nullptr;
  LoopPlan plan;
  std::unique_ptr<SharedFile> mapping;
  LoopFile* file = nullptr;
  BoundEngine bound;
  std::optional<BoundEngine> fallback;
  int64_t fallback_ns = 0;  // what a run of it takes, which the guard has to cover
  Notifier arrivals;        // of the leading source; only with trigger = "observation"
  EngineSwitch engines;
  SwapNote swap;
  uint32_t arrivals_seen = 0;  // by the tick thread
};

struct ServiceParts {
  const ServiceSpec* spec = nullptr;
  bool fifo = false;  // SCHED_FIFO is granted
  std::vector<std::unique_ptr<SharedFile>> source_mappings;
  std::vector<SourceFile*> sources;
  std::vector<std::unique_ptr<ServiceLoop>> loops;
  Notifier committed;
  // Each thread looks at it when it wakes. partner: Service::join
  std::atomic<bool> exit{false};
  // Set once no thread commits any more: egress sends what is left, then ends. partner: Egress::run
  std::atomic<bool> exit_egress{false};
  // What sending takes at worst, as egress sees it. partner: the watchdog's guard
  std::atomic<int64_t> send_tail_ns{0};
};

}  // namespace rtinfer::rt
