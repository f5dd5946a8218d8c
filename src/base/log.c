/* log - hands formatted lines to the one callback of the process.
 *
 * The callback runs in whichever thread writes, and outside the lock, so that it may itself log. Lines longer than
 * 1 KiB are cut. Without a callback nothing is formatted.
 * Leaves to others: where lines go (cli prints them, serve keeps them). */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>

#include "base/num.h"
#include "base/thread.h"

static mutex lock;
static log_fn callback;
static void *callback_context;

void log_set(log_fn fn, void *context) {
    mutex_lock(&lock);
    callback = fn;
    callback_context = context;
    mutex_unlock(&lock);
}

void log_write(log_level level, const char *format, ...) {
    mutex_lock(&lock);
    log_fn fn = callback;
    void *context = callback_context;
    mutex_unlock(&lock);
    if (!fn) return;
    char line[1024];
    va_list args;
    va_start(args, format);
    if (num_vformat(line, sizeof line, format, args) < 0) line[0] = '\0';
    va_end(args);
    fn(context, level, line);
}
