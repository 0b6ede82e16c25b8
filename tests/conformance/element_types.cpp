// float, double, half and bfloat16 logits, in mixtures.
#include <distill/distill.hpp>

#include <conformance/example.hpp>
#include <conformance/guarded_pages.hpp>
#include <support/random.hpp>
#include <support/sixteen_bits.hpp>

#include <Eigen/Core>

#include <doctest/doctest.h>

#include <cmath>

namespace conformance {

namespace {

const auto mixture = distill::reverse_kl{} + 0.5 * distill::teacher_guidance{};

// Arithmetic in float: of a loss, and of a gradient's entry as a share of the row's largest.
constexpr double single_loss = 1e-5, single_entry = 2e-6;

// Half the distance between neighbours: relative, and absolute below the smallest normal number.
template <class Element>
double unit_roundoff() {
    if (std::is_same_v<Element, double>) return 0x1p-53;
    if (std::is_same_v<Element, float>) return 0x1p-24;
    return std::is_same_v<Element, Eigen::half> ? 0x1p-11 : 0x1p-8;
}
template <class Element>
double smallest_step() {
    return std::is_same_v<Element, Eigen::half> ? 0x1p-25 : 1e-37;
}

// The float of given bits, as another type: NaN and infinity keep their kind whatever the flags.
template <class Element>
Element special(std::uint32_t float_bits) {
    if constexpr (std::is_same_v<Element, Eigen::half>)
        return Eigen::half_impl::raw_uint16_to_half(
            static_cast<std::uint16_t>((float_bits >> 16 & 0x8000u) | 0x7c00u | (float_bits >> 13 & 0x3ffu)));
    else if constexpr (std::is_same_v<Element, Eigen::bfloat16>)
        return Eigen::bfloat16_impl::raw_uint16_to_bfloat16(static_cast<std::uint16_t>(float_bits >> 16));
    else if constexpr (std::is_same_v<Element, float>)
        return float_of(float_bits);
    else
        return distill_test::double_of((std::uint64_t{float_bits >> 31} << 63) | 0x7ff0000000000000u |
                                       (std::uint64_t{float_bits & 0x7fffffu} << 29));
}

template <class Element>
double widened(const Element& x) {
    if constexpr (std::is_same_v<Element, double>)
        return x;
    else
        return static_cast<double>(static_cast<float>(x));
}

template <class Element>
std::vector<Element> narrowed(const std::vector<double>& values) {
    std::vector<Element> result;
    for (const double x : values) {
        if constexpr (std::is_same_v<Element, double>)
            result.push_back(x);
        else
            result.push_back(static_cast<Element>(static_cast<float>(x)));
    }
    return result;
}
template <class Element>
std::vector<double> all_widened(const std::vector<Element>& values) {
    std::vector<double> result;
    for (const Element& x : values) result.push_back(widened(x));
    return result;
}

// Calls test(functor, arithmetic is double) on every backend.
template <class Test>
void on_every_backend(const Test& test) {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        if (b.simd)
            test(distill::loss{mixture, distill::eigen{b.widest}, distill::token_mean{}}, false);
        else
            test(distill::loss{mixture, distill::reference{}, distill::token_mean{}}, true);
    }
}

// Against the reference on the same values in double.
template <class Student, class Teacher, class Gradient>
void check_values(const std::string& name) {
    CAPTURE(name);
    for (const std::ptrdiff_t vocabulary : {1, 2, 7, 33, 1003, 2051}) {
        CAPTURE(vocabulary);
        constexpr std::ptrdiff_t rows = 2;
        auto random = distill_test::engine("element types " + name);
        const auto count = static_cast<std::size_t>(rows * vocabulary);
        const auto student = narrowed<Student>(distill_test::normal(random, count, 2.0));
        const auto teacher = narrowed<Teacher>(distill_test::normal(random, count, 2.0));
        const auto z = all_widened(student), w = all_widened(teacher);
        std::vector<double> expected_gradient(count);
        const distill::loss oracle{mixture, distill::reference{}, distill::token_mean{}};
        const auto expected =
            oracle(distill::batch<double>{.student = {z.data(), rows, vocabulary}, .teacher = {w.data(), rows, vocabulary}},
                   distill::gradient<double>(expected_gradient.data(), rows, vocabulary));
        double largest = 0.1 / rows;  // a row's gradient may be zero
        for (const double dz : expected_gradient) largest = std::max(largest, std::abs(dz));

        const distill::batch<Student, Teacher> in{.student = {student.data(), rows, vocabulary},
                                                  .teacher = {teacher.data(), rows, vocabulary}};
        on_every_backend([&](const auto& f, bool oracle_arithmetic) {
            const bool exact = oracle_arithmetic || std::is_same_v<Student, double> || std::is_same_v<Teacher, double>;
            std::vector<Gradient> gradient(count + 1, special<Gradient>(0x7fc00000u));
            const auto result = f(in, distill::gradient<Gradient>(gradient.data(), rows, vocabulary));
            const double tolerance = exact ? 1e-12 : single_loss;
            CHECK(std::abs(result.value - expected.value) <= tolerance * std::max(1.0, std::abs(expected.value)));
            double worst = 0.0;
            for (std::size_t i = 0; i < count; ++i) {
                const double rounding =
                    unit_roundoff<Gradient>() * 1.001 * std::abs(expected_gradient[i]) + smallest_step<Gradient>();
                const double allowed = rounding + (exact ? 1e-13 : single_entry) * largest;
                worst = std::max(worst, std::abs(widened(gradient[i]) - expected_gradient[i]) / allowed);
            }
            CHECK(worst <= 1.0);
            CHECK(is_nan(widened(gradient[count])));
        });
    }
}

// Special values, tails and memory, for one type.
template <class Element>
void check_contracts(const std::string& name) {
    CAPTURE(name);
    const Element nan = special<Element>(0xffc00000u), infinity = special<Element>(0x7f800000u),
                  masked = special<Element>(0xff800000u);
    for (const std::ptrdiff_t vocabulary : {5, 40, 2061}) {
        CAPTURE(vocabulary);
        auto random = distill_test::engine("contracts " + name);
        const auto count = static_cast<std::size_t>(3 * vocabulary);
        const auto clean = narrowed<Element>(distill_test::normal(random, count, 2.0));
        const auto teacher = narrowed<Element>(distill_test::normal(random, count, 2.0));
        on_every_backend([&](const auto& f, bool) {
            const auto gradient_of = [&](const std::vector<Element>& z, const std::vector<Element>& w,
                                         distill::loss_result& result) {
                fenced<Element> student(3 * vocabulary), reference(3 * vocabulary), gradient(3 * vocabulary);
                std::ranges::copy(z, student.at_the_end());
                std::ranges::copy(w, reference.at_the_end());
                result = f(distill::batch<Element>{.student = {student.at_the_end(), 3, vocabulary},
                                                   .teacher = {reference.at_the_end(), 3, vocabulary}},
                           distill::gradient<Element>(gradient.at_the_end(), 3, vocabulary));
                // In place gives the same bits.
                f(distill::batch<Element>{.student = {student.at_the_end(), 3, vocabulary},
                                          .teacher = {reference.at_the_end(), 3, vocabulary}},
                  distill::gradient<Element>(student.at_the_end(), 3, vocabulary));
                CHECK(std::memcmp(student.at_the_end(), gradient.at_the_end(), count * sizeof(Element)) == 0);
                return std::vector<Element>(gradient.at_the_end(), gradient.at_the_end() + count);
            };
            distill::loss_result result;
            const auto expected = gradient_of(clean, teacher, result);
            CHECK(all_finite(all_widened(expected)));
            for (const Element& bad : {nan, infinity})
                for (const bool in_teacher : {false, true})
                    for (const std::ptrdiff_t v : {std::ptrdiff_t{0}, vocabulary / 2, vocabulary - 1}) {
                        auto z = clean, w = teacher;
                        (in_teacher ? w : z)[static_cast<std::size_t>(vocabulary + v)] = bad;
                        const auto found = gradient_of(z, w, result);
                        CHECK(is_nan(result.value));
                        CHECK(result.nonfinite_rows == 1);
                        const auto bytes = static_cast<std::size_t>(vocabulary) * sizeof(Element);
                        CHECK(std::memcmp(found.data(), expected.data(), bytes) == 0);
                        CHECK(std::memcmp(found.data() + 2 * vocabulary, expected.data() + 2 * vocabulary, bytes) == 0);
                        const auto wide = all_widened(found);
                        CHECK(all_nan(std::span(wide).subspan(static_cast<std::size_t>(vocabulary),
                                                              static_cast<std::size_t>(vocabulary))));
                    }
            // -infinity is a masked entry; the largest finite half is an ordinary logit.
            auto z = clean, w = teacher;
            for (std::size_t i = 0; i < count; i += 3) z[i] = masked;
            for (std::size_t i = 0; i < count; i += 6) w[i] = masked;
            z[2] = narrowed<Element>({6e4})[0];
            w[count - 1] = narrowed<Element>({-6e4})[0];
            const auto found = gradient_of(z, w, result);
            CHECK(result.nonfinite_rows == 0);
            CHECK(distill::is_finite(result.value));
            CHECK(all_finite(all_widened(found)));
        });
    }
}

}  // namespace

TEST_CASE("float and double mix") {
    check_values<float, float, float>("float");
    check_values<double, double, double>("double");
    check_values<float, double, float>("float, teacher double");
}

TEST_CASE("half and bfloat16 are rounded once, on the way out") {
    check_values<Eigen::half, Eigen::half, Eigen::half>("half");
    check_values<Eigen::bfloat16, Eigen::bfloat16, Eigen::bfloat16>("bfloat16");
}

TEST_CASE("student, teacher and gradient have element types of their own") {
    check_values<Eigen::half, float, Eigen::half>("half, teacher float");
    check_values<Eigen::half, Eigen::half, float>("half, gradient float");
    check_values<float, float, double>("float, gradient double");
}

TEST_CASE("the contracts on special values, memory and buffers hold for every element type") {
    check_contracts<float>("float");
    check_contracts<double>("double");
    check_contracts<Eigen::half>("half");
    check_contracts<Eigen::bfloat16>("bfloat16");
}

namespace {

// The bits of the same call with logits and gradient of another type of the same format.
template <class Eigens, class Frameworks>
void check_same_bits(const std::string& name) {
    CAPTURE(name);
    constexpr std::ptrdiff_t rows = 2, vocabulary = 1003;
    auto random = distill_test::engine("framework types " + name);
    auto student = narrowed<Eigens>(distill_test::normal(random, rows * vocabulary, 2.0));
    auto teacher = narrowed<Eigens>(distill_test::normal(random, rows * vocabulary, 2.0));
    student[3] = special<Eigens>(0xff800000u);
    teacher[vocabulary] = narrowed<Eigens>({6e4})[0];
    on_every_backend([&](const auto& f, bool) {
        const auto call = [&]<class Element>(std::vector<Element>& gradient) {
            std::vector<Element> z(student.size()), w(teacher.size());
            gradient.resize(student.size());
            std::memcpy(static_cast<void*>(z.data()), student.data(), 2 * z.size());
            std::memcpy(static_cast<void*>(w.data()), teacher.data(), 2 * w.size());
            return f(
                distill::batch<Element>{.student = {z.data(), rows, vocabulary}, .teacher = {w.data(), rows, vocabulary}},
                {gradient.data(), rows, vocabulary});
        };
        std::vector<Eigens> expected;
        std::vector<Frameworks> found;
        const auto expected_result = call(expected), found_result = call(found);
        CHECK(found_result.value == expected_result.value);
        CHECK(std::memcmp(found.data(), expected.data(), 2 * found.size()) == 0);
    });
}

}  // namespace

TEST_CASE("a framework's half and bfloat16 give the bits that Eigen's do") {
    check_same_bits<Eigen::half, distill_test::framework_half>("half");
    check_same_bits<Eigen::bfloat16, distill_test::framework_bfloat16>("bfloat16");
}

TEST_CASE("a gradient of another type than the student's is spelled as a view or as a gradient") {
    const std::vector<Eigen::half> z(6, Eigen::half(0.5f));
    const distill::batch<Eigen::half> in{.student = {z.data(), 2, 3}, .teacher = {z.data(), 2, 3}};
    std::vector<float> a(6, sentinel), b(6, sentinel);
    const distill::loss f{mixture, distill::eigen{}, distill::token_mean{}};
    f(in, distill::logits_view<float>(a.data(), 2, 3));
    f(in, distill::gradient<float>(b.data(), 2, 3));
    CHECK(same_bits(a, b));
    CHECK(all_finite(a));
}

}  // namespace conformance
