# Builds and runs the project in consumer/ against invact, from the build tree or from an installed tree that was moved:
#   cmake -DKIND=build_tree|installed -DBUILD=<invact's build folder> -DTORCH_ROOT=<LibTorch> -DMODEL=<rewritten file>
#     -DTORCH_VERSION=<its version> -DCUDA=ON|OFF -DOTHER_RELEASE=<library that gives LibTorch another version>
#     -DWORK=<folder of this test> -DCXX=<compiler> -DLAUNCHER=<compiler launcher> -DGENERATOR=<generator> -DMAKE_PROGRAM=<its program>
#     -P consumer_test.cmake
cmake_minimum_required(VERSION 3.25)

# run(<what> <command>...): stops the test, with the command's output, where it fails.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}):\n${output}")
  endif()
  message(STATUS "${what}: ok")
endfunction()

set(configure ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -G ${GENERATOR} -DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}
  -DCMAKE_CXX_COMPILER=${CXX} "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")

# expect_refusal(<regex> <argument of the configuration>...)
function(expect_refusal sentence)
  file(REMOVE_RECURSE ${WORK}/refused)
  execute_process(COMMAND ${configure} -B ${WORK}/refused ${ARGN}
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE output)
  # CMake breaks lines where it likes.
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(status EQUAL 0 OR NOT output MATCHES "${sentence}")
    message(FATAL_ERROR "with ${ARGN}: expected a refusal like '${sentence}', got ${status}:\n${output}")
  endif()
  message(STATUS "refused: ${CMAKE_MATCH_0}")
endfunction()

# fake_libtorch(<folder> <minor version>): a LibTorch folder of that release, as far as a look at it goes.
function(fake_libtorch folder minor)
  file(WRITE ${folder}/include/torch/headeronly/version.h
    "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH 0\n")
endfunction()

file(REMOVE_RECURSE ${WORK})
if(KIND STREQUAL build_tree)
  run("configure" ${configure} -B ${WORK}/build -Dinvact_DIR=${BUILD})
else()
  run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first)
  file(RENAME ${WORK}/first ${WORK}/moved)

  file(GLOB_RECURSE package_files ${WORK}/moved/*.cmake ${WORK}/moved/*.h)
  list(LENGTH package_files count)
  if(count LESS 7)
    message(FATAL_ERROR "the installed tree lacks files: ${package_files}")
  endif()
  foreach(file IN LISTS package_files)
    file(READ ${file} content)
    foreach(folder IN ITEMS ${BUILD} ${TORCH_ROOT} ${WORK})
      string(FIND "${content}" "${folder}" place)
      if(NOT place EQUAL -1)
        message(FATAL_ERROR "${file} names ${folder}, a folder of this machine")
      endif()
    endforeach()
  endforeach()
  file(GLOB_RECURSE library ${WORK}/moved/libinvact_kernels.so)
  execute_process(COMMAND readelf -dW ${library} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
  if(NOT dynamic MATCHES "R(UN)?PATH[^\n]*\\[\\$ORIGIN\\]")
    message(FATAL_ERROR "the installed library's RUNPATH is not $ORIGIN alone:\n${dynamic}")
  endif()
  run("the installed executable" ${WORK}/moved/bin/invact --version)

  set(package -DCMAKE_PREFIX_PATH=${WORK}/moved)
  fake_libtorch(${WORK}/next 99)
  expect_refusal("built for LibTorch 2\\.[0-9]+, but [^ ]*/next holds LibTorch 2\\.99\\.0: name a LibTorch 2\\.[0-9]+ in [^:]*"
    ${package} -DINVACT_TORCH_ROOT=${WORK}/next)
  expect_refusal("LibTorch was not found: set -DINVACT_TORCH_ROOT to its folder" ${package} -DINVACT_TORCH_ROOT=${WORK}/none)
  if(CUDA)
    string(REGEX MATCH "^2\\.([0-9]+)" release "${TORCH_VERSION}")
    fake_libtorch(${WORK}/without_cuda ${CMAKE_MATCH_1})
    expect_refusal("has CUDA kernels, but the LibTorch in [^ ]*/without_cuda was built without CUDA"
      ${package} -DINVACT_TORCH_ROOT=${WORK}/without_cuda)
  endif()

  # As torch.utils.cmake_prefix_path gives it.
  run("configure" ${configure} -B ${WORK}/build -Dinvact_ROOT=${WORK}/moved -DCMAKE_PREFIX_PATH=${TORCH_ROOT}/share/cmake)
endif()
run("build" ${CMAKE_COMMAND} --build ${WORK}/build)
run("train" ${WORK}/build/train ${MODEL})

# In a process of another release: a warning when the library is loaded, an exception from ensure_registered().
execute_process(COMMAND ${CMAKE_COMMAND} -E env LD_PRELOAD=${OTHER_RELEASE} ${WORK}/build/train ${MODEL}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
set(sentence "libinvact_kernels was built for LibTorch [0-9.]+ but this process runs LibTorch 2\\.99\\.1: rebuild invact")
if(NOT status EQUAL 1 OR NOT output MATCHES "Warning: ${sentence}.*train: ${sentence}")
  message(FATAL_ERROR "with LibTorch 2.99.1: expected a warning and an exception '${sentence}', got ${status}:\n${output}")
endif()
message(STATUS "with LibTorch 2.99.1: warned and stopped")
