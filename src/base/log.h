/* log - the library never prints: it hands lines to one callback, and without a callback they are dropped. */
#ifndef SOUK_BASE_LOG_H
#define SOUK_BASE_LOG_H

typedef enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN } log_level;
typedef void (*log_fn)(void *context, log_level level, const char *message);

void log_set(log_fn fn, void *context); /* NULL: off */
void log_write(log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)

#endif
