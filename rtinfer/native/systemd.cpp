// One datagram socket, connected at the start; a message that cannot be sent is lost, and no
// matter.
#include "rtinfer/native/systemd.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace rtinfer::rt {

Systemd::Systemd() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  const size_t length = path == nullptr ? 0 : std::strlen(path);
  if (length < 2 || length >= sizeof(address.sun_path)) return;
  if (path[0] != '/' && path[0] != '@') return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (fd_ >= 0 && connect(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    close(fd_);
    fd_ = -1;
  }
  const char* period = std::getenv("WATCHDOG_USEC");
  const long long period_us = period == nullptr ? 0 : std::atoll(period);
  if (fd_ >= 0 && period_us > 0) {
    watchdog_ms_ = static_cast<int>(std::clamp<long long>(period_us / 3000, 1, 60'000));
  }
}

Systemd::~Systemd() {
  if (fd_ >= 0) close(fd_);
}

void Systemd::say(const std::string& state) const noexcept {
  if (fd_ < 0) return;
  [[maybe_unused]] const ssize_t sent =
      send(fd_, state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace rtinfer::rt
