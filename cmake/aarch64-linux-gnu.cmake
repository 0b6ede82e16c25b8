# Debian's cross-compilers for AArch64, and qemu's user mode to run what they make.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(target aarch64-linux-gnu)
set(CMAKE_CXX_COMPILER_TARGET ${target})  # clang's; g++ has one target
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/${target})

# The libraries that are headers alone are this machine's. Their folder comes after the target's own headers.
set(CMAKE_CXX_FLAGS_INIT "-idirafter /usr/include -Wno-psabi")  # g++ notes what it changed in version 10
foreach(package xtensor xtl dlpack)
  file(GLOB ${package}_DIR /usr/lib/*/cmake/${package} /usr/share/cmake/${package})
endforeach()
