/* file - the reader of model files, and the checksum. Layout and rules: docs/file-format.md.
 *
 *   u64 little-endian N | N bytes of JSON, space-padded | tensor bytes, tiling exactly
 *
 * A file is input from strangers: it is read whole, then every length, offset, count and product is checked before a
 * tensor is shown to anyone, in the order length, JSON, tensors, tiling, checksum, so that the message is the most
 * telling one. What the tensors mean is the business of model.c. The format and its limits are those of safetensors
 * (huggingface/safetensors `safetensors/src/tensor.rs`), with a checksum of our own in the metadata. The only file that
 * knows libsodium's hash.
 *
 * Invariant: tensors [count] are sorted by offset, lie inside `bytes`, and cover the buffer without holes or overlaps.
 */
#include "model/file.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "model/file_internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are stored little-endian and used in place");
_Static_assert(sizeof(crypto_generichash_state) <= sizeof(file_hash), "file_hash holds libsodium's state");

struct model_file {
    char *name;           /* for messages */
    unsigned char *bytes; /* the whole file */
    size_t n;
    json_doc *header;       /* owns the tensors' names and the metadata */
    const json_value *meta; /* NULL: none */
    file_tensor *tensor;
    int64_t count;
    map *index; /* name → position in tensor */
};

/* ---- types ---- */

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [FILE_BOOL] = {"BOOL", 1}, [FILE_U8] = {"U8", 1},   [FILE_I8] = {"I8", 1},     [FILE_U16] = {"U16", 2},
    [FILE_I16] = {"I16", 2},   [FILE_F16] = {"F16", 2}, [FILE_BF16] = {"BF16", 2}, [FILE_U32] = {"U32", 4},
    [FILE_I32] = {"I32", 4},   [FILE_F32] = {"F32", 4}, [FILE_U64] = {"U64", 8},   [FILE_I64] = {"I64", 8},
    [FILE_F64] = {"F64", 8},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

size_t file_dtype_size(file_dtype t) { return dtypes[t].size; }
const char *file_dtype_name(file_dtype t) { return dtypes[t].name; }

static bool dtype_parse(const char *text, file_dtype *out) {
    for (int i = 0; text && i < DTYPES; i++) {
        if (strcmp(text, dtypes[i].name) != 0) continue;
        *out = (file_dtype)i;
        return true;
    }
    return false;
}

bool file_tensor_bytes(file_dtype type, int rank, const int64_t *d, size_t *bytes) {
    size_t n = dtypes[type].size;
    for (int i = 0; i < rank; i++) {
        if (d[i] < 0 || !size_mul(n, (size_t)d[i], &n)) return false;
    }
    *bytes = n;
    return true;
}

const char *file_name_fault(const char *name) {
    size_t n = strlen(name);
    if (n == 0) return "it is empty";
    if (n > FILE_NAME_MAX) return "it is longer than 4096 bytes";
    if (strcmp(name, FILE_METADATA) == 0) return "it is reserved";
    for (size_t i = 0; i < n; i++) { /* names reach terminals through messages */
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) return "it holds a control character";
    }
    return NULL;
}

/* ---- checksum ---- */

static crypto_generichash_state *hash_state(file_hash *h) { return (crypto_generichash_state *)(void *)h->state; }

static void start_sodium(void) {
    /* Picks the fastest hash for this CPU. It can fail only where the system has no random numbers, which a hash does
     * not need. */
    if (sodium_init() < 0) return;
}

void file_hash_begin(file_hash *h) {
    static int started;
    thread_once(&started, start_sodium);
    int status = crypto_generichash_init(hash_state(h), NULL, 0, FILE_HEX / 2);
    assert(status == 0);
    (void)status;
}

void file_hash_add(file_hash *h, const void *bytes, size_t n) {
    if (n > 0) crypto_generichash_update(hash_state(h), bytes, n); /* an empty tensor's data may be NULL */
}

void file_hash_end(file_hash *h, char hex[FILE_HEX + 1]) {
    unsigned char digest[FILE_HEX / 2];
    crypto_generichash_final(hash_state(h), digest, sizeof digest);
    sodium_bin2hex(hex, FILE_HEX + 1, digest, sizeof digest);
}

static bool is_hex(const char *s) {
    for (size_t i = 0; i < FILE_HEX; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false; /* 'A' would be a changed byte */
    }
    return s[FILE_HEX] == 0;
}

#define DAMAGED "; the file is damaged: take it from a copy, or train again"

/* The 64 digits must stand in the header exactly once, as themselves: then what is replaced by zeros cannot be anything
 * else. */
static souk_status check_checksum(const model_file *f, size_t header, souk_error *err) {
    const char *stored = model_file_meta(f, FILE_KEY_CHECKSUM);
    if (!stored || strlen(stored) != FILE_HEX || !is_hex(stored)) {
        return err_set(err, SOUK_CORRUPT, "%s: the metadata's checksum is not 64 hexadecimal digits" DAMAGED, f->name);
    }
    const unsigned char *begin = f->bytes + FILE_PREFIX, *end = begin + header;
    const unsigned char *digits = memmem(begin, header, stored, FILE_HEX);
    if (!digits || memmem(digits + 1, (size_t)(end - digits - 1), stored, FILE_HEX)) {
        return err_set(err, SOUK_CORRUPT, "%s: the checksum does not stand in the header exactly once" DAMAGED,
                       f->name);
    }
    char zeros[FILE_HEX], actual[FILE_HEX + 1];
    memset(zeros, '0', sizeof zeros);
    file_hash h;
    file_hash_begin(&h);
    file_hash_add(&h, f->bytes, (size_t)(digits - f->bytes));
    file_hash_add(&h, zeros, sizeof zeros);
    file_hash_add(&h, digits + FILE_HEX, f->n - (size_t)(digits - f->bytes) - FILE_HEX);
    file_hash_end(&h, actual);
    if (memcmp(actual, stored, FILE_HEX) == 0) return SOUK_OK;
    return err_set(err, SOUK_CORRUPT, "%s: the checksum does not match the contents" DAMAGED, f->name);
}

static souk_status check_version(const model_file *f, souk_error *err) {
    const char *version = model_file_meta(f, FILE_KEY_VERSION);
    if (version && strcmp(version, "1") == 0) return SOUK_OK;
    return err_set(err, SOUK_UNSUPPORTED,
                   "%s: model format %.20s; this program reads format %d (use the Souk that wrote it, or a newer one)",
                   f->name, version ? version : "(none)", FILE_VERSION);
}

/* ---- the header ---- */

static souk_status bad_tensor(const model_file *f, const char *tensor, const char *fault, souk_error *err) {
    return err_set(err, SOUK_CORRUPT, "%s: tensor \"%.200s\": %s" DAMAGED, f->name, tensor, fault);
}

static souk_status read_shape(const model_file *f, const char *name, const json_value *shape, file_tensor *t,
                              souk_error *err) {
    if (json_kind(shape) != JSON_KIND_ARRAY) return bad_tensor(f, name, "it has no shape", err);
    if (json_length(shape) > FILE_MAX_RANK) return bad_tensor(f, name, "it has more than 8 dimensions", err);
    t->rank = (int)json_length(shape);
    for (int i = 0; i < t->rank; i++) {
        if (!json_int(json_index(shape, (size_t)i), &t->d[i]) || t->d[i] < 0) {
            return bad_tensor(f, name, "a dimension is not a whole number of 0 or more", err);
        }
    }
    if (!file_tensor_bytes(t->type, t->rank, t->d, &t->bytes))
        return bad_tensor(f, name, "its shape is too large", err);
    return SOUK_OK;
}

/* One entry of the header. `data` and `size` are the buffer behind the header. */
static souk_status read_tensor(const model_file *f, const char *name, const json_value *v, const unsigned char *data,
                               size_t size, file_tensor *t, souk_error *err) {
    const char *fault = file_name_fault(name);
    if (fault) return err_set(err, SOUK_CORRUPT, "%s: a tensor's name is not allowed: %s" DAMAGED, f->name, fault);
    if (json_kind(v) != JSON_KIND_OBJECT || json_length(v) != 3) {
        return bad_tensor(f, name, "its entry is not an object of dtype, shape and data_offsets", err);
    }
    const char *dtype = json_string(json_get(v, "dtype"));
    if (!dtype) return bad_tensor(f, name, "it has no dtype", err);
    if (!dtype_parse(dtype, &t->type)) {
        return err_set(err, SOUK_UNSUPPORTED,
                       "%s: tensor \"%.200s\": type %.20s is not supported (known: BOOL, U8 to U64, I8 to I64, F16, "
                       "BF16, F32, F64)",
                       f->name, name, dtype);
    }
    t->name = name;
    TRY(read_shape(f, name, json_get(v, "shape"), t, err));
    const json_value *offsets = json_get(v, "data_offsets");
    int64_t begin, end;
    if (json_kind(offsets) != JSON_KIND_ARRAY || json_length(offsets) != 2 ||
        !json_int(json_index(offsets, 0), &begin) || !json_int(json_index(offsets, 1), &end) || begin < 0 ||
        end < begin) {
        return bad_tensor(f, name, "data_offsets are not two whole numbers in order", err);
    }
    if ((uint64_t)end > size) {
        return err_set(err, SOUK_CORRUPT,
                       "%s: tensor \"%.200s\" ends at byte %lld of the data, and there are %zu: the file is cut short"
                       " (take it from a copy, or train again)",
                       f->name, name, (long long)end, size);
    }
    if ((uint64_t)(end - begin) != t->bytes)
        return bad_tensor(f, name, "its length does not fit its shape and type", err);
    t->data = data + begin;
    return SOUK_OK;
}

static int by_position(const void *a, const void *b) {
    const file_tensor *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1; /* an empty tensor before the one that starts there */
    return strcmp(x->name, y->name);
}

static souk_status check_tiling(const model_file *f, const unsigned char *data, size_t size, souk_error *err) {
    const unsigned char *at = data;
    for (int64_t i = 0; i < f->count; i++) {
        if (f->tensor[i].data != at)
            return bad_tensor(f, f->tensor[i].name, "its data overlaps another's or leaves a hole before it", err);
        at += f->tensor[i].bytes;
    }
    if (at == data + size) return SOUK_OK;
    return err_set(err, SOUK_CORRUPT, "%s: %zu bytes behind the last tensor" DAMAGED, f->name,
                   (size_t)(data + size - at));
}

static souk_status read_metadata(model_file *f, const json_value *v, souk_error *err) {
    if (json_kind(v) != JSON_KIND_OBJECT)
        return err_set(err, SOUK_CORRUPT, "%s: " FILE_METADATA " is not an object" DAMAGED, f->name);
    void *it = NULL;
    const char *key;
    const json_value *value;
    while (json_next(v, &it, &key, &value)) {
        if (!json_string(value)) {
            return err_set(err, SOUK_CORRUPT, "%s: " FILE_METADATA " \"%.100s\" is not a string" DAMAGED, f->name, key);
        }
    }
    f->meta = v;
    return SOUK_OK;
}

/* Numbers are never negative, and -0 is 0 once it is parsed: a minus sign outside strings is a fault by itself. */
static bool has_minus(const char *text, size_t n) {
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (text[i] == '-' && !in_string)
            return true;
    }
    return false;
}

static souk_status read_header(model_file *f, size_t header, souk_error *err) {
    const char *text = (const char *)f->bytes + FILE_PREFIX;
    souk_error inner = {0};
    souk_status status = json_parse(&f->header, text, header, 4, &inner);
    if (status == SOUK_NOMEM) return err_nomem(err, "reading a model file");
    if (status != SOUK_OK) return err_set(err, SOUK_CORRUPT, "%s: the header: %s" DAMAGED, f->name, inner.message);
    if (has_minus(text, header)) {
        return err_set(err, SOUK_CORRUPT, "%s: the header holds a negative number" DAMAGED, f->name);
    }
    const json_value *root = json_root(f->header);
    size_t entries = json_length(root);
    if (entries > FILE_TENSORS_MAX + 1)
        return err_set(err, SOUK_CORRUPT, "%s: %zu tensors; at most 65536 are allowed", f->name, entries);
    f->tensor = mem_calloc(entries + 1, sizeof *f->tensor);
    f->index = map_new();
    if (!f->tensor || !f->index) return err_nomem(err, "reading a model file");
    const unsigned char *data = f->bytes + FILE_PREFIX + header;
    size_t size = f->n - FILE_PREFIX - header;
    void *it = NULL;
    const char *key;
    const json_value *value;
    while (json_next(root, &it, &key, &value)) {
        if (strcmp(key, FILE_METADATA) == 0)
            TRY(read_metadata(f, value, err));
        else
            TRY(read_tensor(f, key, value, data, size, &f->tensor[f->count++], err));
    }
    qsort(f->tensor, (size_t)f->count, sizeof *f->tensor, by_position);
    TRY(check_tiling(f, data, size, err));
    for (int64_t i = 0; i < f->count; i++) {
        bool is_new;
        int64_t at = map_put(f->index, f->tensor[i].name, strlen(f->tensor[i].name), &is_new);
        if (at < 0) return err_nomem(err, "reading a model file");
        map_at(f->index, at)->value = i;
    }
    return SOUK_OK;
}

/* Everything, once bytes and name are in place. */
static souk_status verify(model_file *f, bool require_checksum, souk_error *err) {
    const char *what, *hint;
    if (file_foreign(f->bytes, f->n, &what, &hint)) {
        return err_set(err, SOUK_UNSUPPORTED, "%s is not a model file of Souk but %s: %s", f->name, what, hint);
    }
    if (f->n < FILE_PREFIX + 2) {
        return err_set(err, SOUK_CORRUPT, "%s is not a model file: it has %zu bytes (an interrupted copy?)", f->name,
                       f->n);
    }
    uint64_t header = 0;
    for (int i = FILE_PREFIX - 1; i >= 0; i--) header = header << 8 | f->bytes[i];
    if (header > FILE_HEADER_MAX || f->bytes[FILE_PREFIX] != '{') {
        return err_set(err, SOUK_CORRUPT,
                       "%s is not a model file: it does not begin as a safetensors file does" DAMAGED, f->name);
    }
    if (header > f->n - FILE_PREFIX) {
        return err_set(err, SOUK_CORRUPT,
                       "%s: the header should have %llu bytes and the file has %zu: it is cut short (take it from a "
                       "copy, or train again)",
                       f->name, (unsigned long long)header, f->n);
    }
    TRY(read_header(f, (size_t)header, err));
    if (require_checksum && !model_file_meta(f, FILE_KEY_CHECKSUM)) {
        return err_set(err, SOUK_CORRUPT,
                       "%s is a safetensors file but not a model of Souk: its metadata has no checksum"
                       " (souk train DATA --out NAME.souk makes a model)",
                       f->name);
    }
    if (!require_checksum && !model_file_meta(f, FILE_KEY_VERSION)) return SOUK_OK; /* a foreign file */
    TRY(check_checksum(f, (size_t)header, err));
    return check_version(f, err);
}

/* Takes bytes over, also on failure. */
static souk_status parse_owned(model_file **out, char *bytes, size_t n, const char *name, bool require_checksum,
                               souk_error *err) {
    *out = NULL;
    model_file *f = mem_calloc(1, sizeof *f);
    if (!f) {
        mem_free(bytes);
        return err_nomem(err, "reading a model file");
    }
    f->bytes = (unsigned char *)bytes;
    f->n = n;
    f->name = mem_strdup(name);
    souk_status status = f->name ? verify(f, require_checksum, err) : err_nomem(err, "reading a model file");
    if (status != SOUK_OK) {
        model_file_close(f);
        return status;
    }
    *out = f;
    return SOUK_OK;
}

souk_status model_file_parse(model_file **out, const void *bytes, size_t n, const char *name, bool require_checksum,
                             souk_error *err) {
    *out = NULL;
    char *copy = mem_alloc(n + 1);
    if (!copy) return err_nomem(err, "reading a model file");
    if (n > 0) memcpy(copy, bytes, n);
    return parse_owned(out, copy, n, name, require_checksum, err);
}

souk_status model_file_open(model_file **out, const char *path, bool require_checksum, souk_error *err) {
    *out = NULL;
    char *bytes;
    size_t n;
    TRY(fs_read_all(path, (size_t)1 << 40, &bytes, &n, err));
    return parse_owned(out, bytes, n, path, require_checksum, err);
}

void model_file_close(model_file *f) {
    if (!f) return;
    map_free(f->index);
    mem_free(f->tensor);
    json_free(f->header);
    mem_free(f->bytes);
    mem_free(f->name);
    mem_free(f);
}

/* ---- asking ---- */

const char *model_file_meta(const model_file *f, const char *key) { return json_string(json_get(f->meta, key)); }
int64_t model_file_count(const model_file *f) { return f->count; }
const file_tensor *model_file_at(const model_file *f, int64_t i) { return &f->tensor[i]; }

const file_tensor *model_file_find(const model_file *f, const char *name) {
    int64_t at = map_find(f->index, name, strlen(name));
    return at < 0 ? NULL : &f->tensor[map_at_const(f->index, at)->value];
}

/* "F32 [16, 128]", "F32 [any, 128]" */
static void describe(char *dst, size_t size, file_dtype type, int rank, const int64_t *d) {
    buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s [", file_dtype_name(type));
    for (int i = 0; i < rank; i++) {
        if (d[i] < 0)
            buf_printf(&b, "%sany", i ? ", " : "");
        else
            buf_printf(&b, "%s%lld", i ? ", " : "", (long long)d[i]);
    }
    buf_char(&b, ']');
    size_t n = b.data ? strnlen(b.data, size - 1) : 0;
    if (n > 0) memcpy(dst, b.data, n);
    dst[n] = 0;
    buf_clear(&b);
}

souk_status model_file_need(const model_file *f, const char *name, file_dtype type, int rank, const int64_t *d,
                            const file_tensor **out, souk_error *err) {
    const file_tensor *t = model_file_find(f, name);
    *out = t;
    if (!t)
        return err_set(err, SOUK_CORRUPT,
                       "%s: tensor \"%.200s\" is missing: the file does not hold the model that it describes", f->name,
                       name);
    bool same = t->type == type && t->rank == rank;
    for (int i = 0; same && i < rank; i++) same = d[i] < 0 || d[i] == t->d[i];
    if (same) return SOUK_OK;
    *out = NULL;
    char found[256], wanted[256];
    describe(found, sizeof found, t->type, t->rank, t->d);
    describe(wanted, sizeof wanted, type, rank, d);
    return err_set(err, SOUK_CORRUPT, "%s: tensor \"%.200s\" is %s, and the model that the file describes needs %s",
                   f->name, name, found, wanted);
}
