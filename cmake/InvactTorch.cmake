# The only place that looks for LibTorch and the CUDA toolkit. Defines
#   invact::torch_cpu   LibTorch's headers and CPU libraries (what the analyzer, rewriter and CLI link)
#   invact::torch_cuda  with INVACT_CUDA: the CUDA runtime and c10_cuda beside it (what the operator library links)
#   invact::cupti       with INVACT_CUPTI
# It does not call find_package(Torch): that file overwrites CMAKE_CUDA_FLAGS and CMAKE_CUDA_ARCHITECTURES
# (pytorch #115937), asks for a removed nvToolsExt (#116242), and stops without a CUDA toolkit even where only the CPU
# part is built. The wheel's layout (include/, lib/) is stable, so the targets are made here from it.

set(INVACT_TORCH_ROOT "" CACHE PATH "LibTorch's folder (holds include/ and lib/); default: the environment in .venv")
set(INVACT_CUDA_ROOT "" CACHE PATH "CUDA 13 toolkit's folder; default: the one in .venv")

if(NOT INVACT_TORCH_ROOT AND EXISTS ${PROJECT_SOURCE_DIR}/.venv/libtorch)
  file(REAL_PATH ${PROJECT_SOURCE_DIR}/.venv/libtorch invact_torch_root)
else()
  set(invact_torch_root ${INVACT_TORCH_ROOT})
endif()
if(NOT EXISTS ${invact_torch_root}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch not found (looked in '${invact_torch_root}'): run `scripts/setup.sh`, which makes .venv, "
    "or set -DINVACT_TORCH_ROOT to a folder with include/ and lib/libtorch_cpu.so.")
endif()

file(STRINGS ${invact_torch_root}/include/torch/headeronly/version.h invact_torch_version_lines
  REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH)")
string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" INVACT_TORCH_VERSION
  "${invact_torch_version_lines}")
message(STATUS "LibTorch ${INVACT_TORCH_VERSION}: ${invact_torch_root}")

function(invact_import_library target file)
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "Missing ${file}: the LibTorch or CUDA installation is incomplete; remove .venv and run `scripts/setup.sh`.")
  endif()
  add_library(${target} SHARED IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${file} IMPORTED_NO_SONAME OFF)
endfunction()

invact_import_library(invact_torch_c10 ${invact_torch_root}/lib/libc10.so)
invact_import_library(invact_torch_libtorch_cpu ${invact_torch_root}/lib/libtorch_cpu.so)
add_library(invact_torch_cpu INTERFACE)
add_library(invact::torch_cpu ALIAS invact_torch_cpu)
target_include_directories(invact_torch_cpu SYSTEM INTERFACE
  ${invact_torch_root}/include ${invact_torch_root}/include/torch/csrc/api/include)
target_link_libraries(invact_torch_cpu INTERFACE invact_torch_libtorch_cpu invact_torch_c10)
target_compile_definitions(invact_torch_cpu INTERFACE INVACT_TORCH_VERSION="${INVACT_TORCH_VERSION}")
# libtorch_cpu.so needs libcupti and libcudart by its own RPATH; the linker has no need to follow them.
target_link_options(invact_torch_cpu INTERFACE -Wl,--allow-shlib-undefined)

if(INVACT_CUDA)
  if(CMAKE_VERSION VERSION_LESS 3.28)
    message(FATAL_ERROR "CMake ${CMAKE_VERSION} does not know CUDA C++20 for nvcc 13: use .venv/bin/cmake (as `make` does), or build the "
      "CPU part alone with -DINVACT_CUDA=OFF.")
  endif()
  if(NOT INVACT_CUDA_ROOT AND EXISTS ${PROJECT_SOURCE_DIR}/.venv/cuda)
    file(REAL_PATH ${PROJECT_SOURCE_DIR}/.venv/cuda invact_cuda_root)
  else()
    set(invact_cuda_root ${INVACT_CUDA_ROOT})
  endif()
  if(NOT EXISTS ${invact_cuda_root}/bin/nvcc)
    message(FATAL_ERROR "INVACT_CUDA=ON needs nvcc 13 (looked in '${invact_cuda_root}/bin'): run `scripts/setup.sh`, set "
      "-DINVACT_CUDA_ROOT, or build the CPU part alone with -DINVACT_CUDA=OFF.")
  endif()
  # Never by detection: the build machine need not have the GPU that the library is for.
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 90 CACHE STRING "CUDA architectures")
  endif()
  set(CMAKE_CUDA_COMPILER ${invact_cuda_root}/bin/nvcc CACHE FILEPATH "nvcc")
  set(CUDAToolkit_ROOT ${invact_cuda_root})
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  enable_language(CUDA)

  invact_import_library(invact_torch_c10_cuda ${invact_torch_root}/lib/libc10_cuda.so)
  find_library(INVACT_CUDART cudart PATHS ${invact_cuda_root}/lib ${invact_cuda_root}/lib64 NO_DEFAULT_PATH REQUIRED)
  add_library(invact_torch_cuda INTERFACE)
  add_library(invact::torch_cuda ALIAS invact_torch_cuda)
  target_include_directories(invact_torch_cuda SYSTEM INTERFACE ${invact_cuda_root}/include)
  # c10_cuda alone, not torch_cuda: the library must load in a second on a machine without a GPU, and whoever holds a
  # CUDA tensor has torch_cuda loaded already.
  target_link_libraries(invact_torch_cuda INTERFACE invact_torch_cpu invact_torch_c10_cuda ${INVACT_CUDART})
  if(INVACT_CUPTI)
    find_library(INVACT_CUPTI_LIBRARY cupti
      PATHS ${invact_cuda_root}/lib ${invact_cuda_root}/lib64 ${invact_cuda_root}/extras/CUPTI/lib64 NO_DEFAULT_PATH REQUIRED)
    add_library(invact_cupti_library INTERFACE)
    add_library(invact::cupti ALIAS invact_cupti_library)
    target_include_directories(invact_cupti_library SYSTEM INTERFACE
      ${invact_cuda_root}/include ${invact_cuda_root}/extras/CUPTI/include)
    target_link_libraries(invact_cupti_library INTERFACE ${INVACT_CUPTI_LIBRARY})
  endif()
endif()
