/* judge - a model's predictions on rows it has not seen, as metrics with intervals. */
#ifndef SOUK_TRAIN_JUDGE_H
#define SOUK_TRAIN_JUDGE_H

#include "model/model.h"
#include "stat/metric.h"

typedef struct judge_options {
    double threshold; /* binary; NaN: the model's own */
    int replicates;   /* bootstrap; 0: no intervals */
    uint64_t seed;
    pool *pool;
} judge_options;

/* Metrics of output `output` of m on all rows of d. Numbers are judged in their own unit. The caller clears *out with
 * metric_set_clear. */
souk_status judge(metric_set *out, const model *m, const dataset *d, int output, const judge_options *options,
                  souk_error *err);

/* "metrics":{…},"intervals":{…} and, for classes, "confusion":{"classes":[…],"counts":[[…]]} into the object that w is
 * in. */
void judge_json(json_writer *w, const model *m, int output, const metric_set *s);
/* A table for people, with the interval beside each metric and the confusion matrix below. */
void judge_text(buf *out, const model *m, int output, const metric_set *s);

#endif
