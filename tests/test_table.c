/* test_table.c - whole tables and streams: every real table cell for cell as Python reads it, types, bad rows and their
 * verdict, every message of bad input, files together, second passes, chunks and cuts, bounded memory, faults. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/table.h"
#include "fault.h"

#define REF SOUK_SOURCE_DIR "/tests/ref/"
#define SHARED SOUK_SOURCE_DIR "/../shared/data/"
#define TEMP SOUK_BUILD_DIR "/test_table_"

static void write_text(const char *path, const char *text, size_t n) {
    souk_error err = {0};
    if (fs_write_all(path, text, n, &err) != SOUK_OK) fail_msg("%s", err.message);
}

static table *read_file(const char *path, const table_options *options) {
    souk_error err = {0};
    table_options o = options ? *options : table_options_default();
    table *t = NULL;
    if (table_read(&t, path, &o, &err) != SOUK_OK) fail_msg("%s", err.message);
    return t;
}

/* The table of a text under the name test_table_NAME. */
static table *read_text(const char *name, const char *text, const table_options *o) {
    char path[512];
    snprintf(path, sizeof path, TEMP "%s", name);
    write_text(path, text, strlen(text));
    return read_file(path, o);
}

static void expect_error_n(const char *name, const char *text, size_t n, const table_options *options, souk_status want,
                           const char *words) {
    char path[512];
    souk_error err = {0};
    table *t = NULL;
    table_options o = options ? *options : table_options_default();
    snprintf(path, sizeof path, TEMP "%s", name);
    write_text(path, text, n);
    souk_status status = table_read(&t, path, &o, &err);
    assert_null(t);
    if (status != want || !strstr(err.message, words)) fail_msg("%s: status %d: %s", name, (int)status, err.message);
    if (!strstr(err.message, name) && want == SOUK_INPUT && o.keep == NULL)
        fail_msg("%s: the file is not named: %s", name, err.message);
}

static void expect_error(const char *name, const char *text, const table_options *options, souk_status want,
                         const char *words) {
    expect_error_n(name, text, strlen(text), options, want, words);
}

static void expect_cell(const table *t, const char *name, int64_t row, const char *want) {
    size_t n;
    const column *c = table_column(t, name);
    assert_non_null(c);
    const char *p = column_text(c, row, &n);
    if (n != strlen(want) || memcmp(p, want, n) != 0)
        fail_msg("%s[%d]: \"%.*s\", not \"%s\"", name, (int)row, (int)n, p, want);
}

/* ---- real tables ---- */

static uint64_t fnv(uint64_t h, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 0x100000001B3u;
    return h;
}

static void one_real_table(const json_value *spec, int *done, int *skipped) {
    static const char *const text_only[] = {"text", NULL};
    char path[512], hash[24];
    int64_t rows, columns;
    const char *form = json_string(json_get(spec, "form"));
    json_int(json_get(spec, "rows"), &rows);
    json_int(json_get(spec, "columns"), &columns);
    snprintf(path, sizeof path, SHARED "%s", json_string(json_get(spec, "path")));
    if (!fs_exists(path)) {
        ++*skipped;
        return;
    }
    table_options o = table_options_default();
    o.keep_text = true;
    table *t = read_file(path, &o);
    assert_int_equal(t->n, rows);
    assert_int_equal(t->n_columns, columns);
    assert_int_equal(t->n_rejected, 0);
    if (strcmp(form, "jsonl") == 0) { /* strings only: numbers and nested values are written differently */
        table_free(t);
        o.keep = text_only;
        t = read_file(path, &o);
        assert_int_equal(t->n_columns, 1);
    }
    uint64_t h = 0xCBF29CE484222325u;
    for (int64_t i = 0; i < t->n; i++) {
        for (int k = 0; k < t->n_columns; k++) {
            size_t n;
            const char *p = column_text(t->columns + k, i, &n);
            if (k > 0) h = fnv(h, "\x1f", 1);
            h = fnv(h, p, n);
        }
        h = fnv(h, "\x1e", 1);
    }
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)h);
    if (strcmp(hash, json_string(json_get(spec, "hash"))) != 0) fail_msg("%s: other cells than Python's", path);
    table_free(t);
    ++*done;
}

static void test_real_tables(void **state) {
    (void)state;
    char *data;
    size_t size;
    json_doc *doc;
    int done = 0, skipped = 0;
    assert_int_equal(fs_read_all(REF "tables.json", 1 << 20, &data, &size, NULL), SOUK_OK);
    assert_int_equal(json_parse(&doc, data, size, 0, NULL), SOUK_OK);
    size_t n = json_length(json_root(doc));
    for (size_t i = 0; i < n; i++) one_real_table(json_index(json_root(doc), i), &done, &skipped);
    json_free(doc);
    mem_free(data);
    printf("real tables, cell for cell as Python: %d of %zu", done, n);
    if (skipped > 0) printf("; %d skipped: not in ../shared/data", skipped);
    printf("\n");
}

/* ---- types ---- */

static void test_types(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 0);
    buf_str(&b, "user_id,age,plan,city,joined,note,empty,flag,big,score,zip\n");
    for (int i = 0; i < 200; i++)
        buf_printf(&b,
                   "u%d,%d,%s,City %d,2026-0%d-1%d 09:30,\"this is note %d, quite "
                   "long\",%s,%s,99999999999999999%03d,%s,%05d\n",
                   i * 7, 20 + i % 50, i % 2 ? "basic" : "pro plus", i % 12, 1 + i % 9, i % 10, i, i % 3 ? "" : "NA",
                   i % 5 ? "TRUE" : "FALSE", i, i % 4 ? "1.5e3" : "?", i % 90);
    table *t = read_text("types.csv", b.data, NULL);
    static const char *const want[] = {"id",    "number", "binary",   "category", "date",  "text",
                                       "empty", "binary", "category", "number",   "number"};
    for (int k = 0; k < t->n_columns; k++) assert_string_equal(column_type_name(t->columns[k].type), want[k]);
    assert_int_equal(table_column(t, "score")->n_missing, 50);
    assert_int_equal(table_column(t, "score")->n_distinct, 1);
    assert_true(isnan(table_column(t, "score")->number[0]));
    assert_true(table_column(t, "score")->number[1] == 1500);
    assert_int_equal(table_column(t, "empty")->n_missing, 200);
    assert_int_equal(table_column(t, "age")->n_distinct, 50);
    expect_cell(t, "big", 7, "99999999999999999007");
    assert_int_equal(t->line[3], 5);
    assert_int_equal(t->row[3], 3);
    table_free(t);
    /* told: storage and label follow */
    static const char *const told[] = {"age", "category", "zip", "text", NULL};
    table_options o = table_options_default();
    o.types = told;
    t = read_text("types.csv", b.data, &o);
    assert_string_equal(column_type_name(table_column(t, "age")->type), "category");
    expect_cell(t, "age", 1, "21");
    expect_cell(t, "zip", 1, "00001");
    table_free(t);
    buf_clear(&b);
}

static void test_dates(void **state) {
    (void)state;
    static const char *const good[] = {"2026-11-24",
                                       "2026/1/2",
                                       "24.11.2026",
                                       "11/24/2026",
                                       "24/11/2026",
                                       "2026-11-24T09:30:00Z",
                                       "2026-11-24 09:30:00.123+01:00",
                                       "2026-11-24 09:30:00 UTC",
                                       "4-5-2026"};
    static const char *const bad[] = {"2026-13-01", "24-13-2026", "11/24/26",   "2026-11-24x",  "12:30:00",
                                      "2026.11",    "1-2-3-4",    "2026-11/24", "1.2.3.4567890"};
    char text[128];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "v,w\n%s,1\n%s,2\n\n", good[i], good[i]);
        table *t = read_text("dates.csv", text, NULL);
        if (t->columns[0].type != COLUMN_DATE) fail_msg("%s is a date", good[i]);
        table_free(t);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "v,w\n%s,1\n%s,2\n\n", bad[i], bad[i]);
        table *t = read_text("dates.csv", text, NULL);
        if (t->columns[0].type == COLUMN_DATE) fail_msg("%s is no date", bad[i]);
        table_free(t);
    }
}

/* ---- sniffing ---- */

static void expect_form(const char *name, const char *text, const char *form, int64_t rows) {
    char path[512];
    souk_error err = {0};
    table_options o = table_options_default();
    table_reader *r;
    table *t;
    snprintf(path, sizeof path, TEMP "%s", name);
    write_text(path, text, strlen(text));
    if (table_open(&r, path, &o, &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_string_equal(table_describe(r), form);
    assert_int_equal(table_next(r, 1000, &t, NULL), SOUK_OK);
    assert_int_equal(t->n, rows);
    table_free(t);
    table_close(r);
}

static void test_sniffing(void **state) {
    (void)state;
    expect_form("s.csv", "a,b\n1,x\n2,y\n", "CSV, comma, header, UTF-8, 2 columns", 2);
    expect_form("s.csv",
                "\xef\xbb\xbf"
                "a;b;c\r\n1,5;2,5;x\r\n3,5;4,5;y\r\n",
                "CSV, semicolon, header, UTF-8, 3 columns", 2);
    expect_form("s.csv", "1,2\n3,4\n", "CSV, comma, no header, UTF-8, 2 columns", 2);
    expect_form("s.csv", "name|n\nx|1\ny|2\n", "CSV, bar, header, UTF-8, 2 columns", 2);
    expect_form("s.csv", "review\nGreat phone.\n\"Bad, really bad.\"\n", "CSV, comma, header, UTF-8, 1 column", 2);
    expect_form("s.tsv", "ham\tgood\nspam\tbuy\nham\tok\n", "TSV, tab, no header, UTF-8, 2 columns", 3);
    expect_form("s.tsv", "label\ttext\nham\tgood day to you\nspam\tbuy now, here\nham\tok then\n",
                "TSV, tab, header, UTF-8, 2 columns", 3);
    expect_form("s.txt", "Good, cheap.\t1\n\"Bad\", they said.\t0\n", "TSV, tab, no header, UTF-8, 2 columns", 2);
    expect_form("s.txt", "a fine film , truly\nbad , bad , bad\n", "plain lines, UTF-8, 1 column", 2);
    expect_form("s.txt", " 1 19970101 2 29.33\n 2 19970112 1 12.00\n", "space-separated, no header, UTF-8, 4 columns",
                2);
    expect_form("s.txt", "id,price\n1,2\n3,4\n", "CSV, comma, header, UTF-8, 2 columns", 2);
    expect_form("s.txt", "{\"a\": 1}\n{\"a\": 2}\n", "JSON Lines, UTF-8, 1 column", 2);
    expect_form("s.txt", "one line, alone\n", "plain lines, UTF-8, 1 column", 1);
}

static void test_options(void **state) {
    (void)state;
    table_options o = table_options_default();
    o.decimal = ',';
    table *t = read_text("o.csv", "a;b\n1,5;x\n-2,25;y\n", &o);
    assert_true(table_column(t, "a")->number[1] == -2.25);
    table_free(t);
    o = table_options_default();
    o.header = 0;
    t = read_text("o.csv", "a,b\nc,d\n", &o);
    expect_cell(t, "c1", 0, "a");
    assert_int_equal(t->n, 2);
    table_free(t);
    o = table_options_default();
    o.where = "price >= 10 and kind != 'b'";
    t = read_text("o.csv", "kind,price\na,9\na,10\nb,11\nc,12\nc,\n", &o);
    assert_int_equal(t->n, 2);
    assert_int_equal(t->row[1], 3);
    assert_int_equal(t->n_read, 5);
    table_free(t);
    static const char *const keep[] = {"price", "gone", NULL};
    o.keep = keep;
    o.keep_optional = true;
    t = read_text("o.csv", "kind,price\na,9\na,10\nb,11\nc,12\n", &o);
    assert_int_equal(t->n_columns, 1);
    assert_true(t->columns[0].number[1] == 12);
    table_free(t);
    o.keep_optional = false;
    expect_error("o.csv", "kind,price\na,9\n", &o, SOUK_INPUT, "no column \"gone\"");
    o = table_options_default();
    o.max_rows = 3;
    t = read_text("o.csv", "v,w\n1,1\n2,1\n3,1\n4,1\n", &o);
    assert_int_equal(t->n, 3);
    assert_int_equal(t->n_read, 3);
    table_free(t);
    o = table_options_default();
    o.format = TABLE_LINES;
    t = read_text("o.unknown", "a,\"b\nc\n", &o);
    expect_cell(t, "c1", 0, "a,\"b");
    table_free(t);
    souk_error err = {0};
    column *c;
    t = read_text("o.csv", "kind,price\na,9\na,10\n", NULL);
    assert_int_equal(table_require(t, "prise", "o.csv", &c, &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "the nearest is \"price\""));
    table_free(t);
}

/* ---- bad input ---- */

#define BAD(name, text, status, words) expect_error_n(name, text, sizeof(text) - 1, NULL, status, words)

static void test_bad_input(void **state) {
    (void)state;
    BAD("empty.csv", "", SOUK_INPUT, "is empty");
    BAD("blank.csv", "\n\r\n\n", SOUK_INPUT, "is empty");
    BAD("empty.jsonl", "", SOUK_INPUT, "is empty");
    BAD("header.csv", "a,b\n", SOUK_INPUT, "has a header and no rows");
    BAD("utf16.csv",
        "\xff\xfe"
        "a\0,\0b\0\n\0",
        SOUK_INPUT, "iconv -f UTF-16 -t UTF-8");
    BAD("utf16be.csv", "\xfe\xff\0a\0,\0b\0\n", SOUK_INPUT, "iconv -f UTF-16 -t UTF-8");
    BAD("utf16le.csv",
        "a\0,\0b\0\n\0"
        "1\0,\0"
        "2\0\n\0",
        SOUK_INPUT, "iconv -f UTF-16LE");
    BAD("utf16nobom.csv",
        "\0a\0,\0b\0\n\0"
        "1\0,\0"
        "2\0\n",
        SOUK_INPUT, "iconv -f UTF-16BE");
    BAD("nul.csv", "a,b\n1,2\n3,\0\n5,6\n7,8\n9,0\n", SOUK_INPUT,
        "nul.csv:3: a NUL byte; text has none. Remove them: tr -d '\\000'");
    BAD("unclosed.csv", "a,b\n1,\"x\n2,y\n3,z\n", SOUK_INPUT,
        "unclosed.csv:2: the quote opened on this line is never closed");
    BAD("table.xlsx", "PK", SOUK_INPUT, "the extension \".xlsx\" is not known; tables are .csv, .tsv, .txt or .jsonl");
    BAD("noext", "a,b\n1,2\n", SOUK_INPUT, "is not known");
    BAD("twice.csv", "a,b,a\n1,2,3\n", SOUK_INPUT, "two columns are named \"a\"");
    BAD("latin.csv", "pre\xe7o,n\n1,2\n", SOUK_INPUT, "the header is not UTF-8");
    BAD("array.jsonl", "[1, 2]\n", SOUK_INPUT, "no line is a JSON object");
    BAD("uneven.csv", "a,b,c\n1,2,3\n1,2\n1,2,3\n1,2,3,4\n", SOUK_INPUT,
        "2 of 4 rows (50 %) cannot be read and --max-bad allows 1 %");
    BAD("uneven.csv", "a,b,c\n1,2,3\n1,2\n1,2,3\n1,2,3,4\n", SOUK_INPUT,
        "uneven.csv:3: 2 fields where the header has 3");
    souk_error err = {0};
    table *t;
    table_options o = table_options_default();
    assert_int_equal(table_read(&t, TEMP "not-there.csv", &o, &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "not-there.csv"));
    o.where = "a > 5";
    expect_error("none.csv", "a,b\n1,2\n", &o, SOUK_INPUT, "none of its 1 rows meets --where a > 5");
    o.where = "prise > 5";
    souk_error where_err = {0};
    write_text(TEMP "w.csv", "price,b\n1,2\n", strlen("price,b\n1,2\n"));
    assert_int_equal(table_read(&t, TEMP "w.csv", &o, &where_err), SOUK_INPUT);
    assert_non_null(strstr(where_err.message, "the nearest is \"price\""));
}

/* Bad rows of each kind, in a table of `rows` rows where `bad` are bad. */
static void test_rejects(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 0);
    buf_str(&b, "a,b\n");
    for (int i = 0; i < 400; i++) {
        if (i == 10)
            buf_str(&b, "only\n");
        else if (i == 20)
            buf_str(&b, "bad \xff utf8,1\n");
        else if (i == 30)
            buf_str(&b, "\"two\nlines\",1,\"x\"\n");
        else if (i == 40)
            buf_printf(&b, "%0200d,1\n", 7);
        else
            buf_printf(&b, "row %d,%d\n", i, i);
    }
    table_options o = table_options_default();
    o.max_field = 100;
    o.reject_path = TEMP "rejects.jsonl";
    table *t = read_text("rejects.csv", b.data, &o); /* 4 of 400: exactly 1 % */
    assert_int_equal(t->n, 396);
    assert_int_equal(t->n_rejected, 4);
    assert_int_equal(t->row[10], 11);
    table_free(t);
    char *text;
    size_t size;
    static const int lines[] = {12, 22, 32, 43};
    static const char *const reasons[] = {"1 field where the header has 2", "byte 5 is not UTF-8",
                                          "3 fields where the header has 2", "holds more than 100 bytes"};
    static const char *const texts[] = {"only", "bad \xef\xbf\xbd utf8,1", "\"two\nlines\",1,\"x\"", "0000"};
    assert_int_equal(fs_read_all(o.reject_path, 1 << 20, &text, &size, NULL), SOUK_OK);
    char *at = text;
    for (int i = 0; i < 4; i++) {
        json_doc *d;
        int64_t line;
        char *end = strchr(at, '\n');
        assert_non_null(end);
        assert_int_equal(json_parse(&d, at, (size_t)(end - at), 0, NULL), SOUK_OK);
        assert_true(json_int(json_get(json_root(d), "line"), &line));
        assert_int_equal(line, lines[i]);
        assert_non_null(strstr(json_string(json_get(json_root(d), "reason")), reasons[i]));
        assert_non_null(strstr(json_string(json_get(json_root(d), "text")), texts[i]));
        assert_non_null(strstr(json_string(json_get(json_root(d), "file")), "rejects.csv"));
        json_free(d);
        at = end + 1;
    }
    assert_int_equal(*at, 0);
    mem_free(text);
    buf_str(&b, "one more\n"); /* 5 of 401 */
    expect_error("rejects.csv", b.data, &o, SOUK_INPUT, "5 of 401 rows (1.2 %)");
    assert_int_equal(fs_read_all(o.reject_path, 1 << 20, &text, &size, NULL),
                     SOUK_OK); /* the list is there all the same */
    assert_non_null(strstr(text, "one more"));
    mem_free(text);
    o.max_bad = 1;
    t = read_text("rejects.csv", b.data, &o);
    assert_int_equal(t->n_rejected, 5);
    table_free(t);
    buf_clear(&b);
}

static void test_told_number(void **state) {
    (void)state;
    static const char *const told[] = {"price", "number", NULL};
    table_options o = table_options_default();
    o.types = told;
    o.max_bad = .5;
    table *t = read_text("told.csv", "price,x\n1,a\n\"12,5\",b\nNA,c\n", &o);
    assert_int_equal(t->n, 2);
    assert_int_equal(t->n_rejected, 1);
    assert_int_equal(t->row[1], 2);
    table_free(t);
    o.max_bad = .01;
    expect_error("told.csv", "price,x\n1,a\n\"12,5\",b\n", &o, SOUK_INPUT,
                 "column \"price\": \"12,5\" is not a number (try --decimal ,)");
}

static void test_jsonl(void **state) {
    (void)state;
    table *t = read_text("j.jsonl",
                         "{\"t\": \"a\\nb\", \"n\": 1, \"zip\": \"01234\"}\n\n{\"n\": 2.5, \"t\": \"c\", \"x\": "
                         "[1,2]}\n{\"zip\": \"7\", \"n\": null}\n",
                         NULL);
    assert_int_equal(t->n, 3);
    assert_int_equal(t->n_columns, 4);
    expect_cell(t, "t", 0, "a\nb");
    expect_cell(t, "x", 1, "[1,2]");
    expect_cell(t, "zip", 0, "01234"); /* a JSON string is text, digits or not */
    assert_true(table_column(t, "n")->number[1] == 2.5);
    assert_true(isnan(table_column(t, "n")->number[2]));
    assert_int_equal(t->line[1], 3);
    table_free(t);
    BAD("j.jsonl", "{\"a\": 1}\n{\"a\": }\n", SOUK_INPUT, "j.jsonl:2: not JSON at byte 7: a value that is not JSON");
    buf b; /* a key that the first 10,000 rows have not */
    buf_init(&b, 0);
    for (int i = 0; i < 10050; i++) buf_str(&b, i == 10020 ? "{\"a\": 1, \"late\": 2}\n" : "{\"a\": 1}\n");
    t = read_text("j.jsonl", b.data, NULL);
    assert_int_equal(t->n_rejected, 1);
    assert_int_equal(t->n_columns, 1);
    table_free(t);
    static const char *const keep[] = {"a", NULL};
    table_options o = table_options_default();
    o.keep = keep;
    t = read_text("j.jsonl", b.data, &o);
    assert_int_equal(t->n_rejected, 0);
    table_free(t);
    buf_clear(&b);
}

/* ---- several files, standard input ---- */

static void test_glob(void **state) {
    (void)state;
    write_text(TEMP "g1.csv", "a,b\n1,x\n2,y\n", strlen("a,b\n1,x\n2,y\n"));
    write_text(TEMP "g2.csv", "a,b\r\n3,z\r\n", strlen("a,b\r\n3,z\r\n"));
    table *t = read_file(TEMP "g?.csv", NULL);
    assert_int_equal(t->n, 3);
    assert_int_equal(t->row[2], 2);
    assert_int_equal(t->line[2], 2);
    expect_cell(t, "b", 2, "z");
    table_free(t);
    souk_error err = {0};
    table_options o = table_options_default();
    write_text(TEMP "g2.csv", "a,c\n3,z\n", strlen("a,c\n3,z\n"));
    assert_int_equal(table_read(&t, TEMP "g?.csv", &o, &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "g2.csv: column 2 is \"c\", but \"b\" in"));
    err_clear(&err);
    write_text(TEMP "g2.csv", "a\n3\n", strlen("a\n3\n"));
    assert_int_equal(table_read(&t, TEMP "g?.csv", &o, &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "g2.csv has 1 columns, but"));
}

/* Runs with the file as standard input. */
static table *read_stdin(const char *path) {
    int saved = dup(0), fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && dup2(fd, 0) == 0);
    table *t = read_file("-", NULL);
    dup2(saved, 0);
    close(saved);
    close(fd);
    return t;
}

/* A column that looks like numbers for 10,500 rows and is none: the early cells keep their text, from files and from
 * "-". */
static void test_second_pass(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 0);
    buf_str(&b, "code,n\n");
    for (int i = 0; i < 12000; i++) buf_printf(&b, i == 10500 ? "X7,%d\n" : "%05d,%d\n", i, i);
    table *t = read_text("second.csv", b.data, NULL), *u;
    assert_false(table_column(t, "code")->is_number);
    expect_cell(t, "code", 7, "00007");
    expect_cell(t, "code", 10500, "X7");
    assert_true(table_column(t, "n")->number[10499] == 10499);
    assert_int_equal(t->n, 12000);
    u = read_stdin(TEMP "second.csv");
    char a[17], c[17];
    table_fingerprint(t, a);
    table_fingerprint(u, c);
    assert_string_equal(a, c);
    table_free(t);
    table_free(u);
    t = read_stdin(REF "small.csv.gz");
    assert_int_equal(t->n, 60);
    table_free(t);
    buf_clear(&b);
}

/* ---- streams ---- */

/* Everything that a stream gives, in chunks of `rows`, as one fingerprint of cells. */
static uint64_t stream_hash(const char *path, int64_t rows, int64_t read_size, int64_t *n, int64_t *rejected) {
    souk_error err = {0};
    table_options o = table_options_default();
    table_reader *r;
    uint64_t h = 0xCBF29CE484222325u;
    o.read_size = read_size;
    o.max_bad = 1;
    o.max_field = 1000;
    if (table_open(&r, path, &o, &err) != SOUK_OK) fail_msg("%s", err.message);
    *n = 0;
    for (;;) {
        table *t;
        if (table_next(r, rows, &t, &err) != SOUK_OK) fail_msg("%s", err.message);
        for (int64_t i = 0; i < t->n; i++) {
            h = fnv(h, (const char *)(t->row + i), 8);
            h = fnv(h, (const char *)(t->line + i), 8);
            for (int k = 0; k < t->n_columns; k++) {
                size_t len = 8;
                const char *p = t->columns[k].is_number ? (const char *)(t->columns[k].number + i)
                                                        : column_text(t->columns + k, i, &len);
                h = fnv(fnv(h, p, len), "\x1f", 1);
            }
        }
        int64_t got = t->n;
        *n += got;
        table_free(t);
        if (got == 0) break;
    }
    *rejected = table_rejected(r);
    table_close(r);
    return h;
}

/* Chunks, read sizes and a row of 1.2 MB that is passed over: the same rows every time. */
static void test_cuts(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 0);
    buf_str(&b, "name,v\r\n");
    for (int i = 0; i < 10400; i++) {
        if (i == 300) {
            buf_str(&b, "\"long\r\n");
            for (int k = 0; k < 120000; k++) buf_str(&b, "0123456,\"\"");
            buf_str(&b, "\",1\r\n");
        }
        buf_printf(&b,
                   i % 97 == 0  ? "\"q, \"\"%d\"\"\n\",%d\r"
                   : i == 10200 ? "late %d,x%d\n"
                                : "n\xc3\xa9%d,%d\r\n",
                   i, i);
    }
    write_text(TEMP "cuts.csv", b.data, b.len);
    static const struct {
        int64_t rows, size;
    } ways[] = {{100000, 0}, {1, 0}, {777, 4096}, {10000, 100003}, {3000, 64}};
    int64_t n, rejected, n0 = 0, rejected0 = 0;
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        uint64_t h = stream_hash(TEMP "cuts.csv", ways[i].rows, ways[i].size, &n, &rejected);
        if (i == 0) first = h, n0 = n, rejected0 = rejected;
        assert_int_equal(n, n0);
        assert_int_equal(rejected, rejected0);
        assert_true(h == first);
    }
    assert_int_equal(n0, 10399);
    assert_int_equal(rejected0, 2); /* the long row, and a cell that fits no number after the types are settled */
    buf_clear(&b);
}

static int64_t high_water;
static bool watch(void *context) {
    (void)context;
    int64_t live = mem_live_bytes();
    if (live > high_water) high_water = live;
    return false;
}

static void test_bounded_memory(void **state) {
    (void)state;
    souk_error err = {0};
    fs_writer *w;
    buf b;
    buf_init(&b, 0);
    assert_int_equal(fs_create(&w, TEMP "million.csv", NULL), SOUK_OK);
    buf_str(&b, "id,amount,city\n");
    for (int i = 0; i < 1000000; i++) {
        buf_printf(&b, "%d,%d.%02d,city %d\n", i, i % 1000, i % 100, i % 50);
        if (b.len > 1 << 20 || i == 999999) {
            assert_int_equal(fs_write(w, b.data, b.len, NULL), SOUK_OK);
            buf_reset(&b);
        }
    }
    buf_clear(&b);
    assert_int_equal(fs_commit(w, NULL), SOUK_OK);
    table_options o = table_options_default();
    table_reader *r;
    int64_t rows = 0, n = 1;
    double sum = 0;
    high_water = 0;
    mem_set_fault(watch, NULL);
    if (table_open(&r, TEMP "million.csv", &o, &err) != SOUK_OK) fail_msg("%s", err.message);
    while (n > 0) {
        table *t;
        if (table_next(r, 4096, &t, &err) != SOUK_OK) fail_msg("%s", err.message);
        n = t->n;
        rows += n;
        for (int64_t i = 0; i < n; i++) sum += table_column(t, "id")->number[i];
        table_free(t);
    }
    table_close(r);
    mem_set_fault(NULL, NULL);
    printf("1,000,000 rows (%lld bytes) streamed in %lld bytes of memory\n", (long long)fs_size(TEMP "million.csv"),
           (long long)high_water);
    assert_int_equal(rows, 1000000);
    assert_true(sum == 499999500000.0);
    assert_true(high_water < 4 << 20);
    unlink(TEMP "million.csv");
}

/* ---- faults ---- */

typedef struct job {
    const char *path;
    int64_t rows;
} job;

static souk_status read_whole(void *context, souk_error *err) {
    const job *j = context;
    table_options o = table_options_default();
    table *t = NULL;
    o.reject_path = TEMP "fault_rejects.jsonl";
    o.where = strstr(j->path, ".csv") ? "price >= 0 or note is null" : NULL;
    souk_status status = table_read(&t, j->path, &o, err);
    if (status == SOUK_OK && t->n != j->rows) return err_set(err, SOUK_FAILED, "%lld rows", (long long)t->n);
    table_free(t);
    return status;
}

static souk_status read_stream(void *context, souk_error *err) {
    const job *j = context;
    table_options o = table_options_default();
    table_reader *r = NULL;
    int64_t rows = 0, n = 1;
    souk_status status = table_open(&r, j->path, &o, err);
    while (status == SOUK_OK && n > 0) {
        table *t = NULL;
        status = table_next(r, 25, &t, err);
        n = t ? t->n : 0;
        rows += n;
        table_free(t);
    }
    table_close(r);
    if (status == SOUK_OK && rows != j->rows) return err_set(err, SOUK_FAILED, "%lld rows", (long long)rows);
    return status;
}

static void test_faults(void **state) {
    (void)state;
    write_text(TEMP "fault.jsonl", "{\"a\": \"x\\ny\", \"b\": 1}\n{\"b\": 2}\n",
               strlen("{\"a\": \"x\\ny\", \"b\": 1}\n{\"b\": 2}\n"));
    write_text(TEMP "fault.tsv", "a \"b\"\t1\n\"c\"\"d\"\t0\n", strlen("a \"b\"\t1\n\"c\"\"d\"\t0\n"));
    job gz = {REF "small.csv.gz", 60}, zst = {REF "small.csv.zst", 60}, jsonl = {TEMP "fault.jsonl", 2},
        tsv = {TEMP "fault.tsv", 2};
    fault_loop_alloc("table_read of csv.gz", read_whole, NULL, &gz);
    fault_loop_files("table_read of csv.gz", read_whole, NULL, &gz);
    fault_short_files("table_read of csv.gz", read_whole, NULL, &gz);
    fault_loop_alloc("table_read of csv.zst", read_whole, NULL, &zst);
    fault_loop_alloc("table_next of csv.gz", read_stream, NULL, &gz);
    fault_loop_alloc("table_read of jsonl", read_whole, NULL, &jsonl);
    fault_loop_alloc("table_read of tsv", read_whole, NULL, &tsv);
    fault_loop_files("table_next of tsv", read_stream, NULL, &tsv);
}

static int no_leak(void **state) {
    (void)state;
    char **paths = NULL;
    size_t n = 0;
    if (fs_glob(TEMP "*", &paths, &n, NULL) == SOUK_OK)
        for (size_t i = 0; i < n; i++) unlink(paths[i]);
    fs_glob_free(paths, n);
    return mem_live() != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_tables),    cmocka_unit_test(test_types),       cmocka_unit_test(test_dates),
        cmocka_unit_test(test_sniffing),       cmocka_unit_test(test_options),     cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_rejects),        cmocka_unit_test(test_told_number), cmocka_unit_test(test_jsonl),
        cmocka_unit_test(test_glob),           cmocka_unit_test(test_second_pass), cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_bounded_memory), cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, no_leak);
}
