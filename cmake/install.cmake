include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

install(DIRECTORY include/distill DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS distill_core EXPORT distill-targets)
if(TARGET distill)
  install(TARGETS distill EXPORT distill-targets)
endif()
install(EXPORT distill-targets NAMESPACE distill:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/distill)
configure_package_config_file(cmake/distill-config.cmake.in distill-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/distill)
write_basic_package_version_file(distill-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/distill-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/distill-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/distill)
