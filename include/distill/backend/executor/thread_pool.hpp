#pragma once

#include <distill/backend/executor/serial.hpp>

#include <unsupported/Eigen/CXX11/ThreadPool>

#include <cstddef>

namespace distill::inline DISTILL_ABI {

/// The threads of an Eigen thread pool that the caller owns: `Eigen::ThreadPool pool(4); distill::thread_pool{pool}`.
/// Every call allocates the pool's own tasks. Not to be used from one of the pool's own threads. A pool that has no threads
/// leaves the work to the calling thread.
class thread_pool {
public:
    explicit thread_pool(Eigen::ThreadPoolInterface& pool) noexcept : pool_(&pool) {}

    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {
        const auto threads = static_cast<std::ptrdiff_t>(pool_->NumThreads());
        const std::ptrdiff_t tasks = count < threads ? count : threads;
        if (tasks < 1) return serial{}(count, body);
        Eigen::Barrier done(static_cast<unsigned>(tasks));
        for (std::ptrdiff_t t = 0; t < tasks; ++t)
            pool_->Schedule([&, t] {
                for (std::ptrdiff_t i = t; i < count; i += tasks) body(i);
                done.Notify();
            });
        done.Wait();
    }

private:
    Eigen::ThreadPoolInterface* pool_;
};

}  // namespace distill::inline DISTILL_ABI
