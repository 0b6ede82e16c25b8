#pragma once

#include <distill/objective/term.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

namespace detail {

/// Thresholds that adaptive_kl tries in one sweep. Not in the function: nvcc writes std::array<double, head_tries> wherever
/// it means another array of as many doubles.
inline constexpr std::size_t head_tries = 7;

}  // namespace detail

/// Adaptive Kullback-Leibler divergence  w KL(q || p) + (1 - w) KL(p || q),  w the share of the gap |q - p| that lies on the
/// teacher's head: its most probable tokens, as many as have a mass of at most mu together, the first always. w is found in
/// each row and held constant.
///
/// Summand      w (p - q - q (log p - log q)) + (1 - w) (p (log p - log q) - p + q)     (>= 0)
/// Derivative   w (p - q) + (1 - w) p (log p - log q)                                   with respect to log p
/// Domain       0 < mu <= 1; at mu = 1 it is forward_kl. Tokens of one probability are in the head together or not at all.
///              w costs one more sweep over the row where one token alone has the mass mu, and about nine otherwise
/// At p = q     value 0, derivative 0, w = 1/2
/// Accuracy     fp32 at V = 151 936: loss 1e-5 for KL >= 1e-3; tests/laws/accuracy.cpp
/// Source       Wu et al. 2024, AKL (arXiv 2404.02657), whose mu is 0.5; the head as its public code finds it
struct adaptive_kl : term<adaptive_kl> {
    double head_mass = 0.5;

    constexpr adaptive_kl() = default;
    constexpr explicit adaptive_kl(double mass_of_head) noexcept : head_mass(mass_of_head) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(head_mass) && head_mass > 0.0 && head_mass <= 1.0 ? nullptr : "head_mass lies in (0, 1]";
    }

    template <class Row>
    constexpr adaptive_kl for_row(const Row& row) const {
        const double least = smallest_in_head(row);
        const auto gaps = row.template sums<2>([least](const auto& e) {
            const auto gap = abs(e.difference);
            return std::array{gap, select(e.q < decltype(gap)(least), decltype(gap)(0.0), gap)};
        });
        adaptive_kl fitted = *this;
        fitted.forward_share_ = gaps[0] > 0.0 ? gaps[1] / gaps[0] : 0.5;
        return fitted;
    }

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T w(forward_share_), rest(1.0 - forward_share_);
        const T reverse = e.p * e.log_ratio;
        return {.value = max(w * (e.difference - e.q * e.log_ratio) + rest * (reverse - e.difference), T(0.0)),
                .dlogp = w * e.difference + rest * reverse};
    }

private:
    /// The smallest threshold at and above which the teacher's mass is at most head_mass, and no more than the largest q.
    /// Each sweep tries seven thresholds between the bounds known, in equal ratios, until the bounds agree to fp32's
    /// rounding.
    template <class Row>
    constexpr double smallest_in_head(const Row& row) const {
        constexpr double resolution = 1.0 + 1e-6;
        const double of_first = row.largest_q / resolution;
        if (head_mass >= 1.0) return 0.0;
        if (row.largest_q >= head_mass) return of_first;
        // More than head_mass lies at or above low: V tokens below it have less than the rest.
        double low = (1.0 - head_mass) / static_cast<double>(row.vocabulary), high = row.largest_q * resolution;
        while (high > low * resolution) {
            const double log_step = std::log(high / low) / static_cast<double>(detail::head_tries + 1);
            const auto threshold = [low, log_step](std::size_t i) {
                return low * std::exp(log_step * static_cast<double>(i));
            };
            std::array<double, detail::head_tries> thresholds{};
            for (std::size_t i = 0; i < detail::head_tries; ++i) thresholds[i] = threshold(i + 1);
            const auto masses = row.template sums<detail::head_tries>([&thresholds](const auto& e) {
                using number = std::remove_cvref_t<decltype(e.q)>;
                std::array<number, detail::head_tries> above;
                for (std::size_t i = 0; i < detail::head_tries; ++i)
                    above[i] = select(e.q < number(thresholds[i]), number(0.0), e.q);
                return above;
            });
            std::size_t heavier = 0;  // the masses fall as the thresholds rise
            for (const double mass : masses) heavier += mass > head_mass ? 1 : 0;
            if (heavier < detail::head_tries) high = threshold(heavier + 1);
            if (heavier > 0) low = threshold(heavier);
        }
        // Clear of the last token left out, whose q the next sweep may round otherwise.
        return (std::min)(high * resolution, of_first);
    }

    double forward_share_ = 0.5;
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
