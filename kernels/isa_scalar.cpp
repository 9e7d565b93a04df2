// The kernels in plain C++ for any CPU, and the scalar reference that defines every table's bytes.
#include "kernels/lanes_scalar.hpp"
#include "kernels/make_table.hpp"

namespace rtinfer::kernels {

extern constinit const Table kTableScalar =
    make_table<Scalar<16>, gemv<Scalar<16>>, product<Scalar<16>>>("scalar");

extern constinit const Table kTableReference =
    make_table<Scalar<1>, reference_gemv, reference_product>("reference");

}  // namespace rtinfer::kernels
