# The only place of invact's build that looks for LibTorch and the CUDA toolkit. Defines
#   invact::torch_cpu   LibTorch's headers and CPU libraries (what the analyzer, rewriter and CLI link)
#   invact::torch_cuda  with INVACT_CUDA: the CUDA runtime and c10_cuda beside it (what the operator library links)
#   invact::cupti       with INVACT_CUPTI

include(InvactLibTorch)

set(INVACT_TORCH_ROOT "" CACHE PATH "LibTorch's folder (holds include/ and lib/); default: the environment in .venv")
set(INVACT_CUDA_ROOT "" CACHE PATH "CUDA 13 toolkit's folder; default: the one in .venv")

if(NOT INVACT_TORCH_ROOT AND EXISTS ${PROJECT_SOURCE_DIR}/.venv/libtorch)
  file(REAL_PATH ${PROJECT_SOURCE_DIR}/.venv/libtorch invact_torch_root)
else()
  # Links resolved: CMake would leave a folder that seems to lie in the source tree out of an installed file's RPATH.
  file(REAL_PATH "${INVACT_TORCH_ROOT}" invact_torch_root)
endif()
if(NOT EXISTS ${invact_torch_root}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch not found (looked in '${invact_torch_root}'): run `scripts/setup.sh`, which makes .venv, "
    "or set -DINVACT_TORCH_ROOT to a folder with include/ and lib/libtorch_cpu.so.")
endif()
invact_libtorch_version(${invact_torch_root} INVACT_TORCH_VERSION)
string(REGEX MATCH "^[0-9]+\\.[0-9]+" INVACT_TORCH_RELEASE "${INVACT_TORCH_VERSION}")
message(STATUS "LibTorch ${INVACT_TORCH_VERSION}: ${invact_torch_root}")
invact_import_libtorch(${invact_torch_root})

if(INVACT_CUDA)
  if(CMAKE_VERSION VERSION_LESS 3.28)
    message(FATAL_ERROR "CMake ${CMAKE_VERSION} does not know CUDA C++20 for nvcc 13: use .venv/bin/cmake (as `make` does), or build the "
      "CPU part alone with -DINVACT_CUDA=OFF.")
  endif()
  if(NOT INVACT_CUDA_ROOT AND EXISTS ${PROJECT_SOURCE_DIR}/.venv/cuda)
    file(REAL_PATH ${PROJECT_SOURCE_DIR}/.venv/cuda invact_cuda_root)
  else()
    file(REAL_PATH "${INVACT_CUDA_ROOT}" invact_cuda_root)
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

  find_library(INVACT_CUDART cudart PATHS ${invact_cuda_root}/lib ${invact_cuda_root}/lib64 NO_DEFAULT_PATH REQUIRED)
  invact_import_libtorch_cuda(${invact_torch_root} ${INVACT_CUDART})
  target_include_directories(invact::torch_cuda SYSTEM INTERFACE ${invact_cuda_root}/include)
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
