// 16-bit hidden states and weights: computed in float, sums kept in float, the hidden states' gradient rounded once.
#include "heads.hpp"

#include <doctest/doctest.h>
#include <Eigen/Core>

namespace heads {
namespace {

template <class Element>
void check_storage(const char* name, double one_rounding) {
    CAPTURE(name);
    problem p = make_problem(name, {.rows = 600, .vocabulary = 151, .width = 12, .teacher_width = 20});
    stored_problem<Element> s(p);
    // The stored numbers are the problem.
    p.hidden = widened(s.hidden), p.weight = widened(s.weight), p.bias = widened(s.bias);
    p.teacher_hidden = widened(s.teacher_hidden), p.teacher_weight = widened(s.teacher_weight);
    p.multiply();
    auto in = p.batch<double>();
    in.student = {p.fields.student.data(), p.of.rows, p.of.vocabulary};
    in.teacher = {p.fields.teacher.data(), p.of.rows, p.of.vocabulary};
    std::vector<double> g(p.fields.student.size());
    const auto objective = 0.5 * distill::forward_kl{} + 0.5 * distill::cross_entropy{};
    const distill::loss exact{objective, distill::reference{}, distill::token_mean{}};
    const double expected = exact(in, {g.data(), p.of.rows, p.of.vocabulary}).value;
    const plain_gradients gradients = multiplied_back(p, g);

    const distill::through_heads f{distill::loss{objective, distill::eigen{}, distill::token_mean{}},
                                   distill::eigen_product{}, distill::rows_at_once{64}};
    std::vector<std::byte> memory(f.workspace_bytes(s.student(), s.teacher()));
    const double found = f(s.student(), s.teacher(), p.batch(), s.gradients(), memory).value;
    using namespace distill_test;
    CHECK(relative_error(found, expected) < tolerance::single_loss);
    CHECK(norm_error(widened(s.hidden_gradient), gradients.hidden) < one_rounding);
    // In sums of 16 bits these errors are a hundred times as large.
    CHECK(norm_error(widened(s.weight_gradient), gradients.weight) < tolerance::single_gradient);
    CHECK(norm_error(widened(s.bias_gradient), gradients.bias) < tolerance::single_gradient);

    // Hidden states of 16 bits beside weights of 32, and a gradient of 32.
    const std::vector<float> wide = stored<float>(p.weight), bias = stored<float>(p.bias);
    std::vector<float> dh(s.hidden.size());
    const distill::linear_head<Element, float> mixed{
        .hidden = s.student().hidden, .weight = {wide.data(), p.of.vocabulary, p.of.width}, .bias = bias};
    const distill::head_gradients<float> into{.hidden = {dh.data(), p.of.rows, p.of.width}};
    CHECK(f(mixed, s.teacher(), p.batch(), into, memory).value == found);
    CHECK(norm_error(widened(dh), gradients.hidden) < tolerance::single_gradient);
}

}  // namespace

TEST_CASE("heads of 16 bits") {
    check_storage<Eigen::bfloat16>("bfloat16", 1.0 / 256);
    check_storage<Eigen::half>("half", 1.0 / 1024);
}

}  // namespace heads
