/* where - the filter expression of --where, compiled to a small tree and judged row by row.
 *
 * Recursive descent over the grammar  or := and {or and};  and := not {and not};  not := NOT not | ( or ) | test;
 * test := operand compare operand | operand [NOT] IN ( literal, … ) | operand IS [NOT] NULL.
 * Truth has three values (SQL's): a comparison with a missing cell is unknown, and unknown rows are not kept.
 *
 * Invariant: the depth of the tree is bounded by WHERE_DEPTH, because `and` and `or` chains are lists, not nests. */
#include "data/where.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/num.h"
#include "data/schema.h"

enum { WHERE_DEPTH = 100 };

typedef enum node_kind { NODE_OR, NODE_AND, NODE_NOT, NODE_COMPARE, NODE_IN, NODE_NULL } node_kind;
typedef enum compare { EQ, NE, LT, LE, GT, GE } compare;
typedef enum truth { NO, YES, UNKNOWN } truth;

typedef struct operand {
    int column; /* -1: a literal */
    const char *text;
    size_t len;
    bool is_number;
    bool is_bool; /* true or false: any case matches */
    double number;
    struct operand *next;
} operand;

typedef struct node {
    node_kind kind;
    compare op;
    operand left, *right; /* right: the other side, or the list of IN */
    struct node *child;   /* OR, AND: first of the list; NOT: the one */
    struct node *next;
} node;

struct where {
    arena memory;
    node *root;
    char decimal;
};

typedef enum token_kind { T_END, T_WORD, T_NAME, T_STRING, T_NUMBER, T_OP, T_OPEN, T_CLOSE, T_COMMA } token_kind;

typedef struct parser {
    where *w;
    const char *text, *p;
    const char *const *names;
    size_t n_names;
    token_kind kind; /* the token at hand */
    const char *start;
    char *value; /* NAME, STRING: unquoted; WORD, NUMBER: as written */
    size_t len;
    compare op;
    int depth;
    souk_status status;
    souk_error *err;
} parser;

#define FAIL(ps, code, at, ...) ((ps)->status = err_at((ps)->err, code, -1, (int64_t)((at) - (ps)->text), __VA_ARGS__))

static void wrong(parser *ps, const char *expected) {
    if (ps->status != SOUK_OK) return;
    int n = (int)(strcspn(ps->start, " \t\n") & 0x3f);
    FAIL(ps, SOUK_USAGE, ps->start, "--where, character %lld: expected %s, found %s%.*s%s",
         (long long)(ps->start - ps->text) + 1, expected, ps->kind == T_END ? "the end" : "\"",
         ps->kind == T_END ? 0 : n, ps->start, ps->kind == T_END ? "" : "\"");
}

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '$' || (unsigned char)c >= 0x80;
}

static char *keep(parser *ps, const char *s, size_t n) {
    char *copy = arena_strndup(&ps->w->memory, s, n);
    if (!copy && ps->status == SOUK_OK) ps->status = err_nomem(ps->err, "reading --where");
    return copy;
}

/* 'text', "name" or `name`: the quote doubled is a quote. */
static void quoted(parser *ps, char quote) {
    const char *from = ++ps->p;
    size_t n = 0;
    char *out = keep(ps, from, strlen(from));
    while (out && *ps->p && (*ps->p != quote || ps->p[1] == quote)) {
        if (*ps->p == quote) ps->p++;
        out[n++] = *ps->p++;
    }
    if (!out) return;
    if (!*ps->p) {
        FAIL(ps, SOUK_USAGE, from - 1, "--where, character %lld: the %c is never closed", (long long)(from - ps->text),
             quote);
        return;
    }
    ps->p++;
    out[n] = 0;
    ps->value = out;
    ps->len = n;
    ps->kind = quote == '\'' ? T_STRING : T_NAME;
}

static bool operator_token(parser *ps) {
    static const struct {
        const char *text;
        compare op;
    } ops[] = {{"==", EQ}, {"!=", NE}, {"<>", NE}, {"<=", LE}, {">=", GE}, {"=", EQ}, {"<", LT}, {">", GT}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        size_t n = strlen(ops[i].text);
        if (strncmp(ps->p, ops[i].text, n) == 0) {
            ps->p += n;
            ps->op = ops[i].op;
            ps->kind = T_OP;
            return true;
        }
    }
    return false;
}

static void next(parser *ps) {
    while (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r') ps->p++;
    ps->start = ps->p;
    char c = *ps->p;
    if (c == 0)
        ps->kind = T_END;
    else if (c == '(' || c == ')' || c == ',') {
        ps->kind = c == '(' ? T_OPEN : c == ')' ? T_CLOSE : T_COMMA;
        ps->p++;
    } else if (c == '\'' || c == '"' || c == '`')
        quoted(ps, c);
    else if (operator_token(ps))
        return;
    else if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.') {
        while (is_word_byte(*ps->p) ||
               ((*ps->p == '-' || *ps->p == '+') && (ps->p == ps->start || ps->p[-1] == 'e' || ps->p[-1] == 'E')))
            ps->p++;
        ps->kind = T_NUMBER;
        ps->len = (size_t)(ps->p - ps->start);
        ps->value = keep(ps, ps->start, ps->len);
    } else if (is_word_byte(c)) {
        while (is_word_byte(*ps->p)) ps->p++;
        ps->kind = T_WORD;
        ps->len = (size_t)(ps->p - ps->start);
        ps->value = keep(ps, ps->start, ps->len);
    } else {
        ps->kind = T_END;
        FAIL(ps, SOUK_USAGE, ps->p, "--where, character %lld: \"%c\" has no meaning here",
             (long long)(ps->p - ps->text) + 1, c);
    }
}

static bool keyword(parser *ps, const char *word) {
    if (ps->status != SOUK_OK || ps->kind != T_WORD || strcasecmp(ps->value, word) != 0) return false;
    next(ps);
    return true;
}

static bool at_keyword(const parser *ps, const char *word) {
    return ps->status == SOUK_OK && ps->kind == T_WORD && strcasecmp(ps->value, word) == 0;
}

static void column_operand(parser *ps, operand *o) {
    for (size_t i = 0; i < ps->n_names; i++)
        if (strcmp(ps->names[i], ps->value) == 0) {
            o->column = (int)i;
            return;
        }
    if (ps->kind == T_WORD && (strcasecmp(ps->value, "true") == 0 || strcasecmp(ps->value, "false") == 0)) {
        o->is_bool = true;
        return;
    }
    const char *nearest = err_nearest(ps->value, ps->names, ps->n_names);
    if (strcasecmp(ps->value, "null") == 0)
        FAIL(ps, SOUK_INPUT, ps->start,
             "--where, character %lld: nothing compares with null: write `COLUMN is null` or `is not null`",
             (long long)(ps->start - ps->text) + 1);
    else if (nearest)
        FAIL(ps, SOUK_INPUT, ps->start, "--where, character %lld: no column \"%s\"; the nearest is \"%s\"",
             (long long)(ps->start - ps->text) + 1, ps->value, nearest);
    else
        FAIL(ps, SOUK_INPUT, ps->start, "--where, character %lld: no column \"%s\" (text goes in single quotes: '%s')",
             (long long)(ps->start - ps->text) + 1, ps->value, ps->value);
}

static void read_operand(parser *ps, operand *o, bool literal_only) {
    *o = (operand){.column = -1};
    if (ps->status != SOUK_OK) return;
    bool name = ps->kind == T_WORD || ps->kind == T_NAME;
    bool boolean = ps->kind == T_WORD && (strcasecmp(ps->value, "true") == 0 || strcasecmp(ps->value, "false") == 0);
    if (ps->kind != T_STRING && ps->kind != T_NUMBER && !(name && (!literal_only || boolean))) {
        wrong(ps, literal_only ? "a number or 'text'" : "a column, a number or 'text'");
        return;
    }
    o->text = ps->value;
    o->len = ps->len;
    if (literal_only && boolean)
        o->is_bool = true;
    else if (name)
        column_operand(ps, o);
    else {
        o->is_number = num_parse_double(ps->value, ps->len, &o->number);
        if (ps->kind == T_NUMBER && !o->is_number)
            wrong(ps, "a number (a name that begins with a digit goes in double quotes)");
    }
    if (ps->status == SOUK_OK) next(ps);
}

static node *new_node(parser *ps, node_kind kind) {
    node *n = arena_alloc(&ps->w->memory, sizeof *n);
    if (!n && ps->status == SOUK_OK) ps->status = err_nomem(ps->err, "reading --where");
    if (n) n->kind = kind;
    return n;
}

static node *negate(parser *ps, node *child) {
    node *n = new_node(ps, NODE_NOT);
    if (n) n->child = child;
    return n;
}

static void in_list(parser *ps, node *n) {
    if (ps->kind != T_OPEN) {
        wrong(ps, "( after in");
        return;
    }
    operand **tail = &n->right;
    do {
        next(ps);
        operand *o = arena_alloc(&ps->w->memory, sizeof *o);
        if (!o) {
            if (ps->status == SOUK_OK) ps->status = err_nomem(ps->err, "reading --where");
            return;
        }
        read_operand(ps, o, true);
        *tail = o;
        tail = &o->next;
    } while (ps->status == SOUK_OK && ps->kind == T_COMMA);
    if (ps->status == SOUK_OK && ps->kind != T_CLOSE) wrong(ps, ", or ) in the list");
    if (ps->status == SOUK_OK) next(ps);
}

static node *test(parser *ps) {
    node *n = new_node(ps, NODE_COMPARE);
    if (!n) return NULL;
    read_operand(ps, &n->left, false);
    if (ps->status != SOUK_OK) return NULL;
    if (keyword(ps, "is")) {
        bool not = keyword(ps, "not");
        n->kind = NODE_NULL;
        if (!keyword(ps, "null")) wrong(ps, "null");
        return not ? negate(ps, n) : n;
    }
    bool not = keyword(ps, "not");
    if (keyword(ps, "in")) {
        n->kind = NODE_IN;
        in_list(ps, n);
        return not ? negate(ps, n) : n;
    }
    if (not || ps->kind != T_OP) {
        wrong(ps, not ? "in" : "a comparison (= != < <= > >=), in or is null");
        return NULL;
    }
    n->op = ps->op;
    next(ps);
    n->right = arena_alloc(&ps->w->memory, sizeof *n->right);
    if (!n->right) {
        if (ps->status == SOUK_OK) ps->status = err_nomem(ps->err, "reading --where");
        return NULL;
    }
    read_operand(ps, n->right, false);
    return n;
}

static node *or_list(parser *ps);

static node *not_level(parser *ps) {
    if (ps->status != SOUK_OK) return NULL;
    if (++ps->depth > WHERE_DEPTH) {
        FAIL(ps, SOUK_USAGE, ps->start, "--where, character %lld: nested more than %d deep",
             (long long)(ps->start - ps->text) + 1, WHERE_DEPTH);
        return NULL;
    }
    node *n = NULL;
    if (keyword(ps, "not")) {
        node *child = not_level(ps);
        n = child ? negate(ps, child) : NULL;
    } else if (ps->kind == T_OPEN) {
        next(ps);
        n = or_list(ps);
        if (ps->status == SOUK_OK && ps->kind != T_CLOSE) wrong(ps, "and, or or )");
        if (ps->status == SOUK_OK) next(ps);
    } else
        n = test(ps);
    ps->depth--;
    return n;
}

static node *list(parser *ps, node_kind kind, const char *word, node *(*level)(parser *)) {
    node *first = level(ps);
    if (!first || !at_keyword(ps, word)) return first;
    node *n = new_node(ps, kind);
    if (!n) return NULL;
    n->child = first;
    node *tail = first;
    while (keyword(ps, word)) {
        node *more = level(ps);
        if (!more) return NULL;
        tail->next = more;
        tail = more;
    }
    return n;
}

static node *and_list(parser *ps) { return list(ps, NODE_AND, "and", not_level); }
static node *or_list(parser *ps) { return list(ps, NODE_OR, "or", and_list); }

souk_status where_compile(where **out, const char *expression, const char *const *names, size_t n_names, char decimal,
                          souk_error *err) {
    *out = NULL;
    where *w = mem_calloc(1, sizeof *w);
    if (!w) return err_nomem(err, "reading --where");
    arena_init(&w->memory);
    w->decimal = decimal;
    parser ps = {.w = w, .text = expression, .p = expression, .names = names, .n_names = n_names, .err = err};
    next(&ps);
    w->root = or_list(&ps);
    if (ps.status == SOUK_OK && ps.kind != T_END) wrong(&ps, "and, or or the end");
    if (ps.status != SOUK_OK) {
        where_free(w);
        return ps.status;
    }
    *out = w;
    return SOUK_OK;
}

void where_free(where *w) {
    if (!w) return;
    arena_clear(&w->memory);
    mem_free(w);
}

/* ---- judging a row ---- */

typedef struct row_view {
    const where *w;
    where_cell cell;
    const void *context;
} row_view;

/* The bytes of an operand and, where it has one, its number; false: missing. */
static bool fetch(const row_view *r, const operand *o, operand *v) {
    *v = *o;
    if (o->column < 0) return true;
    v->text = r->cell(r->context, o->column, &v->len);
    if (cell_missing(v->text, v->len)) return false;
    v->is_number = cell_number(v->text, v->len, r->w->decimal, &v->number);
    return true;
}

static int order(const operand *a, const operand *b) {
    if (a->is_number && b->is_number) return a->number < b->number ? -1 : a->number > b->number;
    size_t n = a->len < b->len ? a->len : b->len;
    int c = a->is_bool || b->is_bool ? strncasecmp(a->text, b->text, n) : memcmp(a->text, b->text, n);
    return c != 0 ? c : a->len < b->len ? -1 : a->len > b->len;
}

static truth compared(const row_view *r, const node *n) {
    operand a, b;
    if (!fetch(r, &n->left, &a) || !fetch(r, n->right, &b)) return UNKNOWN;
    int c = order(&a, &b);
    switch (n->op) {
    case EQ: return c == 0;
    case NE: return c != 0;
    case LT: return c < 0;
    case LE: return c <= 0;
    case GT: return c > 0;
    default: return c >= 0;
    }
}

static truth judge(const row_view *r, const node *n) {
    operand a;
    truth t, all;
    switch (n->kind) {
    case NODE_NULL: return !fetch(r, &n->left, &a);
    case NODE_NOT: t = judge(r, n->child); return t == UNKNOWN ? UNKNOWN : t == NO ? YES : NO;
    case NODE_COMPARE: return compared(r, n);
    case NODE_IN:
        if (!fetch(r, &n->left, &a)) return UNKNOWN;
        for (const operand *o = n->right; o; o = o->next)
            if (order(&a, o) == 0) return YES;
        return NO;
    default: /* AND stops at the first NO, OR at the first YES; otherwise one unknown makes the whole unknown */
        all = n->kind == NODE_AND ? YES : NO;
        for (const node *c = n->child; c; c = c->next) {
            t = judge(r, c);
            if (t == (n->kind == NODE_AND ? NO : YES)) return t;
            if (t == UNKNOWN) all = UNKNOWN;
        }
        return all;
    }
}

bool where_match(const where *w, where_cell cell, const void *context) {
    row_view r = {.w = w, .cell = cell, .context = context};
    return judge(&r, w->root) == YES;
}
