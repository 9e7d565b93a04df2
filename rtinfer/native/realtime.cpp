// The system calls behind real-time rights. Called while a thread sets up, except sleep_until_ns.
#include "rtinfer/native/realtime.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "rtinfer/native/rt_tick.hpp"

namespace rtinfer::rt {

bool set_fifo(int priority) noexcept {
  sched_param param{};
  param.sched_priority = priority;
  // RESET_ON_FORK: a child never inherits the right to stop the machine.
  return pthread_setschedparam(pthread_self(), SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0;
}

void set_other() noexcept {
  sched_param param{};
  pthread_setschedparam(pthread_self(), SCHED_OTHER | SCHED_RESET_ON_FORK, &param);
}

bool pin_to(int core) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
}

bool may_use(int core) noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof(allowed), &allowed);
  return core >= 0 && core < CPU_SETSIZE && CPU_ISSET(static_cast<unsigned>(core), &allowed);
}

void leave_cores(const std::vector<int>& cores) noexcept {
  cpu_set_t left;
  CPU_ZERO(&left);
  sched_getaffinity(0, sizeof(left), &left);
  for (const int core : cores) {
    if (core >= 0 && core < CPU_SETSIZE) CPU_CLR(static_cast<unsigned>(core), &left);
  }
  if (CPU_COUNT(&left) > 0) sched_setaffinity(0, sizeof(left), &left);
}

bool lock_memory() noexcept {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  // Under a finite limit a later mapping would fail, not merely stay unlocked; root has no limit.
  if (limit.rlim_cur != RLIM_INFINITY && geteuid() != 0) return false;
  return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

bool lock_range(void* start, size_t bytes) noexcept {
  return mlock(start, bytes) == 0;
}

void touch_stack() noexcept {
  constexpr size_t kBytes = 64 * 1024;
  unsigned char pages[kBytes];
  volatile unsigned char* touch = pages;
  for (size_t i = 0; i < kBytes; i += 4096) touch[i] = 0;
}

void name_thread(const char* name) noexcept {
  prctl(PR_SET_NAME, name, 0, 0, 0);
}

void sharpen_timers() noexcept {
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

int hold_cpu_latency() noexcept {
  const int fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const int32_t microseconds = 0;
  if (write(fd, &microseconds, sizeof(microseconds)) != sizeof(microseconds)) {
    close(fd);
    return -1;
  }
  return fd;
}

RT_TICK void sleep_until_ns(int64_t when) noexcept {
  timespec until{};
  until.tv_sec = static_cast<time_t>(when / 1'000'000'000);
  until.tv_nsec = static_cast<long>(when % 1'000'000'000);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

}  // namespace rtinfer::rt
