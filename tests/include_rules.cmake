# The layer rules of ARCHITECTURE.md, checked by reading the sources:
#   cmake -DROOT=<source folder> -P tests/include_rules.cmake
cmake_minimum_required(VERSION 3.25)

set(violations "")

# forbid(<reason> <regex> <glob>... [EXCEPT <regex of paths>])
function(forbid reason regex)
  cmake_parse_arguments(ARG "" "EXCEPT" "" ${ARGN})
  # A pattern that matches no file is a rule that a move has voided.
  foreach(glob IN LISTS ARG_UNPARSED_ARGUMENTS)
    file(GLOB_RECURSE matched RELATIVE ${ROOT} ${glob})
    if(NOT matched)
      set(violations "${violations}\n  ${glob} names no file: ${reason}")
    endif()
  endforeach()
  file(GLOB_RECURSE files RELATIVE ${ROOT} ${ARG_UNPARSED_ARGUMENTS})
  foreach(file IN LISTS files)
    if(ARG_EXCEPT AND file MATCHES "${ARG_EXCEPT}")
      continue()
    endif()
    file(STRINGS ${ROOT}/${file} lines REGEX "${regex}")
    if(lines)
      list(GET lines 0 first)
      set(violations "${violations}\n  ${file}: ${reason}: ${first}")
    endif()
  endforeach()
  set(violations "${violations}" PARENT_SCOPE)
endfunction()

function(sources result)
  set(globs "")
  foreach(folder IN LISTS ARGN)
    foreach(extension h cpp cu cuh)
      file(GLOB_RECURSE matched ${ROOT}/${folder}/*.${extension})
      if(matched)
        list(APPEND globs ${ROOT}/${folder}/*.${extension})
      endif()
    endforeach()
  endforeach()
  set(${result} "${globs}" PARENT_SCOPE)
endfunction()

sources(kernels kernels)
sources(analyzer analyzer)
sources(rewriter rewriter)
sources(cli cli)
sources(math kernels/math)

forbid("kernels knows no other folder" "#include \"(analyzer|rewriter|cli)/" ${kernels})
forbid("kernels uses LibTorch only" "#include <(fmt|nlohmann|CLI|cupti)" ${kernels})
forbid("analyzer knows kernels only" "#include \"(rewriter|cli)/" ${analyzer})
forbid("rewriter does not know cli" "#include \"cli/" ${rewriter})
forbid("CLI11 belongs to cli" "#include <CLI/" ${analyzer} ${rewriter})
forbid("cupti.h belongs to analyzer/cupti" "#include <cupti" ${analyzer} ${rewriter} ${cli} EXCEPT "^analyzer/cupti/")
forbid("who records behind this seam need not know CUPTI" "#include <cupti" ${ROOT}/analyzer/cupti/activity_recorder.h)
forbid("math has no torch" "#include <(ATen|c10|torch)/" ${math})
forbid("plain data has no torch" "#include <(ATen|c10|torch)/"
  ${ROOT}/kernels/catalog.h ${ROOT}/analyzer/trace.h ${ROOT}/analyzer/report.h ${ROOT}/analyzer/inputs/input_spec.h
  ${ROOT}/analyzer/bench_result.h ${ROOT}/analyzer/device_activity.h ${ROOT}/analyzer/device_report.h
  ${ROOT}/analyzer/reporting/*.h ${ROOT}/analyzer/cupti/*.h
  ${ROOT}/rewriter/plan.h ${ROOT}/rewriter/verification.h ${ROOT}/rewriter/planning/prediction.h
  ${ROOT}/rewriter/planning/selection_bound.h
  ${ROOT}/cli/render/*.h ${ROOT}/cli/ci/*.h ${ROOT}/cli/pictures/chrome_trace.h ${ROOT}/cli/pictures/html/page.h)
forbid("formats know reports, not models" "#include \"(rewriter|kernels|analyzer/(model|inputs|observation)/)|#include <CLI/"
  ${ROOT}/cli/ci/formats/*.h ${ROOT}/cli/ci/formats/*.cpp)
# inlined_model.cpp edits a copy of its own, which nobody runs.
forbid("a model's graph is edited in rewriter/editing alone"
  "insertBefore|insertAfter|replaceAllUses|replaceInput|->destroy\\(|insertNode"
  ${analyzer} ${rewriter} ${cli} EXCEPT "^rewriter/(editing/|graph/(inlined_model|graph_nodes).cpp$)")
forbid("save_for_backward belongs to the families' autograd files" "save_for_backward\\(" ${kernels}
  EXCEPT "^kernels/(activation/autograd|dropout/autograd|dropout/activation_dropout_autograd|norm/autograd|norm/batch_norm_from_output|recompute/autograd|recompute/repeated_batch_norm).cpp$")
# recompute.cpp: whether tensors are released under Python's saved-tensor hooks is for who measures with such hooks to say, and
# the operator's schema, which saved models name, has no place for it.
forbid("only cli reads the environment" "getenv" ${kernels} ${analyzer} ${rewriter} EXCEPT "^kernels/recompute/autograd.cpp$")

if(violations)
  message(FATAL_ERROR "Layer rules broken:${violations}")
endif()
