/* sniff - guesses at a table's form, from its first rows.
 *
 * Candidates are tried by the scanner itself, so that quoting counts as it will count later. At most SNIFF_ROWS rows
 * are looked at. What was guessed is printed by the caller as one line; options overrule each guess.
 *
 * Invariant: the answer depends on the first SNIFF_BYTES of the file only, not on how they arrived. */
#include "data/sniff.h"

#include <string.h>
#include <strings.h>

#include "base/fs.h"
#include "base/mem.h"
#include "data/csv.h"
#include "data/schema.h"

enum { SNIFF_ROWS = 200, SNIFF_FIELDS = 512 };

/* The first rows under one candidate. */
typedef struct sample {
    int n; /* rows */
    int fields[SNIFF_ROWS + 1];
    cell *cells;      /* [rows, stride] */
    int rows, stride; /* SNIFF_ROWS and SNIFF_FIELDS, fewer for a text that cannot hold as many */
    buf scratch;
    const char *text;
    int usual;    /* the most frequent number of fields */
    double share; /* of the rows that have it */
    bool unclosed;
} sample;

static const char *cell_at(const sample *s, int row, int k, size_t *len) {
    const cell *c = s->cells + row * s->stride + k;
    *len = c->len & CELL_LENGTH;
    return (c->len & CELL_SCRATCH ? s->scratch.data : s->text) + c->at;
}

static void count_usual(sample *s) {
    int best = 0;
    s->usual = 0;
    for (int i = 0; i < s->n; i++) {
        int same = 0;
        for (int k = 0; k < s->n; k++) same += s->fields[k] == s->fields[i];
        if (same > best) {
            best = same;
            s->usual = s->fields[i];
        }
    }
    s->share = s->n > 0 ? (double)best / s->n : 0;
}

static souk_status take(sample *s, table_format format, char delimiter, const char *text, size_t n, bool complete,
                        souk_error *err) {
    csv_scan scan;
    csv_init(&scan, format, delimiter, INT64_MAX, SIZE_MAX);
    buf_reset(&s->scratch);
    s->text = text;
    s->n = 0;
    s->unclosed = false;
    souk_status status = csv_mask(&scan, text, n, err);
    size_t pos = 0;
    while (status == SOUK_OK && s->n < s->rows) {
        batch_row row;
        csv_end e = csv_row(&scan, text, n, complete, &pos, s->cells + s->n * s->stride, s->stride, &s->fields[s->n],
                            &row, &s->scratch);
        if (e == CSV_NOMEM) status = err_nomem(err, "looking at the first rows");
        if (e == CSV_UNCLOSED) s->unclosed = true;
        if (e != CSV_ROW || s->fields[s->n] == 0) break;
        s->n++;
    }
    csv_clear(&scan);
    count_usual(s);
    return status;
}

/* ---- format and delimiter ---- */

/* The extension in lower case, behind .gz or .zst; "" when there is none. */
static void extension(const char *path, char out[16]) {
    size_t n = strlen(path);
    const char *last = fs_extension(path);
    if (strcasecmp(last, ".gz") == 0 || strcasecmp(last, ".zst") == 0) n -= strlen(last);
    size_t from = n;
    while (from > 0 && path[from - 1] != '.' && path[from - 1] != '/') from--;
    size_t len = from > 0 && path[from - 1] == '.' ? n - from : 0;
    if (len > 14) len = 14;
    for (size_t i = 0; i < len; i++) {
        char c = path[from + i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out[len] = 0;
}

static bool looks_like_jsonl(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r')) i++;
    if (i == n || text[i] != '{') return false;
    const char *lf = memchr(text + i, '\n', n - i);
    const char *end = lf ? lf : text + n;
    while (end > text + i && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t')) end--;
    return !lf || end[-1] == '}'; /* a first line longer than the sample counts */
}

static bool commas_are_punctuation(const char *text, size_t n) {
    size_t commas = 0, spaced = 0;
    for (size_t i = 0; i + 1 < n; i++)
        if (text[i] == ',') {
            commas++;
            spaced += text[i + 1] == ' ';
        }
    return 2 * spaced > commas;
}

/* The best delimiter; 0 when none reaches `least`. A first row that has the usual number of fields breaks ties (decimal
 * commas below a header without), then the order of the list does. */
static souk_status best_delimiter(sample *s, const char *text, size_t n, bool complete, bool prose, double least,
                                  char *out, souk_error *err) {
    static const char candidates[] = "\t;|,";
    double best = 0;
    *out = 0;
    for (const char *d = candidates; *d; d++) {
        if (prose && *d == ',' && commas_are_punctuation(text, n)) continue;
        TRY(take(s, *d == '\t' ? TABLE_TSV : TABLE_CSV, *d, text, n, complete, err));
        if (s->usual < 2 || s->share < least || s->unclosed) continue;
        double score = (double)(int)(s->share * 50) / 50 + (s->fields[0] == s->usual ? .5 : 0);
        if (score > best) {
            best = score;
            *out = *d;
        }
    }
    return SOUK_OK;
}

static bool mostly_numbers(const sample *s) {
    int numbers = 0, cells = 0;
    for (int i = s->n > 1; i < s->n; i++)
        for (int c = 0; c < s->fields[i] && c < s->stride; c++) {
            size_t len;
            double v;
            const char *p = cell_at(s, i, c, &len);
            numbers += cell_number(p, len, '.', &v);
            cells++;
        }
    return cells > 0 && 2 * numbers >= cells;
}

/* .txt and standard input. */
static souk_status by_content(sample *s, const char *text, size_t n, bool complete, sniffed *out, souk_error *err) {
    if (looks_like_jsonl(text, n)) {
        out->format = TABLE_JSONL;
        return SOUK_OK;
    }
    TRY(take(s, TABLE_LINES, '\n', text, n, complete, err));
    bool one_line = s->n < 2;
    TRY(best_delimiter(s, text, n, complete, true, .9, &out->delimiter, err));
    if (one_line && out->delimiter != '\t') out->delimiter = 0; /* a bare line may well hold a comma */
    if (out->delimiter) {
        out->format = out->delimiter == '\t' ? TABLE_TSV : TABLE_CSV;
        return SOUK_OK;
    }
    TRY(take(s, TABLE_SPACE, ' ', text, n, complete, err));
    out->format = !one_line && s->usual >= 2 && s->share >= .95 && mostly_numbers(s) ? TABLE_SPACE : TABLE_LINES;
    return SOUK_OK;
}

static souk_status decide_format(sample *s, const char *path, const char *text, size_t n, bool complete,
                                 const table_options *o, sniffed *out, souk_error *err) {
    char ext[16];
    extension(path, ext);
    bool standard_input = strcmp(path, "-") == 0;
    out->format = o->format;
    out->delimiter = o->delimiter;
    if (out->format == TABLE_AUTO && o->delimiter) out->format = o->delimiter == '\t' ? TABLE_TSV : TABLE_CSV;
    if (out->format == TABLE_AUTO) {
        if (strcmp(ext, "csv") == 0)
            out->format = TABLE_CSV;
        else if (strcmp(ext, "tsv") == 0)
            out->format = TABLE_TSV;
        else if (strcmp(ext, "jsonl") == 0)
            out->format = TABLE_JSONL;
        else if (strcmp(ext, "txt") == 0 || standard_input)
            TRY(by_content(s, text, n, complete, out, err));
        else
            return err_set(err, SOUK_INPUT,
                           "%s: the extension \"%s%s\" is not known; tables are .csv, .tsv, .txt or .jsonl, each also "
                           ".gz or .zst; for another "
                           "name say --format csv, tsv, space, jsonl or lines",
                           path, ext[0] ? "." : "", ext);
    }
    if (out->format == TABLE_CSV && !out->delimiter) {
        TRY(best_delimiter(s, text, n, complete, false, .5, &out->delimiter, err));
        if (!out->delimiter) out->delimiter = ',';
    }
    if (out->format == TABLE_TSV && !out->delimiter) out->delimiter = '\t';
    if (out->format == TABLE_SPACE) out->delimiter = ' ';
    if (out->format == TABLE_LINES) out->delimiter = '\n';
    return SOUK_OK;
}

/* ---- header ---- */

/* A name is short and no sentence: at most 40 bytes, at most 4 words, not ending in . ! or ? */
static bool looks_like_name(const char *p, size_t n) {
    size_t words = 1;
    if (n == 0 || n > 40 || p[n - 1] == '.' || p[n - 1] == '!' || p[n - 1] == '?') return false;
    for (size_t i = 0; i + 1 < n; i++) words += p[i] == ' ' && p[i + 1] != ' ';
    return words <= 4;
}

typedef enum evidence { AGAINST, NONE, FOR } evidence;

/* What the rows below say about the first cell of a column. */
static evidence column_evidence(const sample *s, int k, char decimal) {
    size_t len, n;
    const char *first = cell_at(s, 0, k, &len);
    int numbers = 0, present = 0, same = 0;
    for (int i = 1; i < s->n; i++) {
        if (s->fields[i] != s->fields[0]) continue;
        double v;
        const char *p = cell_at(s, i, k, &n);
        if (cell_missing(p, n)) continue;
        present++;
        numbers += cell_number(p, n, decimal, &v);
        same += n == len && memcmp(p, first, n) == 0;
    }
    if (present > 0 && numbers == present && len > 0) return FOR;
    return same > 0 && len > 0 ? AGAINST : NONE;
}

static bool decide_header(const sample *s, char decimal) {
    if (s->n == 0) return true;
    int columns = s->fields[0] < s->stride ? s->fields[0] : s->stride;
    bool names = true;
    for (int c = 0; c < columns; c++) {
        size_t len;
        double v;
        const char *p = cell_at(s, 0, c, &len);
        if (cell_number(p, len, decimal, &v)) return false;
        if (len > 0 && !looks_like_name(p, len)) names = false;
    }
    bool against = false;
    for (int c = 0; c < columns; c++) {
        evidence e = column_evidence(s, c, decimal);
        if (e == FOR) return true;
        if (e == AGAINST) against = true;
    }
    return names && !against;
}

souk_status sniff(const char *path, const char *text, size_t n, bool complete, const table_options *options,
                  sniffed *out, souk_error *err) {
    *out = (sniffed){0};
    sample s = {.rows = n < SNIFF_ROWS ? (int)n + 1 : SNIFF_ROWS,
                .stride = n < SNIFF_FIELDS ? (int)n + 1 : SNIFF_FIELDS};
    s.cells = mem_array((size_t)(s.rows * s.stride), sizeof(cell));
    if (!s.cells) return err_nomem(err, "looking at the first rows");
    buf_init(&s.scratch, 0);
    souk_status status = decide_format(&s, path, text, n, complete, options, out, err);
    bool rows = out->format != TABLE_JSONL && out->format != TABLE_LINES;
    if (status == SOUK_OK && options->header >= 0)
        out->header = options->header && out->format != TABLE_JSONL;
    else if (status == SOUK_OK && rows) {
        status = take(&s, out->format, out->delimiter, text, n, complete, err);
        out->header = decide_header(&s, options->decimal == ',' ? ',' : '.');
    }
    buf_clear(&s.scratch);
    mem_free(s.cells);
    return status;
}

souk_status sniff_encoding(const char *path, const char *text, size_t n, souk_error *err) {
    const unsigned char *p = (const unsigned char *)text;
    size_t head = n < 256 ? n : 256, even = 0, odd = 0;
    for (size_t i = 0; i < head; i++)
        if (p[i] == 0) ++*(i % 2 ? &odd : &even);
    const char *name = NULL;
    if (n >= 2 && p[0] == 0xff && p[1] == 0xfe)
        name = "UTF-16";
    else if (n >= 2 && p[0] == 0xfe && p[1] == 0xff)
        name = "UTF-16";
    else if (head >= 4 && odd * 5 > head && even * 10 < odd)
        name = "UTF-16LE";
    else if (head >= 4 && even * 5 > head && odd * 10 < even)
        name = "UTF-16BE";
    if (name)
        return err_at(err, SOUK_INPUT, 1, 0,
                      "%s is %s, and tables are read as UTF-8; convert it: iconv -f %s -t UTF-8%s", path, name, name,
                      strcmp(path, "standard input") ? " FILE > utf8.csv" : " in the pipe");
    const char *nul = memchr(text, 0, n);
    if (!nul) return SOUK_OK;
    int64_t line = 1 + csv_count_lines(text, (size_t)(nul - text));
    return err_at(err, SOUK_INPUT, line, nul - text, "%s:%lld: a NUL byte; text has none. Remove them: tr -d '\\000'%s",
                  path, (long long)line, strcmp(path, "standard input") ? " < FILE > clean.csv" : " in the pipe");
}
