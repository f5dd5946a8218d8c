add_compile_options(-march=native) # -ffast-math in a comment is fine
