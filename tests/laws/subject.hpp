// The catalogue behind one type: laws loop over it at run time, and every objective is compiled once per element type.
#pragma once

#include <distill/distill.hpp>

#include <support/catalogue.hpp>
#include <support/comparisons.hpp>
#include <support/rows.hpp>
#include <support/tolerances.hpp>

#include <Eigen/Core>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace distill_test {

struct setting {
    distill::temperature temperature{};
    double coefficient = 1.0;
    distill::instruction_set widest = distill::instruction_set::avx512;
};

struct answer {
    distill::loss_result result;
    std::vector<double> row_losses;
    std::vector<double> gradient;
};

// The sum over rows, the rows' losses and the gradient.
using evaluator = std::function<answer(const filled_rows&, const setting&)>;

struct subject {
    std::string name;
    nature kind;
    near_equality accuracy;
    slope gradient;
    distill::fields needs;
    evaluator on_reference;       // double
    evaluator on_eigen;           // float
    evaluator on_eigen_half;      // Eigen::half, inputs and gradient; empty where another entry stands for this one
    evaluator on_eigen_bfloat16;  // Eigen::bfloat16, likewise

    // The evaluators there are: of the SIMD backend, and of every backend.
    [[nodiscard]] std::vector<evaluator> on_simd() const {
        return on_eigen_half ? std::vector{on_eigen, on_eigen_half, on_eigen_bfloat16} : std::vector{on_eigen};
    }
    [[nodiscard]] std::vector<evaluator> everywhere() const {
        auto all = on_simd();
        all.push_back(on_reference);
        return all;
    }

    [[nodiscard]] bool is_divergence() const { return kind == nature::divergence; }
    [[nodiscard]] bool is_detached() const { return gradient == slope::detached; }
    [[nodiscard]] bool reads_teacher() const { return distill::contains(needs, distill::fields::teacher); }
};

// Every entry of the catalogue, in its order.
const std::vector<subject>& subjects();

// The entry of that name; a name that the catalogue does not have fails the test.
const subject& named(std::string_view name);

// One evaluator per entry, or none where another entry stands for it; each list stands in a translation unit of its own.
std::vector<evaluator> evaluators_on_reference();
std::vector<evaluator> evaluators_on_eigen_float();
std::vector<evaluator> evaluators_on_eigen_half();
std::vector<evaluator> evaluators_on_eigen_bfloat16();

// The numbers as they are stored, back in double.
template <class Element>
std::vector<Element> stored(const std::vector<double>& values) {
    std::vector<Element> result(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if constexpr (std::is_same_v<Element, double>)
            result[i] = values[i];
        else
            result[i] = static_cast<Element>(static_cast<float>(values[i]));
    }
    return result;
}

template <class Element>
std::vector<double> widened(const std::vector<Element>& values) {
    std::vector<double> result(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) result[i] = static_cast<double>(static_cast<float>(values[i]));
    return result;
}
inline std::vector<double> widened(const std::vector<double>& values) { return values; }

// What a loss answers on rows stored as Element; `change` is given the batch before.
template <class Element, class Loss, class Change>
answer answer_of(const Loss& f, const filled_rows& in, const Change& change) {
    const std::vector<Element> student = stored<Element>(in.student), teacher = stored<Element>(in.teacher);
    std::vector<Element> gradient(student.size());
    distill::batch<Element> rows = batch_of(in, student, teacher);
    change(rows);
    answer found{.result = {}, .row_losses = std::vector<double>(in.rows), .gradient = {}};
    found.result = f.per_token(rows, std::span(found.row_losses),
                               distill::logits_view<Element>{gradient.data(), in.rows, in.vocabulary});
    found.gradient = widened(gradient);
    return found;
}

template <class Element, class Objective, class Backend>
answer evaluate(const Objective& objective, const Backend& backend, const filled_rows& in, const distill::temperature& t) {
    return answer_of<Element>(distill::loss{objective, backend, distill::token_sum{}, t}, in, [](auto&) {});
}

}  // namespace distill_test
