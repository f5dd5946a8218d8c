/* gemm - the calls of gemm.h, through the table of kernels. */
#include "simd/gemm.h"

#include "simd/kern.h"

void gemm(const gemm_args *args, void *scratch) { kern.gemm(args, scratch); }
size_t gemm_scratch(int64_t m, int64_t n, int64_t k) { return kern.gemm_scratch(m, n, k); }
size_t gemm_packed_size(int64_t n, int64_t k) { return kern.gemm_packed_size(n, k); }
void gemm_pack(const gemm_args *args, real *packed) { kern.gemm_pack(args, packed); }
