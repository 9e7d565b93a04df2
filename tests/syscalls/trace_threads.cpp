// Runs a command and counts the system calls of some of its threads, by ptrace.
//
//   trace_threads SECONDS NAME[,NAME...] COMMAND...
//
// Starts when the command has printed a line "ready", then looks for threads of these names in the
// command and its children. Prints a line "NAME NUMBER OPERATION CALLS" for each system call that
// was seen (OPERATION: of a futex, without its flags; else 0), ends the command with SIGTERM, and
// exits with its status; 77 where ptrace is not permitted. The command is a child, so that an
// ordinary user may trace it too.
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace {

namespace fs = std::filesystem;
constexpr int kNotPermitted = 77;
constexpr int kSyscallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

pid_t command = -1;

[[noreturn]] void stop(int code, const std::string& why) {
  std::fprintf(stderr, "trace_threads: %s\n", why.c_str());
  if (command > 0) kill(command, SIGTERM);
  std::exit(code);
}

double now_s() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Starts the command and waits for its line "ready".
void start(char** words) {
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) stop(1, "pipe2 failed");
  command = fork();
  if (command == 0) {
    dup2(out[1], STDOUT_FILENO);
    execvp(words[0], words);
    _exit(127);
  }
  close(out[1]);
  std::string line;
  for (char letter; read(out[0], &letter, 1) == 1;) {
    if (letter != '\n') {
      line += letter;
    } else if (line == "ready") {
      return;  // the pipe stays open: the command may print more
    } else {
      line.clear();
    }
  }
  stop(1, "the command ended before it was ready");
}

pid_t parent_of(const fs::path& process) {
  std::ifstream file(process / "stat");
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(')');  // of the name, which may hold anything
  if (end == std::string::npos) return -1;
  std::istringstream rest(text.substr(end + 1));
  std::string state;
  pid_t parent = -1;
  rest >> state >> parent;
  return parent;
}

std::set<pid_t> descendants(pid_t root) {
  std::map<pid_t, pid_t> parents;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0) parents[pid] = parent_of(entry.path());
  }
  std::set<pid_t> found{root};
  for (size_t before = 0; before != found.size();) {
    before = found.size();
    for (const auto& [pid, parent] : parents) {
      if (found.contains(parent)) found.insert(pid);
    }
  }
  return found;
}

std::map<pid_t, std::string> threads_named(const std::set<std::string>& names) {
  std::map<pid_t, std::string> found;
  for (const pid_t process : descendants(command)) {
    std::error_code gone;
    const fs::path tasks = "/proc/" + std::to_string(process) + "/task";
    for (const auto& task : fs::directory_iterator(tasks, gone)) {
      std::ifstream file(task.path() / "comm");
      std::string name;
      std::getline(file, name);
      if (names.contains(name)) found[std::atoi(task.path().filename().c_str())] = name;
    }
  }
  return found;
}

void attach(pid_t thread) {
  if (ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_TRACESYSGOOD) != 0) {
    const std::string why = std::strerror(errno);
    stop(errno == EPERM || errno == ENOSYS ? kNotPermitted : 1, "PTRACE_SEIZE: " + why);
  }
  ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
}

using Call = std::tuple<std::string, uint64_t, uint64_t>;  // thread, number, operation

void count_entry(pid_t thread, const std::string& name, std::map<Call, int>& calls) {
  __ptrace_syscall_info info{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) <= 0) {
    stop(kNotPermitted, "PTRACE_GET_SYSCALL_INFO needs Linux 5.3");
  }
  if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
  const bool futex = info.entry.nr == SYS_futex;
  const uint64_t flags = FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME;
  ++calls[{name, info.entry.nr, futex ? info.entry.args[1] & ~flags : 0}];
}

// Lets the threads run from system call to system call for `seconds`, then lets go of them.
std::map<Call, int> trace(std::map<pid_t, std::string> threads, double seconds) {
  std::map<Call, int> calls;
  struct sigaction act{};
  act.sa_handler = [](int) {};
  sigaction(SIGALRM, &act, nullptr);  // without SA_RESTART: it ends waitpid
  const itimerval every{{0, 20'000}, {0, 20'000}};
  setitimer(ITIMER_REAL, &every, nullptr);
  const double end = now_s() + seconds;
  bool over = false;
  while (!threads.empty()) {
    if (!over && now_s() > end) {
      over = true;
      for (const auto& [thread, name] : threads) ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
    }
    int status = 0;
    const pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0 || !WIFSTOPPED(status)) stop(1, "it ended while it was traced");
    const int signal = WSTOPSIG(status);
    if (signal == kSyscallStop) count_entry(thread, threads.at(thread), calls);
    const bool own = signal == kSyscallStop || status >> 16 == PTRACE_EVENT_STOP;
    const auto deliver = static_cast<uintptr_t>(own ? 0 : signal);
    ptrace(over ? PTRACE_DETACH : PTRACE_SYSCALL, thread, nullptr, deliver);
    if (over) threads.erase(thread);
  }
  return calls;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: trace_threads SECONDS NAME[,NAME...] COMMAND...\n");
    return 2;
  }
  std::set<std::string> names;
  std::istringstream list(argv[2]);
  for (std::string name; std::getline(list, name, ',');) names.insert(name);

  start(argv + 3);
  const std::map<pid_t, std::string> threads = threads_named(names);
  std::set<std::string> found;
  for (const auto& [thread, name] : threads) found.insert(name);
  for (const std::string& name : names) {
    if (!found.contains(name)) stop(1, "the command has no thread " + name);
  }
  for (const auto& [thread, name] : threads) attach(thread);
  for (const auto& [call, count] : trace(threads, std::atof(argv[1]))) {
    const auto& [name, number, operation] = call;
    std::printf("%s %lu %lu %d\n", name.c_str(), number, operation, count);
  }
  int status = 0;
  kill(command, SIGTERM);
  while (waitpid(command, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
