/* source - plain bytes out of plain, gzip or zstd files.
 *
 * A ring of one: 64 KiB of raw bytes are read ahead, their first bytes decide the codec, and every source_read hands
 * the caller's buffer to that codec. Gzip members and zstd frames may follow one another; zero padding behind the last
 * is ignored, anything else behind it is an error. The codecs allocate through mem, so that tests can make them fail.
 *
 * Invariant: a codec that has not reported the end of its stream when the raw bytes end means a truncated file. */
#define ZSTD_STATIC_LINKING_ONLY /* custom allocators */
#include "data/source.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"

enum { RAW_SIZE = 64 * 1024 };
static const uint64_t BOMB_BYTES = 256u << 20; /* below this no ratio is suspicious */
static const uint64_t BOMB_RATIO = 1100;       /* gzip cannot exceed 1,032 */

typedef enum codec { CODEC_PLAIN, CODEC_GZIP, CODEC_ZSTD } codec;

struct source {
    fs_reader *file;
    char *path;
    codec kind;
    bool raw_end; /* the file has no more bytes */
    bool inside;  /* a compressed stream has begun and not ended */
    size_t raw_pos, raw_len;
    uint64_t raw_total, out_total;
    z_stream z;
    bool z_ready;
    ZSTD_DCtx *zstd;
    bool recording;
    buf record;
    size_t replay_pos; /* bytes of `record` handed out again */
    unsigned char raw[RAW_SIZE];
};

static const char *shown(const source *s) { return strcmp(s->path, "-") == 0 ? "standard input" : s->path; }

static void *zlib_alloc(void *context, unsigned items, unsigned size) {
    (void)context;
    return mem_array(items, size);
}
static void zlib_free(void *context, void *p) {
    (void)context;
    mem_free(p);
}
static void *zstd_alloc(void *context, size_t n) {
    (void)context;
    return mem_alloc(n);
}

/* Tops up the raw bytes when all were used. */
static souk_status raw_fill(source *s, souk_error *err) {
    if (s->raw_pos < s->raw_len || s->raw_end) return SOUK_OK;
    size_t got = 0;
    TRY(fs_read(s->file, s->raw, RAW_SIZE, &got, err));
    s->raw_pos = 0;
    s->raw_len = got;
    s->raw_total += got;
    s->raw_end = got == 0;
    return SOUK_OK;
}

/* The first bytes decide; short reads are topped up so that the answer does not depend on how a pipe was cut. */
static souk_status detect(source *s, souk_error *err) {
    while (s->raw_len < 4 && !s->raw_end) {
        size_t got = 0;
        TRY(fs_read(s->file, s->raw + s->raw_len, RAW_SIZE - s->raw_len, &got, err));
        s->raw_len += got;
        s->raw_total += got;
        s->raw_end = got == 0;
    }
    static const unsigned char zstd_magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    if (s->raw_len >= 2 && s->raw[0] == 0x1f && s->raw[1] == 0x8b) {
        s->kind = CODEC_GZIP;
        s->z.zalloc = zlib_alloc;
        s->z.zfree = zlib_free;
        if (inflateInit2(&s->z, 15 + 16) != Z_OK) return err_nomem(err, "opening a gzip stream");
        s->z_ready = true;
        s->inside = true;
    } else if (s->raw_len >= 4 && memcmp(s->raw, zstd_magic, 4) == 0) {
        s->kind = CODEC_ZSTD;
        s->zstd = ZSTD_createDCtx_advanced((ZSTD_customMem){zstd_alloc, zlib_free, NULL});
        if (!s->zstd) return err_nomem(err, "opening a zstd stream");
        s->inside = true;
    }
    return SOUK_OK;
}

souk_status source_open(source **out, const char *path, souk_error *err) {
    *out = NULL;
    source *s = mem_calloc(1, sizeof *s);
    if (!s) return err_nomem(err, "opening a table");
    buf_init(&s->record, SIZE_MAX / 4);
    souk_status status = SOUK_OK;
    s->path = mem_strdup(path);
    if (!s->path) {
        status = err_nomem(err, "opening a table");
        goto done;
    }
    TRY_DONE(fs_open(&s->file, path, err));
    TRY_DONE(detect(s, err));
    *out = s;
    return SOUK_OK;
done:
    source_close(s);
    return status;
}

static souk_status damaged(source *s, const char *what, souk_error *err) {
    return err_at(err, SOUK_CORRUPT, -1, (int64_t)s->out_total,
                  "%s: damaged %s stream after %llu bytes of text (%s); fetch the file again", shown(s),
                  source_compression(s), (unsigned long long)s->out_total, what);
}

static souk_status truncated(source *s, souk_error *err) {
    return err_at(err, SOUK_CORRUPT, -1, (int64_t)s->out_total,
                  "%s: the %s stream is cut off after %llu bytes of text; fetch the file again", shown(s),
                  source_compression(s), (unsigned long long)s->out_total);
}

/* Between two members: zero padding is skipped, a further member begins another round, anything else is damage. */
static souk_status next_member(source *s, souk_error *err) {
    for (;;) {
        TRY(raw_fill(s, err));
        if (s->raw_pos == s->raw_len) return SOUK_OK;
        unsigned char c = s->raw[s->raw_pos];
        if (c != 0) {
            unsigned char first = s->kind == CODEC_GZIP ? 0x1f : 0x28;
            if (c != first && !(s->kind == CODEC_ZSTD && (c & 0xf0) == 0x50))
                return damaged(s, "other bytes follow its end", err);
            s->inside = true;
            if (s->kind == CODEC_GZIP && inflateReset(&s->z) != Z_OK) return damaged(s, "cannot restart", err);
            return SOUK_OK;
        }
        s->raw_pos++;
    }
}

static souk_status gzip_step(source *s, char *p, size_t n, size_t *got, souk_error *err) {
    s->z.next_in = s->raw + s->raw_pos;
    s->z.avail_in = (unsigned)(s->raw_len - s->raw_pos);
    s->z.next_out = (unsigned char *)p;
    s->z.avail_out = n > (1u << 30) ? 1u << 30 : (unsigned)n;
    unsigned room = s->z.avail_out;
    int code = inflate(&s->z, Z_NO_FLUSH);
    s->raw_pos = s->raw_len - s->z.avail_in;
    *got = room - s->z.avail_out;
    if (code == Z_STREAM_END)
        s->inside = false;
    else if (code == Z_MEM_ERROR)
        return err_nomem(err, "unpacking a gzip stream");
    else if (code != Z_OK && code != Z_BUF_ERROR)
        return damaged(s, s->z.msg ? s->z.msg : "not a gzip stream", err);
    return SOUK_OK;
}

static souk_status zstd_step(source *s, char *p, size_t n, size_t *got, souk_error *err) {
    ZSTD_inBuffer in = {s->raw, s->raw_len, s->raw_pos};
    ZSTD_outBuffer o = {p, n, 0};
    size_t code = ZSTD_decompressStream(s->zstd, &o, &in);
    s->raw_pos = in.pos;
    *got = o.pos;
    if (ZSTD_isError(code)) {
        if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation) return err_nomem(err, "unpacking a zstd stream");
        return damaged(s, ZSTD_getErrorName(code), err);
    }
    if (code == 0) s->inside = false;
    return SOUK_OK;
}

/* One read from the codec; *got 0 means the end. */
static souk_status unpack(source *s, char *p, size_t n, size_t *got, souk_error *err) {
    *got = 0;
    while (*got == 0) {
        if (!s->inside) {
            TRY(next_member(s, err));
            if (!s->inside) return SOUK_OK;
        }
        TRY(raw_fill(s, err));
        /* the codec may still hold output when the raw bytes are used up: it is asked once more before "cut off" */
        bool starved = s->raw_pos == s->raw_len;
        TRY(s->kind == CODEC_GZIP ? gzip_step(s, p, n, got, err) : zstd_step(s, p, n, got, err));
        if (*got == 0 && starved && s->inside && s->raw_end) return truncated(s, err);
    }
    s->out_total += *got;
    if (s->out_total > BOMB_BYTES && s->out_total / BOMB_RATIO > s->raw_total)
        return err_set(
            err, SOUK_REFUSED,
            "%s expands to more than %d times its size; if that is right, unpack it first and read the plain file",
            shown(s), (int)BOMB_RATIO);
    return SOUK_OK;
}

static souk_status plain(source *s, char *p, size_t n, size_t *got, souk_error *err) {
    size_t held = s->raw_len - s->raw_pos;
    if (held == 0 && s->raw_end) {
        *got = 0;
        return SOUK_OK;
    }
    if (held == 0) { /* straight into the caller's buffer */
        TRY(fs_read(s->file, p, n, got, err));
        s->raw_end = *got == 0;
    } else {
        *got = held < n ? held : n;
        memcpy(p, s->raw + s->raw_pos, *got);
        s->raw_pos += *got;
    }
    s->out_total += *got;
    return SOUK_OK;
}

souk_status source_read(source *s, void *p, size_t n, size_t *got, souk_error *err) {
    *got = 0;
    if (n == 0) return SOUK_OK;
    if (s->replay_pos < s->record.len) {
        size_t left = s->record.len - s->replay_pos;
        *got = left < n ? left : n;
        memcpy(p, s->record.data + s->replay_pos, *got);
        s->replay_pos += *got;
        return SOUK_OK;
    }
    TRY(s->kind == CODEC_PLAIN ? plain(s, p, n, got, err) : unpack(s, p, n, got, err));
    if (s->recording && *got > 0) {
        buf_add(&s->record, p, *got);
        s->replay_pos = s->record.len;
        if (s->record.status != SOUK_OK) return buf_status(&s->record, "keeping standard input for a second look", err);
    }
    return SOUK_OK;
}

void source_record(source *s) { s->recording = true; }
void source_replay(source *s) { s->replay_pos = 0; }

const char *source_compression(const source *s) {
    return s->kind == CODEC_GZIP ? "gzip" : s->kind == CODEC_ZSTD ? "zstd" : NULL;
}

void source_close(source *s) {
    if (!s) return;
    if (s->z_ready) inflateEnd(&s->z);
    ZSTD_freeDCtx(s->zstd);
    if (s->file) fs_close(s->file);
    buf_clear(&s->record);
    mem_free(s->path);
    mem_free(s);
}
