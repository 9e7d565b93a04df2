// Everything Python sees of the native core, and nothing else.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <stdexcept>

#include "graphs/plan.hpp"
#include "kernels/functions.hpp"
#include "rtinfer/native/engine_image.hpp"
#include "rtinfer/native/loop_plan.hpp"
#include "rtinfer/native/names.hpp"
#include "rtinfer/native/observation_frame.hpp"
#include "rtinfer/native/record_drain.hpp"
#include "rtinfer/native/service.hpp"
#include "rtinfer/native/shared_file.hpp"
#include "rtinfer/native/virtual_play.hpp"
#include "rtinfer/native/worker_engine.hpp"
#include "rtinfer/native/worker_port.hpp"

namespace nb = nanobind;
namespace graphs = rtinfer::graphs;
namespace rt = rtinfer::rt;
using namespace nb::literals;

namespace {

// ---- the static plan -----------------------------------------------------------------------

using OpTuple = std::tuple<std::string, std::vector<int64_t>, std::vector<double>>;
using StateTuple = std::tuple<int64_t, int64_t, int64_t>;

graphs::Plan* make_plan(nb::bytes weights, int64_t arena_bytes, const std::vector<OpTuple>& ops,
                        const std::vector<StateTuple>& state) {
  graphs::PlanSpec spec;
  spec.weights = {reinterpret_cast<const std::byte*>(weights.c_str()), weights.size()};
  spec.arena_bytes = arena_bytes;
  for (const auto& [name, ints, floats] : ops) spec.ops.push_back({name, ints, floats});
  for (const auto& [in, out, bytes] : state) spec.state.push_back({in, out, bytes});
  std::string error;
  auto plan = graphs::Plan::create(spec, error);
  if (!plan) throw std::invalid_argument(error);
  return plan.release();
}

nb::object view_of(graphs::Plan& plan, int64_t offset, int64_t count) {
  const bool whole = offset >= 0 && offset % 4 == 0 && count >= 0;
  const int64_t room = plan.block_bytes();
  if (!whole || count > room / 4 || offset > room - count * 4) {
    throw std::invalid_argument("view of " + std::to_string(count) + " values at byte " +
                                std::to_string(offset) + ", expected within the block of " +
                                std::to_string(room));
  }
  auto* data = reinterpret_cast<float*>(plan.block() + offset);
  const auto size = static_cast<size_t>(count);
  const nb::object owner = nb::find(&plan);
  if (offset < plan.weights_bytes()) {
    return nb::cast(nb::ndarray<nb::numpy, const float, nb::ndim<1>>(data, {size}, owner));
  }
  return nb::cast(nb::ndarray<nb::numpy, float, nb::ndim<1>>(data, {size}, owner));
}

std::vector<int64_t> bench_plan(graphs::Plan& plan, int64_t iterations) {
  std::vector<int64_t> times(static_cast<size_t>(iterations));
  nb::gil_scoped_release release;
  for (int64_t& time : times) {
    const int64_t start = rt::monotonic_ns();
    plan.run();
    time = rt::monotonic_ns() - start;
  }
  return times;
}

// Codes of the elementwise functions by name, for the builder to be checked against.
std::map<std::string, std::map<std::string, int>> plan_functions() {
  std::map<std::string, std::map<std::string, int>> codes;
  for (int i = 0; i < rtinfer::kernels::kUnaryCount; ++i) {
    codes["unary"][rtinfer::kernels::kUnaryNames[i]] = i;
  }
  for (int i = 0; i < rtinfer::kernels::kBinaryCount; ++i) {
    codes["binary"][rtinfer::kernels::kBinaryNames[i]] = i;
  }
  return codes;
}

void bind_plan(nb::module_& m) {
  nb::class_<graphs::Plan>(m, "Plan")
      .def(nb::new_(&make_plan), "weights"_a, "arena_bytes"_a, "ops"_a, "state"_a)
      .def_prop_ro("isa", [](graphs::Plan& plan) { return plan.isa(); })
      .def_prop_ro("block_bytes", [](graphs::Plan& plan) { return plan.block_bytes(); })
      .def_prop_ro("weights_bytes", [](graphs::Plan& plan) { return plan.weights_bytes(); })
      .def("view", &view_of, "offset"_a, "count"_a)
      .def(
          "run", [](graphs::Plan& plan) { plan.run(); }, nb::call_guard<nb::gil_scoped_release>())
      .def("accept_state", [](graphs::Plan& plan) { plan.accept_state(); })
      .def("reset_state", [](graphs::Plan& plan) { plan.reset_state(); })
      .def("bench", &bench_plan, "iterations"_a);
  m.def("plan_functions", &plan_functions);
}

// ---- services and loops ------------------------------------------------------------------

rt::Engine engine_of(nb::handle served) {
  graphs::Plan* plan = nullptr;
  if (nb::try_cast(served, plan)) return rt::inline_engine(*plan);
  return nb::cast<rt::WorkerEngine&>(served).engine();
}

std::string serve(const rt::ServiceSpec& spec, const nb::sequence& plans,
                  const std::vector<std::optional<graphs::Plan*>>& fallback_plans) {
  std::vector<rt::Engine> engines;
  for (const nb::handle served : plans) engines.push_back(engine_of(served));
  std::vector<rt::Engine> fallbacks(engines.size());
  for (size_t i = 0; i < fallback_plans.size() && i < fallbacks.size(); ++i) {
    if (fallback_plans[i]) fallbacks[i] = rt::inline_engine(**fallback_plans[i]);
  }
  nb::gil_scoped_release release;
  return rt::serve(spec, engines, fallbacks);
}

// (field, numpy dtype, byte offset), for rtinfer.records to be checked against.
std::vector<std::tuple<std::string, std::string, size_t>> tick_record_layout() {
  return {{"tick", "<u8", offsetof(rt::TickRecord, tick)},
          {"scheduled_ns", "<i8", offsetof(rt::TickRecord, scheduled_ns)},
          {"wakeup_ns", "<i8", offsetof(rt::TickRecord, wakeup_ns)},
          {"age_ns", "<i8", offsetof(rt::TickRecord, age_ns)},
          {"assemble_ns", "<i8", offsetof(rt::TickRecord, assemble_ns)},
          {"engine_ns", "<i8", offsetof(rt::TickRecord, engine_ns)},
          {"commit_ns", "<i8", offsetof(rt::TickRecord, commit_ns)},
          {"delivery_ns", "<i8", offsetof(rt::TickRecord, delivery_ns)},
          {"obs_seq", "<u8", offsetof(rt::TickRecord, obs_seq)},
          {"watchdog_wakeup_ns", "<i8", offsetof(rt::TickRecord, watchdog_wakeup_ns)},
          {"guard_ns", "<i8", offsetof(rt::TickRecord, guard_ns)},
          {"origin", "|u1", offsetof(rt::TickRecord, origin)},
          {"health", "|u1", offsetof(rt::TickRecord, health)},
          {"reason", "|u1", offsetof(rt::TickRecord, reason)},
          {"pad", "|u1", offsetof(rt::TickRecord, pad)},
          {"flags", "<u4", offsetof(rt::TickRecord, flags)}};
}

// A structured numpy array that owns its bytes.
nb::object as_array(const std::vector<rt::TickRecord>& records) {
  nb::list names, formats, offsets;
  for (const auto& [name, format, offset] : tick_record_layout()) {
    names.append(name);
    formats.append(format);
    offsets.append(offset);
  }
  nb::dict layout;
  layout["names"] = names;
  layout["formats"] = formats;
  layout["offsets"] = offsets;
  layout["itemsize"] = sizeof(rt::TickRecord);
  const nb::module_ numpy = nb::module_::import_("numpy");
  const nb::bytes bytes(records.data(), records.size() * sizeof(rt::TickRecord));
  return numpy.attr("frombuffer")(bytes, numpy.attr("dtype")(layout));
}

nb::dict source_status(const rt::SourceFile& file) {
  nb::dict drops;
  for (size_t i = 1; i < rt::kDrops; ++i) drops[rt::kDropNames[i]] = file.dropped[i].get();
  nb::dict source;
  source["received"] = file.received.get();
  source["accepted"] = file.accepted.get();
  source["skipped"] = file.skipped.get();
  source["gaps"] = file.gaps.get();
  source["restarts"] = file.restarts.get();
  source["budget"] = file.budget.get();
  source["dropped"] = drops;
  return source;
}

nb::list recoveries_of(const rt::LoopFile& file) {
  nb::list list;
  const uint64_t count = file.recoveries_total.get();
  for (uint64_t i = count > rt::kRecoveries ? count - rt::kRecoveries : 0; i < count; ++i) {
    rt::Recovery recovery;
    if (!file.recoveries[i % rt::kRecoveries].read(recovery)) continue;
    nb::dict one;
    one["first_fault_tick"] = recovery.first_fault_tick;
    one["first_safe_tick"] = recovery.first_safe_tick;
    one["fault_end_tick"] = recovery.fault_end_tick;
    one["nominal_tick"] = recovery.nominal_tick;
    list.append(one);
  }
  return list;
}

nb::dict loop_status(const rt::LoopFile& file) {
  nb::dict origins, reasons, counters, status;
  for (size_t i = 0; i < rt::kOrigins; ++i) origins[rt::kOriginNames[i]] = file.by_origin[i].get();
  for (size_t i = 1; i < rt::kReasons; ++i) reasons[rt::kReasonNames[i]] = file.by_reason[i].get();
  const auto health = file.health.load(std::memory_order_relaxed);
  status["name"] = nb::str(file.name);
  status["pid"] = file.pid;
  status["epoch"] = file.epoch;
  status["t0_ns"] = file.t0_ns;
  status["period_ns"] = file.period_ns;
  status["deadline_ns"] = file.deadline_ns;
  status["health"] = rt::kHealthNames[health % rt::kHealths];
  status["armed"] = file.armed_from.load(std::memory_order_relaxed) != rt::kNever;
  status["latched_stop"] = file.latched_stop.load(std::memory_order_relaxed) != 0;
  status["best_effort"] = file.best_effort != 0;
  status["tick"] = file.watch_done.load(std::memory_order_relaxed);
  counters["lost"] = file.lost.get();
  counters["skipped"] = file.skipped.get();
  counters["late_results"] = file.late_results.get();
  counters["clipped"] = file.clipped.get();
  counters["resets"] = file.resets.get();
  counters["sent"] = file.sent.get();
  counters["unsent"] = file.unsent.get();
  counters["send_errors"] = file.send_errors.get();
  if (file.phase_locked.load(std::memory_order_relaxed) != 0) {
    status["phase_locked"] = true;
    status["age_unlocked_ns"] = file.age_unlocked_ns.load(std::memory_order_relaxed);
    status["age_locked_ns"] = file.age_locked_ns.load(std::memory_order_relaxed);
  }
  rt::EngineHash engine{};
  file.engine.read(engine);
  status["engine"] = nb::bytes(engine.data(), sizeof(engine));
  counters["swaps"] = file.swaps.get();
  counters["shadow_runs"] = file.shadow_runs.get();
  status["counters"] = counters;
  status["origins"] = origins;
  status["misses"] = reasons;
  status["recoveries"] = recoveries_of(file);
  return status;
}

nb::dict worker_status(const rt::WorkerFile& file) {
  nb::dict status;
  status["pid"] = file.worker_pid.load(std::memory_order_relaxed);
  status["generation"] = file.generation.load(std::memory_order_acquire);  // partner: attach
  status["beat_ns"] = file.beat_ns.load(std::memory_order_relaxed);
  status["asked"] = file.asks.get();
  status["answered"] = file.answers.get();
  status["late"] = file.late.get();
  status["busy"] = file.busy.get();
  status["errors"] = file.errors.get();
  status["torn"] = file.torn.get();
  status["state_losses"] = file.state_losses.get();
  return status;
}

// Read-only view of <runtime>/<loop>.worker.
class WorkerState {
 public:
  explicit WorkerState(const std::string& path)
      : mapping_(rt::SharedFile::open_read_only(path, sizeof(rt::WorkerFile))),
        file_(static_cast<const rt::WorkerFile*>(mapping_.data())) {
    // partner: WorkerEngine::WorkerEngine
    if (file_->magic.load(std::memory_order_acquire) != rt::kWorkerMagic) {
      throw std::runtime_error(path + " was not written by this version of rtinfer");
    }
  }
  nb::dict status() const { return worker_status(*file_); }
  uint64_t state_losses() const { return file_->state_losses.get(); }

 private:
  rt::SharedFile mapping_;
  const rt::WorkerFile* file_;
};

// Read-only view of <runtime>/<loop>.loop and of its sources' files beside it.
class LoopState {
 public:
  explicit LoopState(const std::string& path)
      : mapping_(rt::SharedFile::open_read_only(path, sizeof(rt::LoopFile))),
        file_(static_cast<const rt::LoopFile*>(mapping_.data())) {
    if (file_->magic != rt::kLoopMagic || file_->version != rt::kLayoutVersion ||
        file_->source_count > rt::kMaxSources) {
      throw std::runtime_error(path +
                               " was not written by this version of rtinfer; stop the service "
                               "that wrote it and start it again");
    }
    const std::string directory = path.substr(0, path.rfind('/') + 1);
    for (uint32_t i = 0; i < file_->source_count; ++i) {
      if (file_->sources[i][0] == '\0') continue;  // another loop's action: no file of its own
      names_.emplace_back(file_->sources[i], strnlen(file_->sources[i], rt::kNameBytes));
      sources_.push_back(rt::SharedFile::open_read_only(directory + names_.back() + ".source",
                                                        sizeof(rt::SourceFile)));
    }
    const std::string worker = path.substr(0, path.rfind('.')) + ".worker";
    if (access(worker.c_str(), F_OK) == 0) worker_.emplace(worker);
  }

  nb::object drain() {
    std::vector<rt::TickRecord> records;
    drain_.drain(*file_, records);
    return as_array(records);
  }
  uint64_t dropped() const { return drain_.dropped(); }

  nb::dict status() const {
    nb::dict status = loop_status(*file_);
    nb::dict sources;
    for (size_t i = 0; i < sources_.size(); ++i) {
      sources[names_[i].c_str()] = source_status(*static_cast<rt::SourceFile*>(sources_[i].data()));
    }
    status["sources"] = sources;
    if (worker_) {
      status["worker"] = worker_->status();
      // Recurrent state that went with a worker is a reset that the tick did not ask for.
      status["counters"]["resets"] = file_->resets.get() + worker_->state_losses();
    }
    return status;
  }

 private:
  rt::SharedFile mapping_;
  const rt::LoopFile* file_;
  std::optional<WorkerState> worker_;  // where the engine runs in one
  std::vector<std::string> names_;
  std::vector<rt::SharedFile> sources_;
  rt::RecordDrain drain_;
};

using IntTable = nb::ndarray<const int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using FloatTable = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using FloatArray = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

class PyVirtualLoop {
 public:
  PyVirtualLoop(const rt::LoopSpec& loop, const std::vector<rt::SourceSpec>& sources,
                graphs::Plan& plan, int64_t t0_ns, const std::vector<rt::EngineFault>& faults,
                std::optional<graphs::Plan*> fallback)
      : sources_(sources),
        loop_(loop, sources, rt::inline_engine(plan), t0_ns, faults,
              fallback ? rt::inline_engine(**fallback) : rt::Engine{}) {}

  std::string observe(size_t source, uint64_t epoch, uint64_t seq, int64_t stamp_ns,
                      const FloatArray& values, std::optional<int64_t> received_ns) {
    if (source >= sources_.size())
      throw std::invalid_argument("no source " + std::to_string(source));
    const auto expected = static_cast<size_t>(sources_[source].value_count());
    if (values.shape(0) != expected) {
      throw std::invalid_argument("source '" + sources_[source].name + "' got " +
                                  std::to_string(values.shape(0)) + " values, expected " +
                                  std::to_string(expected));
    }
    const rt::Drop drop = loop_.observe(source, {epoch, seq, stamp_ns}, values.data(),
                                        received_ns.value_or(loop_.now_ns()));
    return drop == rt::Drop::kNone ? "" : rt::kDropNames[static_cast<size_t>(drop)];
  }

  nb::tuple play(const IntTable& steps, const IntTable& arrivals, const FloatTable& values) {
    if (steps.shape(1) != 6 || arrivals.shape(1) != 4 || values.shape(0) != arrivals.shape(0)) {
      throw std::invalid_argument("steps need 6 columns, arrivals 4 and a row of values each");
    }
    std::vector<rt::ScheduledStep> schedule;
    for (size_t i = 0; i < steps.shape(0); ++i) {
      const int64_t* row = steps.data() + 6 * i;
      schedule.push_back(
          {{row[0], row[1], row[2] != 0, row[3], row[4] != 0}, static_cast<size_t>(row[5])});
    }
    std::vector<rt::Arrival> frames;
    for (size_t i = 0; i < arrivals.shape(0); ++i) {
      const int64_t* row = arrivals.data() + 4 * i;
      const auto source = static_cast<size_t>(row[0]);
      if (source >= sources_.size() ||
          values.shape(1) < static_cast<size_t>(sources_[source].value_count())) {
        throw std::invalid_argument("arrival " + std::to_string(i) + " fits no source");
      }
      const auto epoch = static_cast<uint64_t>(row[1]), seq = static_cast<uint64_t>(row[2]);
      frames.push_back({source, {epoch, seq, row[3]}, values.data() + values.shape(1) * i});
    }
    const rt::Played out = rt::play(loop_, schedule, frames);
    const auto bytes = [](const auto& rows) {
      return nb::bytes(rows.data(), rows.size() * sizeof(rows[0]));
    };
    return nb::make_tuple(bytes(out.ticks), bytes(out.sources), bytes(out.values),
                          bytes(out.drops));
  }

  nb::object action() const {
    rt::Action action;
    const rt::LoopFile& file = loop_.file();
    if (rt::read_committed(file.commits, file.value_count, action) == 0) return nb::none();
    nb::dict out;
    out["tick"] = action.tick;
    out["seq"] = action.seq;
    out["scheduled_ns"] = action.scheduled_ns;
    out["stamp_ns"] = action.stamp_ns;
    out["origin"] = static_cast<int>(action.origin);
    out["health"] = static_cast<int>(action.health);
    out["reason"] = static_cast<int>(action.reason);
    out["flags"] = action.flags;
    static constexpr const char* kChannelNames[] = {"position", "velocity", "kp", "kd", "torque"};
    for (uint32_t c = 0; c < rt::kChannels; ++c) {
      const float* values = action.channel(static_cast<rt::Channel>(c));
      out[kChannelNames[c]] = nb::bytes(values, action.count * sizeof(float));
    }
    nb::list stamps;
    for (size_t i = 0; i < sources_.size(); ++i) {
      const rt::SourceStamp& stamp = action.sources[i];
      stamps.append(nb::make_tuple(stamp.epoch, stamp.seq, stamp.stamp_ns));
    }
    out["sources"] = stamps;
    return out;
  }

  nb::object records() {
    std::vector<rt::TickRecord> records;
    drain_.drain(loop_.file(), records);
    return as_array(records);
  }

  nb::dict status() const {
    nb::dict status = loop_status(loop_.file());
    nb::dict sources;
    for (size_t i = 0; i < sources_.size(); ++i) {
      sources[sources_[i].name.c_str()] = source_status(loop_.source(i));
    }
    status["sources"] = sources;
    return status;
  }

  rt::VirtualLoop& loop() { return loop_; }

 private:
  std::vector<rt::SourceSpec> sources_;
  rt::VirtualLoop loop_;
  rt::RecordDrain drain_;
};

nb::tuple check_observation(const rt::SourceSpec& spec, nb::bytes boot_id, nb::bytes topic,
                            nb::bytes payload, int64_t now) {
  const auto format = rt::FrameFormat::create(spec, std::string(boot_id.c_str(), boot_id.size()));
  std::vector<float> values(static_cast<size_t>(spec.value_count()));
  rt::SourceStamp stamp{};
  const auto bytes = [](const nb::bytes& b) {
    return rt::Bytes(reinterpret_cast<const std::byte*>(b.c_str()), b.size());
  };
  const rt::Drop drop =
      rt::decode_observation(format, bytes(topic), bytes(payload), now, stamp, values.data());
  nb::dict out;
  if (drop != rt::Drop::kNone) {
    return nb::make_tuple(rt::kDropNames[static_cast<size_t>(drop)], out);
  }
  out["epoch"] = stamp.epoch;
  out["seq"] = stamp.seq;
  out["stamp_ns"] = stamp.stamp_ns;
  out["values"] = nb::bytes(values.data(), values.size() * sizeof(float));
  return nb::make_tuple("", out);
}

// Codes and their names, for rtinfer's own tables to be checked against.
nb::dict code_names() {
  const auto list = [](const char* const* names, size_t count) {
    nb::list out;
    for (size_t i = 0; i < count; ++i) out.append(names[i]);
    return out;
  };
  nb::dict names;
  names["origin"] = list(rt::kOriginNames, rt::kOrigins);
  names["health"] = list(rt::kHealthNames, rt::kHealths);
  names["reason"] = list(rt::kReasonNames, rt::kReasons);
  names["drop"] = list(rt::kDropNames, rt::kDrops);
  return names;
}

void bind_specs(nb::module_& m) {
  nb::class_<rt::MissStep>(m, "MissStep")
      .def(
          "__init__",
          [](rt::MissStep* self, int action, int64_t ticks, double rate, double kd) {
            new (self) rt::MissStep{action, ticks, rate, kd};
          },
          "do"_a, "ticks"_a = -1, "rate"_a = 0.0, "kd"_a = 0.0)
      .def_rw("do", &rt::MissStep::action)
      .def_rw("ticks", &rt::MissStep::ticks)
      .def_rw("rate", &rt::MissStep::rate)
      .def_rw("kd", &rt::MissStep::kd);
  nb::class_<rt::GroupSpec>(m, "GroupSpec")
      .def(nb::init<>())
      .def_rw("name", &rt::GroupSpec::name)
      .def_rw("kind", &rt::GroupSpec::kind)
      .def_rw("size", &rt::GroupSpec::size)
      .def_rw("output_offset", &rt::GroupSpec::output_offset)
      .def_rw("scale", &rt::GroupSpec::scale)
      .def_rw("default_pose", &rt::GroupSpec::default_pose)
      .def_rw("min", &rt::GroupSpec::min)
      .def_rw("max", &rt::GroupSpec::max)
      .def_rw("rate", &rt::GroupSpec::rate)
      .def_rw("accel", &rt::GroupSpec::accel)
      .def_rw("kp", &rt::GroupSpec::kp)
      .def_rw("kd", &rt::GroupSpec::kd)
      .def_rw("over", &rt::GroupSpec::over)
      .def_rw("on_miss", &rt::GroupSpec::on_miss)
      .def_rw("measured_source", &rt::GroupSpec::measured_source)
      .def_rw("measured_start", &rt::GroupSpec::measured_start);
  nb::class_<rt::TermSpec>(m, "TermSpec")
      .def(
          "__init__",
          [](rt::TermSpec* self, int64_t source, int64_t start, int64_t size, int64_t offset) {
            new (self) rt::TermSpec{source, start, size, offset};
          },
          "source"_a, "start"_a, "size"_a, "offset"_a)
      .def_rw("source", &rt::TermSpec::source)
      .def_rw("start", &rt::TermSpec::start)
      .def_rw("size", &rt::TermSpec::size)
      .def_rw("offset", &rt::TermSpec::offset);
  nb::class_<rt::SourceSpec>(m, "SourceSpec")
      .def(nb::init<>())
      .def_rw("name", &rt::SourceSpec::name)
      .def_rw("endpoint", &rt::SourceSpec::endpoint)
      .def_rw("loop", &rt::SourceSpec::loop)
      .def_rw("fields", &rt::SourceSpec::fields)
      .def_rw("stamp", &rt::SourceSpec::stamp)
      .def_rw("max_age_ns", &rt::SourceSpec::max_age_ns);
  nb::class_<rt::LoopSpec>(m, "LoopSpec")
      .def(nb::init<>())
      .def_rw("name", &rt::LoopSpec::name)
      .def_rw("period_ns", &rt::LoopSpec::period_ns)
      .def_rw("deadline_ns", &rt::LoopSpec::deadline_ns)
      .def_rw("guard_ns", &rt::LoopSpec::guard_ns)
      .def_rw("core", &rt::LoopSpec::core)
      .def_rw("arm", &rt::LoopSpec::arm)
      .def_rw("trigger", &rt::LoopSpec::trigger)
      .def_rw("phase_margin_ns", &rt::LoopSpec::phase_margin_ns)
      .def_rw("fallback_terms", &rt::LoopSpec::fallback_terms)
      .def_rw("fallback_outputs", &rt::LoopSpec::fallback_outputs)
      .def_prop_rw(
          "engine_hash",
          [](const rt::LoopSpec& s) {
            return nb::bytes(s.engine_hash.data(), s.engine_hash.size());
          },
          [](rt::LoopSpec& s, const nb::bytes& b) { s.engine_hash.assign(b.c_str(), b.size()); })
      .def_prop_rw(
          "fallback_hash",
          [](const rt::LoopSpec& s) {
            return nb::bytes(s.fallback_hash.data(), s.fallback_hash.size());
          },
          [](rt::LoopSpec& s, const nb::bytes& b) { s.fallback_hash.assign(b.c_str(), b.size()); })
      .def_rw("degraded_after", &rt::LoopSpec::degraded_after)
      .def_rw("safe_after", &rt::LoopSpec::safe_after)
      .def_rw("recovery_ticks", &rt::LoopSpec::recovery_ticks)
      .def_rw("blend_ticks", &rt::LoopSpec::blend_ticks)
      .def_rw("terms", &rt::LoopSpec::terms)
      .def_rw("groups", &rt::LoopSpec::groups);
  nb::class_<rt::SinkSpec>(m, "SinkSpec")
      .def(nb::init<>())
      .def_rw("loop", &rt::SinkSpec::loop)
      .def_rw("endpoint", &rt::SinkSpec::endpoint)
      .def_prop_rw(
          "topic", [](const rt::SinkSpec& s) { return nb::bytes(s.topic.data(), s.topic.size()); },
          [](rt::SinkSpec& s, const nb::bytes& b) { s.topic.assign(b.c_str(), b.size()); })
      .def_prop_rw(
          "payload",
          [](const rt::SinkSpec& s) { return nb::bytes(s.payload.data(), s.payload.size()); },
          [](rt::SinkSpec& s, const nb::bytes& b) { s.payload.assign(b.c_str(), b.size()); })
      .def_rw("offsets", &rt::SinkSpec::offsets)
      .def_rw("lease_ns", &rt::SinkSpec::lease_ns);
  nb::class_<rt::EngineFault>(m, "EngineFault")
      .def(
          "__init__",
          [](rt::EngineFault* self, int64_t first_tick, int64_t ticks, int64_t delay_ns, int kind,
             double value, int64_t loop) {
            new (self) rt::EngineFault{first_tick, ticks, delay_ns, kind, value, loop};
          },
          "first_tick"_a, "ticks"_a, "delay_ns"_a = 0, "kind"_a = 0, "value"_a = 0.0, "loop"_a = 0)
      .def_rw("first_tick", &rt::EngineFault::first_tick)
      .def_rw("ticks", &rt::EngineFault::ticks)
      .def_rw("delay_ns", &rt::EngineFault::delay_ns)
      .def_rw("kind", &rt::EngineFault::kind)
      .def_rw("value", &rt::EngineFault::value)
      .def_rw("loop", &rt::EngineFault::loop);
  nb::class_<rt::ServiceSpec>(m, "ServiceSpec")
      .def(nb::init<>())
      .def_rw("name", &rt::ServiceSpec::name)
      .def_rw("runtime_dir", &rt::ServiceSpec::runtime_dir)
      .def_rw("control_endpoint", &rt::ServiceSpec::control_endpoint)
      .def_rw("epoch", &rt::ServiceSpec::epoch)
      .def_prop_rw(
          "boot_id",
          [](const rt::ServiceSpec& s) { return nb::bytes(s.boot_id.data(), s.boot_id.size()); },
          [](rt::ServiceSpec& s, const nb::bytes& b) { s.boot_id.assign(b.c_str(), b.size()); })
      .def_rw("libzmq", &rt::ServiceSpec::libzmq)
      .def_rw("sources", &rt::ServiceSpec::sources)
      .def_rw("loops", &rt::ServiceSpec::loops)
      .def_rw("sinks", &rt::ServiceSpec::sinks)
      .def_rw("engine_faults", &rt::ServiceSpec::engine_faults)
      .def_rw("egress_spin_ns", &rt::ServiceSpec::egress_spin_ns)
      .def_rw("keep_without_supervisor", &rt::ServiceSpec::keep_without_supervisor)
      .def_rw("ready_fd", &rt::ServiceSpec::ready_fd)
      .def_rw("supervisor_fd", &rt::ServiceSpec::supervisor_fd);
}

nb::object floats_of(nb::handle owner, float* data, size_t count) {
  return nb::cast(nb::ndarray<nb::numpy, float, nb::ndim<1>>(data, {count}, owner));
}

void bind_workers(nb::module_& m) {
  nb::class_<rt::WorkerEngine>(m, "WorkerEngine")
      .def(
          "__init__",
          [](rt::WorkerEngine* self, const std::string& path, nb::bytes engine_hash, size_t inputs,
             size_t outputs, bool has_state) {
            const std::string hash(engine_hash.c_str(), engine_hash.size());
            new (self) rt::WorkerEngine({path, hash, inputs, outputs, has_state});
          },
          "path"_a, "engine_hash"_a, "inputs"_a, "outputs"_a, "has_state"_a)
      .def(
          "wait_ready",
          [](rt::WorkerEngine& self, int64_t timeout_ns) {
            return self.wait_ready(rt::monotonic_ns() + timeout_ns);
          },
          "timeout_ns"_a, nb::call_guard<nb::gil_scoped_release>());
  nb::class_<rt::WorkerPort>(m, "WorkerPort")
      .def(
          "__init__",
          [](rt::WorkerPort* self, const std::string& path, nb::bytes engine_hash,
             int64_t timeout_ns) {
            const std::string hash(engine_hash.c_str(), engine_hash.size());
            const nb::gil_scoped_release release;
            new (self) rt::WorkerPort(path, hash, rt::monotonic_ns() + timeout_ns);
          },
          "path"_a, "engine_hash"_a, "timeout_ns"_a)
      .def_prop_ro("inputs",
                   [](nb::handle_t<rt::WorkerPort> self) {
                     auto& port = nb::cast<rt::WorkerPort&>(self);
                     return floats_of(self, port.inputs(), port.input_floats());
                   })
      .def_prop_ro("outputs",
                   [](nb::handle_t<rt::WorkerPort> self) {
                     auto& port = nb::cast<rt::WorkerPort&>(self);
                     return floats_of(self, port.outputs(), port.output_floats());
                   })
      .def("attach", [](rt::WorkerPort& self) { self.attach(); })
      .def(
          "wait",
          [](rt::WorkerPort& self, int64_t timeout_ns) {
            return self.wait(rt::monotonic_ns() + timeout_ns);
          },
          "timeout_ns"_a, nb::call_guard<nb::gil_scoped_release>())
      .def("answer", [](rt::WorkerPort& self, bool done) { self.answer(done); }, "done"_a);
  nb::class_<WorkerState>(m, "WorkerState")
      .def(nb::init<const std::string&>(), "path"_a)
      .def("status", &WorkerState::status);
  m.def("exit_with_process", &rt::exit_with_process, "pidfd"_a);
}

void bind_service(nb::module_& m) {
  m.def("serve", &serve, "spec"_a, "plans"_a,
        "fallback_plans"_a = std::vector<std::optional<graphs::Plan*>>());
  nb::class_<LoopState>(m, "LoopState")
      .def(nb::init<const std::string&>(), "path"_a)
      .def("drain", &LoopState::drain)
      .def_prop_ro("dropped", &LoopState::dropped)
      .def("status", &LoopState::status);
  nb::class_<PyVirtualLoop>(m, "VirtualLoop")
      .def(nb::init<const rt::LoopSpec&, const std::vector<rt::SourceSpec>&, graphs::Plan&, int64_t,
                    const std::vector<rt::EngineFault>&, std::optional<graphs::Plan*>>(),
           "loop"_a, "sources"_a, "plan"_a, "t0_ns"_a = 0,
           "faults"_a = std::vector<rt::EngineFault>{}, "fallback_plan"_a = nb::none(),
           nb::keep_alive<1, 4>(), nb::keep_alive<1, 7>())
      .def_prop_ro("now_ns", [](PyVirtualLoop& self) { return self.loop().now_ns(); })
      .def_prop_ro("tick", [](PyVirtualLoop& self) { return self.loop().next_tick(); })
      .def_prop_ro("engine_wall_ns",
                   [](PyVirtualLoop& self) { return self.loop().engine_wall_ns(); })
      .def("observe", &PyVirtualLoop::observe, "source"_a, "epoch"_a, "seq"_a, "stamp_ns"_a,
           "values"_a, "received_ns"_a = nb::none())
      .def(
          "command",
          [](PyVirtualLoop& self, const std::string& verb) { return self.loop().command(verb); },
          "verb"_a)
      .def(
          "step",
          [](PyVirtualLoop& self, int64_t wakeup_ns, int64_t engine_ns, bool tick_runs,
             int64_t watchdog_wakeup_ns, bool watchdog_runs) {
            return self.loop().step(
                {wakeup_ns, engine_ns, tick_runs, watchdog_wakeup_ns, watchdog_runs});
          },
          "wakeup_ns"_a = 0, "engine_ns"_a = 0, "tick_runs"_a = true, "watchdog_wakeup_ns"_a = 0,
          "watchdog_runs"_a = true)
      .def("play", &PyVirtualLoop::play, "steps"_a, "arrivals"_a, "values"_a)
      .def("action", &PyVirtualLoop::action)
      .def("records", &PyVirtualLoop::records)
      .def("status", &PyVirtualLoop::status);
  m.def("check_observation", &check_observation, "spec"_a, "boot_id"_a, "topic"_a, "payload"_a,
        "now_ns"_a);
  m.def("tick_record_layout", &tick_record_layout);
  m.def("code_names", &code_names);
  m.def("now_ns", &rt::monotonic_ns);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "rtinfer's real-time core";
  bind_plan(m);
  bind_specs(m);
  bind_service(m);
  bind_workers(m);
}
