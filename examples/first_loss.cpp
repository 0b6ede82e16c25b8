// The tutorial's first program: a loss, its gradient, the rows' own losses, a mask, a reduction, temperatures.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <span>
#include <vector>

void print(const char* name, const distill::loss_result& r) {
    std::printf("%-16s %.6f   divided by %.1f, %td rows\n", name, r.value, r.denominator, r.active_rows);
}

int main() {
    // Three token positions of four vocabulary entries each. The host owns every buffer.
    const std::vector<float> student{1, 2, 3, 4, 2, 0, 1, 0, 0, 0, 1, 1};
    const std::vector<float> teacher{1, 3, 3, 2, 0, 0, 1, 3, 0, 1, 1, 0};
    distill::batch<float> in{.student = {student.data(), 3, 4}, .teacher = {teacher.data(), 3, 4}};

    const distill::loss f{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}};
    print("reverse KL", f(in));

    std::vector<float> gradient(student.size());
    print("with gradient", f(in, {gradient.data(), 3, 4}));
    for (std::size_t row = 0; row < 3; ++row)
        std::printf("  % .6f % .6f % .6f % .6f\n", gradient[4 * row], gradient[4 * row + 1], gradient[4 * row + 2],
                    gradient[4 * row + 3]);

    std::vector<float> row_losses(3);
    f.per_token(in, std::span(row_losses));
    for (const float l : row_losses) std::printf("  row loss %.6f\n", l);

    const std::vector<float> weights{1, 0, 1};
    in.weights = weights;
    print("row 1 masked", f(in));

    in.weights = {};  // all rows again
    const std::vector<std::int32_t> offsets{0, 2, 3};
    in.sequence_offsets = offsets;
    const distill::loss by_sequence{distill::reverse_kl{}, distill::eigen{}, distill::sequence_mean{}};
    print("by sequence", by_sequence(in));

    const distill::loss softened{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}, distill::temperature{2.0}};
    print("both at T = 2", softened(in));
    const distill::loss sharp_teacher{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{},
                                      distill::temperature{1.0, 0.5}};
    print("teacher at 1/2", sharp_teacher(in));
}
