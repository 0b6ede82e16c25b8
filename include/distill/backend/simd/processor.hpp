/// All that depends on the processor: its registers, its instruction sets, its instructions.
#pragma once

#include <distill/backend/simd/generic.hpp>
#include <distill/backend/simd/neon.hpp>
#include <distill/backend/simd/x86.hpp>
