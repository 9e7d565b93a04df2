// The names of codes, as users read them; in the order of the enums in action.hpp and health.hpp.
#pragma once

#include <cstddef>

#include "rtinfer/native/action.hpp"

namespace rtinfer::rt {

inline constexpr size_t kHealths = 6;
inline constexpr const char* kHealthNames[kHealths] = {"INIT",     "READY", "NOMINAL",
                                                       "DEGRADED", "SAFE",  "RECOVERING"};
inline constexpr const char* kOriginNames[kOrigins] = {"none", "policy",   "chunk",
                                                       "held", "fallback", "safe"};
inline constexpr const char* kReasonNames[kReasons] = {
    "none",    "late",    "no_observation", "stale",        "nonfinite", "over_limit",
    "skipped", "stopped", "lost",           "engine_error", "restart"};

}  // namespace rtinfer::rt
