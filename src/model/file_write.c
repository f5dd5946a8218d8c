/* file_write - the writer of model files: collect, sort, hash, write; atomic through base/fs.
 *
 * The bytes are a function of what was added and of nothing else. Wide types come first, and names within a width, so
 * that every tensor lies aligned to its own type without padding (the format allows no holes); metadata is sorted by
 * key. The hash runs over the very bytes that are written, with zeros where the digits go, and the digits are filled in
 * before the first byte leaves. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/file_internal.h"

typedef struct meta_entry {
    const char *key, *value;
} meta_entry;

struct model_writer {
    arena names;         /* tensor names and metadata keys, copied */
    file_tensor *tensor; /* data is borrowed */
    size_t tensors, tensor_capacity;
    meta_entry *meta; /* values are borrowed */
    size_t metas, meta_capacity;
};

souk_status model_writer_new(model_writer **out, souk_error *err) {
    *out = mem_calloc(1, sizeof **out);
    if (!*out) return err_nomem(err, "writing a model file");
    arena_init(&(*out)->names);
    return SOUK_OK;
}

void model_writer_free(model_writer *w) {
    if (!w) return;
    arena_clear(&w->names);
    mem_free(w->tensor);
    mem_free(w->meta);
    mem_free(w);
}

static bool is_text(const char *s) { return utf8_valid(s, strlen(s)); }

souk_status model_writer_meta(model_writer *w, const char *key, const char *value, souk_error *err) {
    if (strcmp(key, FILE_KEY_CHECKSUM) == 0 || strcmp(key, FILE_KEY_VERSION) == 0) {
        return err_set(err, SOUK_USAGE, "the metadata key \"%s\" is written by the file itself", key);
    }
    if (!is_text(key) || !is_text(value))
        return err_set(err, SOUK_INPUT, "the metadata \"%.100s\" is not valid UTF-8", key);
    if (!mem_grow(&w->meta, &w->meta_capacity, w->metas, sizeof *w->meta))
        return err_nomem(err, "writing a model file");
    const char *copy = arena_strdup(&w->names, key);
    if (!copy) return err_nomem(err, "writing a model file");
    w->meta[w->metas++] = (meta_entry){copy, value};
    return SOUK_OK;
}

souk_status model_writer_tensor(model_writer *w, const char *name, file_dtype type, int rank, const int64_t *d,
                                const void *data, souk_error *err) {
    const char *fault = is_text(name) ? file_name_fault(name) : "it is not valid UTF-8";
    if (fault) return err_set(err, SOUK_USAGE, "a tensor may not be named \"%.100s\": %s", name, fault);
    file_tensor t = {.type = type, .rank = rank, .data = data};
    if (rank < 0 || rank > FILE_MAX_RANK || !file_tensor_bytes(type, rank, d, &t.bytes)) {
        return err_set(err, SOUK_USAGE,
                       "tensor \"%.100s\": a shape has at most 8 dimensions, none negative, and fits memory", name);
    }
    if (w->tensors == FILE_TENSORS_MAX) return err_set(err, SOUK_REFUSED, "more than 65536 tensors in one model file");
    for (int i = 0; i < rank; i++) t.d[i] = d[i];
    if (!mem_grow(&w->tensor, &w->tensor_capacity, w->tensors, sizeof *w->tensor))
        return err_nomem(err, "writing a model file");
    t.name = arena_strdup(&w->names, name);
    if (!t.name) return err_nomem(err, "writing a model file");
    w->tensor[w->tensors++] = t;
    return SOUK_OK;
}

static int by_width_and_name(const void *a, const void *b) {
    const file_tensor *x = a, *y = b;
    size_t wx = file_dtype_size(x->type), wy = file_dtype_size(y->type);
    if (wx != wy) return wx > wy ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static int by_key(const void *a, const void *b) {
    const meta_entry *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* Sorts both lists; two of one name are the caller's mistake. */
static souk_status sort_all(model_writer *w, souk_error *err) {
    if (w->metas > 0) qsort(w->meta, w->metas, sizeof *w->meta, by_key);
    for (size_t i = 1; i < w->metas; i++) {
        if (strcmp(w->meta[i - 1].key, w->meta[i].key) == 0) {
            return err_set(err, SOUK_USAGE, "the metadata \"%.100s\" was added twice", w->meta[i].key);
        }
    }
    if (w->tensors == 0) return SOUK_OK;
    const char **name = mem_array(w->tensors, sizeof *name);
    if (!name) return err_nomem(err, "writing a model file");
    for (size_t i = 0; i < w->tensors; i++) name[i] = w->tensor[i].name;
    qsort(name, w->tensors, sizeof *name, by_name);
    souk_status status = SOUK_OK;
    for (size_t i = 1; i < w->tensors && status == SOUK_OK; i++) {
        if (strcmp(name[i - 1], name[i]) == 0)
            status = err_set(err, SOUK_USAGE, "tensor \"%.100s\" was added twice", name[i]);
    }
    mem_free(name);
    qsort(w->tensor, w->tensors, sizeof *w->tensor, by_width_and_name);
    return status;
}

/* The JSON header, padded with spaces to a multiple of 8; *digits is where the checksum's 64 zeros stand in it. */
static souk_status make_header(const model_writer *w, buf *out, size_t *digits, souk_error *err) {
    char zeros[FILE_HEX + 1] = {0};
    memset(zeros, '0', FILE_HEX);
    json_writer j;
    json_begin(&j, out, false);
    json_object(&j);
    json_key(&j, FILE_METADATA);
    json_object(&j);
    json_key(&j, FILE_KEY_CHECKSUM);
    json_put_string(&j, zeros);
    *digits = out->len - 1 - FILE_HEX; /* before the closing quote */
    json_key(&j, FILE_KEY_VERSION);
    json_put_string(&j, "1");
    for (size_t i = 0; i < w->metas; i++) {
        json_key(&j, w->meta[i].key);
        json_put_string(&j, w->meta[i].value);
    }
    json_end_object(&j);
    size_t at = 0;
    for (size_t i = 0; i < w->tensors; i++) {
        const file_tensor *t = &w->tensor[i];
        json_key(&j, t->name);
        json_object(&j);
        json_key(&j, "dtype");
        json_put_string(&j, file_dtype_name(t->type));
        json_key(&j, "shape");
        json_array(&j);
        for (int k = 0; k < t->rank; k++) json_put_int(&j, t->d[k]);
        json_end_array(&j);
        json_key(&j, "data_offsets");
        json_array(&j);
        json_put_int(&j, (int64_t)at);
        if (!size_add(at, t->bytes, &at))
            return err_set(err, SOUK_REFUSED, "the tensors of a model file do not fit memory");
        json_put_int(&j, (int64_t)at);
        json_end_array(&j);
        json_end_object(&j);
    }
    json_end_object(&j);
    while (out->status == SOUK_OK && out->len % FILE_PREFIX != 0) buf_char(out, ' ');
    return buf_status(out, "the header of a model file", err);
}

static void fill_checksum(const model_writer *w, const unsigned char prefix[FILE_PREFIX], buf *header, size_t digits) {
    file_hash h;
    char hex[FILE_HEX + 1];
    file_hash_begin(&h);
    file_hash_add(&h, prefix, FILE_PREFIX);
    file_hash_add(&h, header->data, header->len);
    for (size_t i = 0; i < w->tensors; i++) file_hash_add(&h, w->tensor[i].data, w->tensor[i].bytes);
    file_hash_end(&h, hex);
    memcpy(header->data + digits, hex, FILE_HEX);
}

souk_status model_writer_save(model_writer *w, const char *path, souk_error *err) {
    souk_status status;
    fs_writer *file = NULL;
    size_t digits = 0;
    buf header;
    buf_init(&header, FILE_HEADER_MAX);
    TRY_DONE(sort_all(w, err));
    TRY_DONE(make_header(w, &header, &digits, err));
    unsigned char prefix[FILE_PREFIX];
    for (int i = 0; i < FILE_PREFIX; i++) prefix[i] = (unsigned char)((uint64_t)header.len >> (8 * i));
    fill_checksum(w, prefix, &header, digits);
    TRY_DONE(fs_create(&file, path, err));
    TRY_DONE(fs_write(file, prefix, sizeof prefix, err));
    TRY_DONE(fs_write(file, header.data, header.len, err));
    for (size_t i = 0; i < w->tensors; i++) {
        if (w->tensor[i].bytes > 0) TRY_DONE(fs_write(file, w->tensor[i].data, w->tensor[i].bytes, err));
    }
    fs_writer *full = file;
    file = NULL; /* fs_commit frees it in every case */
    status = fs_commit(full, err);
done:
    fs_abandon(file);
    buf_clear(&header);
    return status;
}
