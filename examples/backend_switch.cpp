// One source, three backends: the build says which. With CMake, -DDISTILL_EXAMPLE_BACKEND=eigen, reference or cuda.
#include <cstdio>
#include <vector>

#ifdef BACKEND_CUDA
#include <distill/backend/cuda.cuh>
#include <distill/divergence/forward_kl.hpp>
#include <distill/loss.hpp>
#include <distill/reduction/token_mean.hpp>

// A copy of the host's numbers in the device's memory, to the program's end.
template <class T>
struct buffer {
    explicit buffer(const std::vector<T>& values) : size(values.size()) {
        cudaMalloc(&data, size * sizeof(T));
        cudaMemcpy(data, values.data(), size * sizeof(T), cudaMemcpyHostToDevice);
    }
    std::vector<T> values() const {
        std::vector<T> copy(size);
        cudaMemcpy(copy.data(), data, size * sizeof(T), cudaMemcpyDeviceToHost);
        return copy;
    }
    T* data = nullptr;
    std::size_t size;
};
distill::loss_result run(const auto& f, const auto& in, const distill::logits_view<float>& gradient) {
    const buffer<distill::loss_result> result(std::vector<distill::loss_result>(1));
    f(in, gradient, result.data);
    return result.values()[0];
}
const distill::cuda chosen_backend{nullptr, distill::stream_ordered};
#else
#include <distill/distill.hpp>

template <class T>
struct buffer {
    explicit buffer(const std::vector<T>& given) : numbers(given), data(numbers.data()) {}
    std::vector<T> values() const { return numbers; }
    std::vector<T> numbers;
    T* data;
};
auto run(const auto& f, const auto& in, const distill::logits_view<float>& gradient) { return f(in, gradient); }
#ifdef BACKEND_REFERENCE
const distill::reference chosen_backend{};
#else
const distill::eigen chosen_backend{};
#endif
#endif

int main() {
    const int rows = 2, vocabulary = 4;
    const buffer<float> student({1, 2, 3, 4, 2, 0, 1, 0}), teacher({1, 3, 3, 2, 0, 0, 1, 3}),
        gradient({0, 0, 0, 0, 0, 0, 0, 0});
    const distill::loss f{distill::forward_kl{}, chosen_backend, distill::token_mean{}};
    const distill::batch<float> in{.student = {student.data, rows, vocabulary}, .teacher = {teacher.data, rows, vocabulary}};
    const auto result = run(f, in, {gradient.data, rows, vocabulary});

    std::printf("loss %.6f over %td rows\n", result.value, result.active_rows);
    for (const float g : gradient.values()) std::printf("% .6f\n", g);
}
