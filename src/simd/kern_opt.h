/* kern_opt - optimiser updates: one pass over a parameter block, its gradient and its state. Body file, included by
 * each kern_<isa>.c after kern_elem.h. A lazy update of embedding rows replays these very loops with g = 0
 * (engine.md 3.5), so an element's result depends on nothing but the element. Decoupled decay comes first: p -= decay *
 * p. */

static void kern_adam(int64_t n, real *p, const real *g, real *m, real *v, double b1, double b2, real alpha, real eps,
                      real decay) {
    const vf c1 = vf_set1((real)(1 - b1)), c2 = vf_set1((real)(1 - b2));
    const vf va = vf_set1(alpha), ve = vf_set1(eps), vw = vf_set1(decay);
    KERN_FOR(n, vf vg = LOAD(g); vf vp = LOAD(p); vf vmo = LOAD(m); vf vv = LOAD(v); vp = vf_fnma(vw, vp, vp);
             vmo = vf_fma(vf_sub(vg, vmo), c1, vmo); vv = vf_fma(vf_fms(vg, vg, vv), c2, vv); STORE(m, vmo);
             STORE(v, vv); STORE(p, vf_sub(vp, vf_div(vf_mul(vmo, va), vf_add(vf_sqrt(vv), ve))));)
}

static void kern_adam_torch(int64_t n, real *p, const real *g, real *m, real *v, double b1, double b2, real step,
                            real rsqrt_c2, real eps, real decay) {
    const vf c1 = vf_set1((real)(1 - b1)), c2 = vf_set1((real)(1 - b2)), keep = vf_set1((real)b2);
    const vf vs = vf_set1(step), vr = vf_set1(rsqrt_c2), ve = vf_set1(eps), vw = vf_set1(decay);
    KERN_FOR(n, vf vg = LOAD(g); vf vp = LOAD(p); vf vmo = LOAD(m); vf vv = LOAD(v); vp = vf_fnma(vw, vp, vp);
             vmo = vf_fma(vf_sub(vg, vmo), c1, vmo); vv = vf_fma(vf_mul(vg, vg), c2, vf_mul(vv, keep)); STORE(m, vmo);
             STORE(v, vv); STORE(p, vf_sub(vp, vf_div(vf_mul(vmo, vs), vf_fma(vf_sqrt(vv), vr, ve))));)
}

/* Keras (eps inside the root): u = lr g / sqrt(v + eps), mom = momentum mom + u, p -= mom. PyTorch (outside):
 * u = g / (sqrt(v) + eps), mom = momentum mom + u, p -= lr mom. Without momentum, mom is not touched and may be NULL.
 */
static void kern_rmsprop(int64_t n, real *p, const real *g, real *v, real *mom, double rho, real lr, real eps,
                         real momentum, bool eps_inside, real decay) {
    const vf c = vf_set1((real)(1 - rho)), keep = vf_set1((real)rho), vl = vf_set1(lr), ve = vf_set1(eps),
             vw = vf_set1(decay);
    const vf vmu = vf_set1(momentum), outer = vf_set1(eps_inside ? 1 : lr);
    KERN_FOR(
        n, vf vg = LOAD(g); vf vp = LOAD(p); vf vv = LOAD(v); vp = vf_fnma(vw, vp, vp);
        vv = vf_fma(vf_mul(vg, vg), c, vf_mul(vv, keep)); STORE(v, vv);
        vf u = eps_inside ? vf_div(vf_mul(vg, vl), vf_sqrt(vf_add(vv, ve))) : vf_div(vg, vf_add(vf_sqrt(vv), ve));
        if (momentum != 0) {
            u = vf_fma(vmu, LOAD(mom), u);
            STORE(mom, u);
        } STORE(p, vf_fnma(outer, u, vp));)
}

/* Keras: mom = momentum mom - lr g; p += mom, Nesterov p += momentum mom - lr g. PyTorch: mom = momentum mom + g;
 * p -= lr mom, Nesterov p -= lr (g + momentum mom). Without momentum p -= lr g, and mom may be NULL. */
static void kern_sgd(int64_t n, real *p, const real *g, real *mom, real lr, real momentum, bool nesterov,
                     bool torch_rule, real decay) {
    const vf vl = vf_set1(lr), vmu = vf_set1(momentum), vw = vf_set1(decay);
    if (momentum == 0) {
        KERN_FOR(n, vf vp = LOAD(p); STORE(p, vf_fnma(vl, LOAD(g), vf_fnma(vw, vp, vp)));)
        return;
    }
    const vf inner = vf_set1(torch_rule ? 1 : -lr), outer = vf_set1(torch_rule ? -lr : 1);
    KERN_FOR(n, vf vg = vf_mul(inner, LOAD(g)); vf vp = LOAD(p); vp = vf_fnma(vw, vp, vp);
             vf u = vf_fma(vmu, LOAD(mom), vg); STORE(mom, u); if (nesterov) u = vf_fma(vmu, u, vg);
             STORE(p, vf_fma(outer, u, vp));)
}

static void kern_adagrad(int64_t n, real *p, const real *g, real *v, real lr, real eps, bool eps_inside, real decay) {
    const vf vl = vf_set1(lr), ve = vf_set1(eps), vw = vf_set1(decay);
    KERN_FOR(n, vf vg = LOAD(g); vf vp = LOAD(p); vf vv = LOAD(v); vp = vf_fnma(vw, vp, vp); vv = vf_fma(vg, vg, vv);
             STORE(v, vv); vf root = eps_inside ? vf_sqrt(vf_add(vv, ve)) : vf_add(vf_sqrt(vv), ve);
             STORE(p, vf_sub(vp, vf_div(vf_mul(vg, vl), root)));)
}

static void kern_average(int64_t n, const real *p, real *mean, real keep) {
    const vf vk = vf_set1(keep), rest = vf_set1(1 - keep);
    KERN_FOR(n, STORE(mean, vf_fma(vk, LOAD(mean), vf_mul(rest, LOAD(p))));)
}

/* kern_adam's own operations, even for NaNs, until the elements rest. They are finite then, and with g = 0 the
 * differences g - m and g*g - v are -m and -v. */
static void kern_adam_idle(int64_t n, real *p, real *m, real *v, double b1, double b2, const real *alpha, int64_t steps,
                           int64_t rest_from, real eps) {
    const vf c1 = vf_set1((real)(1 - b1)), c2 = vf_set1((real)(1 - b2)), ve = vf_set1(eps), vg = vf_zero();
    KERN_FOR(
        n, vf vp = LOAD(p); vf vm_ = LOAD(m); vf vv = LOAD(v); int64_t t = 0;
        for (bool moves = true; moves && t < steps; t++) {
            vm_ = vf_fma(vf_sub(vg, vm_), c1, vm_);
            vv = vf_fma(vf_fms(vg, vg, vv), c2, vv);
            vp = vf_fnma(vg, vp, vp); /* as with decay 0: infinity becomes NaN, -0 becomes 0 */
            vf next = vf_sub(vp, vf_div(vf_mul(vm_, vf_set1(alpha[t])), vf_add(vf_sqrt(vv), ve)));
            moves = t < rest_from || vm_any(vm_ne(next, vp));
            vp = next;
        } for (; t < steps; t++) {
            vm_ = vf_fnma(vm_, c1, vm_);
            vv = vf_fnma(vv, c2, vv);
        } STORE(p, vp);
        STORE(m, vm_); STORE(v, vv);)
}
