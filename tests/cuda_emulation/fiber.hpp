/// A fiber: a stack of its own, on which a function runs until it hands over to another fiber. The sanitizers know of every
/// switch, and ThreadSanitizer takes fibers for threads between which a switch alone orders nothing.
#pragma once

#include "device.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if !defined(__x86_64__) || defined(DISTILL_EMULATION_UCONTEXT)
#define DISTILL_UCONTEXT
#include <ucontext.h>
#endif

namespace cuda_emulation {

#ifndef DISTILL_UCONTEXT
/// Saves the registers that a function keeps and the stack's top at *leaving, and takes up what was saved at `entering`.
/// The rounding mode is everybody's.
extern "C" void distill_switch_stack(void** leaving, void* entering);
asm(R"(
.text
.globl distill_switch_stack
.hidden distill_switch_stack
.type distill_switch_stack, @function
distill_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size distill_switch_stack, .-distill_switch_stack
)");
#endif

class fiber {
public:
    /// The fiber that a thread of the operating system is by itself.
    fiber() = default;

    /// A fiber that starts with `entry`, which does not return, when it is first handed over to. It lives to the program's end.
    explicit fiber(void (*entry)(), std::size_t number) : entry_(entry) {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        void* const place = mmap(nullptr, stack_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED || mprotect(place, page, PROT_NONE) != 0)
            std::perror("cuda emulation: a stack"), std::abort();
        bottom_ = static_cast<char*>(place) + page;
        // Stacks that began at the same place of a page would meet in the same sets of the caches.
        bytes_ = stack_bytes - number % 32 * 256;
#ifdef DISTILL_UCONTEXT
        getcontext(&context_);
        context_.uc_stack.ss_sp = const_cast<void*>(bottom_);
        context_.uc_stack.ss_size = bytes_;
        makecontext(&context_, &start, 0);
#else
        // Where `start` returns to, nowhere; `start`; six registers.
        auto* const top = reinterpret_cast<std::uintptr_t*>(static_cast<char*>(place) + page + bytes_) - 8;
        top[6] = reinterpret_cast<std::uintptr_t>(&start);
        top_ = top;
#endif
#ifdef DISTILL_THREAD_SANITIZER
        sanitizer_ = __tsan_create_fiber(0);
#endif
    }

    /// Called on the running fiber: hands over to `to`, and returns when another fiber hands over to this one.
    void hand_over(fiber& to) {
#ifdef DISTILL_ADDRESS_SANITIZER
        __sanitizer_start_switch_fiber(&sanitizer_, to.bottom_, to.bytes_);
#elif defined(DISTILL_THREAD_SANITIZER)
        if (entry_ == nullptr) sanitizer_ = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(to.sanitizer_, __tsan_switch_to_fiber_no_sync);
#endif
        left = this;
        entered = &to;
#ifdef DISTILL_UCONTEXT
        swapcontext(&context_, &to.context_);
#else
        distill_switch_stack(&top_, to.top_);
#endif
        arrive();
    }

    /// ThreadSanitizer's name of this fiber.
    void* sanitizer() const { return sanitizer_; }

private:
    static constexpr std::size_t stack_bytes = 256 * 1024;

    static void start() {
        entered->arrive();
        entered->entry_();
    }

    void arrive() {
#ifdef DISTILL_ADDRESS_SANITIZER
        __sanitizer_finish_switch_fiber(sanitizer_, &left->bottom_, &left->bytes_);
#endif
    }

    static inline fiber *left, *entered;

    void (*entry_)() = nullptr;
    const void* bottom_ = nullptr;
    std::size_t bytes_ = 0;
    void* sanitizer_ = nullptr;
#ifdef DISTILL_UCONTEXT
    ucontext_t context_{};
#else
    void* top_ = nullptr;
#endif
};

}  // namespace cuda_emulation
