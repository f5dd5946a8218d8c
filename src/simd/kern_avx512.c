/* kern_avx512 - the kernels on AVX-512: the shared bodies over vec_avx512.h, compiled with that instruction set's
 * flags. */
#include "simd/kern.h"
#include "simd/vec_avx512.h"
#include "simd/vec_math.h"

#include "simd/kern_csv.h"
#include "simd/kern_elem.h"
#include "simd/kern_gemm.h"
#include "simd/kern_opt.h"
#include "simd/kern_rnn.h"
#include "simd/kern_text.h"

void kern_fill_avx512(kern_table *t) {
#define KERN(ret, name, args) t->name = kern_##name;
#include "simd/kern.def"
#undef KERN
}
