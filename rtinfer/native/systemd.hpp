// Telling systemd that the service is ready, alive and leaving (Type=notify, WatchdogSec).
// Protocol: sd_notify(3): datagrams of NAME=VALUE lines to the socket named in NOTIFY_SOCKET.
#pragma once

#include <cstdint>
#include <string>

namespace rtinfer::rt {

class Systemd {
 public:
  Systemd();  // reads NOTIFY_SOCKET and WATCHDOG_USEC; without them everything here does nothing
  ~Systemd();
  Systemd(const Systemd&) = delete;
  Systemd& operator=(const Systemd&) = delete;

  void say(const std::string& state) const noexcept;
  // How often to say WATCHDOG=1, in ms: a third of what systemd waits for; -1: never.
  int watchdog_ms() const noexcept { return watchdog_ms_; }

 private:
  int fd_ = -1;
  int watchdog_ms_ = -1;
};

}  // namespace rtinfer::rt
