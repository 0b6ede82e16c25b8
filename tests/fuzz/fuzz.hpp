// What the targets share: invariants, memory of exactly the promised size, and numbers of any kind made from bytes.
#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

namespace fuzz {

// Ends the program where an invariant does not hold: libFuzzer keeps the input.
inline void require(bool condition, const char* sentence) {
    if (condition) return;
    std::fprintf(stderr, "does not hold: %s\n", sentence);
    std::abort();
}

// A choice of a short list. Unlike the provider's own, the first one where the bytes have run out.
template <class T, std::size_t Count>
T pick(FuzzedDataProvider& bytes, const T (&values)[Count]) {
    return values[bytes.ConsumeIntegral<std::uint8_t>() % Count];
}

inline bool one_in(FuzzedDataProvider& bytes, int count) {
    return bytes.ConsumeIntegral<std::uint8_t>() % count == count - 1;
}

// Mostly a parameter that people use, sometimes any double.
template <std::size_t Count>
double parameter(FuzzedDataProvider& bytes, const double (&usual)[Count]) {
    if (!one_in(bytes, 16)) return pick(bytes, usual);
    return std::bit_cast<double>(bytes.ConsumeIntegral<std::uint64_t>());
}

// A number that rows are made of: small ones in eighths; those at the edges of what the types hold; any bits.
inline double number(FuzzedDataProvider& bytes) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr double edges[] = {-infinity, infinity, std::numeric_limits<double>::quiet_NaN(),
                                1e4,       -1e4,     6e4,
                                1e30,      -1e30,    -0x1p100,
                                0x1p127,   -0x1p127, 1e-40,
                                5e-324,    -0.0};
    const int kind = bytes.ConsumeIntegral<std::uint8_t>();
    if (kind < 224) return (kind - 112) / 8.0;
    if (kind < 248) return pick(bytes, edges);
    return std::bit_cast<double>(bytes.ConsumeIntegral<std::uint64_t>());
}

// Blocks of the heap, each as long as what is put there, so that AddressSanitizer sees every access beyond; and one that
// several things can share, so that they may overlap.
class memory {
public:
    explicit memory(std::size_t shared_size) : shared_size_(shared_size) {}

    template <class Element>
    Element* own(std::size_t count) {
        return reinterpret_cast<Element*>(add(count * sizeof(Element)));
    }

    // In the shared block, `slot` elements from its beginning, or at its end where that is too far.
    template <class Element>
    Element* shared(std::size_t count, std::size_t slot) {
        const std::size_t size = count * sizeof(Element);
        if (size > shared_size_) return own<Element>(count);
        if (shared_ == nullptr) shared_ = add(shared_size_);
        const std::size_t last = (shared_size_ - size) / sizeof(Element);
        return reinterpret_cast<Element*>(shared_) + (slot < last ? slot : last);
    }

    // The bytes of every block.
    using contents = std::vector<std::vector<std::byte>>;

    [[nodiscard]] contents copy() const {
        contents all;
        for (const block& b : blocks_) all.emplace_back(b.begin.get(), b.begin.get() + b.size);
        return all;
    }
    void restore(const contents& all) {
        for (std::size_t i = 0; i < all.size(); ++i) std::ranges::copy(all[i], blocks_[i].begin.get());
    }
    [[nodiscard]] bool is(const contents& all) const { return copy() == all; }

    // Takes what stands at [address, address + size) over into the contents: there it may be anything.
    void accept(contents& all, const void* address, std::size_t size) const {
        const auto* begin = static_cast<const std::byte*>(address);
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::byte* block = blocks_[i].begin.get();
            if (std::less_equal<>()(block, begin) && std::less_equal<>()(begin + size, block + blocks_[i].size))
                std::copy(begin, begin + size, all[i].begin() + (begin - block));
        }
    }

private:
    struct block {
        std::unique_ptr<std::byte[]> begin;
        std::size_t size;
    };

    std::byte* add(std::size_t size) {
        blocks_.push_back({std::unique_ptr<std::byte[]>(new std::byte[size]()), size});
        return blocks_.back().begin.get();
    }

    std::vector<block> blocks_;
    std::size_t shared_size_;
    std::byte* shared_ = nullptr;
};

}  // namespace fuzz
