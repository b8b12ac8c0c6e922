# What `cmake --install` puts where, and find_package(invact) from the build tree. Components:
#   runtime      the executable and the operator library
#   development  headers and the CMake package
#   wheel        the same two files and the Python package, laid out for scripts/make_wheel.sh; only when asked for by name

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(invact_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/invact)
set(invact_cuda_major "")
if(INVACT_CUDA)
  string(REGEX MATCH "^[0-9]+" invact_cuda_major ${CMAKE_CUDA_COMPILER_VERSION})
endif()

# The library is found beside the executable wherever the two are moved. LibTorch is not ours to move: the executable looks
# for it where it was at build time, and in LD_LIBRARY_PATH before that. The library itself names no folder of LibTorch: who
# loads it has LibTorch loaded, or links invact::kernels, which says where it is.
set_target_properties(invact PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}"
  INSTALL_RPATH_USE_LINK_PATH ON)
set_target_properties(invact_kernels PROPERTIES EXPORT_NAME kernels INSTALL_RPATH "$ORIGIN")

install(TARGETS invact_kernels EXPORT invact
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(TARGETS invact RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)

write_basic_package_version_file(${PROJECT_BINARY_DIR}/invact-config-version.cmake COMPATIBILITY SameMinorVersion)
set(invact_default_torch_root "")
configure_file(cmake/invact-config.cmake.in ${PROJECT_BINARY_DIR}/cmake/invact-config.cmake @ONLY)
install(FILES
    ${PROJECT_BINARY_DIR}/cmake/invact-config.cmake
    ${PROJECT_BINARY_DIR}/invact-config-version.cmake
    cmake/InvactLibTorch.cmake
  DESTINATION ${invact_package_folder} COMPONENT development)
install(EXPORT invact NAMESPACE invact:: FILE invact-targets.cmake DESTINATION ${invact_package_folder}
  COMPONENT development)

# The build tree as a package: -Dinvact_DIR=<build folder>. It knows the LibTorch that it was built with.
set(invact_default_torch_root ${invact_torch_root})
configure_file(cmake/invact-config.cmake.in ${PROJECT_BINARY_DIR}/invact-config.cmake @ONLY)
configure_file(cmake/InvactLibTorch.cmake ${PROJECT_BINARY_DIR}/InvactLibTorch.cmake COPYONLY)
export(EXPORT invact NAMESPACE invact:: FILE ${PROJECT_BINARY_DIR}/invact-targets.cmake)

# The wheel's executable looks for LibTorch in LD_LIBRARY_PATH alone, which the command `invact` of the wheel sets: torch may lie
# in another site-packages than invact.
set(wheel_component COMPONENT wheel EXCLUDE_FROM_ALL)
configure_file(python/pyproject.toml.in ${PROJECT_BINARY_DIR}/python/pyproject.toml @ONLY)
configure_file(python/_invact/build.py.in ${PROJECT_BINARY_DIR}/python/_invact/build.py @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/python/pyproject.toml python/wheel_tag.py DESTINATION . ${wheel_component})
install(DIRECTORY python/invact python/_invact ${PROJECT_BINARY_DIR}/python/_invact DESTINATION . ${wheel_component}
  FILES_MATCHING PATTERN "*.py" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)
install(TARGETS invact_kernels LIBRARY DESTINATION invact/lib ${wheel_component})
install(TARGETS invact RUNTIME DESTINATION invact/bin ${wheel_component})
install(CODE "file(RPATH_SET FILE \"\${CMAKE_INSTALL_PREFIX}/invact/bin/invact\" NEW_RPATH \"\\$ORIGIN/../lib\")"
  ${wheel_component})
