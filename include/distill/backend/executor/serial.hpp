#pragma once

#include <distill/core/abi.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// Calls body(0), body(1), ... in the calling thread.
///
/// An executor is called as executor(count, body) const and calls body(i) once for every i in [0, count), in any order and
/// from any threads, and returns when all are done. Any callable of that form will do: the host's own parallel-for. A body
/// that the library hands over throws nothing.
struct serial {
    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {
        for (std::ptrdiff_t i = 0; i < count; ++i) body(i);
    }
};

}  // namespace distill::inline DISTILL_ABI
