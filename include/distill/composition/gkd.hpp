#pragma once

#include <distill/divergence/jensen_shannon.hpp>

namespace distill::inline DISTILL_ABI {

/// Generalised knowledge distillation: the Jensen-Shannon divergence with the teacher's weight beta, both at one
/// temperature.
///
///     jensen_shannon{beta} at temperature
///
/// No factor T^2. Where a trainer reads beta = 0 as forward KL and beta = 1 as reverse KL, they are types of their own here.
/// Source: Agarwal et al. 2024 (arXiv 2306.13649). The defaults are the numbers of TRL's GKDConfig; its trainer samples at
/// that temperature and computes the loss at 1, which is `gkd{.softmax_temperature = 1.0}`.
struct gkd {
    using objective_part = composition_part;

    double beta = 0.5;
    double softmax_temperature = 0.9;

    [[nodiscard]] constexpr auto compose() const {
        return at_temperature(temperature(softmax_temperature), 1.0 * jensen_shannon{beta});
    }
};

}  // namespace distill::inline DISTILL_ABI
