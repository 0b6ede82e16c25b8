/// The instruction sets that a caller may name.
#pragma once

#include <distill/core/abi.hpp>

namespace distill::inline DISTILL_ABI {

/// Instruction sets in ascending order. `baseline` is what the consumer's own flags allow, on every processor; the others
/// are x86-64's, and mean the baseline elsewhere.
enum class instruction_set { baseline, avx2, avx512 };

}  // namespace distill::inline DISTILL_ABI
