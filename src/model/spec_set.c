/* spec_set - overrides from the command line: "trainer.epochs=3" put into the tree before anything is checked.
 *
 * A path is keys joined by dots. In a list a step is an index ("input_features.0" or "input_features[0]", as messages
 * write it), or a feature's name
 * ("input_features.review"), which may hold dots itself: the name that fits is taken as a whole. Groups that are
 * missing are made; the value is read as YAML, so that lists and groups can be given too. Whether the key exists is
 * then found out as for the file, and errors quote the setting. */
#include <string.h>

#include "base/num.h"
#include "model/spec_impl.h"

/* Length of the step at the start of path that selects an element of list, which goes to *index; 0: none fits. */
static size_t list_step(const yaml_value *list, const char *path, size_t *index) {
    size_t n = strcspn(path, ".");
    int64_t number;
    if (num_parse_int64(path, n, &number) && number >= 0 && (uint64_t)number < list->n) {
        *index = (size_t)number;
        return n;
    }
    for (size_t i = 0; i < list->n; i++) {
        const yaml_value *name = yaml_get(list->entry[i].value, "name");
        size_t m = name && name->text ? strlen(name->text) : 0;
        if (m == 0 || strncmp(path, name->text, m) != 0 || (path[m] && path[m] != '.')) continue;
        *index = i;
        return m;
    }
    return 0;
}

static souk_status no_element(const yaml_value *list, const char *origin, const char *path, souk_error *err) {
    const char *name[64];
    size_t n = 0;
    for (size_t i = 0; i < list->n && n < 64; i++) {
        const yaml_value *v = yaml_get(list->entry[i].value, "name");
        if (v && v->text) name[n++] = v->text;
    }
    char step[64];
    size_t m = strcspn(path, ".");
    if (m > sizeof step - 1) m = sizeof step - 1;
    memcpy(step, path, m);
    step[m] = 0;
    const char *nearest = err_nearest(step, name, n);
    if (nearest)
        return err_set(err, SOUK_INPUT, "%s: there is no element \"%s\": did you mean \"%s\"?", origin, step, nearest);
    return err_set(err, SOUK_INPUT, "%s: there is no element \"%s\"; the list has %zu, counted from 0", origin, step,
                   list->n);
}

/* "list[0].key" becomes "list.0.key"; other brackets belong to names. */
static void open_brackets(char *path) {
    for (char *p = path, *end; (p = strchr(p, '[')) != NULL; p++) {
        size_t digits = strspn(p + 1, "0123456789");
        end = p + 1 + digits;
        if (p == path || digits == 0 || *end != ']' || (end[1] && end[1] != '.' && end[1] != '[')) continue;
        *p = '.';
        memmove(end, end + 1, strlen(end + 1) + 1);
    }
}

souk_status spec_set(yaml_tree *t, const char *setting, souk_error *err) {
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting)
        return err_set(err, SOUK_USAGE, "--set %s: write key.path=value, for example trainer.epochs=3", setting);
    char *path = mem_strndup(setting, (size_t)(equals - setting)), *origin = mem_printf("--set %s", setting);
    souk_status status = path && origin ? SOUK_OK : err_nomem(err, "reading a setting");
    yaml_value *at = yaml_root(t), *value = NULL;
    if (path) open_brackets(path);
    if (status == SOUK_OK) status = yaml_parse_into(t, &value, equals + 1, origin, err);
    for (const char *step = path; status == SOUK_OK && step;) {
        size_t n, index;
        if (at->kind == YAML_LIST) {
            n = list_step(at, step, &index);
            if (n == 0)
                status = no_element(at, origin, step, err);
            else
                at = at->entry[index].value;
        } else if (at->kind == YAML_MAP || at->kind == YAML_NULL) {
            n = strcspn(step, ".");
            at->kind = YAML_MAP;
            char *key = mem_strndup(step, n);
            at = key ? yaml_put(t, at, key, origin) : NULL;
            mem_free(key);
            if (!at) status = err_nomem(err, "reading a setting");
        } else {
            n = 0;
            status =
                err_set(err, SOUK_INPUT, "%s: \"%s\" cannot be set there: its parent is a single value (\"%.60s\")",
                        origin, step, at->text ? at->text : "");
        }
        if (status == SOUK_OK) step = step[n] == '.' ? step + n + 1 : NULL;
    }
    if (status == SOUK_OK) *at = *value;
    mem_free(path);
    mem_free(origin);
    return status;
}
