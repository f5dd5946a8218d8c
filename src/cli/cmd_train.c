/* cmd_train.c - `souk train` and `souk init`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static int training_options(const args *a, souk_train_options *o) {
    *o = souk_train_options_default();
    if (cli_table_options(a, &o->table)) return 2;
    o->config = args_text(a, "--config");
    o->set = args_all(a, "--set");
    o->target = args_text(a, "--target");
    o->validation = args_text(a, "--validation");
    o->test = args_text(a, "--test");
    o->split = args_text(a, "--split");
    o->out = args_text(a, "--out");
    o->resume = args_flag(a, "--resume");
    o->no_refit = args_flag(a, "--no-refit");
    o->seed = (uint64_t)args_int(a, "--seed", 1);
    o->threads = (int)args_int(a, "--threads", 0);
    o->replicates = (int)args_int(a, "--replicates", o->replicates);
    o->progress = progress_show;
    if (o->resume && !o->out) {
        fprintf(stderr, "souk: --resume goes on from the checkpoint OUT.ckpt: say which with --out\n");
        return 2;
    }
    return 0;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* Whether a file can be written there, found out before hours of training; nothing is left behind. */
static int check_writable(const char *path) {
    struct stat s;
    if (!path || !strcmp(path, "-")) return 0;
    bool there = stat(path, &s) == 0;
    if (there && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode)) return 0; /* a pipe is opened once */
    FILE *f = fopen(path, "a");
    if (!f) {
        fprintf(stderr, "souk: %s: cannot write there: %s\n", path, strerror(errno));
        return 1;
    }
    fclose(f);
    if (!there) remove(path);
    return 0;
}

int cmd_train(const args *a) {
    souk_error err = {0};
    souk_train_options o;
    souk_train_report *report = NULL;
    if (args_need(a, 1) || training_options(a, &o)) return 2;
    if (check_writable(args_text(a, "--history"))) return 1;
    progress_begin(args_flag(a, "--quiet"));
    if (souk_train(a->positional[0], &o, NULL, &report, &err) != SOUK_OK) {
        if (err.code == SOUK_INTERRUPTED && o.out)
            fprintf(stderr, "souk: interrupted; the same command with --resume goes on from %s.ckpt\n", o.out);
        else
            cli_fail(&err);
        return souk_status_exit(err.code);
    }
    const char *history = args_text(a, "--history");
    int status = history ? cli_write(history, ends_with(history, ".json") ? souk_train_report_json(report)
                                                                          : souk_train_report_history_csv(report))
                         : 0;
    if (args_flag(a, "--json"))
        status |= cli_write(NULL, souk_train_report_json(report)) | cli_write(NULL, "\n");
    else
        status |= cli_write(NULL, souk_train_report_text(report));
    souk_train_report_free(report);
    return status;
}

int cmd_init(const args *a) {
    souk_error err = {0};
    souk_train_options o;
    char *yaml = NULL;
    if (args_need(a, 1) || training_options(a, &o)) return 2;
    if (souk_init(a->positional[0], &o, &yaml, &err) != SOUK_OK) return cli_fail(&err);
    int status = cli_write(o.out, yaml);
    souk_free(yaml);
    return status;
}
