// Gradients with respect to hidden states, weights and bias against differences of the loss.
#include "heads.hpp"

#include <doctest/doctest.h>

namespace heads {
namespace {

// Of every entry: the derivative by the five-point rule against the gradient.
template <class Value>
double largest_error(std::vector<double>& numbers, const std::vector<double>& gradient, const Value& value) {
    constexpr double step = 1e-3;
    double largest = 0.0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const double kept = numbers[i];
        const auto at = [&](double offset) {
            numbers[i] = kept + offset;
            return value();
        };
        const double slope = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
        numbers[i] = kept;
        largest = std::max(largest, std::abs(slope - gradient[i]));
    }
    return largest;
}

template <class Loss>
void check_differences(const char* name, const Loss& loss) {
    CAPTURE(name);
    const problem p = make_problem(name, {.rows = 70, .vocabulary = 13, .width = 3, .teacher_width = 4});
    stored_problem<double> s(p);
    const distill::through_heads f{loss, distill::eigen_product{}, distill::rows_at_once{64}};
    std::vector<std::byte> memory(f.workspace_bytes(s.student(), s.teacher()));
    const auto in = p.batch<double>();
    f(s.student(), s.teacher(), in, s.gradients(), memory);
    const auto value = [&] { return f(s.student(), s.teacher(), in, memory).value; };
    CHECK(distill_test::norm(s.hidden_gradient) > 1e-3);
    CHECK(largest_error(s.hidden, s.hidden_gradient, value) < distill_test::tolerance::finite_difference);
    CHECK(largest_error(s.weight, s.weight_gradient, value) < distill_test::tolerance::finite_difference);
    CHECK(largest_error(s.bias, s.bias_gradient, value) < distill_test::tolerance::finite_difference);
}

}  // namespace

TEST_CASE("gradients of hidden states, weights and bias are derivatives of the loss") {
    using namespace distill;
    check_differences("token mean", loss{0.7 * jensen_shannon{0.3} + 0.4 * cross_entropy{} + 0.05 * z_loss{},
                                         eigen{instruction_set::baseline}, token_mean{}, temperature{1.5}});
    check_differences("sequence mean, soft cap",
                      loss{reverse_kl{} + 0.5 * clipped_surrogate{}, eigen{instruction_set::baseline}, sequence_mean{},
                           temperature{1.0}, soft_cap{3.0}});
}

}  // namespace heads
