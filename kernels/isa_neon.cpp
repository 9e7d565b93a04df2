// The kernels for neon: nothing here but the table has external linkage.
#include "kernels/lanes_neon.hpp"
#include "kernels/make_table.hpp"

namespace rtinfer::kernels {

extern constinit const Table kTableNeon = make_table<Lanes, gemv<Lanes>, product<Lanes>>("neon");

}  // namespace rtinfer::kernels
