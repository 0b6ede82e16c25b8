# A project of somebody else as a test.
set(consumers ${CMAKE_CURRENT_LIST_DIR})
set(common -G ${CMAKE_GENERATOR} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DCMAKE_BUILD_TYPE=Debug)

# consumer(NAME [BUILD_ONLY] [PROJECT folder] [COPY installed_copy] OPTIONS...): the project in PROJECT, or in NAME, which builds
# and whose program passes.
function(consumer NAME)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "BUILD_ONLY" "PROJECT;COPY" "")
  if(NOT ARG_PROJECT)
    set(ARG_PROJECT ${NAME})
  endif()
  set(build ${CMAKE_CURRENT_BINARY_DIR}/${NAME})
  if(NOT ARG_BUILD_ONLY)
    set(run --test-command ${build}/consumer)
  endif()
  add_test(NAME package_${NAME}
           COMMAND ${CMAKE_CTEST_COMMAND} --output-on-failure --build-and-test ${consumers}/${ARG_PROJECT}
                   ${build} --build-generator ${CMAKE_GENERATOR} --build-options ${common} ${ARG_UNPARSED_ARGUMENTS}
                   ${run})
  set_tests_properties(package_${NAME} PROPERTIES LABELS package TIMEOUT 120 FIXTURES_REQUIRED "${ARG_COPY}")
endfunction()

# installed(NAME BUILD): the fixture NAME, a copy of what BUILD installs.
function(installed NAME BUILD)
  add_test(NAME package_${NAME} COMMAND ${CMAKE_COMMAND} -DBUILD=${BUILD} -DCOPY=${CMAKE_CURRENT_BINARY_DIR}/${NAME} -P
                                        ${consumers}/install.cmake)
  set_tests_properties(package_${NAME} PROPERTIES LABELS package FIXTURES_SETUP ${NAME} FIXTURES_REQUIRED "${ARGN}")
endfunction()
