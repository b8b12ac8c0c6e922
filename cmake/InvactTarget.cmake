# Compile settings shared by every target of invact, and the two helpers the folders use.

add_library(invact_compile_options INTERFACE)
target_compile_options(invact_compile_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-unused-parameter>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${INVACT_WERROR}>>:-Werror>)
# Messages name files as the repository does, not as this machine does.
target_compile_options(invact_compile_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>
  $<$<COMPILE_LANGUAGE:CXX>:-fmacro-prefix-map=${invact_torch_root}/include/=>)
target_include_directories(invact_compile_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(invact_compile_options INTERFACE INVACT_TORCH_VERSION="${INVACT_TORCH_VERSION}")
if(INVACT_SANITIZE)
  target_compile_options(invact_compile_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${INVACT_SANITIZE} -fno-omit-frame-pointer>
    # The check of virtual tables wants type information that LibTorch keeps to itself (c10::DynamicType).
    $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>
    # GCC 12 finds uninitialised members in <regex> once it is instrumented.
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
  target_link_options(invact_compile_options INTERFACE -fsanitize=${INVACT_SANITIZE})
endif()

find_program(INVACT_CCACHE ccache)
if(INVACT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # ccache must be told that a precompiled header's time stamp does not matter (its manual, "precompiled headers").
  set(invact_launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${INVACT_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${invact_launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${INVACT_CCACHE})
endif()

# invact_add_test(NAME <name> SOURCES <file>... LIBRARIES <target>... [LABELS <label>...] [PCH <target>])
# One GoogleTest executable under the given labels (default: unit). It is one ctest entry: loading LibTorch costs a second
# per process, which an entry per TEST would pay every time.
function(invact_add_test)
  cmake_parse_arguments(ARG "" "NAME;PCH" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE invact_compile_options ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main)
  if(ARG_PCH)
    target_precompile_headers(${ARG_NAME} REUSE_FROM ${ARG_PCH})
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME})
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 600)
endfunction()
