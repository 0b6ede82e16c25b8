#include <distill/backend/executor/openmp.hpp>
#include <distill/backend/executor/serial.hpp>
#include <distill/backend/executor/thread_pool.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace {

// Every index once, and all done at the return.
template <class Executor>
void check(const Executor& executor) {
    for (const std::ptrdiff_t count : {0, 1, 2, 3, 7, 256}) {
        CAPTURE(count);
        std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
        executor(count, [&](std::ptrdiff_t i) { ++visits[static_cast<std::size_t>(i)]; });
        bool once = true;
        for (const auto& v : visits) once = once && v == 1;
        CHECK(once);
    }
}

}  // namespace

TEST_CASE("an executor calls its body once for every index and returns when all are done") {
    check(distill::serial{});
    check(distill::openmp{});
    check(distill::openmp{2});
    for (const int threads : {1, 3}) {
        Eigen::ThreadPool pool(threads);
        check(distill::thread_pool{pool});
    }
}

TEST_CASE("serial runs in order, in the calling thread") {
    std::vector<std::ptrdiff_t> order;
    const auto caller = std::this_thread::get_id();
    bool same_thread = true;
    distill::serial{}(4, [&](std::ptrdiff_t i) {
        order.push_back(i);
        same_thread = same_thread && std::this_thread::get_id() == caller;
    });
    CHECK(order == std::vector<std::ptrdiff_t>{0, 1, 2, 3});
    CHECK(same_thread);
}
