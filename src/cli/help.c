/* help.c - help, the manual page and shell completion, all out of the settings table. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const souk_setting *find_command(const char *name) {
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind == SOUK_SETTING_COMMAND && !strcmp(s->name, name)) return s;
    }
    return NULL;
}

/* Prints help text from a column on, broken at words before column 96. */
static void wrapped(const char *text, int column) {
    int at = column;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (at > column && at + (int)n > 96) {
            printf("\n%*s", column, "");
            at = column;
        }
        printf("%.*s", (int)n, text);
        at += (int)n;
        text += n;
        if (*text == ' ') {
            text++;
            putchar(' ');
            at++;
        }
    }
    putchar('\n');
}

static void print_option(const souk_setting *s) {
    char head[96];
    if (!strcmp(s->type, "flag"))
        snprintf(head, sizeof head, "%s", s->name);
    else
        snprintf(head, sizeof head, "%s %s", s->name, s->type);
    printf("  %-28s", head);
    if (strlen(head) > 27) printf("\n%*s", 30, "");
    wrapped(s->help, 30);
    if (*s->value) printf("%*sdefault: %s\n", 30, "", s->value);
}

static int overview(void) {
    printf("souk %s: deep learning for marketing decisions, on your own machine\n\nusage: souk COMMAND … [options]\n\n",
           souk_version());
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind != SOUK_SETTING_COMMAND) continue;
        char head[64];
        snprintf(head, sizeof head, "%s %s", s->name, s->type);
        printf("  %-24s", head);
        wrapped(s->help, 26);
    }
    printf("\nDATA is a file or a pattern in quotes (.csv .tsv .txt .jsonl, each also .gz or .zst), or - for standard "
           "input.\n"
           "First steps: souk train reviews.csv --target label --out reviews.souk\n"
           "             echo \"great phone\" | souk predict reviews.souk -\n"
           "`souk help COMMAND` explains a command, `souk help model` the keys of the model file.\n");
    return 0;
}

int help_command(const char *command) {
    if (!command) return overview();
    const souk_setting *c = find_command(command);
    if (!c) {
        fprintf(stderr, "souk: there is no command \"%s\" to explain: `souk help` lists them\n", command);
        return 2;
    }
    printf("usage: souk %s %s [options]\n\n%s\n\n", c->name, c->type, c->help);
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind == SOUK_SETTING_OPTION && args_takes(s, command)) print_option(s);
    }
    return 0;
}

static int help_model(void) {
    printf("keys of the model file (YAML or JSON; names after Ludwig and Keras)\n\n");
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind != SOUK_SETTING_KEY) continue;
        printf("  %s\n%*s", s->name, 6, "");
        wrapped(s->help, 6);
        printf("%*s%s%s%s", 6, "", s->type, *s->range ? ", " : "", s->range);
        if (*s->value) printf(", default %s", s->value);
        putchar('\n');
    }
    return 0;
}

/* mdoc: dashes and backslashes of the table need care, dots at the start of a line too. */
static void mdoc_text(const char *s) {
    for (; *s; s++) {
        if (*s == '\\')
            fputs("\\e", stdout);
        else
            putchar(*s);
    }
}

static int man_page(void) {
    printf(".Dd November 24, 2026\n.Dt SOUK 1\n.Os\n.Sh NAME\n.Nm souk\n.Nd deep learning for marketing decisions\n.Sh "
           "SYNOPSIS\n");
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind == SOUK_SETTING_COMMAND)
            printf(".Nm\n.Cm %s\n%s%s%s.Op Ar options\n", s->name, *s->type ? ".Ar " : "", s->type,
                   *s->type ? "\n" : "");
    }
    printf(".Sh DESCRIPTION\nThe commands are as follows.\n.Bl -tag -width Ds\n");
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *c = souk_setting_at(i);
        if (c->kind != SOUK_SETTING_COMMAND) continue;
        printf(".It Cm %s%s%s\n", c->name, *c->type ? " Ar " : "", c->type);
        mdoc_text(c->help);
        printf(".\n.Bl -tag -width Ds\n");
        for (size_t j = 0; j < souk_setting_count(); j++) {
            const souk_setting *s = souk_setting_at(j);
            if (s->kind != SOUK_SETTING_OPTION || !args_takes(s, c->name)) continue;
            printf(".It Fl \\-%s%s%s\n", s->name + 2, strcmp(s->type, "flag") ? " Ar " : "",
                   strcmp(s->type, "flag") ? s->type : "");
            mdoc_text(s->help);
            printf(".\n");
        }
        printf(".El\n");
    }
    printf(".El\n.Sh EXIT STATUS\n0 done, 1 failed, 2 wrong usage or input, 3 refused, 4 not converged, 130 "
           "interrupted (a checkpoint is written).\n");
    return 0;
}

static void words_of(const char *command, souk_setting_kind kind) {
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind == kind && (kind == SOUK_SETTING_COMMAND || args_takes(s, command))) printf("%s ", s->name);
    }
}

static int completion(const char *shell) {
    bool zsh = !strcmp(shell, "zsh");
    if (!strcmp(shell, "fish")) {
        for (size_t i = 0; i < souk_setting_count(); i++) {
            const souk_setting *s = souk_setting_at(i);
            if (s->kind == SOUK_SETTING_COMMAND)
                printf("complete -c souk -n __fish_use_subcommand -a %s\n", s->name);
            else if (s->kind == SOUK_SETTING_OPTION) {
                printf("complete -c souk -n '");
                if (strcmp(s->commands, "*"))
                    printf("__fish_seen_subcommand_from %s", s->commands);
                else
                    printf("true");
                printf("' -l %s%s\n", s->name + 2, strcmp(s->type, "flag") ? " -r" : "");
            }
        }
        return 0;
    }
    if (zsh) printf("autoload -U +X bashcompinit && bashcompinit\n");
    printf("_souk() {\n  local word=${COMP_WORDS[COMP_CWORD]} list=\n  if [ $COMP_CWORD -eq 1 ]; then list=\"");
    words_of("", SOUK_SETTING_COMMAND);
    printf("\"\n  else case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < souk_setting_count(); i++) {
        const souk_setting *s = souk_setting_at(i);
        if (s->kind != SOUK_SETTING_COMMAND) continue;
        printf("    %s) list=\"", s->name);
        words_of(s->name, SOUK_SETTING_OPTION);
        printf("\" ;;\n");
    }
    printf("  esac; fi\n  COMPREPLY=($(compgen -W \"$list\" -- \"$word\"))\n}\ncomplete -o default -F _souk souk\n");
    return 0;
}

int cmd_help(const args *a) {
    const char *shell = args_text(a, "--completion");
    if (args_flag(a, "--man")) return man_page();
    if (shell) return completion(shell);
    if (a->n_positional > 1) return args_need(a, 1);
    if (a->n_positional && !strcmp(a->positional[0], "model")) return help_model();
    return help_command(a->n_positional ? a->positional[0] : NULL);
}
