// The kernels for avx2: nothing here but the table has external linkage.
#include "kernels/lanes_avx2.hpp"
#include "kernels/make_table.hpp"

namespace rtinfer::kernels {

extern constinit const Table kTableAvx2 = make_table<Lanes, gemv<Lanes>, product<Lanes>>("avx2");

}  // namespace rtinfer::kernels
