// Scratch memory of the caller's: the library then allocates nothing.
#include <cstddef>
#include <cstdio>
#include <distill/distill.hpp>
#include <vector>

// One block, for one thread; each of several threads needs its own. If the call returns null, the backend allocates.
struct arena {
    std::byte* memory;
    std::size_t size;

    void* operator()(std::size_t bytes) const { return bytes <= size ? memory : nullptr; }
};

int main() {
    alignas(64) static std::byte memory[1 << 16];
    const arena scratch{memory, sizeof memory};

    std::vector<float> z(1000), w(1000), gradient(1000);
    for (std::size_t i = 0; i < z.size(); ++i) {
        z[i] = static_cast<float>(i * 7919 % 1009) / 200;
        w[i] = static_cast<float>(i * 6007 % 1013) / 200;
    }
    const distill::batch<float> in{.student = {z.data(), 1, z.size()}, .teacher = {w.data(), 1, w.size()}};

    const distill::loss f{distill::jensen_shannon{}, distill::eigen{distill::serial{}, scratch}, distill::token_mean{}};
    std::printf("loss %.6f\n", f(in, {gradient.data(), 1, gradient.size()}).value);

    std::size_t written = 0;
    for (const std::byte b : memory) written += b != std::byte{0} ? 1 : 0;
    std::printf("the arena was %s\n", written > 0 ? "used" : "left alone");
}
