// What a call allocates, counted by the program's own operator new.
#include <conformance/example.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> allocations{0}, largest_allocation{0};

// Neither is inlined: g++ would see free() take what a replaced operator new gave.
[[gnu::noinline]] void* allocate(std::size_t size, std::size_t alignment) {
    ++allocations;
    std::size_t largest = largest_allocation;
    while (size > largest && !largest_allocation.compare_exchange_weak(largest, size)) {
    }
    void* memory = std::aligned_alloc(alignment, (std::max(size, std::size_t{1}) + alignment - 1) / alignment * alignment);
    if (memory == nullptr) std::abort();
    return memory;
}

[[gnu::noinline]] void release(void* memory) { std::free(memory); }

}  // namespace

void* operator new(std::size_t size) { return allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new[](std::size_t size) { return allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

namespace conformance {

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

}  // namespace conformance
