# The layer rules of ARCHITECTURE.md, checked by reading the sources:
#   cmake -DROOT=<source folder> -P tests/include_rules.cmake
# With -DSELF_TEST=<scratch folder> it shows instead that each rule can fail: every rule has an example of a line that
# breaks it, which is added to a copy of the first file that the rule reads.
cmake_minimum_required(VERSION 3.25)

set(violations "")
set(rule_count 0)

# The files that a pattern names: all sources of a folder, or those that a glob matches.
function(files_of pattern result)
  if(IS_DIRECTORY ${ROOT}/${pattern})
    file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/${pattern}/*.h ${ROOT}/${pattern}/*.cpp ${ROOT}/${pattern}/*.cu
      ${ROOT}/${pattern}/*.cuh)
  else()
    file(GLOB files RELATIVE ${ROOT} ${ROOT}/${pattern})
  endif()
  set(${result} "${files}" PARENT_SCOPE)
endfunction()

# Where `file` below `root` breaks the rule, appends to `violations`.
function(check_file root file reason regex)
  file(STRINGS ${root}/${file} lines REGEX "${regex}")
  if(lines)
    list(GET lines 0 first)
    set(violations "${violations}\n  ${file}: ${reason}: ${first}" PARENT_SCOPE)
  endif()
endfunction()

# forbid(<reason> <regex of a line> EXAMPLE <such a line> IN <pattern>... [EXCEPT <pattern>...])
# A pattern that names no file is a violation too: it is a rule that a move has voided.
function(forbid reason regex)
  cmake_parse_arguments(ARG "" "EXAMPLE" "IN;EXCEPT" ${ARGN})
  set(files "")
  foreach(pattern IN LISTS ARG_IN ARG_EXCEPT)
    files_of(${pattern} named)
    if(NOT named)
      set(violations "${violations}\n  ${pattern} names no file: ${reason}")
    endif()
  endforeach()
  foreach(pattern IN LISTS ARG_IN)
    files_of(${pattern} named)
    list(APPEND files ${named})
  endforeach()
  foreach(pattern IN LISTS ARG_EXCEPT)
    files_of(${pattern} named)
    list(REMOVE_ITEM files ${named})
  endforeach()
  math(EXPR rule_count "${rule_count} + 1")
  if(SELF_TEST)
    show_that_it_fails("${reason}" "${regex}" "${ARG_EXAMPLE}" ${files})
  else()
    foreach(file IN LISTS files)
      check_file(${ROOT} ${file} "${reason}" "${regex}")
    endforeach()
  endif()
  set(violations "${violations}" PARENT_SCOPE)
  set(rule_count ${rule_count} PARENT_SCOPE)
endfunction()

function(show_that_it_fails reason regex example file)
  file(READ ${ROOT}/${file} text)
  file(WRITE ${SELF_TEST}/${file} "${text}\n${example}\n")
  set(violations "")
  check_file(${SELF_TEST} ${file} "${reason}" "${regex}")
  if(NOT violations)
    message(FATAL_ERROR "The rule '${reason}' does not find: ${example}")
  endif()
endfunction()

# rooms(<folder> <room>...), the lowest first: a room may include itself and those before it. A room is a folder, or files
# by their names without extension, joined by commas.
function(rooms folder)
  set(lower "")
  list(REVERSE ARGN)
  set(higher "")
  foreach(room IN LISTS ARGN)
    string(REPLACE "," ";" names "${room}")
    if(higher)
      set(patterns "")
      foreach(name IN LISTS names)
        if(IS_DIRECTORY ${ROOT}/${folder}/${name})
          list(APPEND patterns ${folder}/${name})
        else()
          list(APPEND patterns ${folder}/${name}.*)
        endif()
      endforeach()
      list(JOIN higher "|" any)
      list(GET higher 0 example)
      forbid("${room} is a lower room of ${folder}" "#include \"${folder}/(${any})[/.]"
        EXAMPLE "#include \"${folder}/${example}/x.h\"" IN ${patterns})
    endif()
    list(APPEND higher ${names})
  endforeach()
  set(violations "${violations}" PARENT_SCOPE)
  set(rule_count ${rule_count} PARENT_SCOPE)
endfunction()

# Folders, one way.
forbid("kernels knows no other folder" "#include \"(analyzer|rewriter|cli)/"
  EXAMPLE "#include \"analyzer/trace.h\"" IN kernels)
forbid("analyzer knows kernels only" "#include \"(rewriter|cli)/" EXAMPLE "#include \"rewriter/plan.h\"" IN analyzer)
forbid("rewriter does not know cli" "#include \"cli/" EXAMPLE "#include \"cli/terminal.h\"" IN rewriter)
forbid("the product does not know its tests" "#include \"(tests|bench)/"
  EXAMPLE "#include \"tests/support/models.h\"" IN kernels analyzer rewriter cli)

# Rooms within a folder, one way.
rooms(analyzer error,trace,report,device_activity,device_report,bench_result cupti reporting model inputs observation)
rooms(rewriter plan graph patterns recompute planning editing verification site_times,json,analysis)
rooms(kernels math element_type,catalog,heavy_operators,memory_layout,refusals activation norm dropout cpu,cuda recompute)
rooms(cli text,exit ci render pictures options output_file,terminal commands main)

# Libraries.
forbid("kernels uses LibTorch only" "#include <(fmt|nlohmann|CLI|cupti)" EXAMPLE "#include <fmt/format.h>" IN kernels)
forbid("CLI11 belongs to cli" "#include <CLI/" EXAMPLE "#include <CLI/CLI.hpp>" IN analyzer rewriter)
forbid("cupti.h belongs to analyzer/cupti" "#include <cupti" EXAMPLE "#include <cupti.h>"
  IN analyzer rewriter cli EXCEPT analyzer/cupti)
forbid("a caller of this interface need not know CUPTI" "#include <cupti" EXAMPLE "#include <cupti.h>"
  IN analyzer/cupti/activity_recorder.h)
forbid("math has no torch" "#include <(ATen|c10|torch)/" EXAMPLE "#include <ATen/ATen.h>" IN kernels/math)

# Plain data.
set(records analyzer/trace.h analyzer/report.h analyzer/device_activity.h analyzer/device_report.h analyzer/bench_result.h
  rewriter/plan.h rewriter/verification/verification.h)
forbid("a record's header has no builder" "^[A-Za-z].* (build|make|find|observe|load|plan|verify|compare)_[a-z_]+\\("
  EXAMPLE "Report build_report(const Trace& trace);" IN ${records})
forbid("plain data has no torch" "#include <(ATen|c10|torch)/" EXAMPLE "#include <ATen/ATen.h>"
  IN ${records} kernels/catalog.h kernels/heavy_operators.h kernels/element_type.h analyzer/inputs/input_spec.h analyzer/reporting/*.h analyzer/cupti/*.h
    rewriter/graph/observed_savers.h rewriter/planning/prediction.h rewriter/planning/selection_bound.h
    cli/render cli/ci cli/pictures/chrome_trace.h cli/pictures/html/page.h)
forbid("formats know reports, not models" "#include \"(rewriter|kernels|analyzer/(model|inputs|observation))/|#include <CLI/"
  EXAMPLE "#include \"analyzer/model/model.h\"" IN cli/ci/formats)

# What may change a graph, save a tensor, read the environment.
# inlined_model.cpp edits a copy of its own, which never runs.
forbid("a model's graph is edited in rewriter/editing alone"
  "insertBefore|insertAfter|replaceAllUses|replaceInput|->destroy\\(|insertNode" EXAMPLE "  node->destroy();"
  IN analyzer rewriter cli EXCEPT rewriter/editing rewriter/graph/inlined_model.cpp)
forbid("save_for_backward belongs to the families' autograd files" "save_for_backward\\("
  EXAMPLE "  ctx->save_for_backward({x});" IN kernels
  EXCEPT kernels/activation/autograd.cpp kernels/dropout/autograd.cpp kernels/dropout/activation_dropout_autograd.cpp
    kernels/norm/autograd.cpp kernels/norm/batch_norm_from_output.cpp kernels/recompute/autograd.cpp
    kernels/recompute/repeated_batch_norm.cpp)
# recompute/autograd.cpp: whether tensors are released under Python's saved-tensor hooks is for the one who measures with
# such hooks to say, and the operator's schema, which saved models name, has no place for it.
forbid("only cli reads the environment" "getenv" EXAMPLE "  std::getenv(\"HOME\");" IN kernels analyzer rewriter
  EXCEPT kernels/recompute/autograd.cpp)

if(violations)
  message(FATAL_ERROR "Layer rules broken:${violations}")
endif()
message(STATUS "${rule_count} layer rules hold")
