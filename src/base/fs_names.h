/* fs_names - names of files on the disk: the temporaries that killed processes left. Used by fs.c only. */
#ifndef SOUK_BASE_FS_NAMES_H
#define SOUK_BASE_FS_NAMES_H

#include <stddef.h>

#include "base/err.h"

/* Full names of PATH.tmp-PID and PATH.tmp-PID-N whose process is gone or is this one (the caller knows which of its own
 * are in use). Free with fs_glob_free. */
souk_status fs_stale_temporaries(const char *path, char ***names, size_t *n);

#endif
