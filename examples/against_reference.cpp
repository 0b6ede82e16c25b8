// Is a divergence of one's own right? Three comparisons.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

// sum_v (p - q)^2 / (p + q), with its derivative with respect to log p.
struct triangular : distill::term<triangular> {
    template <class T>
    constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
        const T sum = max(e.p + e.q, T(1e-30)), ratio = e.difference / sum;
        return {.value = e.difference * ratio, .dlogp = e.p * ratio * (e.p + T(3.0) * e.q) / sum};
    }
};

// The value alone.
struct triangular_value : distill::term<triangular_value> {
    template <class T>
    constexpr T operator()(const distill::entry<T>& e) const {
        return e.difference * e.difference / max(e.p + e.q, T(1e-30));
    }
};

using numbers = std::vector<double>;
template <class Element, class Objective, class Backend>
numbers gradient_of(const Objective& objective, const Backend& backend, const numbers& student, const numbers& teacher) {
    const std::vector<Element> z(student.begin(), student.end()), w(teacher.begin(), teacher.end());
    std::vector<Element> g(z.size());
    const distill::loss f{objective, backend, distill::token_sum{}};
    f(distill::batch<Element>{.student = {z.data(), 1, z.size()}, .teacher = {w.data(), 1, w.size()}},
      {g.data(), 1, g.size()});
    return numbers(g.begin(), g.end());
}

double value_of(const numbers& z, const numbers& w) {
    const distill::loss f{triangular{}, distill::reference{}, distill::token_sum{}};
    return f(distill::batch<double>{.student = {z.data(), 1, z.size()}, .teacher = {w.data(), 1, w.size()}}).value;
}

bool agree(const numbers& a, const numbers& b, double tolerance) {
    return std::ranges::equal(a, b, [&](double x, double y) { return std::abs(x - y) <= tolerance; });
}

int main() {
    const numbers z{1, 2, 3, 4, -1}, w{1, 3, 3, 2, 0};
    const numbers exact = gradient_of<double>(triangular{}, distill::reference{}, z, w);
    numbers differences(z.size());
    for (std::size_t j = 0; j < z.size(); ++j) {
        numbers above = z, below = z;
        above[j] += 1e-5, below[j] -= 1e-5;
        differences[j] = (value_of(above, w) - value_of(below, w)) / 2e-5;
    }
    const auto say = [](const char* name, bool yes) { std::printf("%-28s %s\n", name, yes ? "agree" : "differ"); };
    say("central differences to 1e-9", agree(exact, differences, 1e-9));
    say("the library's own to 1e-14",
        agree(exact, gradient_of<double>(triangular_value{}, distill::reference{}, z, w), 1e-14));
    say("eigen in float to 1e-6", agree(exact, gradient_of<float>(triangular{}, distill::eigen{}, z, w), 1e-6));
}
