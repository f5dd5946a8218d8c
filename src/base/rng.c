/* rng - Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * Ten rounds of two 32 x 32 -> 64 bit products turn (key, counter) into four random words. There is no state: number i
 * of a sequence is computed from i. Layout: the seed is the 64-bit Philox key; the counter is
 *     {stream ^ high half of sample, step, low half of sample, block}.
 * Leaves to others: bulk masks (simd), secrets and DP noise (libsodium, in privacy).
 * Invariant: a value depends on key and index only; log, sin and cos are dmath's, so normals have the same bits
 * everywhere. */
#include "base/rng.h"

#include <assert.h>
#include <math.h>

#include "base/dmath.h"

void rng_philox_raw(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1], c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2; /* the paper's multipliers */
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* Weyl sequence: golden ratio, sqrt(3) - 1 */
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void rng_philox(rng_key key, uint64_t sample, uint32_t block, uint32_t out[4]) {
    uint32_t k[2] = {(uint32_t)key.seed, (uint32_t)(key.seed >> 32)};
    uint32_t counter[4] = {key.stream ^ (uint32_t)(sample >> 32), key.step, (uint32_t)sample, block};
    rng_philox_raw(k, counter, out);
}

uint32_t rng_u32(rng_key key, uint64_t i) {
    uint32_t words[4];
    rng_philox(key, i / 4, 0, words);
    return words[i % 4];
}

/* Words 2i and 2i+1, the first one on top. */
static uint64_t pair(rng_key key, uint64_t i) {
    uint32_t words[4];
    rng_philox(key, i / 2, 0, words);
    unsigned at = (unsigned)(i % 2) * 2;
    return (uint64_t)words[at] << 32 | words[at + 1];
}

double rng_uniform(rng_key key, uint64_t i) { return (double)(pair(key, i) >> 11) * 0x1p-53; }

/* Lemire, "Fast random integer generation in an interval" (2019): the high half of draw * n is uniform once the draws
 * whose low half is below 2^64 mod n are rejected. Rejected draws go on in blocks 1, 2, … of sample i, which no other
 * function of this file uses. */
uint64_t rng_below(rng_key key, uint64_t i, uint64_t n) {
    assert(n > 0);
    unsigned __int128 product = (unsigned __int128)pair(key, i) * n;
    if ((uint64_t)product < n) {
        uint64_t threshold = (0 - n) % n;
        for (uint32_t block = 1; (uint64_t)product < threshold; block++) {
            uint32_t words[4];
            rng_philox(key, i, block, words);
            product = (unsigned __int128)((uint64_t)words[0] << 32 | words[1]) * n;
        }
    }
    return (uint64_t)(product >> 64);
}

double rng_normal(rng_key key, uint64_t i) {
    uint64_t even = i & ~(uint64_t)1;
    double u = 1 - rng_uniform(key, even); /* in (0, 1]: the logarithm is finite */
    double angle = 0x1.921fb54442d18p+2 * rng_uniform(key, even + 1);
    double radius = sqrt(-2 * dmath_log(u));
    return radius * (i & 1 ? dmath_sin(angle) : dmath_cos(angle));
}

void rng_permutation(rng_key key, int64_t n, int64_t *out) {
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)rng_below(key, (uint64_t)i, (uint64_t)i + 1), kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}
