#pragma once

#include <distill/divergence/forward_kl.hpp>
#include <distill/token/cross_entropy.hpp>

namespace distill::inline DISTILL_ABI {

/// Hinton's distillation: cross-entropy on the label at temperature 1, and the forward KL to a softened teacher at
/// temperature T times T^2, which keeps its gradient's size as T grows.
///
///     hard * cross_entropy{} at 1  +  soft * T^2 * forward_kl{} at T
///
/// The loss's own temperature has no say in it. A row whose label is ignored is masked for both parts.
/// Source: Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), section 2.
struct hinton {
    using objective_part = composition_part;

    double soft_temperature = 2.0;
    double hard = 0.5;
    double soft = 0.5;

    [[nodiscard]] constexpr auto compose() const {
        return at_temperature(temperature(1.0), hard * cross_entropy{}) +
               at_temperature(temperature(soft_temperature), soft * soft_temperature * soft_temperature * forward_kl{});
    }
};

}  // namespace distill::inline DISTILL_ABI
