# The list of tests. souk_test(NAME LAYER [LABEL...]): tests/NAME.c, linked to that layer and all below it.
# souk_double_test(NAME): the same file compiled against the double build, as NAME_double.
# Labels: unit (default; under a minute in all), threads (also run under TSan), slow (kills, faults, campaigns).
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

function(souk_test_target target source library)
  add_executable(${target} ${CMAKE_SOURCE_DIR}/tests/${source}.c)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE SOUK_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SOUK_BUILD_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${target} PRIVATE ${library} PkgConfig::CMOCKA)
  add_test(NAME ${target} COMMAND ${target})
endfunction()

function(souk_test name layer)
  if(NOT TARGET souk_${layer} OR NOT EXISTS ${CMAKE_SOURCE_DIR}/tests/${name}.c)
    return()
  endif()
  souk_test_target(${name} ${name} souk_${layer})
  set_tests_properties(${name} PROPERTIES LABELS "unit;${ARGN}")
endfunction()

function(souk_double_test name)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/tests/${name}.c)
    return()
  endif()
  souk_test_target(${name}_double ${name} souk_double)
  set_tests_properties(${name}_double PROPERTIES LABELS "unit;double")
endfunction()

# --- base
foreach(module err mem buf map rng fs json utf8)
  souk_test(test_base_${module} base)
endforeach()
souk_test(test_base_thread base threads)
# The house rules (STYLE.md), and proof that the scripts find what they look for: a small tree of mistakes.
foreach(check layers style)
  add_test(NAME check_${check} COMMAND ${CMAKE_SOURCE_DIR}/tools/check_${check}.sh)
  add_test(NAME check_${check}_finds COMMAND ${CMAKE_SOURCE_DIR}/tools/check_${check}.sh ${CMAKE_SOURCE_DIR}/tests/ref/style_tree)
  set_tests_properties(check_${check} check_${check}_finds PROPERTIES LABELS unit)
endforeach()
set_tests_properties(check_layers_finds PROPERTIES PASS_REGULAR_EXPRESSION "4 files checked, 5 findings")
set_tests_properties(check_style_finds PROPERTIES PASS_REGULAR_EXPRESSION "5 files checked, 10 findings")
# --- simd
souk_test(test_kern simd)
souk_test(test_gemm simd)
# --- stat
souk_test(test_linalg stat)
souk_test(test_metric stat)
souk_test(test_interval stat threads)
# --- data
foreach(module source csv jsonl where table)
  souk_test(test_${module} data)
endforeach()
# --- feat
souk_test(test_tok_word feat)
souk_test(test_dataset feat)
souk_test(test_pipeline feat)
# --- graph
souk_test(test_graph graph)
souk_test(test_plan graph threads)
souk_test(test_ops graph threads)
souk_double_test(test_ops)
souk_double_test(test_ops_keras)
souk_test(test_rnn graph threads)
souk_double_test(test_rnn)
# --- nn
souk_test(test_nn nn)
# --- model
souk_test(test_model_file model)
souk_test(test_yaml model)
souk_test(test_spec model)
souk_test(test_model model threads)
# --- train
souk_test(test_sched train)
souk_test(test_roles train)
souk_test(test_opt train threads)
souk_test(test_keras_steps train)
souk_double_test(test_keras_steps)
souk_test(test_loop train threads)
# --- use, api, cli
souk_test(test_header api)
souk_test(test_api api threads)
souk_test(test_faults api slow)
souk_test(test_cli api slow)
souk_test(test_bits api slow)
souk_test(test_kill api slow)
foreach(name test_faults test_cli test_bits test_kill)   # these run the program itself
  if(TARGET ${name} AND TARGET souk)
    add_dependencies(${name} souk)
    set_tests_properties(${name} PROPERTIES LABELS "slow" PROCESSORS 2)
  endif()
endforeach()
