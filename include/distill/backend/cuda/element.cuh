/// The 16-bit element types of CUDA.
#pragma once

#include <distill/row/element.hpp>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace distill::inline DISTILL_ABI {

template <>
struct largest_value<__half> {
    static constexpr float get() { return 65504.0f; }
};
template <>
struct largest_value<__nv_bfloat16> {
    static constexpr float get() { return 0x1.fep127f; }
};

}  // namespace distill::inline DISTILL_ABI
