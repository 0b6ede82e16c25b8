/// The header of the processor that is compiled for. All that depends on a processor is in these.
#pragma once

#if defined(__x86_64__)
#include <distill/backend/simd/x86.hpp>
#elif defined(__aarch64__) && defined(__ARM_NEON) && defined(__AARCH64EL__)
#include <distill/backend/simd/neon.hpp>
#else
#include <distill/backend/simd/generic.hpp>
#endif
