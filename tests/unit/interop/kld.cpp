// .kld files: what is written is read back, the rest is one bucket, and a file that is none is refused with a sentence.
#include <distill/interop/kld.hpp>

#include <support/comparisons.hpp>
#include <support/random.hpp>

#include <distill/distill.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace distill_test {
namespace {

using namespace distill;

struct recorded {
    kld_shape shape;
    std::vector<float> logits;  // of every row
    std::vector<std::byte> bytes;
};

// Rows whose entries spread over more than 16 nats.
recorded record(int vocabulary) {
    auto random = engine("unit: kld");
    recorded file{.shape = {8, vocabulary, 2}, .logits = {}, .bytes = {}};
    const auto v = static_cast<std::size_t>(vocabulary);
    file.bytes.resize(file.shape.bytes());
    std::vector<std::int32_t> tokens(16);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i % v);
    std::span<std::byte> out(file.bytes);
    write_kld_header(file.shape, tokens, out.first(file.shape.header_bytes()));
    for (std::ptrdiff_t row = 0; row < file.shape.rows(); ++row) {
        std::vector<float> z(v);
        std::ranges::transform(normal(random, v, 6.0), z.begin(), [](double x) { return static_cast<float>(x); });
        write_kld_row(file.shape, z,
                      out.subspan(file.shape.header_bytes() + static_cast<std::size_t>(row) * file.shape.record_bytes(),
                                  file.shape.record_bytes()));
        file.logits.insert(file.logits.end(), z.begin(), z.end());
    }
    return file;
}

TEST_CASE("kld: what is written is read back to half a step, and the layout is llama.cpp's") {
    for (const int vocabulary : {1, 40, 41}) {
        CAPTURE(vocabulary);
        recorded file = record(vocabulary);
        CHECK(file.bytes.size() == static_cast<std::size_t>(20 + 4 * 16 + 6 * 2 * (2 * ((vocabulary + 1) / 2) + 4)));
        // A word that llama.cpp does not initialise.
        if (vocabulary % 2 == 1) file.bytes.back() = std::byte{0xff};
        const kld_file read(file.bytes);
        REQUIRE(read.rows() == 6);
        CHECK(read.token(15) == 15 % vocabulary);
        CHECK(read.next_token(0) == 5 % vocabulary);   // of position 4, in the first chunk
        CHECK(read.next_token(3) == 13 % vocabulary);  // of position 4, in the second
        for (std::ptrdiff_t row = 0; row < read.rows(); ++row) {
            const std::size_t v = static_cast<std::size_t>(vocabulary);
            const std::vector<float> z(file.logits.begin() + row * vocabulary, file.logits.begin() + (row + 1) * vocabulary);
            std::vector<float> found(v);
            read.log_probs(row, found);
            const float largest = *std::ranges::max_element(z);
            double sum = 0.0;
            for (const float x : z) sum += std::exp(static_cast<double>(x) - largest);
            for (std::size_t i = 0; i < v; ++i) {
                const double held = std::max(z[i], largest - 16.0f), expected = held - largest - std::log(sum);
                CHECK(std::abs(found[i] - expected) <= 16.0 / 65535 / 2 + 1e-5);
            }
        }
    }
}

TEST_CASE("kld: the floor is one bucket, in logits as in top tokens, value and gradient") {
    const recorded file = record(60);
    const kld_file read(file.bytes);
    auto random = engine("unit: kld's bucket");
    for (std::ptrdiff_t row = 0; row < read.rows(); ++row) {
        std::vector<float> student(60), teacher(60), gradient(60), of_set(60), log_probs(60);
        std::ranges::transform(normal(random, 60, 2.0), student.begin(), [](double x) { return static_cast<float>(x); });
        std::vector<std::int32_t> ids(60);
        read.logits(row, std::span<const float>(student), teacher);
        read.top_tokens(row, ids, log_probs);
        REQUIRE(std::ranges::count(ids, -100) > 0);
        CHECK(std::ranges::is_sorted(log_probs.begin(), std::ranges::find(ids, -100) - ids.begin() + log_probs.begin(),
                                     std::ranges::greater{}));
        const batch<float> dense{.student = {student.data(), 1, 60}, .teacher = {teacher.data(), 1, 60}};
        const batch<float> sparse{.student = {student.data(), 1, 60}, .top_tokens = ids, .top_log_probs = log_probs};
        const auto agree = [&](const auto& whole, const auto& on_set) {
            const double a = loss{whole, reference{}, token_sum{}}(dense, {gradient.data(), 1, 60}).value;
            const double b = loss{on_set, reference{}, token_sum{}}(sparse, {of_set.data(), 1, 60}).value;
            CHECK(a == doctest::Approx(b).epsilon(1e-3));
            for (std::size_t v = 0; v < 60; ++v) CHECK(std::abs(gradient[v] - of_set[v]) <= 1e-3);
        };
        agree(forward_kl{}, on_top_tokens{forward_kl{}});
        agree(reverse_kl{}, on_top_tokens{reverse_kl{}});
        // Fewer places: the most probable ones.
        std::vector<std::int32_t> first(3);
        std::vector<float> of_first(3);
        read.top_tokens(row, first, of_first);
        CHECK(std::equal(first.begin(), first.end(), ids.begin()));
        CHECK(std::equal(of_first.begin(), of_first.end(), log_probs.begin()));
    }
}

TEST_CASE("kld: what is no .kld file is refused with a sentence, and nothing is written") {
    const recorded file = record(41);
    const auto refused = [&](std::size_t at, auto number, const char* sentence) {
        std::vector<std::byte> bytes = file.bytes;
        std::memcpy(bytes.data() + at, &number, sizeof number);
        CHECK_THROWS_WITH_AS(kld_file{bytes}, doctest::Contains(sentence), invalid_input);
    };
    refused(0, 'x', "begins with _logits_");
    refused(8, std::int32_t{2}, "expected at least 1 chunk");
    refused(8, std::int32_t{-8}, "expected at least 1 chunk");
    refused(12, std::int32_t{0}, "expected at least 1 chunk");
    refused(12, std::int32_t{2000000000}, "expected at least 1 chunk");
    refused(12, std::int32_t{43}, "its header speaks of");
    refused(16, std::int32_t{3}, "its header speaks of");
    refused(16, std::int32_t{2147483647}, "its header speaks of");
    refused(24, std::int32_t{41}, "token 1 of a .kld file is 41, expected a token id in [0, 41)");
    for (const std::size_t size : {std::size_t{0}, std::size_t{19}, std::size_t{20}, file.bytes.size() - 1})
        CHECK_THROWS_AS(kld_file{std::span(file.bytes).first(size)}, invalid_input);

    std::vector<std::byte> bytes = file.bytes;
    const auto in_first_record = [&](float scale, float least) {
        std::memcpy(bytes.data() + file.shape.header_bytes(), &scale, 4);
        std::memcpy(bytes.data() + file.shape.header_bytes() + 4, &least, 4);
    };
    std::vector<float> out(41, 7.0f);
    std::vector<std::int32_t> ids(41, 7);
    const auto row_refused = [&](const char* sentence) {
        CHECK_THROWS_WITH(kld_file{bytes}.log_probs(0, out), doctest::Contains(sentence));
        CHECK_THROWS_WITH(kld_file{bytes}.logits(0, std::span<const float>(file.logits).first(41), out),
                          doctest::Contains(sentence));
        CHECK_THROWS_WITH(kld_file{bytes}.top_tokens(0, ids, out), doctest::Contains(sentence));
        CHECK(std::ranges::count(out, 7.0f) == 41);
        CHECK(std::ranges::count(ids, 7) == 41);
    };
    in_first_record(std::nanf(""), -16.0f);
    row_refused("which llama.cpp does not write");
    in_first_record(16.0f / 65535, 3.0f);
    row_refused("which llama.cpp does not write");
    in_first_record(16.0f / 65535, -2.0f);
    row_refused("gives a probability of");
    CHECK_THROWS_WITH(kld_file{file.bytes}.log_probs(6, out), doctest::Contains("row is 6, expected 0 to 5"));
    CHECK_THROWS_WITH(kld_file{file.bytes}.log_probs(0, std::span(out).first(40)), doctest::Contains("out has 40 elements"));
    std::vector<std::byte> record_of(file.shape.record_bytes());
    out[3] = std::nanf("");
    CHECK_THROWS_WITH(write_kld_row(file.shape, out, record_of), doctest::Contains("logits are NaN or infinite"));
}

}  // namespace
}  // namespace distill_test
