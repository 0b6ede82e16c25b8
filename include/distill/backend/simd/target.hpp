/// The processor that is compiled for, as a macro: of x86.hpp, neon.hpp and generic.hpp one has content.
#pragma once

#if defined(__x86_64__)
#define DISTILL_FOR_X86 1
#elif defined(__aarch64__) && defined(__ARM_NEON) && defined(__AARCH64EL__)
#define DISTILL_FOR_NEON 1
#else
#define DISTILL_FOR_GENERIC 1
#endif
