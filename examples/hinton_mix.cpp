// Hinton's mix in one call: cross-entropy on the labels at T = 1 plus T^2 times KL(q || p) at T.
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

using namespace distill;

int main() {
    const std::vector<float> student{1, 2, 3, 4, 2, 0, 1, 0}, teacher{1, 3, 3, 2, 0, 0, 1, 3};
    const std::vector<std::int32_t> labels{3, ignored_label};
    const batch<float> in{.student = {student.data(), 2, 4}, .teacher = {teacher.data(), 2, 4}, .labels = labels};

    // distill::hinton{2.0, 0.5, 0.5} is this sum.
    auto mixed = at_temperature(temperature{1.0}, 0.5 * cross_entropy{}) +
                 at_temperature(temperature{2.0}, 0.5 * 2.0 * 2.0 * forward_kl{});
    const loss f{mixed, eigen{}, token_mean{}};
    std::vector<float> gradient(student.size());
    const auto r = f(in, {gradient.data(), 2, 4});

    std::printf("loss %.6f, %td of 2 rows active\n", r.value, r.active_rows);
    for (const float g : gradient) std::printf("% .6f\n", g);
}
