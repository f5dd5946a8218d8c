/* fuzz_model - model files from strangers: no crash, and an accepted file keeps its promises: tensors lie inside the
 * file, tile it, and are found by name.
 *
 * The mutator knows the layout, because almost any changed byte ends at the header's length or at the checksum: it
 * edits numbers, types, names and entries of the header, grows or cuts the data, then sets the length right, and half
 * the time the checksum too. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/file_internal.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static void check(const uint8_t *data, size_t size, bool checksum) {
    model_file *f;
    souk_error err = {0};
    souk_status status = model_file_parse(&f, data, size, "fuzz", checksum, &err);
    require((status == SOUK_OK) == (f != NULL));
    if (!f) {
        require(err.message[0] && err.code == status);
        return;
    }
    size_t total = 0;
    unsigned sum = 0;
    for (int64_t i = 0; i < model_file_count(f); i++) {
        const file_tensor *t = model_file_at(f, i);
        require(model_file_find(f, t->name) == t && !file_name_fault(t->name));
        require(i == 0 ||
                (const char *)t->data == (const char *)model_file_at(f, i - 1)->data + model_file_at(f, i - 1)->bytes);
        for (size_t k = 0; k < t->bytes; k++) sum += ((const uint8_t *)t->data)[k];
        total += t->bytes;
        const file_tensor *found;
        require(model_file_need(f, t->name, t->type, t->rank, t->d, &found, NULL) == SOUK_OK && found == t);
        (void)model_file_need(f, t->name, FILE_F64, 8, (const int64_t[8]){-1, 1, -1, 1, -1, 1, -1, 1}, &found, NULL);
    }
    require(total <= size && sum <= 255 * size); /* every byte was read */
    (void)model_file_meta(f, "spec");
    model_file_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check(data, size, true);
    check(data, size, false);
    require(mem_live() == 0);
    return 0;
}

/* ---- the mutator ---- */

typedef struct dice {
    uint64_t state;
} dice;

static uint32_t roll(dice *d, size_t n) {
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return n ? (uint32_t)((d->state >> 33) % n) : 0;
}

/* Replaces header bytes [at, at + length) by text; false when it does not fit. */
static bool splice(uint8_t *header, size_t *n, size_t capacity, size_t at, size_t length, const char *text) {
    size_t m = strlen(text);
    if (at + length > *n || *n - length + m > capacity) return false;
    memmove(header + at + m, header + at + length, *n - at - length);
    memcpy(header + at, text, m);
    *n = *n - length + m;
    return true;
}

/* Start of the r-th run of digits, with its length; 0 length when there is none. */
static size_t find_number(const uint8_t *h, size_t n, uint32_t r, size_t *length) {
    size_t found = 0;
    *length = 0;
    for (int pass = 0; pass < 2; pass++) {
        size_t seen = 0;
        for (size_t i = 0; i < n; i++) {
            if (h[i] < '0' || h[i] > '9' || (i > 0 && h[i - 1] >= '0' && h[i - 1] <= '9')) continue;
            if (pass == 1 && seen == r % found) {
                while (i + *length < n && h[i + *length] >= '0' && h[i + *length] <= '9') ++*length;
                return i;
            }
            seen++;
        }
        found = seen;
        if (found == 0) return 0;
    }
    return 0;
}

static void edit_header(uint8_t *h, size_t *n, size_t capacity, dice *d) {
    static const char *const numbers[] = {
        "0",  "1",   "2",   "3", "4", "8", "24", "4294967296", "9223372036854775807", "18446744073709551615",
        "-1", "1.0", "1e2", ""};
    static const char *const pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         ",",
                                         ":",
                                         "\"",
                                         " ",
                                         "\"F64\"",
                                         "\"U8\"",
                                         "\"BOOL\"",
                                         "\"BF16\"",
                                         "\"F8_E4M3\"",
                                         "\"w/a\"",
                                         "\"dtype\"",
                                         "\"shape\"",
                                         "\"data_offsets\"",
                                         "\"__metadata__\":{\"a\":\"b\"},",
                                         "\"x\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},",
                                         "\"y\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},",
                                         "[0,0]",
                                         "\\u0000",
                                         "\\u001b",
                                         "null",
                                         "true",
                                         "1,1,1,1,1,1,1,1,"};
    size_t at, length;
    switch (roll(d, 4)) {
    case 0:
    case 1:
        at = find_number(h, *n, roll(d, 1000), &length);
        if (length > 0) splice(h, n, capacity, at, length, numbers[roll(d, sizeof numbers / sizeof *numbers)]);
        break;
    case 2: splice(h, n, capacity, roll(d, *n + 1), 0, pieces[roll(d, sizeof pieces / sizeof *pieces)]); break;
    default:
        at = roll(d, *n + 1);
        splice(h, n, capacity, at, roll(d, 1 + (*n - at < 12 ? *n - at : 12)),
               roll(d, 2) ? "" : pieces[roll(d, sizeof pieces / sizeof *pieces)]);
    }
}

static void set_checksum(uint8_t *data, size_t size, size_t header) {
    static const char key[] = "\"checksum\":\"";
    file_hash hash;
    char hex[FILE_HEX + 1];
    uint8_t *at = memmem(data + FILE_PREFIX, header, key, sizeof key - 1);
    if (!at || at + sizeof key - 1 + FILE_HEX > data + FILE_PREFIX + header) return;
    at += sizeof key - 1;
    memset(at, '0', FILE_HEX);
    file_hash_begin(&hash);
    file_hash_add(&hash, data, size);
    file_hash_end(&hash, hex);
    memcpy(at, hex, FILE_HEX);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    dice d = {seed};
    roll(&d, 1);
    uint64_t header = 0;
    for (int i = FILE_PREFIX - 1; i >= 0 && size >= FILE_PREFIX; i--) header = header << 8 | data[i];
    if (size < FILE_PREFIX || header > size - FILE_PREFIX || roll(&d, 8) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    size_t tail = size - FILE_PREFIX - (size_t)header, n = (size_t)header, capacity = max_size - FILE_PREFIX - tail;
    uint8_t *copy = malloc(tail + 1), *h = malloc(capacity + 1);
    if (!copy || !h) abort();
    memcpy(copy, data + FILE_PREFIX + n, tail);
    memcpy(h, data + FILE_PREFIX, n);
    for (uint32_t edits = 1 + roll(&d, 3); edits > 0; edits--) edit_header(h, &n, capacity, &d);
    if (roll(&d, 4) == 0 && tail > 0) tail -= roll(&d, tail);
    for (int i = 0; i < FILE_PREFIX; i++) data[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(data + FILE_PREFIX, h, n);
    memcpy(data + FILE_PREFIX + n, copy, tail);
    free(copy);
    free(h);
    size = FILE_PREFIX + n + tail;
    if (roll(&d, 2)) set_checksum(data, size, n);
    return size;
}
