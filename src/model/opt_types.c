/* opt_types - the defaults of optimisers and schedules, in one place: the spec's reader and train start from them.
 *
 * Keras' values (keras/src/optimizers/) unless the rule is PyTorch's (torch/optim/): where the two differ, the rule's
 * name decides. reference: Keras Adam epsilon 1e-7 outside the bias correction, PyTorch 1e-8 inside; AdamW decay .004
 * and .01; RMSprop rho .9 and alpha .99; Adagrad's accumulator .1 and 0, its epsilon 1e-7 and 1e-10, its rate .001 and
 * .01. */
#include "model/opt_types.h"

opt_options opt_options_default(opt_kind kind, opt_rule rule) {
    bool torch = rule == OPT_RULE_TORCH;
    opt_options o = {
        .kind = kind,
        .rule = rule,
        .learning_rate = 1e-3,
        .beta1 = .9,
        .beta2 = .999,
        .epsilon = torch ? 1e-8 : 1e-7,
        .rho = torch ? .99 : .9,
        .initial_accumulator = torch ? 0 : .1,
        .decay_bias_and_norm = true,
        .accumulate = 1,
        .lazy_from = 2000000,
    };
    switch (kind) {
    case OPT_SGD: o.learning_rate = torch ? 1e-3 : .01; break;
    case OPT_RMSPROP: o.learning_rate = torch ? .01 : 1e-3; break;
    case OPT_ADAMW: o.weight_decay = torch ? .01 : .004; break;
    case OPT_ADAGRAD:
        o.learning_rate = torch ? .01 : 1e-3;
        o.epsilon = torch ? 1e-10 : 1e-7;
        break;
    case OPT_ADAM: break;
    }
    return o;
}

sched_options sched_options_default(sched_kind kind) {
    return (sched_options){
        .kind = kind,
        .decay_rate = kind == SCHED_STEP ? .1 : .96, /* PyTorch's StepLR gamma; Keras' tutorial for ExponentialDecay */
        .staircase = kind == SCHED_STEP,
        .factor = .1, /* ReduceLROnPlateau in Keras: factor .1, patience 10, min_delta 1e-4 */
        .patience = 10,
        .min_delta = 1e-4,
    };
}
