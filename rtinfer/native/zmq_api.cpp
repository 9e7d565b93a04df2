// Loading libzmq and making sockets; errors are sentences that name the endpoint.
#include "rtinfer/native/zmq_api.hpp"

#include <dlfcn.h>
#include <sched.h>
#include <sys/stat.h>

#include <cerrno>
#include <stdexcept>

namespace rtinfer::rt {
namespace {

template <typename F>
void resolve(void* library, const char* name, F& function) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) {
    throw std::runtime_error(std::string("libzmq has no ") + name +
                             ", expected libzmq 4.1 or newer; upgrade pyzmq");
  }
  function = reinterpret_cast<F>(symbol);
}

}  // namespace

ZmqApi ZmqApi::load(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw std::runtime_error("cannot load libzmq from " + path + ": " + dlerror() +
                             "; reinstall pyzmq");
  }
  ZmqApi api{};
  resolve(library, "zmq_ctx_new", api.ctx_new);
  resolve(library, "zmq_ctx_set", api.ctx_set);
  resolve(library, "zmq_ctx_term", api.ctx_term);
  resolve(library, "zmq_socket", api.socket);
  resolve(library, "zmq_close", api.close);
  resolve(library, "zmq_setsockopt", api.setsockopt);
  resolve(library, "zmq_bind", api.bind);
  resolve(library, "zmq_send", api.send);
  resolve(library, "zmq_msg_init", api.msg_init);
  resolve(library, "zmq_msg_recv", api.msg_recv);
  resolve(library, "zmq_msg_close", api.msg_close);
  resolve(library, "zmq_msg_data", api.msg_data);
  resolve(library, "zmq_msg_size", api.msg_size);
  resolve(library, "zmq_msg_more", api.msg_more);
  resolve(library, "zmq_poll", api.poll);
  resolve(library, "zmq_errno", api.error);
  resolve(library, "zmq_strerror", api.strerror);
  resolve(library, "zmq_version", api.version);
  int major = 0, minor = 0, patch = 0;
  api.version(&major, &minor, &patch);
  if (major != 4 || minor < 1) {
    throw std::runtime_error("libzmq at " + path + " is version " + std::to_string(major) + "." +
                             std::to_string(minor) + ", expected 4.1 to 4.x; upgrade pyzmq");
  }
  return api;
}

ZmqContext::ZmqContext(const ZmqApi& api, int fifo_priority) : api_(api), context_(api.ctx_new()) {
  if (context_ == nullptr) throw std::runtime_error("libzmq could not make a context");
  if (fifo_priority > 0) {
    api_.ctx_set(context_, zmq::kThreadSchedulingPolicy, SCHED_FIFO);
    api_.ctx_set(context_, zmq::kThreadPriority, fifo_priority);
  }
}

ZmqContext::~ZmqContext() {
  for (void* socket : open_) api_.close(socket);
  api_.ctx_term(context_);
}

void ZmqContext::close(void* socket) noexcept {
  if (std::erase(open_, socket) != 0) api_.close(socket);
}

void* ZmqContext::socket(int type) {
  void* made = api_.socket(context_, type);
  if (made == nullptr) {
    throw std::runtime_error(std::string("libzmq could not make a socket: ") +
                             api_.strerror(api_.error()));
  }
  open_.push_back(made);
  set(made, zmq::kLinger, 0);
  set(made, zmq::kIpv6, 1);
  return made;
}

void ZmqContext::set(void* socket, int option, int value) {
  if (api_.setsockopt(socket, option, &value, sizeof(value)) != 0) {
    throw std::runtime_error("libzmq refused socket option " + std::to_string(option) + ": " +
                             api_.strerror(api_.error()));
  }
}

void ZmqContext::bind(void* socket, const std::string& endpoint, const std::string& what) {
  if (api_.bind(socket, endpoint.c_str()) != 0) {
    const int error = api_.error();
    const char* hint =
        error == EADDRINUSE ? "; another process holds it, choose another endpoint" : "";
    throw std::runtime_error(what + " cannot bind " + endpoint + ": " + api_.strerror(error) +
                             hint);
  }
  // The directory is 0700 already; the socket says it again.
  if (endpoint.rfind("ipc://", 0) == 0) chmod(endpoint.c_str() + 6, 0600);
}

}  // namespace rtinfer::rt
