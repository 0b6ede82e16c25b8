/// The reference backend: double arithmetic, one lane, no third party. Slow and plain; the other backends are tested against
/// it.
#pragma once

#include <distill/call/row_sums.hpp>
#include <distill/row/single_lane.hpp>

#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// The oracle: every contract holds on it, at double precision whatever the element types.
struct reference {
    template <class Call>
    constexpr call::row_sums run(const Call& call) const {
        const call::row_blocks blocks{call.in.student.rows};
        call::row_sums sums;
        for (std::ptrdiff_t b = 0; b < blocks.count(); ++b)
            sums = sums + call.run(row::single_lane{}, blocks.begin(b), blocks.end(b));
        return sums;
    }
};

}  // namespace distill::inline DISTILL_ABI
