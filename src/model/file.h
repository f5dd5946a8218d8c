/* file - NAME.souk: a valid safetensors file with a checksum over all of it (docs/file-format.md).
 *
 * Tensors are named w/…, asset/…, opt/…, state/…. `__metadata__` maps strings to strings; `checksum` in it is
 * BLAKE2b-256 of the whole file with its 64 hex digits read as zeros. Input from strangers: every length, offset, count
 * and product is checked. */
#ifndef SOUK_MODEL_FILE_H
#define SOUK_MODEL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum file_dtype {
    FILE_BOOL,
    FILE_U8,
    FILE_I8,
    FILE_U16,
    FILE_I16,
    FILE_F16,
    FILE_BF16,
    FILE_U32,
    FILE_I32,
    FILE_F32,
    FILE_U64,
    FILE_I64,
    FILE_F64
} file_dtype;
size_t file_dtype_size(file_dtype t);
const char *file_dtype_name(file_dtype t); /* "F32" */

enum { FILE_MAX_RANK = 8 };
typedef struct file_tensor {
    const char *name;
    file_dtype type;
    int rank;
    int64_t d[FILE_MAX_RANK];
    const void *data; /* aligned to its type in files that we wrote; may be unaligned otherwise */
    size_t bytes;
} file_tensor;

/* ---- reading: the whole file in memory, verified */
typedef struct model_file model_file;
/* require_checksum: a Souk model; false also accepts foreign safetensors files. */
souk_status model_file_open(model_file **out, const char *path, bool require_checksum, souk_error *err);
souk_status model_file_parse(model_file **out, const void *bytes, size_t n, const char *name, bool require_checksum,
                             souk_error *err); /* copies */
void model_file_close(model_file *f);
const char *model_file_meta(const model_file *f, const char *key); /* NULL: absent */
int64_t model_file_count(const model_file *f);
const file_tensor *model_file_at(const model_file *f, int64_t i);
const file_tensor *model_file_find(const model_file *f, const char *name); /* NULL: absent */
/* The same with type and shape demanded (d[i] < 0: any); the error names the tensor and what was found. */
souk_status model_file_need(const model_file *f, const char *name, file_dtype type, int rank, const int64_t *d,
                            const file_tensor **out, souk_error *err);

/* ---- writing: tensors and metadata are collected, then written atomically through fs. Names and keys are copied;
 * metadata values and tensor data are borrowed until the writer is freed. `checksum` and `souk_version` are the
 * writer's own keys. */
typedef struct model_writer model_writer;
souk_status model_writer_new(model_writer **out, souk_error *err);
souk_status model_writer_meta(model_writer *w, const char *key, const char *value, souk_error *err);
souk_status model_writer_tensor(model_writer *w, const char *name, file_dtype type, int rank, const int64_t *d,
                                const void *data, souk_error *err);
/* The bytes are a function of what was added and of nothing else: wide types first, by name within a width; metadata by
 * key. */
souk_status model_writer_save(model_writer *w, const char *path, souk_error *err);
void model_writer_free(model_writer *w);

#endif
