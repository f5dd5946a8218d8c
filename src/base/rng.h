/* rng - counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
 *
 * A value depends on its key and its counter and on nothing else: not on the thread, shard or rank that asks, not on
 * what was drawn before, not on an interruption. Never for keys, tokens or DP noise: those come from libsodium. */
#ifndef SOUK_BASE_RNG_H
#define SOUK_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* What is being drawn: seed and purpose. `stream` tells apart ops, parameters, epochs' shuffles, bootstraps (enum
 * below, or an op's number in the graph); `step` is the optimiser step, epoch or replicate. */
typedef struct rng_key {
    uint64_t seed;
    uint32_t stream;
    uint32_t step;
} rng_key;

/* Streams below 2^20 are op numbers of a graph. */
enum { RNG_INIT = 1 << 20, RNG_SHUFFLE, RNG_SPLIT, RNG_BOOTSTRAP, RNG_AUGMENT, RNG_SEARCH, RNG_USER = 1 << 24 };

/* Four 32-bit words for counter (sample, position, channel / 4 …): out[0..3] = Philox4x32-10(key, counter). The seed's
 * 64 bits are the Philox key; counter words are {stream ^ high bits of sample, step, sample, position_channel}. */
void rng_philox(rng_key key, uint64_t sample, uint32_t block, uint32_t out[4]);
/* The raw function, for known-answer tests. */
void rng_philox_raw(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/* Number i of a key's sequence (sample = i / 4, word i % 4). */
uint32_t rng_u32(rng_key key, uint64_t i);
/* Uniform in [0, 1): 53 bits, number i uses words 2i and 2i+1. */
double rng_uniform(rng_key key, uint64_t i);
/* Uniform integer in [0, n), unbiased, n > 0. Draw i; rejected draws continue in a stream of their own. */
uint64_t rng_below(rng_key key, uint64_t i, uint64_t n);
/* Standard normal by Box-Muller on uniforms 2*(i/2), 2*(i/2)+1, with our own log, sin and cos in double. */
double rng_normal(rng_key key, uint64_t i);
/* Fisher-Yates permutation of 0 … n-1 into out. */
void rng_permutation(rng_key key, int64_t n, int64_t *out);

#endif
