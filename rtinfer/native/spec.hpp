// What a service is made of, as plain values; the configuration in the core's own terms.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace rtinfer::rt {

enum class GroupKind : int { kPosition, kVelocity, kTorque };
enum class MissDo : int { kHoldLast, kHoldMeasured, kDecelerate, kDamp, kDefaultPose, kZero };

struct MissStep {
  int action = 0;      // MissDo
  int64_t ticks = -1;  // -1: until a good tick
  double rate = 0.0;   // units a second (decelerate, default_pose)
  double kd = 0.0;     // damp
};

struct GroupSpec {
  std::string name;
  int kind = 0;  // GroupKind
  int64_t size = 0;
  int64_t output_offset = 0;  // byte offset of the first value in the plan's block
  std::vector<double> scale, default_pose, min, max, rate, accel, kp, kd;
  int over = 0;  // 0 clip, 1 refuse
  std::vector<MissStep> on_miss;
  int64_t measured_source = -1;
  int64_t measured_start = 0;
};

struct TermSpec {
  int64_t source = 0;
  int64_t start = 0;
  int64_t size = 0;
  int64_t offset = 0;  // byte offset in the plan's block
};

// What a loop may take as input: frames from a socket, or another loop's committed actions.
struct SourceSpec {
  std::string name;
  std::string endpoint;
  int64_t loop = -1;  // index of the loop whose action it is; -1: received at `endpoint`
  std::vector<std::pair<std::string, int64_t>> fields;
  int stamp = 0;  // 0 sender, 1 receive
  int64_t max_age_ns = 0;

  int64_t value_count() const {
    int64_t total = 0;
    for (const auto& field : fields) total += field.second;
    return total;
  }
};

struct LoopSpec {
  std::string name;
  int64_t period_ns = 0;
  int64_t deadline_ns = 0;
  int64_t guard_ns = -1;        // -1: automatic
  int core = -1;                // -1: not pinned
  int arm = 0;                  // 0 manual, 1 auto
  int trigger = 0;              // 0 timer, 1 observation, 2 phase; of the first required source
  int64_t phase_margin_ns = 0;  // how long before its tick an observation should arrive
  int64_t degraded_after = 1;
  int64_t safe_after = 5;
  int64_t recovery_ticks = 50;
  int64_t blend_ticks = 0;
  std::vector<TermSpec> terms;
  std::vector<GroupSpec> groups;
  // Where the fallback engine takes its inputs and leaves the groups' values; empty: there is none.
  std::vector<TermSpec> fallback_terms;
  std::vector<int64_t> fallback_outputs;
  std::string engine_hash;  // 32 bytes each; fallback_hash empty: there is none
  std::string fallback_hash;

  int64_t value_count() const {
    int64_t total = 0;
    for (const auto& group : groups) total += group.size;
    return total;
  }
};

struct SinkSpec {
  int64_t loop = 0;
  std::string endpoint;
  std::string topic;
  std::string payload;
  std::map<std::string, int64_t> offsets;
  int64_t lease_ns = 0;
};

enum class FaultKind : int { kSlow, kFail, kNan, kGarbage };

// What an engine does wrong on purpose in ticks [first_tick, first_tick + ticks).
struct EngineFault {
  int64_t first_tick = 0;
  int64_t ticks = 0;
  int64_t delay_ns = 0;  // kSlow: how much longer it takes
  int kind = 0;          // FaultKind
  double value = 0.0;    // kGarbage: what it says, with alternating signs
  int64_t loop = 0;      // index of the loop whose engine it is
};

struct ServiceSpec {
  std::string name;
  std::string runtime_dir;
  std::string control_endpoint;
  uint64_t epoch = 0;
  std::string boot_id;
  std::string libzmq;
  std::vector<SourceSpec> sources;
  std::vector<LoopSpec> loops;
  std::vector<SinkSpec> sinks;
  std::vector<EngineFault> engine_faults;
  int64_t egress_spin_ns = 0;
  bool keep_without_supervisor = true;
  int ready_fd = -1;
  int supervisor_fd = -1;
};

}  // namespace rtinfer::rt
