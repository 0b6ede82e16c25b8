// Counts what a program allocates, by its own operator new. Included by one source of a program.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace distill_test {

inline std::atomic<std::size_t> allocations{0}, largest_allocation{0};

// Neither is inlined: g++ would see free() take what a replaced operator new gave.
[[gnu::noinline]] inline void* allocate(std::size_t size, std::size_t alignment) {
    ++allocations;
    std::size_t largest = largest_allocation;
    while (size > largest && !largest_allocation.compare_exchange_weak(largest, size)) {
    }
    void* memory = std::aligned_alloc(alignment, (std::max(size, std::size_t{1}) + alignment - 1) / alignment * alignment);
    if (memory == nullptr) std::abort();
    return memory;
}

[[gnu::noinline]] inline void release(void* memory) { std::free(memory); }

}  // namespace distill_test

void* operator new(std::size_t size) { return distill_test::allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new[](std::size_t size) { return distill_test::allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return distill_test::allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return distill_test::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { distill_test::release(memory); }
void operator delete[](void* memory) noexcept { distill_test::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { distill_test::release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { distill_test::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { distill_test::release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { distill_test::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { distill_test::release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { distill_test::release(memory); }
