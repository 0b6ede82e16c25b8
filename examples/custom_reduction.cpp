// A reduction of one's own: a long answer counts with the square root of its length.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

struct root_of_length {
    static constexpr bool needs_sequences = true;

    // W is the sum of the active weights of a sequence: the weight of each of its rows is multiplied by this.
    double sequence_factor(double W) const { return 1.0 / std::sqrt(W); }
    double denominator(const distill::row_totals& rows) const { return static_cast<double>(rows.active_sequences); }
};

int main() {
    // Two sequences, of 4 tokens and of 1; every row is the same.
    std::vector<float> student, teacher;
    for (int row = 0; row < 5; ++row) {
        student.insert(student.end(), {2, 1, 0});
        teacher.insert(teacher.end(), {0, 1, 2});
    }
    const std::vector<std::int32_t> offsets{0, 4, 5};
    const distill::batch<float> in{
        .student = {student.data(), 5, 3}, .teacher = {teacher.data(), 5, 3}, .sequence_offsets = offsets};

    std::vector<float> gradient(student.size());
    const auto show = [&](const char* name, const auto& reduction) {
        const distill::loss f{distill::forward_kl{}, distill::eigen{}, reduction};
        const double value = f(in, {gradient.data(), 5, 3}).value;
        std::printf("%-22s loss %.6f   first entry of each sequence % .6f % .6f\n", name, value, gradient[0], gradient[12]);
    };
    show("sequence_mean", distill::sequence_mean{});
    show("root_of_length", root_of_length{});
    show("sequence_mean_of_sums", distill::sequence_mean_of_sums{});
}
