// Every error: found before the first write, named in full.
#include <distill/distill.hpp>

#include <conformance/example.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>
#include <string>

namespace conformance {

namespace {

const std::string accepted = "accepted";

// A backend in a loss that has to be refused: it records that it was reached.
struct recorder {
    bool* reached;

    template <class Call>
    distill::call::row_sums run(const Call&) const {
        *reached = true;
        return {};
    }
};

// The message with which call(functor) is refused.
template <class Objective, class Reduction, class Call, class Caps = distill::no_soft_cap>
std::string refusal(const Objective& o, const Reduction& reduction, distill::temperature t, const Call& call,
                    Caps caps = {}) {
    bool reached = false;
    const distill::loss f{o, recorder{&reached}, reduction, t, caps};
    try {
        call(f);
    } catch (const std::invalid_argument& error) {
        CHECK_FALSE(reached);
        CHECK(dynamic_cast<const distill::invalid_input*>(&error) != nullptr);
        const std::string message = error.what();
        CHECK(message.starts_with("distill: "));
        return message.substr(std::string("distill: ").size());
    }
    return accepted;
}
template <class Objective, class Batch, class Reduction = distill::token_mean>
std::string refusal(const Objective& o, const Batch& in, const Reduction& reduction = {}, distill::temperature t = {}) {
    return refusal(o, reduction, t, [&](const auto& f) { f(in); });
}
template <class Objective, class Batch, class Gradient>
std::string refusal_of_gradient(const Objective& o, const Batch& in, const Gradient& g) {
    return refusal(o, distill::token_mean{}, {}, [&](const auto& f) { f(in, g); });
}
template <class Batch, class Real>
std::string refusal_of_rows(const Batch& in, std::span<Real> row_losses) {
    return refusal(distill::forward_kl{}, distill::token_mean{}, {}, [&](const auto& f) { f.per_token(in, row_losses); });
}

constexpr std::ptrdiff_t rows = 4, vocabulary = 10;

const double infinity = double{plus_infinity};

// An address that is never read.
template <class T>
T* nowhere(std::uintptr_t address = 0x10000) {
    return reinterpret_cast<T*>(address);
}

}  // namespace

TEST_CASE("a correct call is accepted") {
    const example e = make_example("accepted", rows, vocabulary);
    CHECK(refusal(distill::tgpo{}, e.batch()) == accepted);
    CHECK(refusal(distill::forward_kl{} + distill::cross_entropy{}, e.batch()) == accepted);
}

TEST_CASE("parameters outside their domain are refused") {
    using namespace distill;
    const example e = make_example("domains", rows, vocabulary);
    const auto in = e.batch();
    for (const double b : {0.0, 1.0, -0.1, 1.5, quiet_nan(), infinity})
        CHECK(refusal(forward_kl{} + 0.5 * jensen_shannon{b}, in) ==
              "jensen_shannon: teacher_weight lies strictly between 0 and 1");

    const std::string bounds = "clipped_surrogate: the ratio bounds satisfy 0 <= lower <= 1 <= upper <= 1e6";
    CHECK(refusal(clipped_surrogate{.lower = -0.1}, in) == bounds);
    CHECK(refusal(clipped_surrogate{.lower = 1.1}, in) == bounds);
    CHECK(refusal(clipped_surrogate{.upper = 0.9}, in) == bounds);
    CHECK(refusal(clipped_surrogate{.upper = 2e6}, in) == bounds);
    CHECK(refusal(clipped_surrogate{.lower = quiet_nan()}, in) == bounds);
    CHECK(refusal(clipped_surrogate{.upper = quiet_nan()}, in) == bounds);
    CHECK(refusal(tgpo{.surrogate = {.upper = 0.5}}, in) == bounds);
    CHECK(refusal(clipped_surrogate{.lower = 0.0, .upper = 1.0}, in) == accepted);
    for (const double c : {1.0, 0.0, -3.0, 2e6, quiet_nan()})
        CHECK(refusal(clipped_surrogate{.dual_clip = c}, in) == "clipped_surrogate: dual_clip lies in (1, 1e6]");
    CHECK(refusal(clipped_surrogate{.dual_clip = 3.0}, in) == accepted);
}

TEST_CASE("denominators that are not finite and positive are refused") {
    using namespace distill;
    example e = make_example("denominators", rows, vocabulary);
    const std::vector<std::int64_t> offsets{0, rows};
    auto in = e.batch();
    in.sequence_offsets = offsets;
    for (const double d : {0.0, -1.0, quiet_nan(), infinity}) {
        CAPTURE(d);
        const std::string rest = ": the denominator is finite and positive";
        CHECK(refusal(forward_kl{}, in, token_mean{d}) == "token_mean" + rest);
        CHECK(refusal(forward_kl{}, in, token_sum{d}) == "token_sum" + rest);
        CHECK(refusal(forward_kl{}, in, normalized_by{d}) == "normalized_by" + rest);
        CHECK(refusal(forward_kl{}, in, sequence_mean{d}) == "sequence_mean" + rest);
        CHECK(refusal(forward_kl{}, in, sequence_mean_of_sums{d}) == "sequence_mean_of_sums" + rest);
    }
}

TEST_CASE("temperatures outside [1e-4, 1e4] are refused, of the loss, of the teacher and of a part") {
    using namespace distill;
    const example e = make_example("temperatures", rows, vocabulary);
    const auto in = e.batch();
    for (const double t : {0.0, -1.0, 1e-5, 1.1e4, quiet_nan(), infinity}) {
        const std::string expected =
            "temperature is " + distill::detail::sentence({t}) + ", expected a finite number in [1e-4, 1e4]";
        CHECK(refusal(forward_kl{}, in, token_mean{}, temperature{t}) == expected);
        CHECK(refusal(forward_kl{}, in, token_mean{}, temperature{t, 1.0}) == expected);
        CHECK(refusal(forward_kl{}, in, token_mean{}, temperature{1.0, t}) == expected);
        CHECK(refusal(cross_entropy{} + at_temperature(temperature{1.0, t}, forward_kl{}), in) == expected);
    }
    for (const double t : {1e-4, 1e4}) CHECK(refusal(forward_kl{}, in, token_mean{}, temperature{t}) == accepted);
}

TEST_CASE("soft caps outside [1e-3, 1e6] are refused, of the student and of the teacher; 0 is none") {
    using namespace distill;
    const example e = make_example("soft caps", rows, vocabulary);
    const auto in = e.batch();
    const auto refusal_of = [&](const soft_cap& caps) {
        return refusal(forward_kl{}, token_mean{}, {}, [&](const auto& f) { f(in); }, caps);
    };
    for (const double cap : {-1.0, 1e-4, 1.1e6, quiet_nan(), infinity}) {
        const std::string expected =
            "soft_cap is " + distill::detail::sentence({cap}) + ", expected a number in [1e-3, 1e6], or 0 for none";
        CHECK(refusal_of(soft_cap{cap}) == expected);
        CHECK(refusal_of(soft_cap{cap, 1.0}) == expected);
        CHECK(refusal_of(soft_cap{1.0, cap}) == expected);
    }
    for (const double cap : {0.0, 1e-3, 1e6}) CHECK(refusal_of(soft_cap{cap}) == accepted);
}

TEST_CASE("coefficients that are not finite are refused") {
    using namespace distill;
    const example e = make_example("coefficients", rows, vocabulary);
    for (const double c : {quiet_nan(), infinity, -infinity}) {
        CHECK(refusal(entropy{} + c * forward_kl{}, e.batch()) == "the coefficient of forward_kl is not finite");
        CHECK(refusal(c * cross_entropy{} + forward_kl{}, e.batch()) == "the coefficient of cross_entropy is not finite");
    }
}

TEST_CASE("shapes of the student that no matrix has are refused") {
    const example e = make_example("student shapes", rows, vocabulary);
    const auto with = [&](distill::logits_view<const float> student) {
        auto in = e.batch();
        in.student = student;
        return refusal(distill::forward_kl{}, in);
    };
    const float* z = e.student.memory.data();
    CHECK(with({}) == "batch.teacher has 4 rows, batch.student has 0");
    CHECK(with({z, -1, vocabulary}) == "batch.student has -1 rows");
    CHECK(with({z, rows, 0}) == "batch.student has a vocabulary of 0, expected 1 to 16777216");
    CHECK(with({z, rows, -3}) == "batch.student has a vocabulary of -3, expected 1 to 16777216");
    CHECK(with({z, rows, 16777217}) == "batch.student has a vocabulary of 16777217, expected 1 to 16777216");
    CHECK(with({z, rows, vocabulary, 9}) == "batch.student has a row stride of 9, expected at least its vocabulary 10");
    CHECK(with({z, rows, vocabulary, -10}) == "batch.student has a row stride of -10, expected at least its vocabulary 10");
    CHECK(with({z, std::int64_t{1} << 40, vocabulary, std::int64_t{1} << 30}) ==
          "batch.student has 1099511627776 rows of stride 1073741824, more than memory can hold");
    CHECK(with({nullptr, rows, vocabulary}) == "batch.student has 4 rows and a null pointer");
    CHECK(with({nowhere<const float>(0x10002), rows, vocabulary}) == "batch.student is not aligned to its element type");
}

TEST_CASE("a teacher of another shape, or without memory, is refused") {
    const example e = make_example("teacher shapes", rows, vocabulary, {0, 20});
    const auto with = [&](distill::logits_view<const float> teacher) {
        auto in = e.batch();
        in.teacher = teacher;
        return refusal(distill::forward_kl{}, in);
    };
    const float* w = e.teacher.memory.data();
    CHECK(with({w, 3, vocabulary, 30}) == "batch.teacher has 3 rows, batch.student has 4");
    CHECK(with({w, rows, 12, 30}) == "batch.teacher has a vocabulary of 12, batch.student has 10");
    CHECK(with({w, rows, vocabulary, 3}) == "batch.teacher has a row stride of 3, expected at least its vocabulary 10");
    CHECK(with({w, -2, vocabulary}) == "batch.teacher has -2 rows");
    CHECK(with({nullptr, rows, vocabulary}) == "batch.teacher has 4 rows and a null pointer");
    CHECK(with({nowhere<const float>(0x10001), rows, vocabulary}) == "batch.teacher is not aligned to its element type");
    CHECK(with({w, rows, vocabulary, 30}) == accepted);
}

TEST_CASE("a gradient of another shape, or without memory, is refused") {
    const example e = make_example("gradient shapes", rows, vocabulary);
    std::vector<float> memory(200);
    const auto with = [&](distill::logits_view<float> g) {
        return refusal_of_gradient(distill::forward_kl{}, e.batch(), distill::gradient<float>(g));
    };
    float* dz = memory.data();
    CHECK(with({dz, 5, vocabulary}) == "gradient has 5 rows, batch.student has 4");
    CHECK(with({dz, rows, 11}) == "gradient has a vocabulary of 11, batch.student has 10");
    CHECK(with({dz, rows, vocabulary, 2}) == "gradient has a row stride of 2, expected at least its vocabulary 10");
    CHECK(with({nullptr, rows, vocabulary}) == "gradient has 4 rows and a null pointer");
    CHECK(with({nowhere<float>(0x10003), rows, vocabulary}) == "gradient is not aligned to its element type");
    CHECK(with({}) == "gradient has 0 rows, batch.student has 4");
    CHECK(with({dz, rows, 0}) == "gradient has a vocabulary of 0, expected 1 to 16777216");
    CHECK(with({dz, rows, vocabulary, 20}) == accepted);
}

TEST_CASE("arrays of another length than the rows, or without memory, are refused, also where no term reads them") {
    using distill::batch, distill::row_indices, distill::row_values;
    const example e = make_example("array lengths", rows, vocabulary);
    const std::vector<double> values(rows + 1, 1.0);
    const std::vector<std::int32_t> indices(rows + 1, 1);
    const auto check_values = [&](const std::string& name, row_values batch<float>::* field) {
        auto in = e.batch();
        in.*field = row_values(values.data(), rows + 1);
        CHECK(refusal(distill::forward_kl{}, in) == name + " has 5 elements, batch.student has 4 rows");
        in.*field = row_values(values.data(), rows - 1);
        CHECK(refusal(distill::forward_kl{}, in) == name + " has 3 elements, batch.student has 4 rows");
        in.*field = row_values(static_cast<const float*>(nullptr), rows);
        CHECK(refusal(distill::forward_kl{}, in) == name + " has 4 elements and a null pointer");
    };
    const auto check_indices = [&](const std::string& name, row_indices batch<float>::* field) {
        auto in = e.batch();
        in.*field = row_indices(indices.data(), rows + 1);
        CHECK(refusal(distill::forward_kl{}, in) == name + " has 5 elements, batch.student has 4 rows");
        in.*field = row_indices(static_cast<const std::int64_t*>(nullptr), rows);
        CHECK(refusal(distill::forward_kl{}, in) == name + " has 4 elements and a null pointer");
    };
    check_values("batch.weights", &batch<float>::weights);
    check_values("batch.old_log_probs", &batch<float>::old_log_probs);
    check_values("batch.teacher_log_probs", &batch<float>::teacher_log_probs);
    check_values("batch.advantages", &batch<float>::advantages);
    check_values("batch.temperatures", &batch<float>::temperatures);
    check_values("batch.coefficients", &batch<float>::coefficients);
    check_values("batch.sequence_log_ratios", &batch<float>::sequence_log_ratios);
    check_indices("batch.tokens", &batch<float>::tokens);
    check_indices("batch.teacher_tokens", &batch<float>::teacher_tokens);
    check_indices("batch.labels", &batch<float>::labels);
}

namespace {

// A term that reads the teacher's log-probability of the sampled token.
struct reads_teacher_log_prob : distill::token_term<reads_teacher_log_prob> {
    static constexpr auto token = distill::token_source::sampled;
    static constexpr auto needs = distill::fields::teacher_log_prob;

    template <class T>
    constexpr distill::token_summand<T> operator()(const distill::token_entry<T>& e) const {
        return {.value = e.log_p - e.teacher_log_prob, .dlogp = T(1.0)};
    }
};

}  // namespace

TEST_CASE("a missing field is refused, naming the term and the field") {
    using namespace distill;
    const example e = make_example("missing fields", rows, vocabulary);
    const auto without = [&](auto field, const auto& o) {
        auto in = e.batch();
        in.*field = {};
        return refusal(o, in);
    };
    using in = batch<float>;
    CHECK(without(&in::teacher, forward_kl{}) == "forward_kl needs batch.teacher, which is empty");
    CHECK(without(&in::teacher, entropy{} + 0.1 * jensen_shannon{}) == "jensen_shannon needs batch.teacher, which is empty");
    CHECK(without(&in::teacher, 0.0 * reverse_kl{}) == "reverse_kl needs batch.teacher, which is empty");
    CHECK(without(&in::teacher, entropy{}) == accepted);
    CHECK(without(&in::tokens, clipped_surrogate{}) == "clipped_surrogate needs batch.tokens, which is empty");
    CHECK(without(&in::old_log_probs, tgpo{}) == "clipped_surrogate needs batch.old_log_probs, which is empty");
    CHECK(without(&in::advantages, policy_gradient{}) == "policy_gradient needs batch.advantages, which is empty");
    CHECK(without(&in::labels, cross_entropy{}) == "cross_entropy needs batch.labels, which is empty");
    CHECK(without(&in::coefficients, per_row(cross_entropy{})) == "cross_entropy needs batch.coefficients, which is empty");
    CHECK(without(&in::coefficients, per_row(forward_kl{})) == "forward_kl needs batch.coefficients, which is empty");
    CHECK(without(&in::sequence_log_ratios, sequence_surrogate{}) ==
          "sequence_surrogate needs batch.sequence_log_ratios, which is empty");
    CHECK(without(&in::teacher_log_probs, reads_teacher_log_prob{}) == accepted);

    auto without_teacher = e.batch();
    without_teacher.teacher = {};
    without_teacher.teacher_tokens = {};
    without_teacher.teacher_log_probs = {};
    CHECK(refusal(reads_teacher_log_prob{}, without_teacher) ==
          "reads_teacher_log_prob needs batch.teacher_log_probs or batch.teacher, which is empty");
    CHECK(refusal(tgpo{}, without_teacher) ==
          "teacher_guidance needs batch.teacher_tokens or batch.teacher, which is empty");
    CHECK(refusal(tgpo{.coefficient = 0.0}, without_teacher) == accepted);
    CHECK(without(&in::labels, forward_kl{} + 0.0 * cross_entropy{}) == accepted);

    for (const auto& message :
         {refusal(forward_kl{}, e.batch(), sequence_mean{}), refusal(forward_kl{}, e.batch(), sequence_mean_of_sums{})})
        CHECK(message == "the reduction needs batch.sequence_offsets, which is empty");
}

TEST_CASE("sequence offsets that do not cover the rows in order are refused") {
    const example e = make_example("offsets", rows, vocabulary);
    const auto with = [&](const std::vector<std::int32_t>& offsets) {
        auto in = e.batch();
        in.sequence_offsets = offsets;
        const std::string found = refusal(distill::forward_kl{}, in, distill::sequence_mean{});
        const std::vector<std::int64_t> wide(offsets.begin(), offsets.end());
        in.sequence_offsets = wide;
        CHECK(refusal(distill::forward_kl{}, in, distill::token_mean{}) == found);
        return found;
    };
    CHECK(with({1, 4}) == "batch.sequence_offsets starts at 1, expected 0");
    CHECK(with({-1, 4}) == "batch.sequence_offsets starts at -1, expected 0");
    CHECK(with({0, 3, 2, 4}) == "batch.sequence_offsets decreases from 3 to 2 at sequence 1");
    CHECK(with({0, 2, 3}) == "batch.sequence_offsets ends at 3, batch.student has 4 rows");
    CHECK(with({0, 2, 5}) == "batch.sequence_offsets ends at 5, batch.student has 4 rows");
    CHECK(with({0}) == "batch.sequence_offsets ends at 0, batch.student has 4 rows");
    CHECK(with({0, 2, 2, 4}) == accepted);
    auto in = e.batch();
    in.sequence_offsets = distill::row_indices(static_cast<const std::int32_t*>(nullptr), 2);
    CHECK(refusal(distill::forward_kl{}, in) == "batch.sequence_offsets has a null pointer");
    const std::vector<std::int64_t> before{0, 2, rows};
    in.sequence_offsets = distill::row_indices(before.data() + 2, -2);
    CHECK(refusal(distill::forward_kl{}, in) == "batch.sequence_offsets has -2 elements, expected at least 1");
}

TEST_CASE("weights that are negative or not finite are refused") {
    const example e = make_example("bad weights", rows, vocabulary);
    for (const double w : {-1.0, distill::quiet_nan(), infinity}) {
        std::vector<double> weights(rows, 1.0);
        weights[2] = w;
        auto in = e.batch();
        in.weights = weights;
        CHECK(refusal(distill::forward_kl{}, in) ==
              "batch.weights[2] is " + distill::detail::sentence({w}) + ", expected a finite number of at least 0");
    }
}

TEST_CASE("weights whose sum overflows are refused") {
    const example e = make_example("huge weights", rows, vocabulary);
    const std::vector<double> weights(rows, 1e308);
    auto in = e.batch();
    in.weights = weights;
    CHECK(refusal(distill::forward_kl{}, in) == "batch.weights add up to more than a double holds");
}

TEST_CASE("arrays that are not aligned to their numbers are refused") {
    const example e = make_example("alignment of arrays", rows, vocabulary);
    alignas(8) std::vector<char> memory(128);
    // Never read: the address alone is looked at.
    const auto* numbers = reinterpret_cast<const float*>(reinterpret_cast<std::uintptr_t>(memory.data()) + 2);
    const auto* ids = reinterpret_cast<const std::int64_t*>(reinterpret_cast<std::uintptr_t>(memory.data()) + 4);
    auto in = e.batch();
    in.weights = distill::row_values(numbers, rows);
    CHECK(refusal(distill::forward_kl{}, in) == "batch.weights is not aligned to its element type");
    in = e.batch();
    in.tokens = distill::row_indices(ids, rows);
    CHECK(refusal(distill::forward_kl{}, in) == "batch.tokens is not aligned to its element type");
    in = e.batch();
    in.sequence_offsets = distill::row_indices(ids, 2);
    CHECK(refusal(distill::forward_kl{}, in) == "batch.sequence_offsets is not aligned to its element type");
    in = e.batch();
    in.top_tokens = distill::row_indices(ids, rows);
    in.top_log_probs = e.advantages;
    CHECK(refusal(distill::forward_kl{}, in) == "batch.top_tokens is not aligned to its element type");
    CHECK(refusal_of_rows(e.batch(), std::span(reinterpret_cast<float*>(reinterpret_cast<std::uintptr_t>(memory.data()) + 2),
                                               rows)) == "row_losses is not aligned to its element type");
}

TEST_CASE("top tokens that are no set of tokens with log-probabilities are refused") {
    const example e = make_example("top tokens", rows, vocabulary);
    std::vector<std::int64_t> ids{1, 2, 3, 4, 5, 6, 7, 8};
    std::vector<double> log_probs(8, -1.0);
    auto in = e.batch();
    const auto found = [&] {
        in.top_tokens = ids;
        in.top_log_probs = log_probs;
        return refusal(distill::top_forward_kl<>{}, in);
    };
    CHECK(refusal(distill::top_forward_kl<>{}, in) == "top_forward_kl needs batch.top_tokens, which is empty");
    CHECK(found() == accepted);
    ids[5] = 10;
    CHECK(found() == "batch.top_tokens of row 2 hold 10, expected token ids in [0, 10), or -100");
    ids[5] = -1;
    CHECK(found() == "batch.top_tokens of row 2 hold -1, expected token ids in [0, 10), or -100");
    ids[5] = 5;
    CHECK(found() == "batch.top_tokens of row 2 hold 5 twice");
    ids[4] = ids[5] = -100;
    CHECK(found() == accepted);
    log_probs[0] = 2.0;  // a logit
    CHECK(found().starts_with("batch.top_log_probs of row 0 give a probability of 7.7"));
    log_probs[0] = -infinity;
    CHECK(found() == accepted);
    std::vector<double> weights(rows, 1.0);
    weights[3] = 0.0;
    in.weights = weights;
    ids[6] = 99, log_probs[7] = 5.0;
    CHECK(found() == accepted);
    log_probs.pop_back();
    CHECK(found() == "batch.top_log_probs has 7 elements, batch.top_tokens has 8");
    ids.pop_back();
    CHECK(found() == "batch.top_tokens has 7 elements, expected 1 to 256 for each of the 4 rows of batch.student");
    ids.resize(4 * 257), log_probs.resize(4 * 257);
    CHECK(found() == "batch.top_tokens has 1028 elements, expected 1 to 256 for each of the 4 rows of batch.student");
    in.top_tokens = distill::row_indices(ids.data() + 8, -8);
    in.top_log_probs = distill::row_values(log_probs.data() + 8, -8);
    CHECK(refusal(distill::top_forward_kl<>{}, in) ==
          "batch.top_tokens has -8 elements, expected 1 to 256 for each of the 4 rows of batch.student");
    in.top_tokens = distill::row_indices(static_cast<const std::int32_t*>(nullptr), 8);
    CHECK(refusal(distill::top_forward_kl<>{}, in) == "batch.top_tokens or batch.top_log_probs is a null pointer");
}

TEST_CASE("token ids outside the vocabulary are refused where the row is active and a term reads them, labels always") {
    using namespace distill;
    example e = make_example("token ids", rows, vocabulary);
    const auto check_field = [&](const std::string& name, row_indices batch<float>::* field, const auto& reader) {
        for (const std::int64_t id :
             {std::int64_t{-1}, std::int64_t{vocabulary}, std::int64_t{1} << 40, std::int64_t{-101}}) {
            std::vector<std::int64_t> ids(rows, 1);
            ids[3] = id;
            auto in = e.batch();
            in.*field = ids;
            const std::string expected = name + "[3] is " + std::to_string(id) + ", expected a token id in [0, 10)";
            CHECK(refusal(reader, in) == expected);
            const std::vector<std::int32_t> narrow(ids.begin(), ids.end());
            if (narrow[3] == id) {
                in.*field = narrow;
                CHECK(refusal(reader, in) == expected);
            }
            CHECK(refusal(forward_kl{}, in) == (field == &batch<float>::labels ? expected : accepted));
            const std::vector<float> weights{1.0f, 1.0f, 1.0f, 0.0f};
            in.weights = weights;
            CHECK(refusal(reader, in) == accepted);
        }
    };
    check_field("batch.tokens", &batch<float>::tokens, policy_gradient{});
    check_field("batch.teacher_tokens", &batch<float>::teacher_tokens, teacher_guidance{});
    check_field("batch.labels", &batch<float>::labels, cross_entropy{});

    std::vector<std::int64_t> labels(rows, 1);
    labels[0] = ignored_label;
    auto in = e.batch();
    in.labels = labels;
    CHECK(refusal(cross_entropy{}, in) == accepted);
    CHECK(refusal(forward_kl{}, in) == accepted);
    const std::vector<std::int64_t> ignored_elsewhere(rows, ignored_label);
    in.labels = {};
    in.tokens = ignored_elsewhere;
    CHECK(refusal(policy_gradient{}, in) == "batch.tokens[0] is -100, expected a token id in [0, 10)");
}

TEST_CASE("a gradient that shares memory with an input is refused, the student's own buffer aside") {
    using distill::gradient, distill::logits_view;
    std::vector<float> memory(400, 1.0f);
    float* const data = memory.data();
    example e = make_example("overlaps", rows, vocabulary);
    auto in = e.batch();
    in.student = {data, rows, vocabulary, 20};
    const auto with = [&](gradient<float> g) { return refusal_of_gradient(distill::forward_kl{}, in, g); };

    const std::string student = "gradient overlaps batch.student";
    CHECK(with({data, rows, vocabulary, 20}) == accepted);
    CHECK(with({data + 1, rows, vocabulary, 20}) == student);
    CHECK(with({data + 9, rows, vocabulary, 20}) == student);
    CHECK(with({data + 11, rows, vocabulary, 20}) == student);
    CHECK(with({data + 20, rows, vocabulary, 20}) == student);
    CHECK(with({data, rows, vocabulary, 21}) == student);
    CHECK(with({data, rows, vocabulary}) == student);
    CHECK(with({data + 69, rows, vocabulary}) == student);
    CHECK(with({data + 70, rows, vocabulary}) == accepted);
    CHECK(with({data + 10, rows, vocabulary, 20}) == accepted);
    CHECK(with(distill::zero_padding(logits_view<float>(data + 10, rows, vocabulary, 20))) == student);
    CHECK(with(distill::zero_padding(logits_view<float>(data, rows, vocabulary, 20))) == accepted);

    // Another type at the student's address.
    distill::batch<float> narrow = in;
    narrow.student = {data, rows, vocabulary};
    CHECK(refusal_of_gradient(distill::forward_kl{}, narrow,
                              gradient<double>(reinterpret_cast<double*>(data), rows, vocabulary)) == student);

    in.teacher = {data + 100, rows, vocabulary, 20};
    CHECK(with({data + 100, rows, vocabulary, 20}) == "gradient overlaps batch.teacher");
    CHECK(with({data + 165, rows, vocabulary}) == "gradient overlaps batch.teacher");
    in.teacher = in.student;
    CHECK(with({data, rows, vocabulary, 20}) == "gradient overlaps batch.teacher");
}

TEST_CASE("a gradient or row losses over the memory of a per-row array are refused") {
    using distill::batch, distill::row_indices, distill::row_values;
    const example e = make_example("array overlaps", rows, vocabulary);
    // Four 8-byte numbers inside what both outputs cover.
    alignas(8) std::vector<float> memory(rows * vocabulary, 1.0f);
    const distill::gradient<float> gradient(memory.data(), rows, vocabulary);
    const std::span<float> row_losses(memory.data() + 6, rows);
    const auto check = [&](const std::string& name, auto set) {
        auto in = e.batch();
        set(in);
        CHECK(refusal_of_gradient(distill::forward_kl{}, in, gradient) == "gradient overlaps " + name);
        CHECK(refusal_of_rows(in, row_losses) == "row_losses overlaps " + name);
    };
    const float* inside = memory.data() + 4;
    const row_values values(inside, rows);
    const row_indices indices(reinterpret_cast<const std::int32_t*>(inside), rows);
    const std::vector<float> zeros(rows);
    check("batch.weights", [&](batch<float>& in) { in.weights = values; });
    check("batch.tokens", [&](batch<float>& in) { in.tokens = indices; });
    check("batch.teacher_tokens", [&](batch<float>& in) { in.teacher_tokens = indices; });
    check("batch.labels",
          [&](batch<float>& in) { in.labels = indices, in.weights = zeros; });  // of masked rows: no token ids
    check("batch.old_log_probs", [&](batch<float>& in) { in.old_log_probs = values; });
    check("batch.temperatures", [&](batch<float>& in) { in.temperatures = values; });
    check("batch.coefficients", [&](batch<float>& in) { in.coefficients = values; });
    check("batch.sequence_log_ratios", [&](batch<float>& in) { in.sequence_log_ratios = values; });
    check("batch.top_tokens", [&](batch<float>& in) {
        in.top_tokens = indices;
        in.top_log_probs = zeros;
    });
    check("batch.top_log_probs", [&](batch<float>& in) {
        in.top_tokens = in.tokens;
        in.top_log_probs = values;
    });
    check("batch.teacher_log_probs", [&](batch<float>& in) { in.teacher_log_probs = values; });
    check("batch.advantages", [&](batch<float>& in) { in.advantages = values; });

    std::vector<std::int64_t> offsets{0, 1, 3, rows};
    auto in = e.batch();
    in.sequence_offsets = offsets;
    CHECK(refusal_of_rows(in, std::span(reinterpret_cast<float*>(offsets.data()) + 4, rows)) ==
          "row_losses overlaps batch.sequence_offsets");
}

TEST_CASE("row losses of another length, without memory, or over other buffers are refused") {
    example e = make_example("row losses", rows, vocabulary);
    const auto in = e.batch();
    std::vector<float> memory(200);
    CHECK(refusal_of_rows(in, std::span(memory.data(), 3)) == "row_losses has 3 elements, batch.student has 4 rows");
    CHECK(refusal_of_rows(in, std::span<double>()) == "row_losses has 0 elements, batch.student has 4 rows");
    CHECK(refusal_of_rows(in, std::span(nowhere<float>(0), rows)) == "row_losses is a null pointer");
    CHECK(refusal_of_rows(in, std::span(e.student.memory.data() + 36, rows)) == "row_losses overlaps batch.student");
    CHECK(refusal_of_rows(in, std::span(e.teacher.memory.data(), rows)) == "row_losses overlaps batch.teacher");
    const auto with_gradient = [&](std::span<float> row_losses, distill::gradient<float> g) {
        return refusal(distill::forward_kl{}, distill::token_mean{}, {},
                       [&](const auto& f) { f.per_token(in, row_losses, g); });
    };
    const distill::gradient<float> gradient(memory.data(), rows, vocabulary, 20);
    CHECK(with_gradient(std::span(memory.data() + 66, rows), gradient) == "row_losses overlaps gradient");
    CHECK(with_gradient(std::span(memory.data() + 70, rows), gradient) == accepted);
    CHECK(with_gradient(std::span(memory.data() + 70, rows), zero_padding(gradient)) == "row_losses overlaps gradient");
}

TEST_CASE("the first of several errors is reported") {
    example e = make_example("several", rows, vocabulary);
    auto in = e.batch();
    in.student.rows = -1;
    in.teacher = {};
    CHECK(refusal(distill::forward_kl{}, in) == "batch.student has -1 rows");
    CHECK(refusal(distill::jensen_shannon{2.0}, in) == "jensen_shannon: teacher_weight lies strictly between 0 and 1");
}

TEST_CASE("after an error every output buffer is what it was") {
    for_each_loss([](objective o, const backend& b) {
        const example e = make_example("untouched", rows, vocabulary);
        const std::vector<std::int64_t> bad_ids(rows, -1), decreasing{0, 3, 2, rows};
        const std::vector<double> bad_weights(rows, -1.0), short_values(2, 1.0);
        matrix gradient = matrix::filled(rows, vocabulary, 3, sentinel);
        std::vector<double> row_losses(rows, double{sentinel});
        std::vector<float> narrow_losses(rows, sentinel);
        const matrix gradient_before = gradient;
        const std::vector<double> row_losses_before = row_losses;
        const std::vector<float> narrow_losses_before = narrow_losses;

        const auto refuses = [&](const any_loss& f, const distill::batch<float>& in, distill::gradient<float> g) {
            CHECK_THROWS_AS(f(in, g), const distill::invalid_input&);
            CHECK_THROWS_AS(f.per_token(in, std::span(row_losses), g), const distill::invalid_input&);
            CHECK_THROWS_AS(f.per_token(in, std::span(narrow_losses), g), const distill::invalid_input&);
            CHECK(same_bits(gradient.memory, gradient_before.memory));
            CHECK(same_bits(row_losses, row_losses_before));
            CHECK(same_bits(narrow_losses, narrow_losses_before));
        };
        const auto f = make_loss(o, b);
        const auto spoiled = [&](auto spoil) {
            auto in = e.batch();
            spoil(in);
            for (const bool adds : {false, true}) {
                distill::gradient<float> g = zero_padding(gradient.view());
                g.adds = adds;
                refuses(*f, in, g);
            }
        };
        using in = distill::batch<float>;
        spoiled([&](in& x) { x.student.rows = rows - 1; });
        spoiled([&](in& x) { x.student.vocabulary = vocabulary - 1; });
        spoiled([&](in& x) { x.student.data = nullptr; });
        spoiled([&](in& x) { x.student.row_stride = 1; });
        spoiled([&](in& x) { x.teacher.rows = rows + 1; });
        spoiled([&](in& x) { x.weights = bad_weights; });
        spoiled([&](in& x) { x.advantages = short_values; });
        spoiled([&](in& x) { x.sequence_offsets = decreasing; });
        if (o == objective::forward_kl || o == objective::everything) spoiled([&](in& x) { x.teacher = {}; });
        spoiled([&](in& x) { x.labels = bad_ids; });
        if (reads_labels(o)) spoiled([&](in& x) { x.labels = {}; });
        if (o == objective::guidance || o == objective::everything) spoiled([&](in& x) { x.teacher_tokens = bad_ids; });
        if (o == objective::surrogate) spoiled([&](in& x) { x.tokens = bad_ids; });

        const auto good = e.batch();
        const auto view = gradient.view();
        refuses(*f, good, distill::gradient<float>{view.data, rows, vocabulary - 1, view.row_stride});
        refuses(*f, good, distill::gradient<float>{view.data, rows - 1, vocabulary, view.row_stride});
        refuses(*f, good, distill::gradient<float>{const_cast<float*>(e.student.memory.data()) + 1, rows, vocabulary});
        refuses(*make_loss(o, b, distill::token_mean{-1.0}), good, view);
        refuses(*make_loss(o, b, {}, distill::temperature{0.0}), good, view);
        refuses(*make_loss(o, b, {}, distill::temperature{1.0, distill::quiet_nan()}), good, view);

        // The next call is none the worse for it.
        CHECK(run(*f, good).result.nonfinite_rows == 0);
    });
}

}  // namespace conformance
