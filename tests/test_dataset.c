/* test_dataset - gathering and selecting encoded rows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "fault.h"
#include "feat/encoder.h"

/* Three rows: ids [3,2] = 10 r + column, values [3,1] = r / 2, weights r, rows 100 + r. */
static dataset *sample(souk_error *err) {
    dataset *d;
    if (dataset_new(&d, 3, 1, 1, err) != SOUK_OK) return NULL;
    d->inputs[0] = (dataset_array){.is_ids = true, .width = 2};
    d->targets[0] = (dataset_array){.is_ids = false, .width = 1};
    d->weight = mem_array(3, sizeof *d->weight);
    if (!d->weight) err_nomem(err, "making the sample");
    if (!d->weight || dataset_array_alloc(&d->inputs[0], 3, err) != SOUK_OK ||
        dataset_array_alloc(&d->targets[0], 3, err) != SOUK_OK) {
        dataset_free(d);
        return NULL;
    }
    for (int r = 0; r < 3; r++) {
        d->inputs[0].ids[2 * r] = 10 * r;
        d->inputs[0].ids[2 * r + 1] = 10 * r + 1;
        d->targets[0].values[r] = (float)r / 2;
        d->weight[r] = (float)r;
        d->row[r] = 100 + r;
    }
    return d;
}

static void gathers_and_selects(void **state) {
    (void)state;
    souk_error e = {0};
    dataset *d = sample(&e), *part = NULL;
    const int64_t idx[] = {2, 0, 2, 1};
    int32_t ids[8];
    assert_non_null(d);
    dataset_gather(&d->inputs[0], idx, 4, ids);
    assert_memory_equal(ids, ((int32_t[]){20, 21, 0, 1, 20, 21, 10, 11}), sizeof ids);
    assert_int_equal(dataset_select(&part, d, idx, 4, &e), SOUK_OK);
    assert_int_equal(part->n, 4);
    assert_memory_equal(part->inputs[0].ids, ids, sizeof ids);
    assert_memory_equal(part->targets[0].values, ((float[]){1, 0, 1, .5f}), 4 * sizeof(float));
    assert_memory_equal(part->weight, ((float[]){2, 0, 2, 1}), 4 * sizeof(float));
    assert_memory_equal(part->row, ((int64_t[]){102, 100, 102, 101}), 4 * sizeof(int64_t));
    dataset_free(part);
    assert_int_equal(dataset_select(&part, d, NULL, 0, &e), SOUK_OK);
    assert_int_equal(part->n, 0);
    dataset_free(part);
    dataset_free(d);
    dataset_free(NULL);
    assert_int_equal(mem_live(), 0);
}

static souk_status make_and_select(void *context, souk_error *err) {
    (void)context;
    dataset *d = sample(err), *part = NULL;
    if (!d) return err && err->code ? err->code : SOUK_NOMEM;
    souk_status status = dataset_select(&part, d, (int64_t[]){1, 1}, 2, err);
    dataset_free(part);
    dataset_free(d);
    return status;
}

static void survives_faults(void **state) {
    (void)state;
    fault_loop_alloc("dataset", make_and_select, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gathers_and_selects), cmocka_unit_test(survives_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
