// The loader thread: loads engine images while the loop runs, with no priority at all.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "rtinfer/native/engine_image.hpp"
#include "rtinfer/native/service_parts.hpp"

namespace rtinfer::rt {

class Loader {
 public:
  explicit Loader(ServiceParts& parts) : parts_(parts) {}

  struct Order {
    size_t loop;
    std::string path;  // empty: drop the shadow
    bool shadow;
  };
  void submit(Order order);
  void run();  // until end() is called
  void end();

 private:
  void carry_out(const Order& order);
  void free_unused();

  ServiceParts& parts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Order> orders_;
  bool ending_ = false;
  std::vector<std::unique_ptr<LoadedEngine>> loaded_;
};

}  // namespace rtinfer::rt
