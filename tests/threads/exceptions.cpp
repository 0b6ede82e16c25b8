// What a user's code throws in an executor's thread reaches the caller.
#include <distill/backend/executor/openmp.hpp>
#include <distill/backend/executor/thread_pool.hpp>
#include <distill/distill.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using any_executor = std::function<void(std::ptrdiff_t, const std::function<void(std::ptrdiff_t)>&)>;

struct row_refused {
    std::ptrdiff_t row;
};

// Throws in the rows of a list, before the row is read.
struct refuses_rows : distill::term<refuses_rows> {
    const std::vector<std::ptrdiff_t>* refused;

    explicit refuses_rows(const std::vector<std::ptrdiff_t>& rows) : refused(&rows) {}

    template <class Row>
    refuses_rows for_row(const Row& row) const {
        if (std::ranges::find(*refused, row.index) != refused->end()) throw row_refused{row.index};
        return *this;
    }
    template <class T>
    distill::summand<T> operator()(const distill::entry<T>& e) const {
        return distill::evaluate(distill::jensen_shannon{0.5}, e);
    }
};

// The number of the row whose exception the call ends with; -1: it ends without.
template <class Loss, class... Outputs>
std::ptrdiff_t row_that_ends(const Loss& f, const distill::batch<float>& in, Outputs... outputs) {
    try {
        f(in, outputs...);
    } catch (const row_refused& e) {
        return e.row;
    }
    return -1;
}

void each_in_a_thread(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& body) {
    std::vector<std::thread> threads;
    std::atomic<std::ptrdiff_t> next{0};
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&] {
            for (std::ptrdiff_t i = next++; i < count; i = next++) body(i);
        });
    for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("an exception of a term reaches the caller from every executor: that of the first row that throws") {
    constexpr std::ptrdiff_t rows = 600, vocabulary = 33;
    std::vector<float> student(rows * vocabulary), teacher(rows * vocabulary), gradient(rows * vocabulary),
        expected(rows * vocabulary);
    for (std::size_t i = 0; i < student.size(); ++i) {
        student[i] = static_cast<float>(i * 7 % 13);
        teacher[i] = static_cast<float>(i * 5 % 11);
    }
    const distill::batch<float> in{.student = {student.data(), rows, vocabulary},
                                   .teacher = {teacher.data(), rows, vocabulary}};
    distill::loss{distill::jensen_shannon{0.5}, distill::eigen{}, distill::token_mean{}}(
        in, {expected.data(), rows, vocabulary});

    Eigen::ThreadPool pool(3);
    const std::vector<any_executor> executors{distill::serial{}, distill::openmp{3}, distill::thread_pool{pool},
                                              each_in_a_thread};
    std::vector<std::ptrdiff_t> refused;
    std::atomic<int> asked{0};
    const std::function<void*(std::size_t)> scratch = [&](std::size_t bytes) {
        ++asked;
        return distill::thread_scratch{}(bytes);
    };
    for (std::size_t e = 0; e < executors.size(); ++e) {
        CAPTURE(e);
        const distill::loss f{refuses_rows(refused), distill::eigen{executors[e], scratch}, distill::token_mean{}};
        const distill::gradient<float> destination(gradient.data(), rows, vocabulary);
        const std::vector<std::vector<std::ptrdiff_t>> lists{{0}, {5}, {599}, {300, 301, 7, 450}, {599, 598, 597}};
        for (const auto& list : lists) {
            refused = list;
            CHECK(row_that_ends(f, in) == *std::ranges::min_element(list));
            CHECK(row_that_ends(f, in, destination) == *std::ranges::min_element(list));
        }
        for (std::ptrdiff_t row = 0; row < rows; ++row) refused.push_back(row);
        CHECK(row_that_ends(f, in, destination) == 0);
        // A good call afterwards: the threads' scratch is free again.
        refused.clear();
        asked = 0;
        CHECK(row_that_ends(f, in, destination) == -1);
        CHECK(asked == 200);  // a row for each of the blocks
        CHECK(std::memcmp(gradient.data(), expected.data(), gradient.size() * sizeof(float)) == 0);
    }
}

TEST_CASE("a pool that has no threads runs the rows in the calling thread") {
    struct no_threads : Eigen::ThreadPoolInterface {
        void Schedule(std::function<void()> task) override { task(); }
        int NumThreads() const override { return 0; }
        int CurrentThreadId() const override { return -1; }
    } pool;
    const std::vector<float> student{1, 2, 3, 3, 2, 1}, teacher{3, 1, 1, 1, 1, 3};
    const distill::batch<float> in{.student = {student.data(), 2, 3}, .teacher = {teacher.data(), 2, 3}};
    std::vector<float> gradient(6), expected(6);
    const double value = distill::loss{distill::jensen_shannon{0.5}, distill::eigen{distill::thread_pool{pool}},
                                       distill::token_mean{}}(in, {gradient.data(), 2, 3})
                             .value;
    CHECK(value ==
          distill::loss{distill::jensen_shannon{0.5}, distill::eigen{}, distill::token_mean{}}(in, {expected.data(), 2, 3})
              .value);
    CHECK(value > 0.0);
    CHECK(gradient == expected);
}
