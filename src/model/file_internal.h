/* file_internal - what the reader (file.c), the writer (file_write.c) and the list of foreign formats (file_magic.c)
 * share. */
#ifndef SOUK_MODEL_FILE_INTERNAL_H
#define SOUK_MODEL_FILE_INTERNAL_H

#include "model/file.h"

enum {
    FILE_HEADER_MAX = 100000000, /* bytes; the reference implementation's limit */
    FILE_TENSORS_MAX = 65536,
    FILE_NAME_MAX = 4096,
    FILE_PREFIX = 8, /* u64, little-endian: length of the header */
    FILE_HEX = 64,   /* digits of the checksum */
    FILE_VERSION = 1
};
#define FILE_METADATA "__metadata__"
#define FILE_KEY_CHECKSUM "checksum"
#define FILE_KEY_VERSION "souk_version"

/* BLAKE2b-256 of a sequence of bytes, as 64 lower-case hex digits and a NUL. */
typedef struct file_hash {
    _Alignas(64) unsigned char state[384];
} file_hash;
void file_hash_begin(file_hash *h);
void file_hash_add(file_hash *h, const void *bytes, size_t n);
void file_hash_end(file_hash *h, char hex[FILE_HEX + 1]);

/* Bytes of a tensor; false on overflow or a negative dimension. */
bool file_tensor_bytes(file_dtype type, int rank, const int64_t *d, size_t *bytes);
/* NULL when the name may be a tensor's, else why not. */
const char *file_name_fault(const char *name);
/* When the bytes are another known format: what it is, and what to do (both static). False: not known. */
bool file_foreign(const unsigned char *bytes, size_t n, const char **what, const char **hint);

#endif
