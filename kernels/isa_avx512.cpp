// The kernels for avx512: nothing here but the table has external linkage.
#include "kernels/lanes_avx512.hpp"
#include "kernels/make_table.hpp"

namespace rtinfer::kernels {

extern constinit const Table kTableAvx512 =
    make_table<Lanes, gemv<Lanes>, product<Lanes>>("avx512");

}  // namespace rtinfer::kernels
