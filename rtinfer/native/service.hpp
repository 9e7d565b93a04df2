// A whole service in this process: loads libzmq, lays out the files, starts the threads, waits,
// stops.
#pragma once

#include <string>
#include <vector>

#include "rtinfer/native/engine.hpp"
#include "rtinfer/native/spec.hpp"

namespace rtinfer::rt {

// Runs until SIGTERM, or until the supervisor is gone if so configured. Returns "" or why it
// failed. Blocks signals in the calling thread for good: meant for a process that does nothing
// else.
// `fallbacks`: one a loop, without `run` where the loop has none.
std::string serve(const ServiceSpec& spec, const std::vector<Engine>& engines,
                  const std::vector<Engine>& fallbacks);

}  // namespace rtinfer::rt
