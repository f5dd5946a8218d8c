/* kern_c - the kernels in plain C: what every other level must equal, and all that the double build has. The bodies are
 * shared; only the vector type differs, and the matrix product, which is written plainly here. */
#define VEC_CALLS
#include "simd/kern.h"
#include "simd/vec_c.h"
#include "simd/vec_math.h"

#include "simd/kern_csv.h"
#include "simd/kern_elem.h"
#include "simd/kern_gemm_plain.h"
#include "simd/kern_opt.h"
#include "simd/kern_rnn.h"
#include "simd/kern_text.h"

void kern_fill_c(kern_table *t) {
#define KERN(ret, name, args) t->name = kern_##name;
#include "simd/kern.def"
#undef KERN
}
