/// Parts of a loop that other loops have too, as functions of their own: compiled once, not in every loop.
#pragma once

#include <distill/core/config.hpp>

namespace distill::inline DISTILL_ABI::row {

/// Calls body() in a function of its own, compiled with the consumer's own flags.
template <class Body>
DISTILL_OUTLINED constexpr void call_outlined(const Body& body) {
    body();
}

}  // namespace distill::inline DISTILL_ABI::row
