#pragma once

#include <cstddef>

namespace distill {

/// Calls body(0), body(1), ... in the calling thread.
///
/// An executor is called as executor(count, body) const and calls body(i) once for every i in [0, count), in any order and
/// from any threads, and returns when all are done. Any callable of that form will do: the host's own parallel-for.
struct serial {
    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {
        for (std::ptrdiff_t i = 0; i < count; ++i) body(i);
    }
};

}  // namespace distill
