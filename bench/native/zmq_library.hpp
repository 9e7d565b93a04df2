// libzmq's C API by dlopen: the very library that rtinfer uses, so that both sides measure the same
// code.
#pragma once

#include <dlfcn.h>
#include <sched.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/native/program.hpp"

namespace bench {

// Values of zmq.h, a stable ABI.
inline constexpr int kPub = 1, kSub = 2, kSubscribe = 6, kLinger = 17, kReceiveTimeout = 27;
inline constexpr int kSendMore = 2, kDontWait = 1;
inline constexpr int kThreadPriority = 3, kThreadPolicy = 4, kThreadAffinityAdd = 7;

struct Zmq {
  void* (*context_new)();
  int (*context_set)(void*, int, int);
  void* (*socket)(void*, int);
  int (*set)(void*, int, const void*, size_t);
  int (*bind)(void*, const char*);
  int (*connect)(void*, const char*);
  int (*send)(void*, const void*, size_t, int);
  int (*receive)(void*, void*, size_t, int);

  explicit Zmq(const std::string& path) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) stop(std::string("cannot load libzmq: ") + dlerror());
    take(library, "zmq_ctx_new", context_new);
    take(library, "zmq_ctx_set", context_set);
    take(library, "zmq_socket", socket);
    take(library, "zmq_setsockopt", set);
    take(library, "zmq_bind", bind);
    take(library, "zmq_connect", connect);
    take(library, "zmq_send", send);
    take(library, "zmq_recv", receive);
  }

  // A context whose I/O thread has the given core and SCHED_FIFO priority.
  void* context(int64_t core, int64_t priority) const {
    void* made = context_new();
    if (core >= 0) context_set(made, kThreadAffinityAdd, static_cast<int>(core));
    if (priority > 0) {
      context_set(made, kThreadPolicy, SCHED_FIFO);
      context_set(made, kThreadPriority, static_cast<int>(priority));
    }
    return made;
  }

  void option(void* on, int name, int value) const { set(on, name, &value, sizeof value); }

 private:
  template <typename F>
  static void take(void* library, const char* name, F& function) {
    void* symbol = dlsym(library, name);
    if (symbol == nullptr) stop(std::string("libzmq lacks ") + name);
    std::memcpy(&function, &symbol, sizeof symbol);
  }
};

}  // namespace bench
