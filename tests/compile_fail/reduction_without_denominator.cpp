// A reduction has three members; one that lacks its denominator is refused by name.
#include <distill/backend/reference.hpp>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>

struct mine {
    static constexpr bool needs_sequences = false;
    [[nodiscard]] constexpr double sequence_factor(double) const noexcept { return 1.0; }
#if defined(DISTILL_TEST_GOOD_TWIN)
    [[nodiscard]] constexpr double denominator(const distill::row_totals&) const noexcept { return 1.0; }
#endif
};

// expect: distill: the third argument of a loss is a reduction
[[maybe_unused]] const distill::loss f{distill::forward_kl{}, distill::reference{}, mine{}};
