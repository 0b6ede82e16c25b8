#pragma once

#include <distill/objective/term.hpp>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

/// Skew forward Kullback-Leibler divergence  KL(q || m),  m = a q + (1 - a) p,  a the teacher's share of the mixture.
///
/// Summand      q log(q / m) - q + m               (>= 0; equal in sum, no cancellation near p = q)
/// Derivative   (1 - a) p (1 - q / m)              with respect to log p
/// Domain       0 < a < 1; at a = 0 it is forward_kl, a type of its own. Any p and q, zeros included; the value is at most
///              -log a. The pull on a token that the student lacks is at most (1 - a) / a times p: it vanishes with p
/// At p = q     value 0, derivative 0
/// Accuracy     fp32 at V = 151 936: loss 1e-5 for KL >= 1e-3 and a in [0.01, 0.99]; tests/laws/accuracy.cpp. For a smaller
///              a the logarithm is off by up to 6e-8 / a
/// Source       Lee 1999 (skew divergence); Ko et al. 2024, DistiLLM (arXiv 2402.03898), whose default is a = 0.1
struct skew_forward_kl : term<skew_forward_kl> {
    double teacher_share = 0.1;

    constexpr skew_forward_kl() = default;
    constexpr explicit skew_forward_kl(double share_of_teacher) noexcept : teacher_share(share_of_teacher) {}

    [[nodiscard]] constexpr const char* domain_error() const noexcept {
        return is_finite(teacher_share) && teacher_share > 0.0 && teacher_share < 1.0
                   ? nullptr
                   : "teacher_share lies strictly between 0 and 1";
    }

    template <class T>
    constexpr summand<T> operator()(const entry<T>& e) const {
        const T a(teacher_share), b(1.0 - teacher_share);
        const T mixture = max(a * e.q + b * e.p, T(smallest_normal));
        const T shift = b * e.difference;  // m - q
        // m / q = 1 + (1 - a) (p / q - 1). Beyond e^80, q is no longer seen beside p.
        const T log_mixture_over_q = log1p(b * expm1(min(e.log_ratio, T(80.0))));
        return {.value = max(shift - e.q * log_mixture_over_q, T(0.0)), .dlogp = b * e.p * (shift / mixture)};
    }
};

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
