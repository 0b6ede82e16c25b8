// A divergence of one's own, with its derivative and without: both run vectorised, in any sum, with nothing registered.
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

struct squared_hellinger : distill::term<squared_hellinger> {
    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
        const T d = sqrt(e.p) - sqrt(e.q);
        return {.value = T(0.5) * d * d, .dlogp = T(0.5) * sqrt(e.p) * d};
    }
};

// The value alone: the library differentiates it with a dual number.
struct triangular_discrimination : distill::term<triangular_discrimination> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        return e.difference * e.difference / max(e.p + e.q, T(1e-30));
    }
};

template <class Objective>
void show(const char* name, const Objective& objective, const distill::batch<float>& in) {
    std::vector<float> gradient(static_cast<std::size_t>(in.student.vocabulary));
    const distill::loss f{objective, distill::eigen{}, distill::token_sum{}};
    const auto result = f(in, {gradient.data(), 1, in.student.vocabulary});
    std::printf("%-32s %.6f   gradient", name, result.value);
    for (const float g : gradient) std::printf(" % .6f", g);
    std::printf("\n");
}

int main() {
    const std::vector<float> student{1, 2, 3, 4}, teacher{1, 3, 3, 2};
    const distill::batch<float> in{.student = {student.data(), 1, 4}, .teacher = {teacher.data(), 1, 4}};
    show("squared Hellinger, ours", squared_hellinger{}, in);
    show("squared Hellinger, built in", distill::squared_hellinger{}, in);
    show("triangular discrimination", triangular_discrimination{}, in);
    show("chi squared, as a lambda", distill::term_from([](const auto& e) { return e.difference * e.difference / e.q; }),
         in);
    show("half of each of two", 0.5 * squared_hellinger{} + 0.5 * triangular_discrimination{}, in);
}
