#pragma once

#include <distill/objective/term.hpp>

#include <array>
#include <cmath>
#include <type_traits>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// The loss of a draft model:  -log sum_v min(p_v, q_v),  of the probability alpha with which speculative sampling accepts a
/// token that the draft p proposes to the target q. alpha = 1 - total variation.
///
/// Summand      -q log alpha, which sums to the loss
/// Derivative   -p / alpha where p < q, with respect to log p; 0 elsewhere. 1 / alpha is at most 1e5
/// Domain       any p and q; the value is at most -log 1e-5 = 11.5. alpha costs one more sweep over the row
/// At p = q     value 0, derivative 0 (a kink: the subgradient chosen is 0)
/// Accuracy     fp32: as total_variation, whose digits 1 - alpha has, and 1e-5 of alpha where it is small
/// Source       Leviathan et al. 2023 (arXiv 2211.17192) for alpha; its logarithm as speculators trains it
struct acceptance : term<acceptance> {
    template <class Row>
    constexpr acceptance for_row(const Row& row) const {
        const auto [shared, lacking] = row.template sums<2>([](const auto& e) {
            using number = std::remove_cvref_t<decltype(e.p)>;
            return std::array{min(e.p, e.q), max(-e.difference, number(0.0))};
        });
        acceptance fitted = *this;
        const double share = lacking < 0.5 ? 1.0 - lacking : (shared > least ? shared : least);
        fitted.inverse_ = 1.0 / share;
        fitted.loss_ = lacking < 0.5 ? -std::log1p(-lacking) : -std::log(share);
        return fitted;
    }

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T zero(0.0);
        return {.value = e.q * T(loss_), .dlogp = select(e.difference < zero, e.p * T(-inverse_), zero)};
    }

private:
    static constexpr double least = 1e-5;
    double loss_ = 0.0, inverse_ = 1.0;
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
