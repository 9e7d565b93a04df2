// SIGTERM asks a service to end; SIGUSR1 ends a thread's sleep.
#pragma once

namespace rtinfer::rt {

// Takes both signals and returns an eventfd that SIGTERM makes readable.
int take_signals() noexcept;

void ignore_end() noexcept;  // SIGTERM changes nothing any more

}  // namespace rtinfer::rt
