// Threads are the caller's: an executor is any callable (count, body) that runs body(0) ... body(count - 1) somewhere.
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <distill/distill.hpp>
#include <thread>
#include <vector>

// A parallel-for of one's own.
struct parallel_for {
    unsigned threads;

    template <class Body>
    void operator()(std::ptrdiff_t count, const Body& body) const {
        std::atomic<std::ptrdiff_t> next{0};
        std::vector<std::jthread> pool;
        for (unsigned t = 0; t < threads; ++t)
            pool.emplace_back([&] {
                for (std::ptrdiff_t i = next++; i < count; i = next++) body(i);
            });
    }
};

int main() {
    const int rows = 100, vocabulary = 1000;
    std::vector<float> student(rows * vocabulary), teacher(student.size());
    for (std::size_t i = 0; i < student.size(); ++i) {
        student[i] = static_cast<float>(i * 7919 % 1009) / 200;
        teacher[i] = static_cast<float>(i * 6007 % 1013) / 200;
    }
    const distill::batch<float> in{.student = {student.data(), rows, vocabulary},
                                   .teacher = {teacher.data(), rows, vocabulary}};

    const distill::loss serial{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}};
    const double expected = serial(in).value;
    std::printf("loss %.6f\n", expected);
    for (const unsigned threads : {1u, 2u, 7u}) {
        const distill::loss f{distill::reverse_kl{}, distill::eigen{parallel_for{threads}}, distill::token_mean{}};
        std::printf("%u threads: %s\n", threads, f(in).value == expected ? "the same bits" : "different");
    }
}
