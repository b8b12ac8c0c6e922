# Imported targets for a LibTorch folder (the one that holds include/ and lib/). Used twice: by invact's own build, and,
# installed beside its configuration file, by find_package(invact).
#   invact::torch_cpu    headers, libtorch_cpu, libc10
#   invact::torch_cuda   libc10_cuda and the CUDA runtime library
# Neither calls find_package(Torch): that file overwrites CMAKE_CUDA_FLAGS and CMAKE_CUDA_ARCHITECTURES (pytorch #115937),
# asks for a removed nvToolsExt (#116242), and stops without a CUDA toolkit even where only CPU code is compiled. The layout
# of a LibTorch folder is stable, so the targets are made from it.

# invact_libtorch_version(<root> <variable>): "2.11.0", or empty where `root` is no LibTorch folder.
function(invact_libtorch_version root result)
  # The second place is where releases before 2.8 kept it.
  foreach(header include/torch/headeronly/version.h include/torch/csrc/api/include/torch/version.h)
    if(EXISTS ${root}/${header})
      file(STRINGS ${root}/${header} lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH)")
      if(lines MATCHES "MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+)")
        set(${result} "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3}" PARENT_SCOPE)
        return()
      endif()
    endif()
  endforeach()
  set(${result} "" PARENT_SCOPE)
endfunction()

function(invact_import_library target file)
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "Missing ${file}: the LibTorch or CUDA installation is incomplete; install it anew (invact's own build: remove "
      ".venv and run `scripts/setup.sh`).")
  endif()
  add_library(${target} SHARED IMPORTED)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${file})
endfunction()

function(invact_import_libtorch root)
  invact_import_library(invact::libc10 ${root}/lib/libc10.so)
  invact_import_library(invact::libtorch_cpu ${root}/lib/libtorch_cpu.so)
  add_library(invact::torch_cpu INTERFACE IMPORTED)
  target_include_directories(invact::torch_cpu SYSTEM INTERFACE
    ${root}/include ${root}/include/torch/csrc/api/include)
  target_link_libraries(invact::torch_cpu INTERFACE invact::libtorch_cpu invact::libc10)
  # libtorch_cpu.so needs libcupti and libcudart by its own RPATH; the linker has no need to follow them.
  target_link_options(invact::torch_cpu INTERFACE LINKER:--allow-shlib-undefined)
endfunction()

# invact_import_libtorch_cuda(<root> <file of libcudart>). c10_cuda alone, not torch_cuda: the operator library must load in a
# second on a machine without a GPU, and whoever holds a CUDA tensor has torch_cuda loaded already.
function(invact_import_libtorch_cuda root cudart)
  invact_import_library(invact::libc10_cuda ${root}/lib/libc10_cuda.so)
  invact_import_library(invact::libcudart ${cudart})
  add_library(invact::torch_cuda INTERFACE IMPORTED)
  target_link_libraries(invact::torch_cuda INTERFACE invact::torch_cpu invact::libc10_cuda invact::libcudart)
endfunction()
