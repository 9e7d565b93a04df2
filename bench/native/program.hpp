// What both programs share: key=value arguments, the monotonic clock, pinning and priority.
#pragma once

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <string_view>

namespace bench {

inline constexpr int64_t kSecond = 1'000'000'000;

[[noreturn]] inline void stop(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

class Arguments {
 public:
  Arguments(int count, char** words) {
    for (int i = 1; i < count; ++i) {
      const std::string_view word(words[i]);
      const size_t equals = word.find('=');
      if (equals == std::string_view::npos) stop("expected key=value, got " + std::string(word));
      values_[std::string(word.substr(0, equals))] = word.substr(equals + 1);
    }
  }

  const std::string& text(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) stop("missing argument " + key + "=...");
    return found->second;
  }

  int64_t number(const std::string& key) const {
    const std::string& word = text(key);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) {
      stop(key + "=" + word + " is not a whole number");
    }
    return value;
  }

 private:
  std::map<std::string, std::string> values_;
};

inline int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

inline void sleep_until(int64_t at_ns) {
  const timespec at{at_ns / kSecond, at_ns % kSecond};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) != 0) {
  }
}

// Pins this thread (core -1: anywhere), asks for SCHED_FIFO (priority 0: ordinary) and locks
// memory.
inline void enter_real_time(int64_t core, int64_t priority) {
  if (core >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(core), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) stop("cannot pin to core");
  }
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  if (priority > 0) {
    sched_param parameter{};
    parameter.sched_priority = static_cast<int>(priority);
    if (sched_setscheduler(0, SCHED_FIFO, &parameter) != 0) stop("no right to SCHED_FIFO");
    mlockall(MCL_CURRENT);
  }
}

inline void store_big_endian(unsigned char* at, uint64_t value) {
  for (int i = 7; i >= 0; --i, value >>= 8) at[i] = static_cast<unsigned char>(value);
}

inline int64_t load_big_endian(const unsigned char* at) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | at[i];
  return static_cast<int64_t>(value);
}

}  // namespace bench
