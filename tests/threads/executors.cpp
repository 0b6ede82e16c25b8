// The same bits on every executor and for every number of threads.
#include <distill/backend/executor/openmp.hpp>
#include <distill/backend/executor/thread_pool.hpp>
#include <distill/distill.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {

// A parallel-for as a host would bring it: whichever thread is free takes the next body.
template <class Body>
void parallel_for(int threads, std::ptrdiff_t count, const Body& body) {
    std::atomic<std::ptrdiff_t> next{0};
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t)
        workers.emplace_back([&] {
            for (std::ptrdiff_t i = next++; i < count; i = next++) body(i);
        });
    for (std::thread& worker : workers) worker.join();
}

constexpr std::ptrdiff_t vocabulary = 67;

// Rows of which some are masked and one holds a NaN where asked.
struct example {
    explicit example(std::ptrdiff_t row_count) : rows(row_count) {
        auto random = distill_test::engine("threads " + std::to_string(rows));
        for (std::vector<float>* logits : {&student, &teacher})
            for (const double x : distill_test::normal(random, static_cast<std::size_t>(rows * vocabulary), 2.0))
                logits->push_back(static_cast<float>(x));
        std::uniform_int_distribution<std::int32_t> token(0, static_cast<std::int32_t>(vocabulary) - 1);
        std::uniform_real_distribution<float> weight(0.1f, 2.0f);
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            weights.push_back(r % 7 == 3 ? 0.0f : weight(random));
            labels.push_back(r % 11 == 5 ? -100 : token(random));
            if (r % 13 == 0) offsets.push_back(static_cast<std::int64_t>(r));
        }
        offsets.push_back(rows);
    }

    [[nodiscard]] distill::batch<float> batch() const {
        return {.student = {student.data(), rows, vocabulary},
                .teacher = {teacher.data(), rows, vocabulary},
                .weights = weights,
                .labels = labels,
                .sequence_offsets = offsets};
    }

    std::ptrdiff_t rows;
    std::vector<float> student{}, teacher{}, weights{};
    std::vector<std::int32_t> labels{};
    std::vector<std::int64_t> offsets{};
};

struct outcome {
    distill::loss_result result;
    std::vector<double> row_losses;
    std::vector<float> gradient;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
bool same_bits(const outcome& a, const outcome& b) {
    return std::bit_cast<std::uint64_t>(a.result.value) == std::bit_cast<std::uint64_t>(b.result.value) &&
           std::bit_cast<std::uint64_t>(a.result.denominator) == std::bit_cast<std::uint64_t>(b.result.denominator) &&
           a.result.active_rows == b.result.active_rows && a.result.nonfinite_rows == b.result.nonfinite_rows &&
           a.result.clipped_rows == b.result.clipped_rows && a.result.guarded_rows == b.result.guarded_rows &&
           same_bits(a.row_losses, b.row_losses) && same_bits(a.gradient, b.gradient);
}

template <class Loss>
outcome run(const Loss& f, const distill::batch<float>& in) {
    outcome found{.result = {},
                  .row_losses = std::vector<double>(static_cast<std::size_t>(in.student.rows)),
                  .gradient = std::vector<float>(static_cast<std::size_t>(in.student.rows * vocabulary))};
    found.result = f.per_token(in, std::span(found.row_losses),
                               distill::gradient<float>(found.gradient.data(), in.student.rows, vocabulary));
    return found;
}

// The executor of a test behind one type, so that every loss here is compiled once.
using any_executor = std::function<void(std::ptrdiff_t, const std::function<void(std::ptrdiff_t)>&)>;

auto loss_on(any_executor executor) {
    return distill::loss{distill::reverse_kl{} + 0.5 * distill::cross_entropy{}, distill::eigen{std::move(executor)},
                         distill::sequence_mean{}};
}

struct named_executor {
    std::string name;
    any_executor executor;
};

// Every executor at every number of threads. Pools are the caller's and outlive the calls.
std::vector<named_executor> executors(std::vector<std::unique_ptr<Eigen::ThreadPool>>& pools) {
    std::vector<named_executor> all;
    for (const int threads : {1, 2, 3, 7}) {
        const std::string count = " of " + std::to_string(threads);
#if defined(_OPENMP)
        all.push_back({"openmp" + count, distill::openmp{threads}});
#endif
        pools.push_back(std::make_unique<Eigen::ThreadPool>(threads));
        all.push_back({"thread_pool" + count, distill::thread_pool{*pools.back()}});
        all.push_back(
            {"a parallel-for" + count, [threads](std::ptrdiff_t n, const auto& body) { parallel_for(threads, n, body); }});
    }
    all.push_back({"openmp's own number", distill::openmp{}});
    all.push_back({"descending", [](std::ptrdiff_t n, const auto& body) {
                       for (std::ptrdiff_t i = n; i-- > 0;) body(i);
                   }});
    return all;
}

}  // namespace

TEST_CASE("loss, counts, row losses and gradient are the same bits for every executor and number of threads") {
    std::vector<std::unique_ptr<Eigen::ThreadPool>> pools;
    const auto all = executors(pools);
    for (const std::ptrdiff_t rows : {1, 5, 64, 300, 1000}) {
        CAPTURE(rows);
        for (const bool poisoned : {false, true}) {
            example e(rows);
            if (poisoned) e.student[static_cast<std::size_t>(rows / 2 * vocabulary)] = std::bit_cast<float>(0x7fc00000u);
            const outcome expected = run(loss_on(distill::serial{}), e.batch());
            CHECK(expected.result.active_rows > 0);
            for (const named_executor& on : all) {
                CAPTURE(on.name);
                CHECK(same_bits(run(loss_on(on.executor), e.batch()), expected));
            }
        }
    }
}

TEST_CASE("a batch without rows runs on every executor") {
    std::vector<std::unique_ptr<Eigen::ThreadPool>> pools;
    for (const named_executor& on : executors(pools)) {
        CAPTURE(on.name);
        const auto result = loss_on(on.executor)(distill::batch<float>{});
        CHECK(result.value == 0.0);
        CHECK(result.active_rows == 0);
    }
}

TEST_CASE("an executor is any callable, a lambda too, and the functor keeps its type") {
    const example e(300);
    const auto executor = [](std::ptrdiff_t count, const auto& body) { parallel_for(3, count, body); };
    const distill::loss f{distill::cross_entropy{}, distill::eigen{executor}, distill::token_mean{}};
    const distill::loss serial{distill::cross_entropy{}, distill::eigen{}, distill::token_mean{}};
    CHECK(same_bits(run(f, e.batch()), run(serial, e.batch())));
}

TEST_CASE("one functor serves several threads at once") {
    const example first(64), second(300);
    const auto check = [&](const auto& f) {
        const outcome expected[] = {run(f, first.batch()), run(f, second.batch())};
        std::atomic<int> differing{0};
        std::vector<std::thread> callers;
        for (int t = 0; t < 4; ++t)
            callers.emplace_back([&, t] {
                for (int repetition = 0; repetition < 5; ++repetition) {
                    const bool other = (t + repetition) % 2 == 1;
                    if (!same_bits(run(f, (other ? second : first).batch()), expected[other ? 1 : 0])) ++differing;
                }
            });
        for (std::thread& caller : callers) caller.join();
        CHECK(differing == 0);
    };
    check(loss_on(distill::serial{}));
    check(loss_on([](std::ptrdiff_t n, const auto& body) { parallel_for(2, n, body); }));
    check(distill::loss{distill::reverse_kl{}, distill::reference{}, distill::token_mean{}});
    Eigen::ThreadPool pool(3);
    check(loss_on(distill::thread_pool{pool}));
}
