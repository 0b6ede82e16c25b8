// A call from within a call, on the same thread: neither disturbs the other.
#include <distill/backend/executor/openmp.hpp>
#include <distill/backend/executor/thread_pool.hpp>
#include <distill/distill.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {

using any_executor = std::function<void(std::ptrdiff_t, const std::function<void(std::ptrdiff_t)>&)>;
using any_scratch = std::function<void*(std::size_t)>;

struct logits {
    logits(const std::string& name, std::ptrdiff_t row_count, std::ptrdiff_t length) : rows(row_count), vocabulary(length) {
        auto random = distill_test::engine("nested " + name);
        for (std::vector<float>* side : {&student, &teacher})
            for (const double x : distill_test::normal(random, static_cast<std::size_t>(rows * vocabulary), 2.0))
                side->push_back(static_cast<float>(x));
    }
    [[nodiscard]] distill::batch<float> batch() const {
        return {.student = {student.data(), rows, vocabulary}, .teacher = {teacher.data(), rows, vocabulary}};
    }

    std::ptrdiff_t rows, vocabulary;
    std::vector<float> student{}, teacher{};
};

template <class Loss>
std::vector<float> gradient_of(const Loss& f, const logits& in) {
    std::vector<float> gradient(in.student.size(), -1.0f);
    f(in.batch(), {gradient.data(), in.rows, in.vocabulary});
    return gradient;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Calls `inner`, whose row of scratch is its own, and changes nothing.
struct calling_gate {
    static constexpr distill::fields needs = distill::fields::none;
    const std::function<void()>* inner;

    template <class Row>
    double operator()(const Row&) const {
        (*inner)();
        return 1.0;
    }
};

// As jensen_shannon{0.5}; every entry calls `inner` while the row's derivatives are being kept.
struct calling_term : distill::term<calling_term> {
    const std::function<void()>* inner;

    explicit calling_term(const std::function<void()>& f) : inner(&f) {}

    template <class T>
    distill::summand<T> operator()(const distill::entry<T>& e) const {
        (*inner)();
        return distill::evaluate(distill::jensen_shannon{0.5}, e);
    }
};

template <class Objective>
auto loss_on(const Objective& objective, any_executor executor, any_scratch scratch) {
    return distill::loss{objective, distill::eigen{std::move(executor), std::move(scratch)}, distill::token_sum{}};
}

// Checks an outer call that calls a middle one that calls an inner one, of other lengths of rows, on every executor.
void check(const any_scratch& scratch) {
    const logits outer("outer", 5, 300), middle("middle", 2, 5000), inner("inner", 1, 20000);
    Eigen::ThreadPool pool(2);
    const std::vector<any_executor> executors{distill::serial{}, distill::openmp{2}, distill::thread_pool{pool}};
    const any_executor serial = distill::serial{};

    const auto plain = loss_on(distill::jensen_shannon{0.5}, serial, distill::thread_scratch{});
    const auto expected = gradient_of(plain, outer), expected_middle = gradient_of(plain, middle),
               expected_inner = gradient_of(plain, inner);
    const auto innermost = loss_on(distill::jensen_shannon{0.5}, serial, scratch);
    const std::function<void()> call_inner = [&] {
        if (!same_bits(gradient_of(innermost, inner), expected_inner)) FAIL("the innermost call");
    };
    const auto gated = loss_on(distill::where(calling_gate{&call_inner}, distill::jensen_shannon{0.5}), serial, scratch);
    const std::function<void()> call_middle = [&] {
        if (!same_bits(gradient_of(gated, middle), expected_middle)) FAIL("the call in the middle");
    };
    for (const any_executor& executor : executors) {
        for (int repetition = 0; repetition < 2; ++repetition)
            CHECK(same_bits(gradient_of(loss_on(distill::where(calling_gate{&call_middle}, distill::jensen_shannon{0.5}),
                                                executor, scratch),
                                        outer),
                            expected));
        CHECK(same_bits(gradient_of(loss_on(calling_term(call_inner), executor, scratch), outer), expected));
    }
}

// One block for each thread, which every call is given.
void* block_of_thread(std::size_t bytes) {
    alignas(64) static thread_local std::byte block[1 << 17];
    return bytes <= sizeof block ? block : nullptr;
}

}  // namespace

TEST_CASE("a gate or a term that calls a loss that calls a loss changes nothing") { check(distill::thread_scratch{}); }

TEST_CASE("the caller's scratch serves the outermost call of a thread alone") { check(block_of_thread); }

TEST_CASE("an executor that calls a loss between two blocks changes nothing") {
    const logits outer("executor", 5, 300), inner("executor's own", 1, 20000);
    const auto plain = loss_on(distill::jensen_shannon{0.5}, distill::serial{}, block_of_thread);
    const auto expected = gradient_of(plain, outer);
    const any_executor calling = [&](std::ptrdiff_t count, const auto& body) {
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            gradient_of(plain, inner);
            body(i);
        }
    };
    CHECK(same_bits(gradient_of(loss_on(distill::jensen_shannon{0.5}, calling, block_of_thread), outer), expected));
}
