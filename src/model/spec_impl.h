/* spec_impl - what spec.c (the whole), spec_layers.c (encoders), spec_set.c (--set) and spec_write.c share. */
#ifndef SOUK_MODEL_SPEC_IMPL_H
#define SOUK_MODEL_SPEC_IMPL_H

#include "model/spec_keys.h"

enum { SPEC_MAX_LAYERS = 64 };

/* ---- layers and encoders ---- */
layer_config spec_layer_default(layer_type type);
layer_type spec_layer_type(const layer_config *layer);
encoder_args spec_encoder_default(encoder_type type);
encoder_type spec_encoder_for(feature_type type); /* where a feature says nothing */
/* The layers that an encoder's word stands for, into layers [SPEC_MAX_LAYERS]; returns their number. */
int spec_encoder_expand(const encoder_args *args, feature_type type, layer_config *layers);
/* The other way: false when no word stands for exactly these layers. */
bool spec_encoder_word(const input_config *in, encoder_args *args);
souk_status spec_read_encoder(const spec_reader *r, const yaml_value *v, const char *where, input_config *in);
souk_status spec_read_combiner(const spec_reader *r, const yaml_value *v, spec *s);

/* ---- defaults of structs ---- */
trainer_config spec_trainer_default(void);
output_config spec_output_default(feature_type type);

/* Puts "key.path=value" into the tree. */
souk_status spec_set(yaml_tree *t, const char *setting, souk_error *err);

#endif
