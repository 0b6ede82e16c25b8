// What does a loss cost through its heads, chunk by chunk, beside the same products with all logits in memory?
#include <distill/head/eigen_product.hpp>
#include <distill/head/through_heads.hpp>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <span>
#include <string_view>
#include <thread>

#include "peers/child.hpp"
#include "peers/peer.hpp"
#include "workload.hpp"

#if defined(DISTILL_BENCH_CBLAS)
#include <cblas.h>
#include <distill/head/cblas_product.hpp>
#endif

namespace bench {
namespace {

constexpr std::ptrdiff_t rows_of_chunk = 128;

// Runs the library's blocks and the products' on so many threads.
struct on_threads {
    unsigned count;

    template <class Body>
    void operator()(std::ptrdiff_t bodies, const Body& body) const {
        std::atomic<std::ptrdiff_t> next{0};
        std::vector<std::jthread> running;
        for (unsigned t = 0; t < count; ++t)
            running.emplace_back([&] {
                for (std::ptrdiff_t i = next++; i < bodies; i = next++) body(i);
            });
    }
};

#if defined(DISTILL_BENCH_CBLAS)
// OpenBLAS on so many threads of its own.
struct openblas {
    int threads;

    [[nodiscard]] auto product() const {
        openblas_set_num_threads(threads);
        return distill::cblas_product{cblas_sgemm};
    }

    void logits(distill::matrix_view<const float> h, distill::matrix_view<const float> w,
                distill::matrix_view<float> z) const {
        product().logits(h, w, z);
    }
    void to_hidden(distill::matrix_view<const float> g, distill::matrix_view<const float> w,
                   distill::matrix_view<float> dh) const {
        product().to_hidden(g, w, dh);
    }
    void to_weight(distill::matrix_view<const float> g, distill::matrix_view<const float> h,
                   distill::matrix_view<float> dw) const {
        product().to_weight(g, h, dw);
    }
};
#endif

struct shape {
    std::size_t rows, vocabulary, width;
};

std::string in_words(const shape& s) {
    return std::to_string(s.rows) + " x " + std::to_string(s.vocabulary) + " x " + std::to_string(s.width);
}
std::string threads_in_words(unsigned threads) { return threads == 1 ? "one thread" : std::to_string(threads) + " threads"; }

// Hidden states, weights and gradients of a shape. Student and teacher have one width.
struct heads {
    shape of;
    std::vector<float> h, w, teacher_h, teacher_w, dh, dw;

    explicit heads(const shape& s) : of(s), h(s.rows * s.width), w(s.vocabulary * s.width), dh(h.size()), dw(w.size()) {
        std::mt19937 random(20260513);
        std::normal_distribution<float> normal;
        for (float& x : h) x = normal(random);
        for (float& x : w) x = 3.0f / std::sqrt(static_cast<float>(s.width)) * normal(random);
        teacher_h = h, teacher_w = w;
        for (float& x : teacher_w) x += 0.1f / std::sqrt(static_cast<float>(s.width)) * normal(random);
    }

    static heads& shared(const shape& s) {
        static std::unique_ptr<heads> last;
        if (!last || last->of.rows != s.rows || last->of.vocabulary != s.vocabulary || last->of.width != s.width) {
            last.reset();
            last = std::make_unique<heads>(s);
        }
        return *last;
    }

    [[nodiscard]] distill::linear_head<float> student() const {
        return {.hidden = {h.data(), of.rows, of.width}, .weight = {w.data(), of.vocabulary, of.width}};
    }
    [[nodiscard]] distill::linear_head<float> teacher() const {
        return {.hidden = {teacher_h.data(), of.rows, of.width}, .weight = {teacher_w.data(), of.vocabulary, of.width}};
    }
    [[nodiscard]] distill::head_gradients<float> gradients() {
        return {.hidden = {dh.data(), of.rows, of.width}, .weight = {dw.data(), of.vocabulary, of.width}};
    }
};

// The four products of `rows` rows, with logits in z and w.
template <class Product>
void multiply(const Product& product, heads& of, std::size_t first, std::size_t rows, std::span<float> z, std::span<float> w,
              const std::function<void()>& between) {
    const auto begin = static_cast<std::ptrdiff_t>(first), count = static_cast<std::ptrdiff_t>(rows);
    const distill::matrix_view<float> logits{z.data(), rows, of.of.vocabulary}, teacher{w.data(), rows, of.of.vocabulary};
    const auto student = of.student(), by = of.teacher();
    product.logits(by.hidden.middle_rows(begin, count), by.weight, teacher);
    product.logits(student.hidden.middle_rows(begin, count), student.weight, logits);
    between();
    const distill::matrix_view<const float> g = logits;
    product.to_weight(g, student.hidden.middle_rows(begin, count), of.gradients().weight.view);
    product.to_hidden(g, student.weight, of.gradients().hidden.view.middle_rows(begin, count));
}

// The floor: the products alone, a chunk at a time.
template <class Product>
yardstick products_alone(const shape& s, const Product& product) {
    return {s.rows * s.vocabulary,
            [=] {
                auto& of = heads::shared(s);
                std::vector<float> z(rows_of_chunk * s.vocabulary), w(z.size());
                for (std::size_t first = 0; first < s.rows; first += rows_of_chunk)
                    multiply(product, of, first, rows_of_chunk, z, w, [] {});
            },
            "floor: the products alone, a chunk at a time"};
}

template <class Backend, class Product>
void add_shape(const std::string& name, const shape& s, const Backend& backend, const Product& product) {
    const distill::loss loss{distill::forward_kl{}, backend, distill::token_mean{}};
    const std::string of = "heads/" + name + ", " + in_words(s);
    add(of + ", in chunks", [=] {
        static_cast<void>(heads::shared(s));
        return std::pair(products_alone(s, product), [=] {
            auto& here = heads::shared(s);
            const distill::through_heads f{loss, product, distill::rows_at_once{rows_of_chunk}};
            std::vector<std::byte> memory(f.workspace_bytes(here.student(), here.teacher()));
            benchmark::DoNotOptimize(f(here.student(), here.teacher(), distill::batch<float>{}, here.gradients(), memory));
        });
    });
    add(of + ", all logits in memory", [=] {
        static_cast<void>(heads::shared(s));
        return std::pair(products_alone(s, product), [=] {
            auto& here = heads::shared(s);
            std::vector<float> z(s.rows * s.vocabulary), w(z.size());
            std::fill(here.dw.begin(), here.dw.end(), 0.0f);
            multiply(product, here, 0, s.rows, z, w, [&] {
                const distill::batch<float> in{.student = {z.data(), s.rows, s.vocabulary},
                                               .teacher = {w.data(), s.rows, s.vocabulary}};
                benchmark::DoNotOptimize(loss(in, {z.data(), s.rows, s.vocabulary}));
            });
        });
    });
}

// Another process, with tensors of its own of the same shape.
template <class Product>
void add_pytorch(const std::string& way, const shape& s, unsigned threads, const Product& product) {
    const std::string name = "heads/PyTorch, " + way + ", " + threads_in_words(threads) + ", " + in_words(s);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        try {
            child python({std::getenv("DISTILL_BENCH_PYTHON"),
                          (std::filesystem::path(DISTILL_BENCH_PYTORCH).parent_path() / "heads.py").string()},
                         {});
            python.read();
            python.ask("shape " + std::to_string(s.rows) + " " + std::to_string(s.vocabulary) + " " +
                       std::to_string(s.width) + " " + std::to_string(threads));
            state.counters["peak MB"] = std::stod(python.ask("peak " + way));
            measure(state, products_alone(s, product), [&] { python.ask("run " + way); });
        } catch (const std::exception& failure) {
            state.SkipWithError(failure.what());
        }
    })->UseManualTime();
}

}  // namespace

// One shape, unless DISTILL_BENCH_HEADS=all: the largest takes minutes a call, and 5 GB with all logits in memory.
void add_heads() {
    const char* wanted = std::getenv("DISTILL_BENCH_HEADS");
    const bool all = wanted != nullptr && std::string_view(wanted) == "all";
    for (const unsigned threads : {1u, 2u})
        for (const std::size_t rows : {512u, 4096u})
            for (const std::size_t vocabulary : {49152u, 151936u})
                for (const std::size_t width : {576u, 2048u}) {
                    if (!all && (rows > 512 || vocabulary > 49152 || width > 576)) continue;
                    const shape s{rows, vocabulary, width};
                    const std::string of_threads = threads_in_words(threads);
                    const distill::eigen backend{on_threads{threads}};
                    add_shape("Eigen, " + of_threads, s, backend, distill::eigen_product{on_threads{threads}});
#if defined(DISTILL_BENCH_CBLAS)
                    const openblas product{static_cast<int>(threads)};
                    add_shape("OpenBLAS, " + of_threads, s, backend, product);
                    if (pytorch_is_missing().empty())
                        for (const char* way : {"eager", "compiled", "chunked"}) add_pytorch(way, s, threads, product);
#endif
                }
}

}  // namespace bench
