// Golden cases on the reference: every objective as a user composes it.
#include "golden_case.hpp"

namespace distill_test {

golden_answer on_reference(const golden_case& c) {
    using namespace distill;
    return with_objective(c, [&](const auto& objective) {
        return call<double>(c, objective, reference{}, chosen_reduction{c.reduction, c.denominator});
    });
}

}  // namespace distill_test
