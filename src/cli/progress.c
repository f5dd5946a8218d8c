/* progress.c - one live line per epoch on a terminal, plain lines when piped, and Ctrl-C that stops after a checkpoint.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static bool silent, live;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
    (void)signal_number;
    if (interrupted) _exit(130); /* a second Ctrl-C does not wait for the checkpoint */
    interrupted = 1;
}

void progress_begin(bool quiet) {
    silent = quiet;
    const char *term = getenv("TERM");
    live = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void show_time(char *text, size_t n, double seconds) {
    if (seconds >= 5400)
        snprintf(text, n, "%.1f h", seconds / 3600);
    else if (seconds >= 90)
        snprintf(text, n, "%.0f min", seconds / 60);
    else if (seconds >= 1)
        snprintf(text, n, "%.1f s", seconds);
    else
        snprintf(text, n, "%.0f ms", seconds * 1e3);
}

static void show_finished(const souk_progress *p) {
    const souk_epoch *e = p->finished;
    char took[32];
    show_time(took, sizeof took, e->seconds);
    fprintf(stderr, "%s%s %lld/%lld  loss %.4f", live ? "\r\033[K" : "", strcmp(p->phase, "refit") ? "epoch" : "refit",
            (long long)p->epoch, (long long)p->epochs, e->loss);
    for (int i = 0; i < e->metrics; i++)
        if (strncmp(e->metric_name[i], "val_", 4)) fprintf(stderr, "  %s %.4f", e->metric_name[i], e->metric[i]);
    if (!isnan(e->val_loss)) fprintf(stderr, "  val_loss %.4f", e->val_loss);
    for (int i = 0; i < e->metrics; i++)
        if (!strncmp(e->metric_name[i], "val_", 4)) fprintf(stderr, "  %s %.4f", e->metric_name[i], e->metric[i]);
    fprintf(stderr, "  %s  %lld rows/s\n", took, (long long)p->rows_per_second);
}

static void show_live(const souk_progress *p) {
    enum { WIDTH = 20 };
    char bar[WIDTH + 1], left[32];
    int64_t done = p->steps ? p->step * WIDTH / p->steps : 0;
    for (int i = 0; i < WIDTH; i++) bar[i] = i < done ? '=' : i == done ? '>' : ' ';
    bar[WIDTH] = 0;
    show_time(left, sizeof left, p->seconds_left);
    fprintf(stderr, "\r\033[K%s %lld/%lld [%s] loss %.4f", strcmp(p->phase, "refit") ? "epoch" : "refit",
            (long long)p->epoch, (long long)p->epochs, bar, p->loss);
    if (!isnan(p->accuracy)) fprintf(stderr, "  accuracy %.4f", p->accuracy);
    fprintf(stderr, "  %lld rows/s  %s left", (long long)p->rows_per_second, left);
    fflush(stderr);
}

bool progress_show(void *context, const souk_progress *p) {
    (void)context;
    if (!silent) {
        if (p->finished)
            show_finished(p);
        else if (live)
            show_live(p);
    }
    if (interrupted && live && !silent) fputs("\r\033[K", stderr);
    return !interrupted;
}

bool progress_rows(void *context, int64_t rows) {
    (void)context, (void)rows;
    return !interrupted;
}
