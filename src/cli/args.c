/* args.c - the command line against the settings table. One loop for every command: what is not in the table is not an
 * option. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

bool args_takes(const souk_setting *s, const char *command) {
    if (!strcmp(s->commands, "*")) return true;
    size_t n = strlen(command);
    for (const char *p = s->commands; (p = strstr(p, command)) != NULL; p += n) {
        bool starts = p == s->commands || p[-1] == ' ', ends = p[n] == 0 || p[n] == ' ';
        if (starts && ends) return true;
    }
    return false;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Edits between two words, for "did you mean". Words longer than the table are no candidates. */
static size_t edits(const char *a, const char *b) {
    enum { MOST = 40 };
    size_t row[MOST + 1], n = strlen(a), m = strlen(b);
    if (n > MOST || m > MOST) return MOST;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = least(least(above, row[j - 1]) + 1, corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[m];
}

static const char *nearest(const char *word, souk_setting_kind kind, const char *command) {
    const char *best = NULL;
    size_t distance = strlen(word) / 3 + 2;
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind != kind || (kind == SOUK_SETTING_OPTION && !args_takes(s, command))) continue;
        size_t d = edits(word, s->name);
        if (d < distance) {
            distance = d;
            best = s->name;
        }
    }
    return best;
}

static const souk_setting *find(const char *name, size_t n, souk_setting_kind kind, const char *command) {
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind == kind && strlen(s->name) == n && !strncmp(s->name, name, n) &&
            (kind == SOUK_SETTING_COMMAND || args_takes(s, command)))
            return s;
    }
    return NULL;
}

static int unknown(const char *what, const char *word, souk_setting_kind kind, const char *command) {
    const char *near = nearest(word, kind, command);
    fprintf(stderr, "souk: unknown %s \"%s\"", what, word);
    if (near)
        fprintf(stderr, ": did you mean \"%s\"?\n", near);
    else if (command)
        fprintf(stderr, ": `souk help %s` lists what it takes\n", command);
    else
        fprintf(stderr, ": `souk help` lists the commands\n");
    return 2;
}

/* "a|b|c" holds the word. */
static bool one_of(const char *words, const char *value) {
    size_t n = strlen(value);
    if (strchr(value, '|')) return false;
    for (const char *p = words; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (!strncmp(p, value, n) && (p[n] == 0 || p[n] == '|')) return true;
    return false;
}

static bool is_int(const char *s) {
    char *end;
    errno = 0;
    strtoll(s, &end, 10);
    return *s && !*end && errno == 0;
}

static bool is_number(const char *s) {
    char *end;
    strtod(s, &end);
    return *s && !*end;
}

static int check_value(const souk_setting *s, const char *value) {
    if (!strcmp(s->type, "int") && !is_int(value)) {
        fprintf(stderr, "souk: %s takes a whole number, not \"%s\"\n", s->name, value);
        return 2;
    }
    long long most = 1000000; /* all but the seed are counts */
    if (!strcmp(s->type, "int") && strcmp(s->name, "--seed") &&
        !(strtoll(value, NULL, 10) >= 0 && strtoll(value, NULL, 10) <= most)) {
        fprintf(stderr, "souk: %s takes a whole number from 0 to %lld, not \"%s\"\n", s->name, most, value);
        return 2;
    }
    if (!strcmp(s->type, "number") && !is_number(value)) {
        fprintf(stderr, "souk: %s takes a number, not \"%s\"\n", s->name, value);
        return 2;
    }
    if (strchr(s->type, '|') && !one_of(s->type, value)) {
        fprintf(stderr, "souk: %s is one of %s, not \"%s\"\n", s->name, s->type, value);
        return 2;
    }
    return 0;
}

/* One option at argv[*i]; *i moves on over its value. */
static int parse_option(args *a, int argc, char **argv, int *i) {
    const char *word = argv[*i], *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    if (!strcmp(word, "-h")) word = "--help", n = 6;
    if (!strcmp(word, "-q")) word = "--quiet", n = 7;
    const souk_setting *s = find(word, n, SOUK_SETTING_OPTION, a->command);
    if (!s) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), word);
        return unknown("option", name, SOUK_SETTING_OPTION, a->command);
    }
    const char *value = "";
    if (!strcmp(s->type, "flag")) {
        if (equals) {
            fprintf(stderr, "souk: %s takes no value\n", s->name);
            return 2;
        }
    } else if (equals) {
        value = equals + 1;
    } else if (*i + 1 < argc) {
        value = argv[++*i];
    } else {
        fprintf(stderr, "souk: %s needs a value (%s)\n", s->name, s->type);
        return 2;
    }
    if (strcmp(s->type, "flag") && check_value(s, value)) return 2;
    if (a->n_given == ARGS_MAX) {
        fprintf(stderr, "souk: more than %d options\n", ARGS_MAX);
        return 2;
    }
    a->given[a->n_given].setting = s;
    a->given[a->n_given++].value = value;
    return 0;
}

int args_parse(args *a, int argc, char **argv) {
    memset(a, 0, sizeof *a);
    a->command = argv[1];
    if (!find(a->command, strlen(a->command), SOUK_SETTING_COMMAND, NULL))
        return unknown("command", a->command, SOUK_SETTING_COMMAND, NULL);
    bool options = true;
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];
        if (options && !strcmp(word, "--")) {
            options = false;
        } else if (options && word[0] == '-' && word[1]) {
            if (parse_option(a, argc, argv, &i)) return 2;
        } else if (a->n_positional < POSITIONAL_MAX) {
            a->positional[a->n_positional++] = word;
        } else {
            fprintf(stderr, "souk: too many arguments from \"%s\" on: put a pattern with wildcards in quotes\n", word);
            return 2;
        }
    }
    return 0;
}

const char *args_text(const args *a, const char *name) {
    for (int i = a->n_given - 1; i >= 0; i--)
        if (!strcmp(a->given[i].setting->name, name)) return a->given[i].value;
    return NULL;
}

bool args_flag(const args *a, const char *name) { return args_text(a, name) != NULL; }

int64_t args_int(const args *a, const char *name, int64_t fallback) {
    const char *v = args_text(a, name);
    return v ? strtoll(v, NULL, 10) : fallback;
}

double args_number(const args *a, const char *name, double fallback) {
    const char *v = args_text(a, name);
    return v ? strtod(v, NULL) : fallback;
}

const char *const *args_all(const args *a, const char *name) {
    static const char *all[ARGS_MAX + 1];
    int n = 0;
    for (int i = 0; i < a->n_given; i++)
        if (!strcmp(a->given[i].setting->name, name)) all[n++] = a->given[i].value;
    all[n] = NULL;
    return n ? all : NULL;
}

int args_need(const args *a, int n) {
    const souk_setting *c = find(a->command, strlen(a->command), SOUK_SETTING_COMMAND, NULL);
    if (a->n_positional == n) return 0;
    if (a->n_positional < n)
        fprintf(stderr, "souk: %s needs %s\nusage: souk %s %s [options]; `souk help %s` explains them\n", c->name,
                c->type, c->name, c->type, c->name);
    else
        fprintf(stderr, "souk: %s takes %s, and \"%s\" is one too many: put a pattern with wildcards in quotes\n",
                c->name, c->type, a->positional[n]);
    return 2;
}
