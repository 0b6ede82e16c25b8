#pragma once

#include <distill/core/abi.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// OpenMP's threads. Without -fopenmp the pragma is ignored and the loop runs in the calling thread.
struct openmp {
    int threads = 0;  ///< 0: as many as OpenMP's own settings say

    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {
#if defined(_OPENMP)
        if (threads > 0) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
            for (std::ptrdiff_t i = 0; i < count; ++i) body(i);
        } else {
#pragma omp parallel for schedule(dynamic)
            for (std::ptrdiff_t i = 0; i < count; ++i) body(i);
        }
#else
        for (std::ptrdiff_t i = 0; i < count; ++i) body(i);
#endif
    }
};

}  // namespace distill::inline DISTILL_ABI
