// Correct kernels give the serial result in every order; a missing barrier gives another in almost every random order. All but
// the latter is for a device too.
#include "kernels.cuh"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <vector>

namespace {

/// Memory of the device that holds these numbers.
template <class T>
class on_device {
public:
    explicit on_device(const std::vector<T>& numbers) : size_(numbers.size()) {
        REQUIRE(cudaMalloc(&data_, size_ * sizeof(T)) == cudaSuccess);
        REQUIRE(cudaMemcpy(data_, numbers.data(), size_ * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
    }
    explicit on_device(std::size_t size) : on_device(std::vector<T>(size)) {}
    ~on_device() { cudaFree(data_); }
    on_device(const on_device&) = delete;
    on_device& operator=(const on_device&) = delete;

    T* data() const { return data_; }
    std::vector<T> numbers() const {
        std::vector<T> copy(size_);
        REQUIRE(cudaMemcpy(copy.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
        return copy;
    }

private:
    T* data_ = nullptr;
    std::size_t size_;
};

/// Integers, whose sums are exact in any order.
std::vector<float> some_numbers(std::size_t size) {
    std::vector<float> numbers(size);
    for (std::size_t i = 0; i < size; ++i) numbers[i] = static_cast<float>((i * 7919 + 13) % 101) - 40;
    return numbers;
}

/// Calls `body` in ascending order and in twenty random ones; on a device, once.
template <class Body>
void in_every_order(Body body) {
#ifdef DISTILL_CUDA_EMULATION
    const auto before = cuda_emulation::set_order(std::nullopt);
    body();
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        cuda_emulation::set_order(seed);
        body();
    }
    cuda_emulation::set_order(before);
#else
    body();
#endif
}

bool no_device() {
    int count = 0;
    return cudaGetDeviceCount(&count) != cudaSuccess || count == 0;
}

reduction::statistics serially(const float* row, std::size_t columns) {
    reduction::statistics all{-INFINITY, 0};
    for (std::size_t i = 0; i < columns; ++i) all = reduction::merged(all, {row[i], row[i]});
    return all;
}

__global__ void own_number(float* out) { out[blockIdx.x] = static_cast<float>(blockIdx.x); }

// Lanes of half a warp, in groups of eight; the other half has left.
__global__ void shuffle_and_vote(int* answers) {
    const int lane = static_cast<int>(threadIdx.x);
    if (lane >= 16) return;
    const unsigned mask = 0xffff;
    int* const mine = answers + 9 * lane;
    mine[0] = __shfl_sync(mask, lane, 3, 8);
    mine[1] = __shfl_up_sync(mask, lane, 2, 8);
    mine[2] = __shfl_down_sync(mask, lane, 2, 8);
    mine[3] = __shfl_xor_sync(mask, lane, 9, 8);
    mine[4] = static_cast<int>(__ballot_sync(mask, lane % 2));
    mine[5] = __any_sync(mask, lane == 3);
    mine[6] = __all_sync(mask, lane != 3);
    mine[7] = __all_sync(mask, lane < 16);
    mine[8] = __shfl_down_sync(mask, lane, 1);  // lane 15's is of a lane that takes no part
}

__global__ void count_at_barrier(int* answers) {
    const bool few = threadIdx.x < 3;  // of ten, four times
    int* const mine = answers + 3 * (threadIdx.x + 10 * threadIdx.y);
    mine[0] = __syncthreads_count(few);
    mine[1] = __syncthreads_or(few);
    mine[2] = __syncthreads_and(few);
}

}  // namespace

TEST_SUITE_BEGIN("reductions" * doctest::skip(no_device()));

TEST_CASE("a block reduces rows of any length to their maximum and their sum, in every order") {
    const std::size_t rows = 3;
    for (const std::size_t columns : {1u, 31u, 32u, 33u, 1000u})
        for (const unsigned threads : {32u, 96u, 256u}) {
            CAPTURE(columns);
            CAPTURE(threads);
            const std::vector<float> numbers = some_numbers(rows * columns);
            const on_device<float> in(numbers);
            const on_device<reduction::statistics> out(rows);
            in_every_order([&] {
                DISTILL_LAUNCH(reduction::of_rows, rows, threads, 0, nullptr, in.data(), static_cast<long long>(columns),
                               out.data());
                const auto found = out.numbers();
                for (std::size_t row = 0; row < rows; ++row) {
                    const auto expected = serially(&numbers[row * columns], columns);
                    CHECK(found[row].maximum == expected.maximum);
                    CHECK(found[row].sum == expected.sum);
                }
            });
        }
}

TEST_CASE("a warp's scan gives running sums, in every order") {
    const std::vector<float> numbers = some_numbers(4 * 64);
    const on_device<float> in(numbers), out(numbers.size());
    in_every_order([&] {
        DISTILL_LAUNCH(reduction::scan, 4, 64, 0, nullptr, in.data(), out.data());
        const auto found = out.numbers();
        float sum = 0;
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            sum = i % 32 == 0 ? numbers[i] : sum + numbers[i];
            CHECK(found[i] == sum);
        }
    });
}

TEST_CASE("several blocks add up a row in two launches and in one, in every order") {
    const std::vector<float> numbers = some_numbers(5003);
    const float expected = serially(numbers.data(), numbers.size()).sum;
    const auto columns = static_cast<long long>(numbers.size());
    const on_device<float> in(numbers), parts(7), answers(2);
    const on_device<unsigned> finished(1);
    in_every_order([&] {
        DISTILL_LAUNCH(reduction::part_sums, 7, 128, 128 * sizeof(float), nullptr, in.data(), columns, parts.data());
        DISTILL_LAUNCH(reduction::sum_of_parts, 1, 32, 0, nullptr, parts.data(), 7u, answers.data());
        DISTILL_LAUNCH(reduction::sum_by_last_block, 7, 128, 0, nullptr, in.data(), columns, parts.data(), finished.data(),
                       answers.data() + 1);
        CHECK(answers.numbers() == std::vector<float>{expected, expected});
    });
}

TEST_CASE("blocks of a cooperative launch wait for one another, in every order") {
    const std::vector<float> numbers = some_numbers(5003);
    const float expected = serially(numbers.data(), numbers.size()).sum;
    const on_device<float> in(numbers), parts(5), answers(5);
    const on_device<unsigned> arrived(1);
    in_every_order([&] {
        REQUIRE(cudaMemset(arrived.data(), 0, sizeof(unsigned)) == cudaSuccess);
        cudaLaunchAttribute cooperative{};
        cooperative.id = cudaLaunchAttributeCooperative;
        cooperative.val.cooperative = 1;
        cudaLaunchConfig_t config{};
        config.gridDim = 5;
        config.blockDim = 96;
        config.attrs = &cooperative;
        config.numAttrs = 1;
        REQUIRE(cudaLaunchKernelEx(&config, reduction::sum_together, static_cast<const float*>(in.data()),
                                   static_cast<long long>(numbers.size()), parts.data(), arrived.data(),
                                   answers.data()) == cudaSuccess);
        CHECK(answers.numbers() == std::vector<float>(5, expected));
    });
}

TEST_CASE("every shuffle and vote answers as the programming guide has it") {
#ifdef DISTILL_CUDA_EMULATION
    constexpr int answers_of_last = 9;
#else
    constexpr int answers_of_last = 8;
#endif
    const on_device<int> out(16 * 9);
    in_every_order([&] {
        DISTILL_LAUNCH(shuffle_and_vote, 1, 32, 0, nullptr, out.data());
        const auto found = out.numbers();
        for (int lane = 0; lane < 16; ++lane) {
            const int group = lane / 8 * 8, source = lane ^ 9;
            const int expected[] = {group + 3,
                                    lane - group < 2 ? lane : lane - 2,
                                    lane - group > 5 ? lane : lane + 2,
                                    source > group + 7 ? lane : source,
                                    0xaaaa,
                                    1,
                                    0,
                                    1,
                                    lane == 15 ? -1 : lane + 1};
            for (int i = 0; i < (lane == 15 ? answers_of_last : 9); ++i)
                CHECK(found[static_cast<std::size_t>(9 * lane + i)] == expected[i]);
        }
    });
}

TEST_CASE("a block's barrier counts") {
    const on_device<int> out(3 * 40);
    DISTILL_LAUNCH(count_at_barrier, 1, dim3(10, 4), 0, nullptr, out.data());
    CHECK(cudaGetLastError() == cudaSuccess);
    const auto found = out.numbers();
    for (std::size_t i = 0; i < found.size(); i += 3) {
        CHECK(found[i] == 12);
        CHECK(found[i + 1] == 1);
        CHECK(found[i + 2] == 0);
    }
}

#if defined(DISTILL_CUDA_EMULATION) && !defined(DISTILL_THREAD_SANITIZER)  // which reports these kernels
namespace {

__global__ void first_writes_all_read(float* out) {
    DISTILL_STATIC_SHARED(shared, float);
    if (threadIdx.x == 0) shared = 1;
    out[threadIdx.x] = shared;
}

__global__ void writes_before_all_have_read(float* out) {
    DISTILL_STATIC_SHARED(shared, float);
    float wrong = 0;
    for (float round = 0; round < 2; ++round) {
        if (threadIdx.x == blockDim.x - 1) shared = round;
        __syncthreads();
        wrong += shared - round;
    }
    out[threadIdx.x] = wrong;
}

}  // namespace

TEST_CASE("random orders find a missing barrier, ascending order does not") {
    const auto found_of_20 = [](void (*kernel)(float*), float expected) {
        const on_device<float> out(256);
        int orders = 0, wrong = 0;
        in_every_order([&] {
            DISTILL_LAUNCH(kernel, 1, 256, 0, nullptr, out.data());
            const auto numbers = out.numbers();
            const bool right = std::all_of(numbers.begin(), numbers.end(), [&](float x) { return x == expected; });
            CHECK((right || orders > 0));
            ++orders;
            wrong += !right;
        });
        return wrong;
    };
    const int before_first_read = found_of_20(&first_writes_all_read, 1);
    const int after_last_read = found_of_20(&writes_before_all_have_read, 0);
    std::printf("missing barriers found by random order: %d and %d of 20\n", before_first_read, after_last_read);
    CHECK(before_first_read >= 19);
    CHECK(after_last_read >= 19);
}
#endif

TEST_CASE("every block runs once, whatever the order") {
    const on_device<float> out(100);
    in_every_order([&] {
        REQUIRE(cudaMemset(out.data(), 0, 400) == cudaSuccess);
        DISTILL_LAUNCH(own_number, 100, 1, 0, nullptr, out.data());
        const auto numbers = out.numbers();
        for (std::size_t b = 0; b < 100; ++b) CHECK(numbers[b] == static_cast<float>(b));
    });
}

TEST_SUITE_END();
