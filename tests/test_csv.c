/* test_csv.c - rows out of delimited text: Python's csv module on 300 random texts, each cut everywhere; TSV's stray
 * quotes, spaces, lines; rows over the limit; the kernel on every instruction set. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/csv.h"
#include "simd/kern.h"

enum { FIELDS = 64 };

/* Rows as text: cells behind '[' … ']', rows end in LF; what one scan makes of the text when it arrives `step` bytes at
 * a time. */
static souk_status scan_text(table_format format, char delimiter, const char *text, size_t n, size_t step, buf *out,
                             souk_error *err) {
    csv_scan s;
    cell cells[FIELDS];
    buf scratch;
    size_t pos = 0, have = 0;
    char *room = mem_calloc(n + 64, 1); /* the bytes that have arrived, and zeros */
    csv_init(&s, format, delimiter, 1 << 20, 1 << 20);
    buf_init(&scratch, 0);
    souk_status status = SOUK_OK;
    bool last = false;
    while (status == SOUK_OK) {
        status = csv_mask(&s, room, have, err);
        batch_row row = {0};
        int fields = 0;
        csv_end e = csv_row(&s, room, have, last, &pos, cells, FIELDS, &fields, &row, &scratch);
        if (e == CSV_UNCLOSED)
            status = csv_unclosed(&s, "t.csv", err);
        else if (e == CSV_MORE) {
            size_t more = step < n - have ? step : n - have;
            memcpy(room + have, text + have, more);
            have += more;
            last = more == 0;
        } else {
            assert_int_equal(e, CSV_ROW);
            if (fields == 0) break;
            for (int i = 0; i < fields && i < FIELDS; i++) {
                buf_char(out, '[');
                buf_add(out, (cells[i].len & CELL_SCRATCH ? scratch.data : room) + cells[i].at,
                        cells[i].len & CELL_LENGTH);
                buf_char(out, ']');
            }
            buf_printf(out, "@%lld\n", (long long)row.line);
        }
    }
    csv_clear(&s);
    buf_clear(&scratch);
    mem_free(room);
    return status;
}

static void expect(table_format format, char delimiter, const char *text, const char *rows) {
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        souk_error err = {0};
        buf out;
        buf_init(&out, 0);
        assert_int_equal(scan_text(format, delimiter, text, strlen(text), step, &out, &err), SOUK_OK);
        assert_string_equal(out.data ? out.data : "", rows);
        buf_clear(&out);
    }
}

static void without_lines(buf *b) {
    size_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < b->len; i++) { /* drops "@17" at the ends of rows */
        if (b->data[i] == '@' && b->data[i - 1] == ']')
            inside = true;
        else if (b->data[i] == '\n')
            inside = false;
        if (!inside) b->data[n++] = b->data[i];
    }
    b->len = n;
}

static void test_python_cases(void **state) {
    (void)state;
    char *data;
    size_t size;
    json_doc *doc;
    assert_int_equal(fs_read_all(SOUK_SOURCE_DIR "/tests/ref/csv_cases.json", 1 << 24, &data, &size, NULL), SOUK_OK);
    assert_int_equal(json_parse(&doc, data, size, 0, NULL), SOUK_OK);
    size_t cases = json_length(json_root(doc)), scans = 0;
    for (size_t i = 0; i < cases; i++) {
        const json_value *c = json_index(json_root(doc), i), *text = json_get(c, "text"), *rows = json_get(c, "rows");
        buf want;
        buf_init(&want, 0);
        for (size_t r = 0; r < json_length(rows); r++) {
            for (size_t f = 0; f < json_length(json_index(rows, r)); f++) {
                const json_value *v = json_index(json_index(rows, r), f);
                buf_char(&want, '[');
                buf_add(&want, json_string(v), json_string_len(v));
                buf_char(&want, ']');
            }
            buf_char(&want, '\n');
        }
        size_t n = json_string_len(text);
        for (size_t step = 1; step <= n + 1; step += step < 8 ? 1 : step) {
            buf out;
            buf_init(&out, 0);
            char delimiter = json_string(json_get(c, "delimiter"))[0];
            assert_int_equal(scan_text(TABLE_CSV, delimiter, json_string(text), n, step, &out, NULL), SOUK_OK);
            without_lines(&out);
            if (out.len != want.len || memcmp(out.data, want.data, want.len) != 0)
                fail_msg("case %zu, step %zu: %s\nhave %.*s\nwant %.*s", i, step, json_string(text), (int)out.len,
                         out.data, (int)want.len, want.data);
            buf_clear(&out);
            scans++;
        }
        buf_clear(&want);
    }
    printf("rows as Python's csv module: %zu of %zu texts, %zu scans\n", cases, cases, scans);
    json_free(doc);
    mem_free(data);
}

static void test_csv_rules(void **state) {
    (void)state;
    expect(TABLE_CSV, ',', "a,b\n1,2\n", "[a][b]@1\n[1][2]@2\n");
    expect(TABLE_CSV, ',', "a,b\r\n1,2\r3,4\n5,6", "[a][b]@1\n[1][2]@2\n[3][4]@3\n[5][6]@4\n");
    expect(TABLE_CSV, ',', "\n\n\r\n\ra,b\n\n1,\n", "[a][b]@5\n[1][]@7\n");
    expect(TABLE_CSV, ',', "\"a\"\"b\",\"c\nd\"\r\nx,y", "[a\"b][c\nd]@1\n[x][y]@3\n");
    expect(TABLE_CSV, ',', "\"a\r\nb\rc\",d\ne,f", "[a\r\nb\rc][d]@1\n[e][f]@4\n");
    expect(TABLE_CSV, ',', "5\" disk,b\"c\"\n", "[5\" disk][b\"c\"]@1\n");
    expect(TABLE_CSV, ',', "\"a\"bc,\"d\"\"e\"f\"g\n", "[abc][d\"ef\"g]@1\n");
    expect(TABLE_CSV, ',', "\"\",\"\"\"\"\n", "[][\"]@1\n");
    expect(TABLE_CSV, ';', "1,5;2\n", "[1,5][2]@1\n");
}

static void test_tsv_rules(void **state) {
    (void)state;
    expect(TABLE_TSV, '\t', "\"Great\", he said\t1\n\"Really?\"\t0\n", "[\"Great\", he said][1]@1\n[Really?][0]@2\n");
    expect(TABLE_TSV, '\t', "\"never closed\t1\nnext \"line\"\t0\n", "[\"never closed][1]@1\n[next \"line\"][0]@2\n");
    expect(TABLE_TSV, '\t', "\"a\tb\"\t\"c\"\"d\"", "[a\tb][c\"d]@1\n");
    expect(TABLE_TSV, '\t', "it's\t\"\n\"\t\"\n", "[it's][\"]@1\n[\t]@2\n");
}

static void test_space_and_lines(void **state) {
    (void)state;
    expect(TABLE_SPACE, ' ', " 00004 0001  19970101\t2 \r\n   \n1 2 3 4",
           "[00004][0001][19970101][2]@1\n[1][2][3][4]@3\n");
    expect(TABLE_SPACE, ' ', "\"new york\" 5\" 7\n", "[new york][5\"][7]@1\n");
    expect(TABLE_LINES, 0, "\"a, b\r\n\r\n  c\t\"\n", "[\"a, b]@1\n[  c\t\"]@3\n");
}

static void test_unclosed(void **state) {
    (void)state;
    const char *text = "a,b\n1,\"x\ny\"\n2,\"open\n3,4\n5,6\n";
    for (size_t step = 1; step < 40; step++) {
        souk_error err = {0};
        buf out;
        buf_init(&out, 0);
        assert_int_equal(scan_text(TABLE_CSV, ',', text, strlen(text), step, &out, &err), SOUK_INPUT);
        assert_int_equal(err.line, 4);
        assert_non_null(strstr(err.message, "t.csv:4: the quote opened on this line is never closed"));
        buf_clear(&out);
    }
}

/* Passing over a row gives the same place and line as scanning it. */
static void test_skip(void **state) {
    (void)state;
    const char *rows[] = {"abc,\"d\ne\"\"f\",g\r\n", "x,y\"z\r", "\"a\r\nb\"c,\"\n", "plain\n"};
    static const int64_t lines[] = {2, 1, 2, 1};
    for (int i = 0; i < 4; i++)
        for (size_t step = 1; step < 20; step++) {
            char text[64];
            size_t n = (size_t)snprintf(text, sizeof text, "%s%s", rows[i], i == 2 ? "\"\nnext" : "next"), pos = 0,
                   used = 0;
            csv_scan s;
            csv_init(&s, TABLE_CSV, ',', 10, 10);
            csv_skip_begin(&s);
            bool end = false;
            while (!end) {
                size_t more = step < n - pos ? step : n - pos;
                end = csv_skip(&s, text + pos, more, &used);
                pos += used;
                assert_true(end || pos < n);
            }
            assert_string_equal(text + pos, "next");
            assert_int_equal(s.line, 1 + lines[i] + (i == 2));
        }
}

static void test_kernel(void **state) {
    (void)state;
    _Alignas(64) char text[64 * 9 + 1];
    uint64_t separators[9], quotes[9];
    uint32_t seed = 12345;
    static const char bytes[] = ",;\t|\n\r\"a\x80\xff\0\x8a\x8d\xa2";
    for (int level = KERN_C; level <= KERN_AVX512; level++) {
        if (!kern_use((kern_isa)level)) {
            printf("kernel csv_masks: %s is not on this machine, skipped\n", kern_isa_name((kern_isa)level));
            continue;
        }
        for (int round = 0; round < 200; round++) {
            for (size_t i = 0; i < sizeof text; i++) {
                seed = seed * 1664525u + 1013904223u;
                text[i] = bytes[(seed >> 20) % (sizeof bytes - 1)];
            }
            char delimiter = ",;\t|\n"[round % 5];
            const char *p = text + round % 2; /* also unaligned */
            kern.csv_masks(9, p, delimiter, separators, quotes);
            for (size_t i = 0; i < 64 * 9; i++) {
                bool s = p[i] == delimiter || p[i] == '\n' || p[i] == '\r';
                assert_int_equal(separators[i / 64] >> (i % 64) & 1, s);
                assert_int_equal(quotes[i / 64] >> (i % 64) & 1, p[i] == '"');
            }
        }
    }
    kern_init();
}

static int begin(void **state) {
    (void)state;
    kern_init();
    return 0;
}
static int no_leak(void **state) {
    (void)state;
    return mem_live() != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_python_cases), cmocka_unit_test(test_csv_rules),       cmocka_unit_test(test_tsv_rules),
        cmocka_unit_test(test_unclosed),     cmocka_unit_test(test_space_and_lines), cmocka_unit_test(test_skip),
        cmocka_unit_test(test_kernel),
    };
    return cmocka_run_group_tests(tests, begin, no_leak);
}
