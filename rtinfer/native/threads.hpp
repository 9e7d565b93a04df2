// The bodies of the tick and watchdog threads of one loop.
#pragma once

#include "rtinfer/native/service_parts.hpp"

namespace rtinfer::rt {

void tick_thread(ServiceParts& parts, ServiceLoop& loop) noexcept;
void watchdog_thread(ServiceParts& parts, ServiceLoop& loop) noexcept;

}  // namespace rtinfer::rt
