/* rows_out.c - one writer for every command that makes rows.
 *
 * CSV follows RFC 4180 with LF line ends (CRLF for spreadsheets); quoting only where it is needed. Probabilities are
 * written with as many digits as a float carries, so that reading them back gives the same float. */
#include "use/rows_out.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"

enum { FLUSH_BYTES = 1 << 18 };

typedef enum out_form { OUT_CSV, OUT_JSONL, OUT_JSON } out_form;

struct rows_out {
    fs_writer *file;
    buf line;
    out_form form;
    char delimiter;
    bool excel;
    char **names;
    size_t n_names, names_capacity;
    size_t at; /* cell of the row being written */
    int64_t rows;
    json_writer json;
    souk_status status; /* the first failure of a call that returns nothing */
};

static bool ends_with(const char *path, const char *extension) {
    size_t n = strlen(path), m = strlen(extension);
    return n >= m && !strcmp(path + n - m, extension);
}

/* Extensions that promise a form which is not written. */
static souk_status check_path(const char *path, souk_error *err) {
    static const char *const others[] = {".gz", ".zst", ".xlsx", ".xls", ".parquet"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (ends_with(path, others[i]))
            return err_set(
                err, SOUK_USAGE, "%s: rows are written as .csv, .tsv, .jsonl or .json, not as %s: change the name%s",
                path, others[i], i < 2 ? " and compress the file afterwards" : "; --excel makes CSV for a spreadsheet");
    return SOUK_OK;
}

souk_status rows_out_open(rows_out **out, const char *path, const char *as, bool excel, souk_error *err) {
    *out = NULL;
    TRY(check_path(path, err));
    rows_out *o = mem_calloc(1, sizeof *o);
    if (!o) return err_nomem(err, "opening the output");
    o->form = as                          ? (!strcmp(as, "jsonl")  ? OUT_JSONL
                                             : !strcmp(as, "json") ? OUT_JSON
                                                                   : OUT_CSV)
              : ends_with(path, ".jsonl") ? OUT_JSONL
              : ends_with(path, ".json")  ? OUT_JSON
                                          : OUT_CSV;
    o->delimiter = ends_with(path, ".tsv") ? '\t' : ',';
    o->excel = excel;
    buf_init(&o->line, 0);
    fs_sweep(path);
    souk_status status = fs_create(&o->file, path, err);
    if (status != SOUK_OK) {
        mem_free(o);
        return status;
    }
    if (excel && o->form == OUT_CSV) buf_str(&o->line, "\xEF\xBB\xBF");
    *out = o;
    return SOUK_OK;
}

void rows_out_column(rows_out *o, const char *name) {
    if (!mem_grow(&o->names, &o->names_capacity, o->n_names, sizeof *o->names) ||
        !(o->names[o->n_names] = mem_strdup(name))) {
        o->status = SOUK_NOMEM;
        return;
    }
    o->n_names++;
}

/* Leading bytes of s[0 .. n) that are in `set`; cells have no NUL behind them, so strspn is not for them. */
static size_t span(const char *s, size_t n, const char *set) {
    size_t i = 0;
    while (i < n && s[i] && strchr(set, s[i])) i++;
    return i;
}

/* A spreadsheet runs cells that begin so, and rounds or drops digits of long numbers and leading zeros. */
static bool needs_defusing(const char *s, size_t n) {
    if (span(s, n, "=+-@\t\r") > 0) {
        bool number = (s[0] == '-' || s[0] == '+') && n > 1 && span(s + 1, n - 1, "0123456789.eE") == n - 1;
        return !number;
    }
    if (span(s, n, "0123456789") < n) return false;
    return n > 15 || (n > 1 && s[0] == '0');
}

static void put_csv(rows_out *o, const char *s, size_t n) {
    buf *b = &o->line;
    bool quote = n == 0 && o->n_names == 1, defuse = o->excel && needs_defusing(s, n);
    for (size_t i = 0; i < n && !quote; i++)
        quote = s[i] == '"' || s[i] == '\n' || s[i] == '\r' || s[i] == o->delimiter;
    if (n && (s[0] == ' ' || s[n - 1] == ' ')) quote = true;
    if (quote) buf_char(b, '"');
    if (defuse) buf_char(b, '\'');
    if (!quote) {
        buf_add(b, s, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"') buf_char(b, '"');
        buf_char(b, s[i]);
    }
    buf_char(b, '"');
}

static void begin_cell(rows_out *o) {
    if (o->form == OUT_CSV) {
        if (o->at) buf_char(&o->line, o->delimiter);
    } else {
        if (o->at == 0) {
            if (o->form == OUT_JSON && o->rows) buf_char(&o->line, ',');
            json_begin(&o->json, &o->line, false);
            json_object(&o->json);
        }
        json_key(&o->json, o->at < o->n_names ? o->names[o->at] : "");
    }
    o->at++;
}

void rows_out_text(rows_out *o, const char *s, size_t n) {
    begin_cell(o);
    if (o->form == OUT_CSV)
        put_csv(o, s, n);
    else
        json_put_string_n(&o->json, s, n);
}

/* What JSON takes for a number: no leading + or zero, and digits on both sides of a point. */
static bool is_json_number(const char *s, size_t n) {
    static const char digits[] = "0123456789";
    size_t at = n && s[0] == '-', whole = span(s + at, n - at, digits);
    if (whole == 0 || (whole > 1 && s[at] == '0')) return false;
    at += whole;
    if (at < n && s[at] == '.') {
        size_t part = span(s + at + 1, n - at - 1, digits);
        if (part == 0) return false;
        at += 1 + part;
    }
    if (at < n && (s[at] | 32) == 'e') {
        at++;
        if (at < n && (s[at] == '+' || s[at] == '-')) at++;
        size_t power = span(s + at, n - at, digits);
        if (power == 0) return false;
        at += power;
    }
    return at == n;
}

void rows_out_number_text(rows_out *o, const char *s, size_t n) {
    char text[32];
    if (o->form == OUT_CSV || n >= sizeof text || !is_json_number(s, n)) {
        rows_out_text(o, s, n);
        return;
    }
    memcpy(text, s, n);
    text[n] = 0;
    begin_cell(o);
    json_put_raw(&o->json, text);
}

void rows_out_number(rows_out *o, double v) {
    char text[32];
    begin_cell(o);
    if (isnan(v)) {
        if (o->form != OUT_CSV) json_put_null(&o->json);
        return;
    }
    size_t n = num_format_float(text, (float)v);
    if (o->form == OUT_CSV)
        buf_add(&o->line, text, n);
    else
        json_put_raw(&o->json, text);
}

static souk_status flush(rows_out *o, bool all, souk_error *err) {
    if (!all && o->line.len < FLUSH_BYTES) return SOUK_OK;
    if (o->status != SOUK_OK) return err_nomem(err, "writing rows");
    TRY(buf_status(&o->line, "writing rows", err));
    TRY(fs_write(o->file, o->line.data, o->line.len, err));
    buf_reset(&o->line);
    return SOUK_OK;
}

souk_status rows_out_header_done(rows_out *o, souk_error *err) {
    if (o->status != SOUK_OK) return err_nomem(err, "writing rows");
    if (o->form == OUT_JSON) buf_str(&o->line, "{\"rows\":[");
    if (o->form != OUT_CSV) return SOUK_OK;
    for (size_t i = 0; i < o->n_names; i++) {
        if (i) buf_char(&o->line, o->delimiter);
        put_csv(o, o->names[i], strlen(o->names[i]));
    }
    buf_str(&o->line, o->excel ? "\r\n" : "\n");
    return flush(o, false, err);
}

souk_status rows_out_row_done(rows_out *o, souk_error *err) {
    if (o->form == OUT_CSV)
        buf_str(&o->line, o->excel ? "\r\n" : "\n");
    else {
        json_end_object(&o->json);
        buf_char(&o->line, '\n');
    }
    o->at = 0;
    o->rows++;
    return flush(o, false, err);
}

static void free_all(rows_out *o) {
    for (size_t i = 0; i < o->n_names; i++) mem_free(o->names[i]);
    mem_free(o->names);
    buf_clear(&o->line);
    mem_free(o);
}

souk_status rows_out_commit(rows_out *o, souk_error *err) {
    if (o->form == OUT_JSON) buf_printf(&o->line, "],\"count\":%lld}\n", (long long)o->rows);
    souk_status status = o->line.len ? flush(o, true, err) : SOUK_OK;
    if (status == SOUK_OK)
        status = fs_commit(o->file, err);
    else
        fs_abandon(o->file);
    free_all(o);
    return status;
}

void rows_out_abandon(rows_out *o) {
    if (!o) return;
    fs_abandon(o->file);
    free_all(o);
}
