/// How a failure of CUDA leaves the library.
#pragma once

#include <distill/core/error.hpp>

#include <cuda_runtime.h>

#include <stdexcept>

namespace distill::inline DISTILL_PROGRAM_ABI {

/// A CUDA function or a kernel launch failed: `distill: run_rows failed: cudaErrorInvalidConfiguration, invalid
/// configuration argument`. Without exceptions the message goes to the error handler.
class cuda_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace distill::inline DISTILL_PROGRAM_ABI

namespace distill::inline DISTILL_ABI {

[[gnu::cold, gnu::noinline]] inline void report_cuda_error(const char* call, cudaError_t status) {
    detail::leave_with<cuda_error>({call, " failed: ", cudaGetErrorName(status), ", ", cudaGetErrorString(status)});
}

}  // namespace distill::inline DISTILL_ABI
