/* cmd_use.c - `souk evaluate`, `predict`, `inspect` and `doctor`. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

int cmd_evaluate(const args *a) {
    souk_error err = {0};
    souk_model *model = NULL;
    souk_evaluation *e = NULL;
    souk_evaluate_options o = souk_evaluate_options_default();
    if (args_need(a, 2) || cli_table_options(a, &o.table)) return 2;
    o.threshold = args_number(a, "--threshold", NAN);
    o.replicates = (int)args_int(a, "--replicates", o.replicates);
    o.seed = (uint64_t)args_int(a, "--seed", 1);
    o.threads = (int)args_int(a, "--threads", 0);
    if (souk_model_load(a->positional[0], &model, &err) != SOUK_OK) return cli_fail(&err);
    int status = 0;
    if (souk_evaluate(model, a->positional[1], &o, &e, &err) != SOUK_OK)
        status = cli_fail(&err);
    else if (args_flag(a, "--json"))
        status = cli_write(NULL, souk_evaluation_json(e)) | cli_write(NULL, "\n");
    else
        status = cli_write(NULL, souk_evaluation_text(e));
    souk_evaluation_free(e);
    souk_model_free(model);
    return status;
}

int cmd_predict(const args *a) {
    souk_error err = {0};
    souk_model *model = NULL;
    souk_predict_summary s = {0};
    souk_predict_options o = souk_predict_options_default();
    if (args_need(a, 2) || cli_table_options(a, &o.table)) return 2;
    o.out = args_text(a, "--out");
    o.excel = args_flag(a, "--excel");
    o.threshold = args_number(a, "--threshold", NAN);
    o.threads = (int)args_int(a, "--threads", 0);
    bool json = args_flag(a, "--json"), to_file = o.out && strcmp(o.out, "-");
    if (json && !to_file) o.as = "json";
    if (to_file && strcmp(a->positional[1], "-")) { /* else Ctrl-C ends the program at once: nothing is half written */
        progress_begin(true);
        o.progress = progress_rows;
    }
    if (souk_model_load(a->positional[0], &model, &err) != SOUK_OK) return cli_fail(&err);
    int status = 0;
    if (souk_predict(model, a->positional[1], &o, &s, &err) != SOUK_OK)
        status = cli_fail(&err);
    else if (to_file && json) {
        printf("{\"out\": ");
        cli_put_json(o.out);
        printf(", \"rows\": %lld, \"rejected\": %lld, \"seconds\": %.3f}\n", (long long)s.rows, (long long)s.rejected,
               s.seconds);
    } else if (!args_flag(a, "--quiet") && to_file)
        fprintf(stderr, "%s: %lld rows in %.2f s, %lld rejected\n", o.out, (long long)s.rows, s.seconds,
                (long long)s.rejected);
    if (status == 0 && s.rejected && !args_flag(a, "--quiet"))
        fprintf(stderr, "warning: %lld of %lld rows cannot be read and are not in the output%s\n",
                (long long)s.rejected, (long long)(s.rows + s.rejected),
                o.table.rejects ? "" : " (--rejects FILE writes them with their reasons)");
    souk_model_free(model);
    return status;
}

int cmd_inspect(const args *a) {
    souk_error err = {0};
    souk_model *model = NULL;
    char *text = NULL;
    if (args_need(a, 1)) return 2;
    if (souk_model_load(a->positional[0], &model, &err) != SOUK_OK) return cli_fail(&err);
    int status = souk_model_inspect(model, args_flag(a, "--json"), &text, &err) == SOUK_OK ? cli_write(NULL, text)
                                                                                           : cli_fail(&err);
    souk_free(text);
    souk_model_free(model);
    return status;
}

int cmd_doctor(const args *a) {
    if (args_need(a, 0)) return 2;
    char *text = souk_doctor();
    int status = text ? cli_write(NULL, text) : 1;
    souk_free(text);
    return status;
}
