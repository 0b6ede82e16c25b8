// What a call allocates, counted by the program's own operator new.
#include <conformance/example.hpp>

#include <distill/backend/eigen.hpp>
#include <distill/divergence/jensen_shannon.hpp>
#include <distill/loss.hpp>

#include <support/allocations.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <thread>

namespace conformance {

using distill_test::allocations;
using distill_test::largest_allocation;

TEST_CASE("the program's own operator new counts") {
    const std::size_t before = allocations;
    const auto memory = std::make_unique<example>();
    CHECK(allocations == before + 1);
}

TEST_CASE("no call allocates after the first, and none allocates rows times vocabulary") {
    for_each_loss([](objective o, const backend& b) {
        constexpr std::ptrdiff_t rows = 300, vocabulary = 601;
        const example e = make_example("allocations", rows, vocabulary, {1, 2});
        const auto in = e.batch();
        const auto f = make_loss(o, b);
        matrix gradient = matrix::filled(rows, vocabulary, 0, 0.0f);
        std::vector<double> row_losses(rows);

        largest_allocation = 0;
        (*f)(in, gradient.view());
        CHECK(largest_allocation < rows * vocabulary);

        const std::size_t before = allocations;
        for (int repetition = 0; repetition < 3; ++repetition) {
            (*f)(in);
            (*f)(in, gradient.view());
            (*f)(in, accumulate(gradient.view()));
            f->per_token(in, std::span(row_losses));
            f->per_token(in, std::span(row_losses), gradient.view());
        }
        const std::size_t after = allocations;
        CHECK(after == before);
    });
}

TEST_CASE("a caller that supplies the scratch has no allocation at all, and the same bits") {
    constexpr std::ptrdiff_t rows = 20, vocabulary = 601;
    constexpr std::size_t needed = vocabulary * sizeof(float), margin = 64;
    const example e = make_example("scratch", rows, vocabulary);
    const auto in = e.batch();
    matrix expected = matrix::filled(rows, vocabulary, 0, sentinel), found = expected;
    const distill::loss ordinary{distill::jensen_shannon{}, distill::eigen{}, distill::token_mean{}};
    const auto expected_result = ordinary(in, expected.view());

    alignas(64) std::array<std::byte, needed + margin> memory;
    memory.fill(std::byte{0x5a});
    std::size_t asked = 0, allocated = 0;
    distill::loss_result result;
    // In a thread that has run no row before.
    std::thread([&] {
        const auto scratch = [&](std::size_t bytes) {
            asked = std::max(asked, bytes);
            return memory.data();
        };
        const distill::loss f{distill::jensen_shannon{}, distill::eigen{distill::serial{}, scratch}, distill::token_mean{}};
        const std::size_t before = allocations;
        result = f(in, found.view());
        allocated = allocations - before;
    }).join();
    CHECK(allocated == 0);
    CHECK(asked == needed);
    CHECK(std::all_of(memory.begin() + needed, memory.end(), [](std::byte b) { return b == std::byte{0x5a}; }));
    CHECK(same_bits(result, expected_result));
    CHECK(same_bits(found.memory, expected.memory));
}

TEST_CASE("a provider that has no scratch to give leaves it to the thread's own") {
    const example e = make_example("no scratch", 3, 100);
    matrix expected = matrix::filled(3, 100, 0, sentinel), found = expected;
    const distill::loss ordinary{distill::jensen_shannon{}, distill::eigen{}, distill::token_mean{}};
    const distill::loss declined{distill::jensen_shannon{},
                                 distill::eigen{distill::serial{}, [](std::size_t) -> void* { return nullptr; }},
                                 distill::token_mean{}};
    CHECK(same_bits(declined(e.batch(), found.view()), ordinary(e.batch(), expected.view())));
    CHECK(same_bits(found.memory, expected.memory));
}

}  // namespace conformance
