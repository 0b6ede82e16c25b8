// Compiled with -fno-exceptions: every check is still there, and the caller's handler receives the message.
#include <cmath>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

void log_error(const char* message) { std::printf("%s\n", message); }

int main() {
    distill::set_error_handler(&log_error);

    const std::vector<float> student{1, 2, 3, 4}, teacher{1, 3};
    std::vector<float> gradient{9, 9, 9, 9};
    const distill::batch<float> in{.student = {student.data(), 2, 2}, .teacher = {teacher.data(), 1, 2}};
    const distill::loss f{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};

    const auto r = f(in, {gradient.data(), 2, 2});
    std::printf("the value is %s, the gradient is %s\n", std::isnan(r.value) ? "NaN" : "a number",
                gradient == std::vector<float>{9, 9, 9, 9} ? "untouched" : "written");
}
