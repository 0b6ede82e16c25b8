// Terms of one's own with parameters: one over the vocabulary that chooses with select, one at a single token.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <exception>
#include <vector>

// Forward KL on the entries that the teacher gives at least `threshold`.
struct confident_forward_kl : distill::term<confident_forward_kl> {
    double threshold = 0.1;

    constexpr explicit confident_forward_kl(double t) : threshold(t) {}

    constexpr const char* domain_error() const {
        return threshold >= 0.0 && threshold < 1.0 ? nullptr : "threshold lies in [0, 1)";
    }

    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
        const T zero(0.0);
        const auto confident = e.q >= T(threshold);
        return {.value = select(confident, e.difference - e.q * e.log_ratio, zero),
                .dlogp = select(confident, e.difference, zero)};
    }
};

// Focal cross-entropy  -(1 - p)^focus log p  at the label: the value alone, differentiated by the library.
struct focal : distill::token_term<focal> {
    static constexpr distill::token_source token = distill::token_source::label;
    double focus = 2.0;

    constexpr explicit focal(double f) : focus(f) {}

    template <class T>
    constexpr T operator()(const distill::token_entry<T>& e) const {
        return -exp(T(focus) * log(max(T(1.0) - e.p, T(1e-30)))) * e.log_p;
    }
};

int main() {
    const std::vector<float> student{1, 2, 3, 4}, teacher{1, 3, 3, 2};
    const std::vector<std::int32_t> labels{1};
    const distill::batch<float> in{.student = {student.data(), 1, 4}, .teacher = {teacher.data(), 1, 4}, .labels = labels};
    std::vector<float> gradient(4);

    const distill::loss f{confident_forward_kl{0.2} + 0.5 * focal{2.0}, distill::eigen{}, distill::token_mean{}};
    std::printf("loss %.6f  gradient", f(in, {gradient.data(), 1, 4}).value);
    for (const float g : gradient) std::printf(" % .6f", g);
    std::printf("\n");

    try {
        distill::loss{confident_forward_kl{2.0}, distill::eigen{}, distill::token_mean{}}(in);
    } catch (const std::exception& error) {
        std::printf("%s\n", error.what());
    }
}
