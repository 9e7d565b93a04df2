// The status of a service as JSON. Called by the ingress thread only.
#include <cstdio>
#include <string>

#include "rtinfer/native/ingress.hpp"
#include "rtinfer/native/names.hpp"

namespace rtinfer::rt {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

class Object {
 public:
  Object& raw(const std::string& key, const std::string& value) {
    if (!body_.empty()) body_ += ',';
    body_ += quoted(key) + ":" + value;
    return *this;
  }
  Object& text(const std::string& key, const std::string& value) { return raw(key, quoted(value)); }
  Object& number(const std::string& key, uint64_t value) { return raw(key, std::to_string(value)); }
  Object& flag(const std::string& key, bool value) { return raw(key, value ? "true" : "false"); }
  std::string str() const { return "{" + body_ + "}"; }

 private:
  std::string body_;
};

std::string source_status(const SourceFile& file) {
  Object drops;
  for (size_t i = 1; i < kDrops; ++i) drops.number(kDropNames[i], file.dropped[i].get());
  Object source;
  source.number("received", file.received.get()).number("accepted", file.accepted.get());
  source.number("skipped", file.skipped.get()).number("gaps", file.gaps.get());
  source.number("restarts", file.restarts.get()).number("budget", file.budget.get());
  return source.raw("dropped", drops.str()).str();
}

std::string swap_status(const ServiceLoop& loop) {
  const LoopFile& file = *loop.file;
  const auto [state, error] = loop.swap.get();
  Object swap;
  swap.text("state", state).text("error", error).number("swaps", file.swaps.get());
  swap.number("shadow_runs", file.shadow_runs.get());
  swap.number("shadow_passed", file.shadow_passed.get());
  swap.number("shadow_nonfinite", file.shadow_nonfinite.get());
  swap.raw("shadow_max", decimal(file.shadow_max.load(std::memory_order_relaxed)));
  swap.raw("shadow_mean", decimal(file.shadow_mean.load(std::memory_order_relaxed)));
  return swap.str();
}

std::string hex(const EngineHash& hash) {
  std::string out;
  char digits[3];
  const auto* bytes = reinterpret_cast<const unsigned char*>(hash.data());
  for (size_t i = 0; i < sizeof(hash); ++i) {
    std::snprintf(digits, sizeof(digits), "%02x", bytes[i]);
    out += digits;
  }
  return out;
}

std::string loop_status(const ServiceLoop& parts) {
  const LoopFile& file = *parts.file;
  Object counters, origins, reasons;
  for (size_t i = 0; i < kOrigins; ++i) origins.number(kOriginNames[i], file.by_origin[i].get());
  for (size_t i = 1; i < kReasons; ++i) reasons.number(kReasonNames[i], file.by_reason[i].get());
  counters.number("lost", file.lost.get()).number("skipped", file.skipped.get());
  counters.number("late_results", file.late_results.get());
  counters.number("clipped", file.clipped.get()).number("resets", file.resets.get());
  counters.number("sent", file.sent.get()).number("unsent", file.unsent.get());
  counters.number("send_errors", file.send_errors.get());
  EngineHash engine{};
  file.engine.read(engine);
  const auto health = file.health.load(std::memory_order_relaxed);
  Object loop;
  loop.text("engine", hex(engine)).raw("swap", swap_status(parts));
  loop.text("health", kHealthNames[health % kHealths]);
  loop.flag("armed", file.armed_from.load(std::memory_order_relaxed) != kNever);
  loop.flag("latched_stop", file.latched_stop.load(std::memory_order_relaxed) != 0);
  loop.flag("best_effort", file.best_effort != 0);
  loop.number("tick", file.watch_done.load(std::memory_order_relaxed));
  loop.number("period_ns", static_cast<uint64_t>(file.period_ns));
  loop.number("recoveries", file.recoveries_total.get());
  if (file.phase_locked.load(std::memory_order_relaxed) != 0) {
    const auto age = [](const std::atomic<int64_t>& mean) {  // partner: TickCore::note_age
      return static_cast<uint64_t>(mean.load(std::memory_order_relaxed));
    };
    loop.flag("phase_locked", true).number("age_unlocked_ns", age(file.age_unlocked_ns));
    loop.number("age_locked_ns", age(file.age_locked_ns));
  }
  loop.raw("counters", counters.str()).raw("origins", origins.str());
  return loop.raw("misses", reasons.str()).str();
}

}  // namespace

std::string status_json(const ServiceParts& parts) {
  Object loops, sources, service;
  for (const auto& loop : parts.loops) loops.raw(loop->spec->name, loop_status(*loop));
  for (size_t i = 0; i < parts.sources.size(); ++i) {
    if (parts.sources[i] == nullptr) continue;
    sources.raw(parts.spec->sources[i].name, source_status(*parts.sources[i]));
  }
  service.text("name", parts.spec->name).number("pid", parts.loops.front()->file->pid);
  service.number("epoch", parts.spec->epoch);
  return service.raw("loops", loops.str()).raw("sources", sources.str()).str();
}

}  // namespace rtinfer::rt
