// Runs kernels: one fiber per thread, block after block, or all of them at once where the launch is cooperative. Compiled without ThreadSanitizer's instrumentation, which would take
// the scheduler's own records for memory that the kernel's threads share; its containers hold types of this file alone, so that
// no instrumented copy of their functions stands in.
#include "device.hpp"

#include "fiber.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace cuda_emulation {
namespace {

constexpr const char* operation_names[] = {"__syncthreads",   "__syncthreads_count", "__syncthreads_or", "__syncthreads_and",
                                           "__syncwarp",      "__shfl_sync",         "__shfl_up_sync",   "__shfl_down_sync",
                                           "__shfl_xor_sync", "__ballot_sync",       "__any_sync",       "__all_sync"};

enum class standing : unsigned char { ready, waits, gone };

struct static_variable {
    const void* key;
    void* place;
};

// A block whose threads are under way.
struct block_record {
    uint3 index;
    unsigned first_thread, size;
    void* dynamic_shared;
    char* static_shared;
    unsigned at_barrier = 0, came_with_predicate = 0;
    const struct thread_record* first_at_barrier = nullptr;
    // No vector, which a fiber would allocate and the host release.
    std::array<static_variable, 8> static_variables{};
    unsigned static_count = 0;
    std::size_t static_used = 0;
};

struct thread_record {
    fiber* runs_on;
    block_record* block;
    uint3 index;
    unsigned number;  // in its block
    standing now = standing::ready;
    operation what{};
    unsigned mask = 0, source_lane = 0;
    std::uint64_t value = 0;
    call_site where{};
    warp_answer answer{};
    int barrier_answer = 0;

    bool meets(operation o, unsigned m) const { return now == standing::waits && what == o && mask == m; }
    bool at_barrier() const { return now == standing::waits && what < operation::syncwarp; }
};

struct stack {
    std::unique_ptr<fiber> on;
};
struct shared_block {
    void* dynamic;
    char* fixed;
};
struct block_number {
    std::uint64_t value;
};
struct ready_thread {
    thread_record* thread;
};

constexpr std::size_t turns_of_waiting = 1000;  // of every thread in a loop, before it is said that nobody will come
constexpr std::size_t static_bytes = 48 * 1024, redzone = 32, dynamic_alignment = 16, static_alignment = 128;

#ifdef DISTILL_THREAD_SANITIZER
constexpr unsigned sets = 7;  // of 1024 threads at most, when the sanitizer is at its limit
#else
constexpr unsigned sets = 1;
#endif
std::vector<stack> stacks;  // of `sets` blocks, or of all blocks of a cooperative launch
std::vector<block_record> blocks;
std::vector<thread_record> threads;       // of all blocks that are under way
std::vector<shared_block> shared_blocks;  // of the blocks of this grid
fiber* host;
thread_record* running;
const std::function<void()>* kernel;
std::size_t living;
std::size_t turns_without_progress;         // of threads that wait in a loop
char start_of_block, end_of_block, fences;  // what ThreadSanitizer orders the host and the blocks by

// The threads that can go on, in the order in which they became ready: a ring as long as there are threads.
std::vector<ready_thread> ready;
std::size_t ready_first, ready_count;

struct random_order {
    std::optional<std::uint64_t> seed;
    std::uint64_t state = 0;

    std::uint64_t below(std::uint64_t bound) {
        state += 0x9e3779b97f4a7c15u;
        std::uint64_t z = (state ^ state >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return (z ^ z >> 31) % bound;
    }
};

random_order order = [] {
    random_order from_environment;
    if (const char* const text = std::getenv("DISTILL_CUDA_SEED"); text != nullptr && *text != '\0') {
        from_environment.seed = from_environment.state = std::strtoull(text, nullptr, 10);
        std::fprintf(stderr, "cuda emulation: random order of blocks and threads, seed %llu\n",
                     static_cast<unsigned long long>(*from_environment.seed));
    }
    return from_environment;
}();

[[noreturn, gnu::format(printf, 3, 4)]] void fail(const thread_record& thread, call_site where, const char* sentence, ...) {
    std::fflush(stdout);
    const uint3 block = thread.block->index;
    std::fprintf(stderr, "%s:%u: cuda emulation: block (%u, %u, %u), thread (%u, %u, %u): ", where.file, where.line, block.x,
                 block.y, block.z, thread.index.x, thread.index.y, thread.index.z);
    va_list values;
    va_start(values, sentence);
    std::vfprintf(stderr, sentence, values);
    va_end(values);
    if (order.seed) std::fprintf(stderr, " [DISTILL_CUDA_SEED=%llu]", static_cast<unsigned long long>(*order.seed));
    std::fputc('\n', stderr);
    std::abort();
}

const char* name(operation what) { return operation_names[static_cast<unsigned>(what)]; }

thread_record* lane_of(const thread_record& thread, unsigned lane_number) {
    const unsigned number = thread.number / 32 * 32 + lane_number;
    return number < thread.block->size ? &threads[thread.block->first_thread + number] : nullptr;
}

void make_ready(thread_record& thread) {
    thread.now = standing::ready;
    ready[(ready_first + ready_count++) % ready.size()].thread = &thread;
}

// Nobody can go on: says who waits for whom.
[[noreturn]] void explain_standstill() {
    const thread_record* waiting = nullptr;
    for (const thread_record& t : threads) {
        if (t.now != standing::waits) continue;
        waiting = &t;
        for (unsigned l = 0; l < 32 && !t.at_barrier(); ++l) {
            if ((t.mask >> l & 1) == 0) continue;
            const thread_record& other = *lane_of(t, l);
            if (other.now == standing::gone)
                fail(t, t.where, "%s with mask 0x%08x waits for lane %u, which has left the kernel", name(t.what), t.mask,
                     l);
            if (other.at_barrier())
                fail(t, t.where, "%s with mask 0x%08x waits for lane %u, which waits at %s:%u in %s", name(t.what), t.mask,
                     l, other.where.file, other.where.line, name(other.what));
            if (!other.meets(t.what, t.mask))
                fail(t, t.where, "%s with mask 0x%08x waits for lane %u, which waits at %s:%u in %s with mask 0x%08x",
                     name(t.what), t.mask, l, other.where.file, other.where.line, name(other.what), other.mask);
        }
    }
    for (const thread_record& t : threads)
        if (t.now == standing::gone && t.block == waiting->block)
            fail(*waiting, waiting->where, "divergent barrier: %s waits for thread (%u, %u, %u), which has left the kernel",
                 name(waiting->what), t.index.x, t.index.y, t.index.z);
    std::abort();
}

// Leaves the running thread, which is in a queue, waits, or is gone.
void go_on() {
    if (ready_count == 0 && living != 0) explain_standstill();
    fiber& from = running == nullptr ? *host : *running->runs_on;
    if (living == 0) {
        running = nullptr;
        return from.hand_over(*host);
    }
    ready_thread& first = ready[ready_first];
    if (order.seed) std::swap(first, ready[(ready_first + order.below(ready_count)) % ready.size()]);
    running = first.thread;
    ready_first = (ready_first + 1) % ready.size();
    --ready_count;
    threadIdx = running->index;
    lane = running->number % 32;
    blockIdx = running->block->index;
    dynamic_shared_memory = running->block->dynamic_shared;
    if (running->runs_on != &from) from.hand_over(*running->runs_on);
}

// What these threads did before they met is ordered before what any of them does now.
template <class Each>
void order_memory([[maybe_unused]] Each for_each_thread) {
#ifdef DISTILL_THREAD_SANITIZER
    // A meeting has a place of its own: meetings of two warps order nothing between them.
    static std::array<char, 4096> places;
    static std::size_t next;
    void *const place = &places[next = (next + 8) % places.size()], *const self = __tsan_get_current_fiber();
    for_each_thread([&](const thread_record& t) {
        __tsan_switch_to_fiber(t.runs_on->sanitizer(), __tsan_switch_to_fiber_no_sync);
        __tsan_release(place);
    });
    for_each_thread([&](const thread_record& t) {
        __tsan_switch_to_fiber(t.runs_on->sanitizer(), __tsan_switch_to_fiber_no_sync);
        __tsan_acquire(place);
    });
    __tsan_switch_to_fiber(self, __tsan_switch_to_fiber_no_sync);
#endif
}

void acquire([[maybe_unused]] char& place) {
#ifdef DISTILL_THREAD_SANITIZER
    __tsan_acquire(&place);
#endif
}

void release([[maybe_unused]] char& place) {
#ifdef DISTILL_THREAD_SANITIZER
    __tsan_release(&place);
#endif
}

void run_threads() {
    for (;;) {
        acquire(start_of_block);
        (*kernel)();
        release(end_of_block);
        running->now = standing::gone;
        --living;
        turns_without_progress = 0;
        go_on();
    }
}

void* allocate(std::size_t bytes, std::size_t alignment) {
    return std::memset(::operator new(bytes, std::align_val_t{alignment}), unwritten, bytes);
}

void free_shared() {
    for (const shared_block& s : shared_blocks) {
#ifdef DISTILL_ADDRESS_SANITIZER
        ASAN_UNPOISON_MEMORY_REGION(s.fixed, static_bytes);
#endif
        ::operator delete(s.dynamic, std::align_val_t{dynamic_alignment});
        ::operator delete(s.fixed, std::align_val_t{static_alignment});
    }
    shared_blocks.clear();
}

// Begins a block. Threads of two blocks are ordered by nothing but the grid's start and end. So that ThreadSanitizer sees it, a
// block's threads run on other fibers than those of the six blocks before, and its shared memory is nobody's before.
void add_block(uint3 index, dim3 block, std::size_t shared_bytes, std::size_t first_stack) {
    const unsigned size = block.x * block.y * block.z;
    shared_blocks.push_back(
        {allocate(shared_bytes, dynamic_alignment), static_cast<char*>(allocate(static_bytes, static_alignment))});
#ifdef DISTILL_ADDRESS_SANITIZER
    ASAN_POISON_MEMORY_REGION(shared_blocks.back().fixed, static_bytes);
#endif
    blocks.push_back({.index = index,
                      .first_thread = static_cast<unsigned>(threads.size()),
                      .size = size,
                      .dynamic_shared = shared_blocks.back().dynamic,
                      .static_shared = shared_blocks.back().fixed});
    for (unsigned t = 0; t < size; ++t)
        threads.push_back({.runs_on = stacks[first_stack + t].on.get(),
                           .block = &blocks.back(),
                           .index = {t % block.x, t / block.x % block.y, t / block.x / block.y},
                           .number = t});
}

// Runs the blocks that were added, to their end.
void run_blocks() {
    ready.resize(threads.size());
    ready_first = ready_count = 0;
    for (thread_record& t : threads) make_ready(t);
    living = threads.size();
    turns_without_progress = 0;
    release(start_of_block);
    go_on();
    blocks.clear();
    threads.clear();
#ifndef DISTILL_THREAD_SANITIZER
    free_shared();
#endif
}

}  // namespace

std::optional<std::uint64_t> set_order(std::optional<std::uint64_t> seed) {
    return std::exchange(order, {seed, seed.value_or(0)}).seed;
}

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, bool all_at_once, const std::function<void()>& body) {
    fiber this_thread;
    host = &this_thread;
    kernel = &body;
    gridDim = grid;
    blockDim = block;
    const std::uint64_t count = std::uint64_t{grid.x} * grid.y * grid.z;
    const std::uint64_t with_own_stacks = all_at_once ? count : std::min(count, std::uint64_t{sets});
    const unsigned size = block.x * block.y * block.z;
    while (stacks.size() < with_own_stacks * size) stacks.push_back({std::make_unique<fiber>(&run_threads, stacks.size())});
    blocks.reserve(all_at_once ? count : 1);  // threads point to them
    std::vector<block_number> shuffled_blocks;
    for (std::uint64_t b = 0; order.seed && b < count; ++b) {
        shuffled_blocks.push_back({b});
        std::swap(shuffled_blocks[b], shuffled_blocks[order.below(b + 1)]);
    }
    for (std::uint64_t b = 0; b < count; ++b) {
        const std::uint64_t at = order.seed ? shuffled_blocks[b].value : b;
        const uint3 index{static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                          static_cast<unsigned>(at / grid.x / grid.y)};
        add_block(index, block, shared_bytes, b % with_own_stacks * size);
        if (!all_at_once || b + 1 == count) run_blocks();
    }
    acquire(end_of_block);
    free_shared();
}

int meet_block(operation what, bool predicate, call_site where) {
    thread_record& self = *running;
    block_record& block = *self.block;
    self.now = standing::waits;
    self.what = what;
    self.where = where;
    if (block.at_barrier == 0) block.first_at_barrier = &self;
    const thread_record& first = *block.first_at_barrier;
    if (first.what != what || first.where.line != where.line || std::strcmp(first.where.file, where.file) != 0)
        fail(self, where, "divergent barrier: %s here, and %s of thread (%u, %u, %u) at %s:%u", name(what), name(first.what),
             first.index.x, first.index.y, first.index.z, first.where.file, first.where.line);
    block.came_with_predicate += predicate;
    if (++block.at_barrier == block.size) {
        const auto for_each_thread = [&](auto each) {
            for (unsigned t = 0; t < block.size; ++t) each(threads[block.first_thread + t]);
        };
        order_memory(for_each_thread);
        for_each_thread([&](thread_record& t) {
            t.barrier_answer = static_cast<int>(block.came_with_predicate);
            make_ready(t);
        });
        block.at_barrier = block.came_with_predicate = 0;
        turns_without_progress = 0;
    }
    go_on();
    return self.barrier_answer;
}

warp_answer meet_warp(operation what, unsigned mask, std::uint64_t value, unsigned source_lane, call_site where) {
    thread_record& self = *running;
    if ((mask >> lane & 1) == 0)
        fail(self, where, "%s with mask 0x%08x does not name its caller, lane %u", name(what), mask, lane);
    self.now = standing::waits;
    self.what = what;
    self.mask = mask;
    self.value = value;
    self.source_lane = source_lane;
    self.where = where;
    bool complete = true;
    for (unsigned l = 32; l-- > 0 && complete;) {
        if ((mask >> l & 1) == 0) continue;
        const thread_record* const other = lane_of(self, l);
        if (other == nullptr)
            fail(self, where, "%s with mask 0x%08x names lane %u, which the block of %u threads does not have", name(what),
                 mask, l, self.block->size);
        complete = other->meets(what, mask);
    }
    if (complete) {
        const auto for_each_lane = [&](auto each) {
            for (unsigned l = 0; l < 32; ++l)
                if ((mask >> l & 1) != 0) each(*lane_of(self, l));
        };
        unsigned ballot = 0;
        for_each_lane([&](const thread_record& t) { ballot |= static_cast<unsigned>(t.value != 0) << t.number % 32; });
        for_each_lane([&](thread_record& t) {
            const bool takes_part = (mask >> t.source_lane & 1) != 0;
            t.answer = {takes_part ? lane_of(self, t.source_lane)->value : ~std::uint64_t{0}, ballot};
        });
        if (what == operation::syncwarp) order_memory(for_each_lane);
        for_each_lane(make_ready);
        turns_without_progress = 0;
    }
    go_on();
    return self.answer;
}

void let_others_run(call_site where) {
    if (++turns_without_progress > turns_of_waiting * living)
        fail(*running, where,
             "every thread that can go on waits in a loop; blocks that wait for one another need a cooperative launch");
    make_ready(*running);
    go_on();
}

void* static_shared_memory(const void* key, std::size_t bytes, std::size_t alignment) {
    block_record& block = *running->block;
    for (unsigned v = 0; v < block.static_count; ++v)
        if (block.static_variables[v].key == key) return block.static_variables[v].place;
    block.static_used = (block.static_used + redzone + alignment - 1) / alignment * alignment;
    if (block.static_used + bytes + redzone > static_bytes || block.static_count == block.static_variables.size())
        fail(*running, {}, "a kernel's static shared memory is at most %zu variables of %zu bytes together here",
             block.static_variables.size(), static_bytes);
    char* const place = block.static_shared + block.static_used;
#ifdef DISTILL_ADDRESS_SANITIZER
    ASAN_UNPOISON_MEMORY_REGION(place, bytes);
#endif
    block.static_used += bytes;
    block.static_variables[block.static_count++] = {key, place};
    return place;
}

void fail_misaligned(const void* at, std::size_t alignment, const char* name, call_site where) {
    fail(*running, where, "%s of an address that is not aligned to %zu bytes: %p", name, alignment, at);
}

void fence() {
    acquire(fences);
    release(fences);
}

}  // namespace cuda_emulation
