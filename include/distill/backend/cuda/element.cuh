/// The 16-bit element types of CUDA.
#pragma once

#include <distill/core/storage_format.hpp>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace distill::inline DISTILL_ABI {

template <>
inline constexpr storage_format storage_format_of<__half> = storage_format::half;
template <>
inline constexpr storage_format storage_format_of<__nv_bfloat16> = storage_format::bfloat16;

}  // namespace distill::inline DISTILL_ABI
