// A student and a teacher on the same tokens, and the questions the example asks of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <distill/distill.hpp>
#include <distill/interop/xtensor.hpp>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

using logits = xt::xtensor<float, 2>;

struct rollout {
    std::string name;
    logits student, teacher;
    std::vector<std::int64_t> tokens;  // y, sampled by the student; may be empty

    distill::batch<float> batch() const {
        return {
            .student = distill::view_of(student), .teacher = distill::view_of(teacher), .tokens = tokens, .labels = tokens};
    }
};

// The index of the largest logit of a row, the lowest on ties: y* where the row is the teacher's.
inline std::int64_t argmax(const logits& z, std::size_t row) {
    const float* begin = z.data() + row * z.shape(1);
    return std::max_element(begin, begin + z.shape(1)) - begin;
}

// The log-probability that a model gives to one token per row.
inline std::vector<double> log_probability_of(const std::vector<std::int64_t>& tokens, const logits& z) {
    std::vector<double> result(tokens.size());
    const distill::loss f{distill::cross_entropy{}, distill::eigen{}, distill::token_mean{}};
    f.per_token(distill::batch<float>{.student = distill::view_of(z), .labels = tokens}, std::span(result));
    for (double& l : result) l = -l;
    return result;
}
