// The C API of libzmq, loaded at run time from the library that pyzmq ships.
// Signatures and constants: zmq.h of libzmq 4.x (its ABI has been stable since 4.0).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace rtinfer::rt {

struct ZmqMessage {
  alignas(8) unsigned char opaque[64];  // zmq_msg_t
};

struct ZmqPollItem {
  void* socket;
  int fd;
  short events;
  short revents;
};

struct ZmqApi {
  void* (*ctx_new)();
  int (*ctx_set)(void*, int, int);
  int (*ctx_term)(void*);
  void* (*socket)(void*, int);
  int (*close)(void*);
  int (*setsockopt)(void*, int, const void*, size_t);
  int (*bind)(void*, const char*);
  int (*send)(void*, const void*, size_t, int);
  int (*msg_init)(ZmqMessage*);
  int (*msg_recv)(ZmqMessage*, void*, int);
  int (*msg_close)(ZmqMessage*);
  void* (*msg_data)(ZmqMessage*);
  size_t (*msg_size)(const ZmqMessage*);
  int (*msg_more)(const ZmqMessage*);
  int (*poll)(ZmqPollItem*, int, long);
  int (*error)();
  const char* (*strerror)(int);
  void (*version)(int*, int*, int*);

  // Throws std::runtime_error with a sentence. The library stays loaded.
  static ZmqApi load(const std::string& path);
};

namespace zmq {
inline constexpr int kPub = 1, kSub = 2, kRouter = 6;
inline constexpr int kSubscribe = 6, kLinger = 17, kSendHwm = 23, kReceiveHwm = 24;
inline constexpr int kMaxMessageSize = 22, kRouterMandatory = 33, kIpv6 = 42;
inline constexpr int kDontWait = 1, kSendMore = 2;
inline constexpr short kPollIn = 1;
inline constexpr int kThreadPriority = 3, kThreadSchedulingPolicy = 4;  // context options
inline constexpr int kThreadNamePrefix = 9;
}  // namespace zmq

// A context and its sockets, owned by one thread.
class ZmqContext {
 public:
  // `fifo_priority` of the context's I/O thread; 0: ordinary.
  ZmqContext(const ZmqApi& api, int fifo_priority);
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;

  void* socket(int type);
  void set(void* socket, int option, int value);
  // Throws with a sentence that names the endpoint.
  void bind(void* socket, const std::string& endpoint, const std::string& what);
  void close(void* socket) noexcept;
  const ZmqApi& api() const noexcept { return api_; }

 private:
  const ZmqApi& api_;
  void* context_;
  std::vector<void*> open_;  // the context ends only when none is left, also after a failed start
};

}  // namespace rtinfer::rt
