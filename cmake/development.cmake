# What the project's own targets are built with. Consumers get none of it.

find_program(DISTILL_CCACHE ccache)
if(DISTILL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${DISTILL_CCACHE})
endif()

set(CMAKE_CXX_EXTENSIONS OFF)

set(DISTILL_DEVELOPMENT_FLAGS "" CACHE STRING "Flags of the project's own targets: sanitizers, -ffast-math, -fno-exceptions")

add_library(distill_development INTERFACE)
target_compile_options(distill_development INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
                                                     ${DISTILL_DEVELOPMENT_FLAGS})
target_link_options(distill_development INTERFACE ${DISTILL_DEVELOPMENT_FLAGS})
target_link_libraries(distill_development INTERFACE distill::distill)

# distill_program(NAME SOURCES... [LINK libraries...]): an executable of this project.
function(distill_program NAME)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "LINK")
  add_executable(${NAME} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${NAME} PRIVATE distill_development ${ARG_LINK})
endfunction()
