/* kern - the table of kernels: filled from plain C, overwritten upwards by what the CPU and the OS support.
 *
 * kern.def lists every kernel once; the declarations here, the test that runs each instruction set against plain C, and
 * the benchmark read it. A kernel sees operands and a range, never a thread, an arena or a device.
 *
 * The same-bits contract (docs/design.md): every kernel gives the same bits on every instruction set. Element-wise code
 * is written once over the 16-lane vector of vec_<isa>.h; sums use 16 logical lanes and the fixed fold of vf_sum; a
 * matrix product accumulates each output over k in ascending order with explicit fused multiply-adds. */
#ifndef SOUK_SIMD_KERN_H
#define SOUK_SIMD_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/real.h"

typedef enum kern_isa { KERN_C, KERN_AVX2, KERN_AVX512 } kern_isa;

typedef struct kern_rnn_args kern_rnn_args; /* kern_rnn.h */

typedef struct kern_table {
#define KERN(ret, name, args) ret(*name) args;
#include "simd/kern.def"
#undef KERN
} kern_table;

/* The table in force: chosen once, from the CPU and SOUK_CPU=c|avx2|avx512 (an unknown or unsupported value is ignored
 * with a warning in the log; `doctor` shows it). */
extern kern_table kern;
void kern_init(void); /* idempotent and thread-safe; the API calls it on every entry */
/* For tests and benchmarks: forces a level; false when this machine has not got it. Not thread-safe. */
bool kern_use(kern_isa isa);
kern_isa kern_current(void);
const char *kern_isa_name(kern_isa isa); /* "c", "avx2", "avx512" */
bool kern_supported(kern_isa isa);

/* Flushes denormals in the calling thread; returns the caller's setting for kern_fp_leave. Every entry of the API and
 * every pool task runs between the two. */
uint32_t kern_fp_enter(void);
void kern_fp_leave(uint32_t saved);

/* Fills the slots of one level over `t`; one function per translation unit. */
void kern_fill_c(kern_table *t);
#ifndef SOUK_DOUBLE
void kern_fill_avx2(kern_table *t);
void kern_fill_avx512(kern_table *t);
#endif

#endif
