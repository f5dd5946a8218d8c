# The fuzz targets. souk_fuzz(NAME LAYER): fuzz/NAME.c with libFuzzer; its seeds are in fuzz/corpus/NAME.
function(souk_fuzz name layer)
  add_executable(${name} ${CMAKE_SOURCE_DIR}/fuzz/${name}.c)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE souk_${layer})
endfunction()

souk_fuzz(fuzz_json base)
souk_fuzz(fuzz_text base)
souk_fuzz(fuzz_tokjson feat)
souk_fuzz(fuzz_pipeline feat)
souk_fuzz(fuzz_model model)
souk_fuzz(fuzz_yaml model)
