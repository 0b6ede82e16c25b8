include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# Nothing that is installed depends on the architecture: all of it stands below include/ and share/.
set(package_directory ${CMAKE_INSTALL_DATADIR}/cmake/distill)
set(pkgconfig_directory ${CMAKE_INSTALL_DATADIR}/pkgconfig)

install(DIRECTORY include/distill DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS distill_core distill_cuda EXPORT distill-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(has_eigen_backend FALSE)
set(pkgconfig_requires "")
if(TARGET distill)
  install(TARGETS distill EXPORT distill-targets)
  set(has_eigen_backend TRUE)
  set(pkgconfig_requires "eigen3 >= ${DISTILL_EIGEN_VERSION}")
endif()

install(EXPORT distill-targets NAMESPACE distill:: DESTINATION ${package_directory})
configure_package_config_file(cmake/distill-config.cmake.in distill-config.cmake INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(distill-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/distill-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/distill-config-version.cmake
        DESTINATION ${package_directory})

# The prefix as seen from the .pc file, which stays right when the prefix is moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}/${pkgconfig_directory}
           OUTPUT_VARIABLE prefix_from_pkgconfig)
configure_file(cmake/distill.pc.in distill.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/distill.pc DESTINATION ${pkgconfig_directory})
