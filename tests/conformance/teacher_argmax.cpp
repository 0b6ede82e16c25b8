// y* as the argmax of the teacher's logits, and objectives that ask for no teacher at all.
#include <conformance/example.hpp>

#include <doctest/doctest.h>

#include <utility>

namespace conformance {

namespace {

// The token that the guidance pulls up: the only entry of a negative gradient.
std::ptrdiff_t guided_token(const outcome& found, std::ptrdiff_t row) {
    std::ptrdiff_t token = -1;
    for (std::ptrdiff_t v = 0; v < found.gradient.vocabulary; ++v)
        if (found.gradient.at(row, v) < 0.0f) {
            if (token >= 0) return -2;
            token = v;
        }
    return token;
}

// One row, a surrogate without signal, no teacher_tokens.
example one_row(const std::string& label, std::ptrdiff_t vocabulary) {
    example e = make_example(label, 1, vocabulary);
    e.teacher_tokens.clear();
    e.advantages[0] = 0.0;
    return e;
}

}  // namespace

TEST_CASE("the teacher's token is the lowest id among the largest logits") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        for (const std::ptrdiff_t vocabulary : {1, 2, 3, 16, 17, 40, 2048, 2049, 4099, 151936, 262144}) {
            CAPTURE(vocabulary);
            example e = one_row("argmax", vocabulary);
            std::vector<std::ptrdiff_t> places;
            for (const std::ptrdiff_t v : {0, 1, 3, 4, 7, 8, 15, 16, 17, 2047, 2048, 2050, 4098, 131071, 151935, 262143})
                if (v < vocabulary) places.push_back(v);
            places.push_back(vocabulary - 1);
            const bool large = vocabulary > 10000;
            for (std::size_t first = large ? places.size() - 3 : 0; first < places.size(); ++first)
                for (std::size_t second = first; second < places.size(); ++second) {
                    example tied = e;
                    for (float& x : tied.teacher.memory) x = -std::abs(x);
                    tied.teacher.at(0, places[first]) = tied.teacher.at(0, places[second]) = 1.25f;
                    const outcome found = run(objective::guidance, b, tied);
                    CHECK(guided_token(found, 0) == (vocabulary == 1 ? -1 : places[first]));
                }
        }
    }
}

TEST_CASE("a teacher that is constant predicts token 0, masked entries aside") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        for (const float level : {0.0f, -3.0f, 1e4f}) {
            example e = one_row("constant teacher", 2100);
            std::ranges::fill(e.teacher.memory, level);
            CHECK(guided_token(run(objective::guidance, b, e), 0) == 0);
            std::fill_n(e.teacher.memory.begin(), 2061, minus_infinity);
            CHECK(guided_token(run(objective::guidance, b, e), 0) == 2061);
        }
    }
}

TEST_CASE("the argmax is found among coarse logits with many ties") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        auto random = distill_test::engine("coarse logits");
        std::uniform_int_distribution<int> level(-3, 3);
        example e = make_example("coarse logits", 40, 77);
        e.teacher_tokens.clear();
        e.advantages.assign(40, 0.0);
        for (float& x : e.teacher.memory) x = static_cast<float>(level(random));
        const outcome found = run(objective::guidance, b, e);
        for (std::ptrdiff_t r = 0; r < 40; ++r)
            CHECK(guided_token(found, r) == std::ranges::max_element(e.teacher.row(r)) - e.teacher.row(r).begin());
    }
}

TEST_CASE("spelling out the teacher's argmax changes nothing") {
    for (const objective o : {objective::guidance, objective::everything})
        for (const backend& b : backends()) {
            CAPTURE(b.name);
            example e = make_example("spelled out", 9, 2500);
            for (std::ptrdiff_t r = 0; r < 9; ++r)
                e.teacher_tokens[static_cast<std::size_t>(r)] =
                    std::ranges::max_element(e.teacher.row(r)) - e.teacher.row(r).begin();
            const outcome expected = run(o, b, e);
            e.teacher_tokens.clear();
            CHECK(same_bits(run(o, b, e), expected));
        }
}

TEST_CASE("given teacher_tokens, the guidance needs no teacher's logits") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        const example e = make_example("tokens only", 4, 90);
        auto in = e.batch();
        const outcome expected = run(*make_loss(objective::guidance, b), in);
        in.teacher = {};
        CHECK(same_bits(run(*make_loss(objective::guidance, b), in), expected));
    }
}

TEST_CASE("at coefficient 0 TGPO needs no teacher and reads none") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        example e = make_example("coefficient 0", 4, 90);
        auto in = e.batch();
        const outcome expected = run(*make_loss(objective::surrogate, b), in);
        in.teacher = {};
        in.teacher_tokens = {};
        CHECK(same_bits(run(*make_loss(objective::surrogate, b), in), expected));

        std::ranges::fill(e.teacher.memory, positive_nan);
        e.teacher_tokens.clear();
        CHECK(same_bits(run(objective::surrogate, b, e), expected));
    }
}

}  // namespace conformance
