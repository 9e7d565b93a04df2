// Handlers that do no more than a handler may.
#include "rtinfer/native/signals.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace rtinfer::rt {
namespace {

// SIGTERM may be delivered to any thread, also to one that a library made before us.
volatile sig_atomic_t end_fd = -1;

void end_service(int) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(end_fd, &one, sizeof(one));
}

void end_sleep(int) {}  // being delivered is all it is for

void handle(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

}  // namespace

int take_signals() noexcept {
  end_fd = eventfd(0, EFD_CLOEXEC);
  handle(SIGTERM, end_service);
  handle(SIGUSR1, end_sleep);
  return end_fd;
}

void ignore_end() noexcept {
  handle(SIGTERM, SIG_IGN);
}

}  // namespace rtinfer::rt
