/* build - from a spec and the shapes of fitted features to a net. Included by model.c and build.c. */
#ifndef SOUK_MODEL_BUILD_H
#define SOUK_MODEL_BUILD_H

#include "model/model.h"

/* Width of a category's embedding where the spec leaves it open: half the number of values, at most 50 (fast.ai's
 * rule). */
static inline int64_t build_embedding_width(int64_t vocabulary) {
    int64_t half = (vocabulary + 1) / 2;
    return half < 50 ? half : 50;
}

#endif
