// Without exceptions every check is still there: the handler receives the message, and the call answers NaN.
#include <distill/distill.hpp>
#include <distill/head/eigen_product.hpp>
#include <distill/head/through_heads.hpp>
#include <distill/interop/dlpack.hpp>
#include <distill/interop/span.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

static_assert(DISTILL_HAS_EXCEPTIONS == 0, "this suite is compiled with -fno-exceptions");

namespace {

std::string received;
int calls = 0;

void receive(const char* message) {
    received = message;
    ++calls;
}

// Installs the handler for one test.
class handling {
public:
    handling() : previous_(distill::set_error_handler(&receive)) {
        received.clear();
        calls = 0;
    }
    handling(const handling&) = delete;
    handling& operator=(const handling&) = delete;
    ~handling() { distill::set_error_handler(previous_); }

private:
    distill::error_handler previous_;
};

bool is_nan(double x) { return (std::bit_cast<std::uint64_t>(x) & ~(std::uint64_t{1} << 63)) > 0x7ff0000000000000u; }

constexpr std::ptrdiff_t rows = 3, vocabulary = 5;

struct buffers {
    std::vector<float> student{1.0f, 2.0f, 0.5f, -1.0f, 0.0f, 1.0f, 2.0f, 0.5f, -1.0f, 0.0f, 1.0f, 2.0f, 0.5f, -1.0f, 0.0f};
    std::vector<float> teacher = std::vector<float>(rows * vocabulary, 0.25f);
    std::vector<float> gradient = std::vector<float>(rows * vocabulary, 42.0f);
    std::vector<double> row_losses = std::vector<double>(rows, 42.0);

    [[nodiscard]] distill::batch<float> batch() const {
        return {.student = {student.data(), rows, vocabulary}, .teacher = {teacher.data(), rows, vocabulary}};
    }
    [[nodiscard]] bool untouched() const { return gradient == buffers{}.gradient && row_losses == buffers{}.row_losses; }
};

template <class Backend>
void check_backend(const Backend& backend) {
    const handling scope;
    buffers b;
    const distill::loss f{distill::reverse_kl{}, backend, distill::token_mean{}};
    const distill::gradient<float> gradient(b.gradient.data(), rows, vocabulary);

    auto in = b.batch();
    in.teacher.rows = 2;
    CHECK(is_nan(f(in).value));
    CHECK(received == "distill: batch.teacher has 2 rows, batch.student has 3");
    CHECK(is_nan(f(in, gradient).value));
    CHECK(is_nan(f.per_token(in, std::span(b.row_losses)).value));
    const auto refused = f.per_token(in, std::span(b.row_losses), gradient);
    CHECK(is_nan(refused.value));
    CHECK(refused.active_rows == 0);
    CHECK(calls == 4);
    CHECK(b.untouched());

    in = b.batch();
    in.teacher = {};
    CHECK(is_nan(f(in, gradient).value));
    CHECK(received == "distill: reverse_kl needs batch.teacher, which is empty");
    CHECK(b.untouched());

    CHECK(is_nan(f(b.batch(), {b.student.data() + 1, rows, vocabulary}).value));
    CHECK(received == "distill: gradient overlaps batch.student");
    CHECK(b.student == buffers{}.student);

    const distill::loss cold{distill::jensen_shannon{0.0}, backend, distill::token_mean{}};
    CHECK(is_nan(cold(b.batch(), gradient).value));
    CHECK(received == "distill: jensen_shannon: teacher_weight lies strictly between 0 and 1");
    CHECK(b.untouched());

    // A good call afterwards.
    calls = 0;
    const auto good = f.per_token(b.batch(), std::span(b.row_losses), gradient);
    CHECK(calls == 0);
    CHECK(good.value > 0.1);
    CHECK(good.active_rows == 3);
    CHECK(b.row_losses[0] == doctest::Approx(good.value));
    CHECK(b.gradient[1] > 0.0f);
}

}  // namespace

TEST_CASE("the handler receives the message, outputs stay untouched, and a good call works afterwards") {
    check_backend(distill::reference{});
    check_backend(distill::eigen{});
}

TEST_CASE("a call through heads that is refused writes nothing") {
    const handling scope;
    std::vector<float> h(5 * 2, 0.5f), w(3 * 2, 0.25f), dw(w.size(), 7.0f);
    h[3] = 2.0f, w[1] = 1.0f;
    const std::vector<std::int64_t> labels{0, 1, 2, 0, 1};
    distill::linear_head<float> student{.hidden = {h.data(), 5, 2}, .weight = {w.data(), 3, 2}};
    const distill::through_heads f{distill::loss{distill::cross_entropy{}, distill::eigen{}, distill::token_mean{}},
                                   distill::eigen_product{}};
    std::vector<std::byte> memory(f.workspace_bytes(student));
    const distill::head_gradients<float> gradients{.weight = {dw.data(), 3, 2}};

    // Found by the heads' check, and by the loss's.
    CHECK(is_nan(f(student, distill::batch<float>{}, gradients, std::span(memory).first(10)).value));
    CHECK(received.starts_with("distill: the workspace has 10 bytes, this call needs "));
    CHECK(is_nan(f(student, distill::batch<float>{}, gradients, memory).value));
    CHECK(received == "distill: cross_entropy needs batch.labels, which is empty");
    CHECK(calls == 2);
    CHECK(dw == std::vector<float>(w.size(), 7.0f));

    const auto good = f(student, distill::batch<float>{.labels = labels}, gradients, memory);
    CHECK(calls == 2);
    CHECK(good.active_rows == 5);
    CHECK(dw != std::vector<float>(w.size(), 7.0f));
}

TEST_CASE("a row that is not finite is no error") {
    const handling scope;
    buffers b;
    b.student[7] = std::bit_cast<float>(0x7fc00000u);
    const distill::loss f{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}};
    const auto result = f(b.batch());
    CHECK(is_nan(result.value));
    CHECK(result.nonfinite_rows == 1);
    CHECK(calls == 0);
}

TEST_CASE("what is no loss reports to the same handler") {
    const handling scope;
    const std::vector<double> rewards{1.0, 0.0};
    const std::vector<std::int32_t> offsets{0, 3};
    std::vector<float> advantages(2, 42.0f);
    distill::group_advantages(rewards, offsets, std::span(advantages));
    CHECK(calls == 1);
    CHECK(received == "distill: group_offsets start at 0, never decrease and end at the number of rows, 2");
    CHECK(advantages == std::vector<float>(2, 42.0f));
}

TEST_CASE("a refused tensor is an absent view or an empty array") {
    const handling scope;
    const std::vector<float> values(5);
    CHECK(distill::view_of(values, 2, 3).absent());
    CHECK(received == "distill: a span of logits has 5 elements, its shape needs 6");
    DLTensor tensor{};
    tensor.device.device_type = kDLCUDA;
    CHECK(distill::view_of<const float>(tensor).absent());
    CHECK(distill::row_values_of(tensor).empty());
    CHECK(calls == 3);
}

TEST_CASE("setting a handler answers the one before") {
    const handling scope;
    const bool ours = distill::set_error_handler(nullptr) == &receive;
    const bool some = distill::set_error_handler(&receive) != nullptr;
    const bool again = distill::set_error_handler(&receive) == &receive;
    CHECK(ours);
    CHECK(some);
    CHECK(again);
}
