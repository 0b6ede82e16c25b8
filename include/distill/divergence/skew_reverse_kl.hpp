#pragma once

#include <distill/objective/term.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Skew reverse Kullback-Leibler divergence  KL(p || m),  m = (1 - a) q + a p,  a the student's share of the mixture.
/// The pull on a token that the student lacks has the factor p log p, and vanishes with it.
///
/// Summand      p log(p / m) - p + m               (>= 0; equal in sum, no cancellation near p = q)
/// Derivative   p (log(p / m) + a (1 - p / m))     with respect to log p
/// Domain       0 < a < 1; at a = 0 it is reverse_kl, a type of its own. Any p and q, zeros included; the value is at most
///              -log a
/// At p = q     value 0, derivative 0
/// Accuracy     fp32 at V = 151 936: loss 1e-5 for KL >= 1e-3 and a in [0.01, 0.99]; tests/laws/accuracy.cpp. For a smaller
///              a the logarithm is off by up to 6e-8 / a
/// Source       Ko et al. 2024, DistiLLM (arXiv 2402.03898), whose default is a = 0.1
struct skew_reverse_kl : term<skew_reverse_kl> {
    double student_share = 0.1;

    constexpr skew_reverse_kl() = default;
    constexpr explicit skew_reverse_kl(double share_of_student) noexcept : student_share(share_of_student) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(student_share) && student_share > 0.0 && student_share < 1.0
                   ? nullptr
                   : "student_share lies strictly between 0 and 1";
    }

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T a(student_share), b(1.0 - student_share);
        const T mixture = max(b * e.q + a * e.p, T(smallest_normal));
        const T shift = b * e.difference;  // p - m
        // m / p = 1 + (1 - a) (q / p - 1). Beyond e^80, p is no longer seen beside q.
        const T log_mixture_over_p = log1p(b * expm1(min(-e.log_ratio, T(80.0))));
        return {.value = max(-shift - e.p * log_mixture_over_p, T(0.0)),
                .dlogp = -e.p * (log_mixture_over_p + a * (shift / mixture))};
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
