// One row, p = (1/2, 1/2) and q = (3/4, 1/4): KL(q || p) = 3/4 log(3/2) + 1/4 log(1/2).
#include <cmath>
#include <distill/distill.hpp>

int main() {
    const double student[] = {0.0, 0.0}, teacher[] = {std::log(3.0), 0.0};
    const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
    const double value = f(distill::batch<double>{.student = {student, 1, 2}, .teacher = {teacher, 1, 2}}).value;
    return std::abs(value - (0.75 * std::log(1.5) + 0.25 * std::log(0.5))) < 1e-12 ? 0 : 1;
}
