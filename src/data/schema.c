/* schema - the type of a cell and of a column; the rule is in schema.h.
 *
 * Everything is a pass over a finished column, so that the reader's inner loops know nothing of it. Distinct values are
 * counted exactly up to 1,000 in a fixed table of row numbers; only where the rule needs more (is this an id, is this
 * mostly distinct?) are they counted further, by 64-bit hashes alone.
 *
 * Invariant: the outcome depends on the cells and their order only. */
#include "data/schema.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"

enum { EXACT = 1000, SLOTS = 4096 };

static inline bool blank(char c) { return c == ' ' || c == '\t'; }

static inline void trim(const char **p, size_t *n) {
    while (*n > 0 && blank(**p)) {
        ++*p;
        --*n;
    }
    while (*n > 0 && blank((*p)[*n - 1])) --*n;
}

bool cell_missing(const char *p, size_t n) {
    if (n > 4 && !blank(*p)) return false;
    trim(&p, &n);
    switch (n) { /* one comparison for most cells: this runs once for each cell of text */
    case 0: return true;
    case 1: return *p == '?';
    case 2: return p[0] == 'N' && p[1] == 'A';
    case 3:
        return (*p == 'N' || *p == 'n') &&
               (memcmp(p, "N/A", 3) == 0 || memcmp(p, "NaN", 3) == 0 || memcmp(p, "nan", 3) == 0);
    case 4:
        return (*p == 'N' || *p == 'n') &&
               (memcmp(p, "null", 4) == 0 || memcmp(p, "NULL", 4) == 0 || memcmp(p, "None", 4) == 0);
    default: return false;
    }
}

/* Decimal comma: the same grammar with ',' in the place of '.'. */
static bool comma_number(const char *p, size_t n, double *out) {
    char text[64];
    if (n >= sizeof text) return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '.') return false;
        text[i] = p[i] == ',' ? '.' : p[i];
    }
    return num_parse_double(text, n, out);
}

bool cell_number(const char *p, size_t n, char decimal, double *out) {
    if (n > 0 && (blank(*p) || blank(p[n - 1]))) trim(&p, &n);
    return decimal == ',' ? comma_number(p, n, out) : num_parse_double(p, n, out);
}

/* ---- dates ---- */

/* Up to `most` digits at *p; returns how many were there. */
static int take_digits(const char **p, const char *end, int most, int *value) {
    int n = 0;
    *value = 0;
    while (*p < end && n < most && **p >= '0' && **p <= '9') {
        *value = *value * 10 + (**p - '0');
        ++*p;
        n++;
    }
    return n;
}

static bool valid_day(int year, int month, int day) {
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return year >= 1000 && year <= 2999 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

/* What may follow the day: nothing, or blank or T, hh:mm[:ss[.fraction]] and a zone. */
static bool time_of_day(const char *p, const char *end) {
    int h, m, s;
    if (p == end) return true;
    if (*p != ' ' && *p != 'T') return false;
    p++;
    if (take_digits(&p, end, 2, &h) == 0 || h > 24 || p == end || *p++ != ':' || take_digits(&p, end, 2, &m) != 2 ||
        m > 59)
        return false;
    if (p < end && *p == ':') {
        p++;
        if (take_digits(&p, end, 2, &s) != 2 || s > 60) return false;
        if (p < end && (*p == '.' || *p == ','))
            for (p++; p < end && *p >= '0' && *p <= '9';) p++;
    }
    if (p < end && *p == 'Z') return p + 1 == end;
    if (p < end && (*p == '+' || *p == '-')) {
        p++;
        if (take_digits(&p, end, 2, &h) != 2) return false;
        if (p < end && *p == ':') p++;
        take_digits(&p, end, 2, &m);
    }
    return p == end || (end - p == 4 && memcmp(p, " UTC", 4) == 0);
}

bool cell_date(const char *p, size_t n) {
    trim(&p, &n);
    const char *end = p + n;
    int a, b, c;
    if (n < 8 || n > 40) return false;
    int first = take_digits(&p, end, 4, &a);
    if (p == end || (*p != '-' && *p != '/' && *p != '.')) return false;
    char sign = *p++;
    if (take_digits(&p, end, 2, &b) == 0 || p == end || *p++ != sign) return false;
    int third = take_digits(&p, end, 4, &c);
    if (first == 4) return third >= 1 && third <= 2 && valid_day(a, b, c) && time_of_day(p, end);
    if (first == 0 || first > 2 || third != 4) return false;
    bool day_first = valid_day(c, b, a), month_first = sign == '/' && valid_day(c, a, b);
    return (day_first || month_first) && time_of_day(p, end);
}

/* ---- names ---- */

static bool ends_in(const char *s, const char *tail) {
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

static bool id_name(const char *s) {
    static const char *const words[] = {"id",    "key", "code",   "uuid",       "guid",
                                        "index", "row", "rownum", "row_number", "unnamed: 0"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(s, words[i]) == 0) return true;
    size_t n = strlen(s);
    if (n > 3 && strcasecmp(s + n - 3, "_id") == 0) return true;
    if (n > 3 && (strcasecmp(s + n - 3, " id") == 0 || strcasecmp(s + n - 3, ".id") == 0)) return true;
    return ends_in(s, "Id") || ends_in(s, "ID") || strcasecmp(s, "userid") == 0 || ends_in(s, "_key") ||
           ends_in(s, "_uuid") || ends_in(s, "_code");
}

static bool date_name(const char *s) { return strcasestr(s, "date") || strcasestr(s, "day") || strcasestr(s, "time"); }

/* ---- distinct values ---- */

static inline uint64_t mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    return x * 0xd6e8feb86659fd93ull;
}

/* Up to 16 bytes in two loads; longer cells go to the map's hash. */
static inline uint64_t bytes_hash(const char *p, size_t n) {
    uint64_t a = 0, b = 0;
    if (n > 16) return map_hash(p, n);
    if (n >= 8) {
        memcpy(&a, p, 8);
        memcpy(&b, p + n - 8, 8);
    } else
        for (size_t i = 0; i < n; i++) a = a << 8 | (unsigned char)p[i];
    return mix(a ^ mix(b + n));
}

static inline uint64_t cell_hash(const column *c, int64_t i) {
    if (!c->is_number) return bytes_hash(c->bytes + c->offset[i], (size_t)(c->offset[i + 1] - c->offset[i]));
    double v = c->number[i] + 0.0; /* -0 counts as 0 */
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return mix(bits);
}

static inline bool same_cell(const column *c, int64_t i, int64_t j) {
    if (c->is_number) return c->number[i] == c->number[j];
    uint64_t n = c->offset[i + 1] - c->offset[i];
    return n == c->offset[j + 1] - c->offset[j] && memcmp(c->bytes + c->offset[i], c->bytes + c->offset[j], n) == 0;
}

/* Exact up to 1,000, then -1. -2: out of memory. */
static int64_t distinct_exact(const column *c, int64_t n) {
    int64_t *slot = mem_calloc(SLOTS, sizeof *slot); /* row + 1 */
    int64_t count = 0;
    if (!slot) return -2;
    for (int64_t i = 0; i < n && count <= EXACT; i++) {
        if (c->missing[i]) continue;
        uint64_t at = cell_hash(c, i) >> 52;
        while (slot[at] && !same_cell(c, slot[at] - 1, i)) at = (at + 1) % SLOTS;
        if (slot[at]) continue;
        slot[at] = i + 1;
        count++;
    }
    mem_free(slot);
    return count > EXACT ? -1 : count;
}

/* By hashes, however many. -2: out of memory. */
static int64_t distinct_all(const column *c, int64_t n) {
    size_t slots = 1024;
    while (slots / 2 < (size_t)n) slots *= 2;
    uint64_t *slot = mem_calloc(slots, sizeof *slot);
    int64_t count = 0;
    if (!slot) return -2;
    for (int64_t i = 0; i < n; i++) {
        if (c->missing[i]) continue;
        uint64_t h = cell_hash(c, i) | 1;
        size_t at = (size_t)(h >> 20) & (slots - 1);
        while (slot[at] && slot[at] != h) at = (at + 1) & (slots - 1);
        if (slot[at]) continue;
        slot[at] = h;
        count++;
    }
    mem_free(slot);
    return count;
}

/* ---- the rule ---- */

typedef struct shape {
    int64_t present;
    double words, bytes; /* means over the present cells */
    bool all_dates, one_word;
} shape;

static shape text_shape(const column *c, int64_t n) {
    shape s = {.all_dates = true, .one_word = true};
    int64_t words = 0, bytes = 0;
    for (int64_t i = 0; i < n; i++) {
        if (c->missing[i]) continue;
        const char *p = c->bytes + c->offset[i];
        size_t len = (size_t)(c->offset[i + 1] - c->offset[i]);
        int64_t here = 0;
        for (size_t k = 0; k < len; k++)
            here += (unsigned char)p[k] > ' ' && (k == 0 || (unsigned char)p[k - 1] <= ' ');
        if (here > 1) s.one_word = false;
        if (s.all_dates) s.all_dates = cell_date(p, len);
        words += here;
        bytes += (int64_t)len;
        s.present++;
    }
    if (s.present > 0) {
        s.words = (double)words / (double)s.present;
        s.bytes = (double)bytes / (double)s.present;
    }
    return s;
}

static bool whole_numbers(const column *c, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!c->missing[i] && !(c->number[i] == floor(c->number[i]) && fabs(c->number[i]) < 0x1p63)) return false;
    return true;
}

static bool row_numbers(const column *c, int64_t n) {
    if (n < 3 || c->n_missing > 0 || (c->number[0] != 0 && c->number[0] != 1)) return false;
    for (int64_t i = 1; i < n; i++)
        if (c->number[i] != c->number[0] + (double)i) return false;
    return true;
}

static bool number_dates(const column *c, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (c->missing[i]) continue;
        if (!(c->number[i] >= 10000101 && c->number[i] <= 29991231)) return false;
        int v = (int)c->number[i];
        if (c->number[i] != v || !valid_day(v / 10000, v / 100 % 100, v % 100)) return false;
    }
    return true;
}

static bool mostly_distinct(const column *c, int64_t n, int64_t present, double share, bool *ok) {
    int64_t d = c->n_distinct;
    if (d < 0) d = distinct_all(c, n);
    if (d == -2) *ok = false;
    return (double)d >= share * (double)present;
}

static column_type number_type(const column *c, int64_t n, int position, bool *ok) {
    int64_t present = n - c->n_missing;
    if (c->n_distinct == 2) return COLUMN_BINARY;
    if (date_name(c->name) && number_dates(c, n)) return COLUMN_DATE;
    bool named = id_name(c->name), unnamed_first = position == 0 && (strcmp(c->name, "c1") == 0 || c->name[0] == 0);
    if ((unnamed_first || named) && row_numbers(c, n)) return COLUMN_ID;
    if (named && present >= 3 && whole_numbers(c, n) && mostly_distinct(c, n, present, .95, ok)) return COLUMN_ID;
    return COLUMN_NUMBER;
}

static column_type text_type(const column *c, int64_t n, bool *ok) {
    if (c->n_distinct == 2) return COLUMN_BINARY;
    shape s = text_shape(c, n);
    double d = c->n_distinct >= 0 ? (double)c->n_distinct : EXACT + 1, present = (double)s.present;
    if (s.all_dates) return COLUMN_DATE;
    if (s.one_word && s.present >= 3 && id_name(c->name) && mostly_distinct(c, n, s.present, .95, ok)) return COLUMN_ID;
    bool few = d <= fmax(20, 2 * sqrt(present)) && d <= present / 3;
    if ((s.words >= 2.5 || s.bytes >= 40) && !few) return COLUMN_TEXT;
    if (s.words >= 1.5 && !few && mostly_distinct(c, n, s.present, .5, ok)) return COLUMN_TEXT;
    return COLUMN_CATEGORY;
}

void schema_mark_missing(column *c, int64_t n) {
    c->n_missing = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t len = c->is_number ? 0 : (size_t)(c->offset[i + 1] - c->offset[i]);
        if (c->is_number)
            c->missing[i] = (uint8_t)(isnan(c->number[i]) != 0);
        else if (c->type == COLUMN_TEXT)
            c->missing[i] = len == 0;
        else
            c->missing[i] = cell_missing(c->bytes + c->offset[i], len);
        c->n_missing += c->missing[i];
    }
}

bool schema_infer(column *c, int64_t n, int position) {
    bool ok = true;
    c->n_distinct = distinct_exact(c, n);
    if (c->n_distinct == -2) {
        c->n_distinct = -1;
        return false;
    }
    if (c->n_distinct == 0)
        c->type = COLUMN_EMPTY;
    else
        c->type = c->is_number ? number_type(c, n, position, &ok) : text_type(c, n, &ok);
    if (c->type == COLUMN_TEXT) schema_mark_missing(c, n);
    return ok;
}
