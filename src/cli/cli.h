/* cli - what the files of the program share. The program uses souk.h and nothing else of the library. */
#ifndef SOUK_CLI_CLI_H
#define SOUK_CLI_CLI_H

#include "souk.h"

enum { ARGS_MAX = 128, POSITIONAL_MAX = 16 };

/* A parsed command line; everything is borrowed from argv. */
typedef struct args {
    const char *command;
    const char *positional[POSITIONAL_MAX];
    int n_positional;
    struct {
        const souk_setting *setting;
        const char *value;
    } given[ARGS_MAX];
    int n_given;
} args;

/* Parses against the settings table: unknown commands and options name the nearest known one, values are checked by
 * type. Returns 0, or 2 after a message on standard error. */
int args_parse(args *a, int argc, char **argv);
/* Whether an option's list of commands names this one. */
bool args_takes(const souk_setting *option, const char *command);
bool args_flag(const args *a, const char *name);
const char *args_text(const args *a, const char *name); /* NULL: not given */
int64_t args_int(const args *a, const char *name, int64_t fallback);
double args_number(const args *a, const char *name, double fallback);
/* All values of an option that may be repeated, NULL-terminated; NULL when none was given. Lives as long as the
 * process. */
const char *const *args_all(const args *a, const char *name);
/* 0, or 2 after a message when the number of positional arguments is not what the command takes. */
int args_need(const args *a, int n);

/* 0, or 2 after a message when an output is one of the inputs, another output, or has no name (paths.c). */
int paths_check(const args *a);

/* The table options that train, evaluate, predict and init share; 2 after a message. */
int cli_table_options(const args *a, souk_table_options *t);
/* "souk: message" on standard error; returns the status' exit code. */
int cli_fail(const souk_error *err);
/* A text as a JSON string in quotes, on standard output. */
void cli_put_json(const char *text);
/* Writes a text to a path (NULL or "-": standard output); 0 or 1 after a message. */
int cli_write(const char *path, const char *text);

/* progress.c */
void progress_begin(bool quiet); /* also takes over SIGINT */
bool progress_show(void *context, const souk_progress *p);
bool progress_rows(void *context, int64_t rows); /* false after SIGINT */

int cmd_train(const args *a);
int cmd_evaluate(const args *a);
int cmd_predict(const args *a);
int cmd_inspect(const args *a);
int cmd_init(const args *a);
int cmd_doctor(const args *a);
int cmd_help(const args *a);
int help_command(const char *command); /* NULL: the overview */

#endif
