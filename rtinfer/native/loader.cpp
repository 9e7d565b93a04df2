// Orders come from ingress, one at a time; what became of one stands in the loop's swap note.
#include "rtinfer/native/loader.hpp"

#include <algorithm>
#include <stdexcept>

#include "rtinfer/native/realtime.hpp"

namespace rtinfer::rt {

void Loader::submit(Order order) {
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(order));
  }
  changed_.notify_one();
}

void Loader::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
}

void Loader::run() {
  name_thread("rtinfer-loader");
  while (true) {
    Order order{};
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || !orders_.empty(); });
      if (ending_) return;
      order = std::move(orders_.front());
      orders_.pop_front();
    }
    carry_out(order);
  }
}

void Loader::carry_out(const Order& order) {
  ServiceLoop& loop = *parts_.loops[order.loop];
  loop.swap.set("loading", "");
  try {
    const BoundEngine* bound = nullptr;
    if (!order.path.empty()) {
      free_unused();
      loaded_.push_back(load_engine_image(order.path, *loop.spec, parts_.spec->sources));
      bound = &loaded_.back()->bound;
    }
    // partner: the tick thread, which takes it whole: everything above happened before.
    std::atomic<const BoundEngine*>& place = order.shadow ? loop.engines.shadow : loop.engines.next;
    place.store(bound, std::memory_order_release);
    loop.swap.set(order.shadow ? "shadow" : "handed over", "");
  } catch (const std::exception& error) {
    loop.swap.set("failed", error.what());
  }
}

// An engine may go when no loop runs it, is about to, or has it as shadow.
void Loader::free_unused() {
  std::erase_if(loaded_, [this](const std::unique_ptr<LoadedEngine>& engine) {
    return std::none_of(parts_.loops.begin(), parts_.loops.end(), [&](const auto& loop) {
      const EngineSwitch& engines = loop->engines;
      const BoundEngine* bound = &engine->bound;
      // partner: TickCore, which stores what it has taken before it drops what it had.
      return engines.next.load(std::memory_order_acquire) == bound ||
             engines.active.load(std::memory_order_acquire) == bound ||
             engines.shadow.load(std::memory_order_acquire) == bound ||
             engines.shadow_active.load(std::memory_order_acquire) == bound;
    });
  });
}

}  // namespace rtinfer::rt
