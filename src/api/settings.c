/* settings.c - the settings table as the public header shows it: commands, options, and the keys of the model file. */
#include "model/spec.h"
#include "model/spec_keys.h"

#define COMMAND(name, arguments, help) {SOUK_SETTING_COMMAND, "", name, arguments, "", "", help},
#define OPTION(commands, name, type, value, help) {SOUK_SETTING_OPTION, commands, name, type, value, "", help},
static const souk_setting own[] = {
#include "api/settings.def"
};
enum { N_OWN = sizeof own / sizeof *own };

size_t souk_setting_count(void) { return N_OWN + spec_key_count(); }

/* Keys are made into settings on first use; the table is as long as keys.def. */
const souk_setting *souk_setting_at(size_t i) {
    if (i < N_OWN) return &own[i];
    return i - N_OWN < spec_key_count() ? spec_key_setting(i - N_OWN) : NULL;
}
