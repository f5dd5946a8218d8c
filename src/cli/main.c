/* main.c - `souk COMMAND …`: the first user of the library. It parses, calls souk.h, prints, and turns a status into an
 * exit code. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
    const char *name;
    int (*run)(const args *a);
} commands[] = {
    {"train", cmd_train}, {"evaluate", cmd_evaluate}, {"predict", cmd_predict}, {"inspect", cmd_inspect},
    {"init", cmd_init},   {"doctor", cmd_doctor},     {"help", cmd_help},
};

static void print_log(void *context, int level, const char *message) {
    (void)context;
    if (level >= 2)
        fprintf(stderr, "warning: %s\n", message);
    else if (level == 1)
        fprintf(stderr, "%s\n", message);
}

static void print_warnings(void *context, int level, const char *message) {
    if (level >= 2) print_log(context, level, message);
}

int cli_fail(const souk_error *err) {
    fprintf(stderr, "souk: %s\n", err->message[0] ? err->message : souk_status_text(err->code));
    return souk_status_exit(err->code);
}

void cli_put_json(const char *text) {
    putchar('"');
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            printf("\\%c", *p);
        else if ((unsigned char)*p < ' ')
            printf("\\u%04x", (unsigned)(unsigned char)*p);
        else
            putchar(*p);
    }
    putchar('"');
}

int cli_write(const char *path, const char *text) {
    bool standard = !path || !strcmp(path, "-");
    FILE *f = standard ? stdout : fopen(path, "w");
    if (!f) {
        fprintf(stderr, "souk: %s: %s\n", path, strerror(errno));
        return 1;
    }
    bool failed = fputs(text, f) < 0;
    failed |= standard ? fflush(f) != 0 : fclose(f) != 0;
    if (failed) fprintf(stderr, "souk: %s: %s\n", standard ? "standard output" : path, strerror(errno));
    return failed;
}

int cli_table_options(const args *a, souk_table_options *t) {
    const char *delimiter = args_text(a, "--delimiter"), *decimal = args_text(a, "--decimal");
    t->format = args_text(a, "--format");
    t->no_header = args_flag(a, "--no-header");
    t->where = args_text(a, "--where");
    t->rejects = args_text(a, "--rejects");
    t->max_bad = args_number(a, "--max-bad", t->max_bad);
    t->roles = args_text(a, "--roles");
    if (delimiter && !strcmp(delimiter, "\\t")) delimiter = "\t";
    if (delimiter && strlen(delimiter) != 1) {
        fprintf(stderr, "souk: --delimiter takes one character (\\t for a tab), not \"%s\"\n", delimiter);
        return 2;
    }
    if (decimal && strcmp(decimal, ".") && strcmp(decimal, ",")) {
        fprintf(stderr, "souk: --decimal is . or , and not \"%s\"\n", decimal);
        return 2;
    }
    if (!(t->max_bad >= 0 && t->max_bad <= 1)) {
        fprintf(stderr, "souk: --max-bad is a share between 0 and 1 (0.01 is one row in a hundred)\n");
        return 2;
    }
    if (delimiter) t->delimiter = delimiter[0];
    if (decimal) t->decimal = decimal[0];
    return 0;
}

/* A file that is opened while 0, 1 or 2 is closed would get its number, and messages would be written into it. Standard
 * output stays closed for writing, so that what cannot be delivered is an error. */
static void keep_standard_files(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY);
}

static int finish(int status) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    if (!status) fprintf(stderr, "souk: standard output: %s\n", strerror(errno));
    return status ? status : 1;
}

int main(int argc, char **argv) {
    args a;
    keep_standard_files();
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) return finish(help_command(NULL));
    if (!strcmp(argv[1], "--version")) {
        printf("souk %s\n", souk_version());
        return finish(0);
    }
    int status = args_parse(&a, argc, argv);
    if (status) return status;
    if (args_flag(&a, "--help")) return finish(help_command(a.command));
    if (paths_check(&a)) return 2;
    souk_set_log(args_flag(&a, "--quiet") ? print_warnings : print_log, NULL);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i].name, a.command)) return finish(commands[i].run(&a));
    return 2;
}
