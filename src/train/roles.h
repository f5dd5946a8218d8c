/* roles - which column is what: told by `--roles`, else inferred; features and target of a table with no model file. */
#ifndef SOUK_TRAIN_ROLES_H
#define SOUK_TRAIN_ROLES_H

#include "data/table.h"
#include "feat/feature.h"
#include "model/spec.h"

/* Columns by role; names live in the arena. */
typedef struct roles {
    arena arena;
    const char *weight, *time; /* NULL: none */
    const char **left_out;     /* id and ignore */
    int n_left_out;
} roles;

/* "weight=w,time=date,id=customer,ignore=a+b". Unknown roles and (given a table) columns are errors that name the
 * nearest. */
souk_status roles_parse(roles *out, const char *text, const table *t, const char *source, souk_error *err);
void roles_clear(roles *r);
bool roles_leaves_out(const roles *r, const char *column_name);

/* The default spec for a target: features are the other columns, by type; *reasons [n_inputs] and *notes (columns left
 * out and why) are in the roles' arena. */
typedef struct chosen {
    spec *spec;
    const char **reasons;
    const char **notes;
    int n_notes;
} chosen;
souk_status roles_choose(chosen *out, roles *r, const table *t, const char *target, const char *source,
                         souk_error *err);
/* Type of a target column: two values: binary; text, or integers with at most 20 distinct values: category; else
 * number. */
feature_type roles_target_type(const table *t, const column *c);

#endif
