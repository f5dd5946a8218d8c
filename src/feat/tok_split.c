/* tok_split - text to words (tok_split.h).
 *
 * Three ways, one result. (1) ASCII text with one-byte separators, nearly all there is: blocks of 2 KiB go through the
 * kernel tok_classify, which lower-cases and marks separators; the bits where the mark changes are the words' bounds.
 * (2) Other text is lower-cased by the Unicode rules into the scratch buffer, then (1): bytes over 127 are never
 * marked. (3) A separator that is not one ASCII byte: the text is translated into scratch as Python's str.translate
 * would, then cut at the split string. A word longer than a block also goes this way. By characters: lower-cased copy,
 * code points.
 *
 * Leaves to others: numbering (tok_word), Unicode (base/utf8). Invariant: bytes behind a batch's last word are readable
 * for TOK_SLACK (way 1) or VOCAB_PAD (way 3) bytes. */
#include "feat/tok_split.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "feat/vocab.h"
#include "simd/kern.h"

/* ---- rules ---- */

static int compare_points(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void set_add(uint8_t set[16], unsigned char c) { set[c & 15] = (uint8_t)(set[c & 15] | 1u << (c >> 4)); }

souk_status tok_rules_init(tok_rules *r, const char *filters, size_t n_filters, const char *split, size_t n_split,
                           bool lower, bool char_level, souk_error *err) {
    *r = (tok_rules){.lower = lower, .char_level = char_level, .split_len = n_split};
    if (n_split == 0 && !char_level)
        return err_set(err, SOUK_INPUT,
                       "the tokenizer's \"split\" is empty: give the text that separates words, usually one space");
    r->split = mem_strndup(split, n_split);
    r->wide = mem_array(n_filters + 1, sizeof *r->wide);
    if (!r->split || !r->wide) {
        tok_rules_clear(r);
        return err_nomem(err, "making a tokenizer");
    }
    for (size_t i = 0; i < n_filters;) {
        uint32_t point;
        i += utf8_decode(filters + i, n_filters - i, &point);
        if (point >= 128)
            r->wide[r->n_wide++] = point;
        else
            r->filter[point] = true;
    }
    if (r->n_wide > 1) qsort(r->wide, r->n_wide, sizeof *r->wide, compare_points);
    r->bytewise = !char_level && r->n_wide == 0 && n_split == 1 && (unsigned char)split[0] < 128;
    if (r->bytewise) {
        set_add(r->set, (unsigned char)split[0]);
        for (unsigned c = 0; c < 128; c++)
            if (r->filter[c]) set_add(r->set, (unsigned char)c);
    }
    return SOUK_OK;
}

void tok_rules_clear(tok_rules *r) {
    mem_free(r->split);
    mem_free(r->wide);
    *r = (tok_rules){0};
}

static bool is_filter(const tok_rules *r, uint32_t point) {
    if (point < 128) return r->filter[point];
    return r->n_wide > 0 && bsearch(&point, r->wide, r->n_wide, sizeof *r->wide, compare_points) != NULL;
}

/* ---- whole texts in scratch ---- */

static bool is_ascii(const char *s, size_t n) {
    uint64_t any = 0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        any |= vocab_load(s + i) | vocab_load(s + i + 8) | vocab_load(s + i + 16) | vocab_load(s + i + 24);
    for (; i + 8 <= n; i += 8) any |= vocab_load(s + i);
    for (; i < n; i++) any |= (uint64_t)(unsigned char)s[i];
    return (any & UINT64_C(0x8080808080808080)) == 0;
}

/* Zeros behind the content, so that a word at the end may be loaded 8 bytes at a time. */
static bool pad(buf *b) {
    if (!buf_reserve(b, TOK_SLACK)) return false;
    memset(b->data + b->len, 0, TOK_SLACK);
    return true;
}

/* Puts the text, lower-cased if asked, into scratch and makes it what is left. */
static bool lower_into_scratch(tok_scan *s) {
    buf_reset(s->scratch);
    if (s->lower)
        utf8_lower(s->scratch, s->text, s->n);
    else
        buf_add(s->scratch, s->text, s->n);
    if (!pad(s->scratch)) return false;
    s->text = s->scratch->data;
    s->n = s->scratch->len;
    s->lower = false;
    s->in_scratch = true;
    return true;
}

/* Way 3: every filter becomes the split string. Appends to scratch, behind the lower-cased copy there. */
static bool translate_into_scratch(tok_scan *s) {
    if (!s->in_scratch && !lower_into_scratch(s)) return false;
    size_t from = s->scratch->len;
    for (size_t i = from - s->n; i < from;) {
        uint32_t point;
        size_t len = utf8_decode(s->scratch->data + i, from - i, &point);
        if (is_filter(s->rules, point))
            buf_add(s->scratch, s->rules->split, s->rules->split_len);
        else if (buf_reserve(s->scratch, len))
            buf_add(s->scratch, s->scratch->data + i, len);
        i += len;
    }
    if (!pad(s->scratch)) return false;
    s->text = s->scratch->data + from;
    s->n = s->scratch->len - from;
    s->whole = true;
    return true;
}

souk_status tok_scan_begin(tok_scan *s, const tok_rules *rules, const char *text, size_t n, buf *scratch,
                           souk_error *err) {
    s->rules = rules;
    s->text = text;
    s->n = n;
    s->scratch = scratch;
    s->in_scratch = s->whole = false;
    s->lower = rules->lower;
    s->status = SOUK_OK;
    if (n == 0) return SOUK_OK;
    buf_reset(scratch);
    bool ok = true;
    if (rules->char_level)
        ok = lower_into_scratch(s);
    else if (!rules->bytewise)
        ok = translate_into_scratch(s);
    else if (rules->lower && !is_ascii(text, n))
        ok = lower_into_scratch(s);
    if (!ok) s->status = scratch->status;
    return tok_scan_end(s, err);
}

souk_status tok_scan_end(const tok_scan *s, souk_error *err) {
    return s->status == SOUK_OK ? SOUK_OK : buf_status(s->scratch, "splitting a text into words", err);
}

/* ---- batches ---- */

/* The positions where the mark changes: starts and ends of words in turn. In front of the block lies a separator.
 * Sixteen positions are written at once and those that are none overwritten later, so that the loop's length is guessed
 * right for all but the shortest words (the scheme of simdjson, arXiv 1902.08318 section 3.1.3). */
static int collect_bounds(tok_scan *s, size_t n_blocks) {
    int count = 0;
    uint64_t before = 1;
    for (size_t b = 0; b < n_blocks; b++) {
        uint64_t mark = s->separator[b], change = mark ^ (mark << 1 | before);
        int changes = __builtin_popcountll(change);
        before = mark >> 63;
        for (int done = 0; done < changes; done += 16) {
            uint32_t *to = s->bound + count + done;
            for (int i = 0; i < 16; i++, change &= change - 1)
                to[i] = (uint32_t)(b * 64) + (uint32_t)__builtin_ctzll(change | UINT64_C(1) << 63);
        }
        count += changes;
    }
    return count;
}

static int next_characters(tok_scan *s) {
    int count = 0;
    uint32_t at = 0;
    s->base = s->text;
    while (at < s->n && count < TOK_BLOCK) {
        uint32_t point;
        uint32_t len = (uint32_t)utf8_decode(s->text + at, s->n - at, &point);
        s->bound[count++] = at;
        s->bound[count++] = at + len;
        at += len;
    }
    s->text += at;
    s->n -= at;
    return count / 2;
}

static int next_pieces(tok_scan *s) {
    const char *split = s->rules->split;
    size_t split_len = s->rules->split_len, at = 0;
    int count = 0;
    s->base = s->text;
    while (at < s->n && count < TOK_BLOCK) {
        const char *hit = memmem(s->text + at, s->n - at, split, split_len);
        size_t end = hit ? (size_t)(hit - s->text) : s->n;
        if (end > at) {
            s->bound[count++] = (uint32_t)at;
            s->bound[count++] = (uint32_t)end;
        }
        at = hit ? end + split_len : s->n;
    }
    s->text += at;
    s->n -= at;
    return count / 2;
}

/* Way 1. A word cut by the block's end is left for the next batch. */
static int next_block(tok_scan *s) {
    while (s->n > 0) {
        size_t n = s->n < TOK_BLOCK ? s->n : TOK_BLOCK, n_blocks = (n + 63) / 64;
        kern.tok_classify((int64_t)n, s->text, s->rules->set, s->lower, s->mapped, s->separator);
        int count = collect_bounds(s, n_blocks);
        size_t used = n;
        if (count & 1) { /* a word touches the end of the block */
            if (n == s->n) {
                s->bound[count++] = (uint32_t)n;
            } else if (s->bound[count - 1] > 0) {
                used = s->bound[--count];
            } else { /* … and is as long as the block */
                if (!translate_into_scratch(s)) {
                    s->status = s->scratch->status;
                    return 0;
                }
                return next_pieces(s);
            }
        }
        s->base = s->mapped;
        s->text += used;
        s->n -= used;
        if (count > 0) return count / 2;
    }
    return 0;
}

int tok_scan_next(tok_scan *s) {
    if (s->status != SOUK_OK || s->n == 0) return 0;
    if (s->rules->char_level) return next_characters(s);
    return s->whole ? next_pieces(s) : next_block(s);
}
