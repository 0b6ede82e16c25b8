// A term that depends on its row as a whole: for_row returns the term to use there.
#include <cmath>
#include <cstdio>
#include <distill/distill.hpp>
#include <span>
#include <vector>

// Forward KL, weighted in every row with the teacher's certainty exp(-entropy of q): 1 where it is sure, 1/V where it is not.
struct certain_forward_kl : distill::term<certain_forward_kl> {
    static constexpr bool sums_to_zero = true;
    double certainty = 1.0;

    template <class Row>
    constexpr certain_forward_kl for_row(const Row& row) const {
        certain_forward_kl fitted = *this;
        fitted.certainty = std::exp(row.sum([](const auto& e) { return e.q * e.log_q; }));
        return fitted;
    }

    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
        const T weight(certainty);
        return {.value = weight * (e.difference - e.q * e.log_ratio), .dlogp = weight * e.difference};
    }
};

int main() {
    // The same student twice; the teacher is sure of token 0, then undecided.
    const int rows = 2, vocabulary = 4;
    const std::vector<float> student{0, 1, 1, 0, 0, 1, 1, 0}, teacher{9, 0, 0, 0, 1, 1, 1, 1};
    const distill::batch<float> in{.student = {student.data(), rows, vocabulary},
                                   .teacher = {teacher.data(), rows, vocabulary}};
    std::vector<double> weighted(rows), plain(rows);
    distill::loss{certain_forward_kl{}, distill::eigen{}, distill::token_mean{}}.per_token(in, std::span(weighted));
    distill::loss{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}}.per_token(in, std::span(plain));
    for (std::size_t row = 0; row < rows; ++row)
        std::printf("forward KL %.6f  times the teacher's certainty %.6f\n", plain[row], weighted[row]);
}
