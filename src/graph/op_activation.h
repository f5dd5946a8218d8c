/* op_activation - the attribute of activation nodes, for op_activation.c and the rules in fuse.c. */
#ifndef SOUK_GRAPH_OP_ACTIVATION_H
#define SOUK_GRAPH_OP_ACTIVATION_H

#include <stdbool.h>

#include "simd/gemm.h"

typedef struct activation_attr {
    gemm_act act;
} activation_attr;
bool activation_from_output(gemm_act act); /* the derivative follows from the output alone */

#endif
