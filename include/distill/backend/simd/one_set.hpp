/// A processor whose loops are compiled for one instruction set, with registers of 16 bytes.
#pragma once

#include <distill/backend/simd/instruction_set.hpp>
#include <distill/backend/simd/target.hpp>

#if !defined(DISTILL_FOR_X86)

namespace distill::inline DISTILL_ABI::simd {

inline constexpr int baseline_bytes = 16;
inline constexpr bool has_wider_sets = false;

constexpr instruction_set widest_supported() { return instruction_set::baseline; }

}  // namespace distill::inline DISTILL_ABI::simd

#endif
