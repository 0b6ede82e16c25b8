// Every kind of tail, one tile and many, up to the vocabularies of today's models; against plain double arithmetic.
#include <conformance/example.hpp>
#include <support/tolerances.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace conformance {

namespace {

std::vector<double> log_softmax(std::span<const float> logits) {
    double largest = double{logits[0]};
    for (const float x : logits) largest = std::max(largest, double{x});
    double sum = 0.0;
    for (const float x : logits) sum += std::exp(double{x} - largest);
    std::vector<double> result;
    for (const float x : logits) result.push_back(double{x} - largest - std::log(sum));
    return result;
}

// Loss and gradient of one row, from the definitions.
struct expectation {
    double loss = 0.0;
    std::vector<double> gradient{};
};
expectation expect(objective o, const example& e, std::ptrdiff_t row) {
    const auto log_p = log_softmax(e.student.row(row)), log_q = log_softmax(e.teacher.row(row));
    const auto i = static_cast<std::size_t>(row);
    expectation found;
    const auto add_token = [&](std::int64_t token, double value, double slope) {
        found.loss += value;
        found.gradient.resize(log_p.size(), 0.0);
        for (std::size_t v = 0; v < log_p.size(); ++v)
            found.gradient[v] += slope * ((static_cast<std::int64_t>(v) == token ? 1.0 : 0.0) - std::exp(log_p[v]));
    };
    if (o == objective::forward_kl)
        for (std::size_t v = 0; v < log_p.size(); ++v) {
            found.loss += std::exp(log_q[v]) * (log_q[v] - log_p[v]);
            found.gradient.push_back(std::exp(log_p[v]) - std::exp(log_q[v]));
        }
    if (o == objective::labels) add_token(e.labels[i], -log_p[static_cast<std::size_t>(e.labels[i])], -1.0);
    if (o == objective::guidance || o == objective::surrogate) {
        const double ratio = std::exp(log_p[static_cast<std::size_t>(e.tokens[i])] - e.old_log_probs[i]);
        const double a = e.advantages[i], bounded = std::min(std::max(ratio, 0.8), 1.2) * a;
        add_token(e.tokens[i], -std::min(ratio * a, bounded), bounded < ratio * a ? 0.0 : -ratio * a);
    }
    if (o == objective::guidance)
        add_token(e.teacher_tokens[i], -log_p[static_cast<std::size_t>(e.teacher_tokens[i])], -1.0);
    return found;
}

void check(objective o, const backend& b, std::ptrdiff_t rows, std::ptrdiff_t vocabulary) {
    CAPTURE(b.name);
    CAPTURE(vocabulary);
    const example e = make_example("vocabulary " + std::to_string(vocabulary), rows, vocabulary);
    const auto f = make_loss(o, b, distill::token_mean{1.0});
    const outcome found = run(*f, e.batch());
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        const expectation expected = expect(o, e, r);
        const double scale = std::max(std::abs(expected.loss), 0.1);
        CHECK(std::abs(found.row_losses[static_cast<std::size_t>(r)] - expected.loss) <
              distill_test::tolerance::single_loss * scale);
        double error = 0.0, size = 0.0;
        for (std::size_t v = 0; v < expected.gradient.size(); ++v) {
            const double difference = double{found.gradient.row(r)[v]} - expected.gradient[v];
            error += difference * difference;
            size += expected.gradient[v] * expected.gradient[v];
        }
        CHECK(std::sqrt(error) <= distill_test::tolerance::single_gradient * std::max(std::sqrt(size), 1e-2));
    }
    // Without a gradient the sweeps are others, the loss is not.
    CHECK((*f)(e.batch()).value == doctest::Approx(found.result.value).epsilon(1e-5));
    if (vocabulary == 1) {
        CHECK(std::ranges::all_of(found.gradient.memory, [](float dz) { return dz == 0.0f; }));
        if (o == objective::forward_kl || o == objective::labels) CHECK(found.result.value == 0.0);
    }
}

}  // namespace

TEST_CASE("loss and gradient are those of the definitions for every length of tail") {
    for (const objective o : {objective::forward_kl, objective::labels, objective::guidance, objective::surrogate})
        for (const backend& b : backends())
            for (const std::ptrdiff_t vocabulary : {1, 2, 3, 15, 16, 17, 33, 1000, 1003, 1023, 1024, 1025, 2048, 2049, 4099})
                check(o, b, 3, vocabulary);
}

TEST_CASE("loss and gradient are those of the definitions at the vocabularies of language models") {
    for (const objective o : {objective::forward_kl, objective::guidance})
        for (const backend& b : backends())
            for (const std::ptrdiff_t vocabulary : {151936, 262144}) check(o, b, 1, vocabulary);
}

TEST_CASE("every backend agrees with the reference on a sum of all kinds of terms") {
    for (const backend& b : backends())
        for (const std::ptrdiff_t vocabulary : {1, 2, 3, 15, 16, 17, 33, 1000, 2049, 151936}) {
            CAPTURE(b.name);
            CAPTURE(vocabulary);
            const std::ptrdiff_t rows = vocabulary > 10000 ? 1 : 3;
            example e = make_example("everything " + std::to_string(vocabulary), rows, vocabulary);
            e.teacher_tokens.clear();
            const outcome expected = run(objective::everything, backends().front(), e);
            const outcome found = run(objective::everything, b, e);
            CHECK(std::abs(found.result.value - expected.result.value) <
                  distill_test::tolerance::single_loss * std::max(std::abs(expected.result.value), 0.1));
            double error = 0.0, size = 0.0;
            for (std::size_t i = 0; i < found.gradient.memory.size(); ++i) {
                const double dz = double{expected.gradient.memory[i]};
                error += (double{found.gradient.memory[i]} - dz) * (double{found.gradient.memory[i]} - dz);
                size += dz * dz;
            }
            CHECK(std::sqrt(error) <= distill_test::tolerance::single_gradient * std::max(std::sqrt(size), 1e-2));
            CHECK(found.result.clipped_rows == expected.result.clipped_rows);
        }
}

}  // namespace conformance
