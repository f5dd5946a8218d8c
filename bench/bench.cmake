# The benchmarks. souk_bench(NAME LAYER): bench/NAME.c. None of them is a test; each prints machine, commit and figures.
function(souk_bench name layer)
  if(TARGET souk_${layer} AND EXISTS ${CMAKE_SOURCE_DIR}/bench/${name}.c)
    add_executable(${name} ${CMAKE_SOURCE_DIR}/bench/${name}.c)
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/bench)
    target_link_libraries(${name} PRIVATE souk_${layer})
  endif()
endfunction()

souk_bench(bench_predict api)
souk_bench(bench_lstm train)
souk_bench(bench_csv data)
souk_bench(bench_tok feat)
