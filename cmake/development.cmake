# What the project's own targets are built with. Consumers get none of it.

find_program(DISTILL_CCACHE ccache)
if(DISTILL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${DISTILL_CCACHE})
endif()

set(CMAKE_CXX_EXTENSIONS OFF)

set(DISTILL_DEVELOPMENT_FLAGS "" CACHE STRING "Flags of the project's own targets: sanitizers, -ffast-math, -fno-exceptions")

option(DISTILL_WARNINGS_ARE_ERRORS "A warning in one of the project's own targets is an error" ON)
set(warnings -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
# doctest and google-benchmark count with __COUNTER__, which newer clang calls an extension.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 22)
  list(APPEND warnings -Wno-c2y-extensions)
endif()
set(warnings_of_nvcc "-Xcompiler -Wall,-Wextra")
if(DISTILL_WARNINGS_ARE_ERRORS)
  list(APPEND warnings -Werror)
  string(PREPEND warnings_of_nvcc "-Werror all-warnings ")
endif()

add_library(distill_development INTERFACE)
target_compile_options(distill_development INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${warnings};${DISTILL_DEVELOPMENT_FLAGS}>"
                                                     "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:${warnings_of_nvcc}>")
target_link_options(distill_development INTERFACE ${DISTILL_DEVELOPMENT_FLAGS})
target_link_libraries(distill_development INTERFACE distill::distill)

# distill_program(NAME SOURCES... [LINK libraries...]): an executable of this project.
function(distill_program NAME)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "LINK")
  add_executable(${NAME} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${NAME} PRIVATE distill_development ${ARG_LINK})
endfunction()

option(DISTILL_CUDA "Build programs for a GPU with nvcc: the suite gpu, and the benchmarks of the CUDA backend" OFF)
if(DISTILL_CUDA)
  # PTX of one architecture, in one pass of the compiler: the driver translates it for whatever device runs it, from compute
  # capability 8.0 on.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES 80-virtual)
  endif()
  if(DISTILL_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${DISTILL_CCACHE})
  endif()
  enable_language(CUDA)
  # Eigen is the host's alone here: its annotations for nvcc are warnings of CUDA 13.
  target_compile_definitions(distill_development INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:EIGEN_NO_CUDA>)
  target_link_libraries(distill_development INTERFACE distill::cuda)
endif()
