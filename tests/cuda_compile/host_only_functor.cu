// A term whose function is not constexpr is the host's alone: calling it in a kernel is an error.
#include <distill/backend/cuda.cuh>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

struct host_only : distill::term<host_only> {
    template <class T>
    T operator()(const distill::entry<T>& e) const {
        return e.p * e.p;
    }
};

void enqueue() {
    distill::loss_result* const result = nullptr;
    distill::loss{host_only{}, distill::cuda{}, distill::token_mean{}}(distill::batch<float>{}, distill::gradient<float>{},
                                                                       result);
}
