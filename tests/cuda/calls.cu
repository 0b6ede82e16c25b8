// How a call meets memory, streams, threads of the host, and CUDA functions that fail.
#include "on_device.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <array>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

namespace distill_test {
namespace {

using namespace distill;

class stream_of_test {
public:
    stream_of_test() { hold(cudaStreamCreate(&handle_)); }
    stream_of_test(const stream_of_test&) = delete;
    ~stream_of_test() { static_cast<void>(cudaStreamDestroy(handle_)); }
    [[nodiscard]] cudaStream_t handle() const { return handle_; }
    void wait() const { hold(cudaStreamSynchronize(handle_)); }

private:
    cudaStream_t handle_{};
};

// The buffers of one call of forward KL.
struct buffers {
    std::size_t rows, vocabulary;
    device_vector<float> student, teacher, gradient;
    device_vector<loss_result> result{1};
    device_vector<unsigned char> memory;

    explicit buffers(const filled_rows& in)
        : rows(in.rows),
          vocabulary(in.vocabulary),
          student(placed<float>(in.student, rows, vocabulary, {})),
          teacher(placed<float>(in.teacher, rows, vocabulary, {})),
          gradient(rows * vocabulary),
          memory(loss{forward_kl{}, cuda{}, token_mean{}}.workspace_bytes(batch())) {}

    [[nodiscard]] distill::batch<float> batch() const {
        return {.student = {student.data(), rows, vocabulary}, .teacher = {teacher.data(), rows, vocabulary}};
    }
    template <class Loss>
    void call(const Loss& f) const {
        f(batch(), {gradient.data(), rows, vocabulary}, result.data());
    }
    [[nodiscard]] auto functor(cudaStream_t stream) const {
        return loss{forward_kl{}, cuda{stream, {memory.data(), memory.size()}}, token_mean{}};
    }
    [[nodiscard]] bool has(const device_answer& expected) const {
        const std::vector<float> found = gradient.values();
        return result.values()[0].value == expected.result.value &&
               std::equal(found.begin(), found.end(), expected.gradient.begin(), expected.gradient.end(),
                          [](float a, double e) { return static_cast<double>(a) == e; });
    }
};

filled_rows some_rows(const char* name, std::size_t rows = 3, std::size_t vocabulary = 100) {
    auto random = engine(name);
    return stored_rows<float>(random_rows(random, rows, vocabulary));
}

const auto on_request = [](cudaStream_t stream) { return loss{forward_kl{}, cuda{stream, stream_ordered}, token_mean{}}; };

// What the device has given out; where it does not say, nothing.
std::size_t bytes_given_out() {
#ifdef DISTILL_CUDA_EMULATION
    return cuda_emulation::allocated_bytes();
#else
    return 0;
#endif
}

TEST_CASE("memory on request: the same bits, held until the stream has done the call's work, and not longer") {
    for (const std::size_t vocabulary : {100u, 20000u}) {
        const filled_rows in = some_rows("cuda: memory on request", 2, vocabulary);
        const device_answer expected = on_device<float>(forward_kl{}, token_mean{}, in);
        const buffers b(in);
        const stream_of_test stream;
        const std::size_t before = bytes_given_out();
        for (int call = 0; call < 3; ++call) b.call(on_request(stream.handle()));
#ifdef DISTILL_CUDA_EMULATION
        CHECK(bytes_given_out() >= before + 3 * b.memory.size());
#endif
        stream.wait();
        CHECK(bytes_given_out() == before);
        CHECK(b.has(expected));
    }
}

TEST_CASE("a call that takes its memory itself is captured, and its graph is launched again and again") {
    const filled_rows in = some_rows("cuda: memory of a graph");
    const device_answer expected = on_device<float>(forward_kl{}, token_mean{}, in);
    const buffers b(in);
    const stream_of_test stream;
    const std::size_t before = bytes_given_out();
    cudaGraph_t graph{};
    cudaGraphExec_t executable{};
    hold(cudaStreamBeginCapture(stream.handle(), cudaStreamCaptureModeThreadLocal));
    b.call(on_request(stream.handle()));
    hold(cudaStreamEndCapture(stream.handle(), &graph));
    hold(cudaGraphInstantiate(&executable, graph, 0));
    for (int launch = 0; launch < 2; ++launch) {
        hold(cudaMemset(b.gradient.data(), 0xff, b.gradient.size() * sizeof(float)));
        hold(cudaGraphLaunch(executable, stream.handle()));
        stream.wait();
        CHECK(b.has(expected));
    }
    hold(cudaGraphExecDestroy(executable));
    hold(cudaGraphDestroy(graph));
    CHECK(bytes_given_out() == before);
}

TEST_CASE_TEMPLATE("a call is captured in a graph, and every launch of the graph runs it", Vocabulary,
                   std::integral_constant<std::size_t, 100>, std::integral_constant<std::size_t, 20000>) {
    constexpr std::size_t vocabulary = Vocabulary::value;
    auto random = engine("cuda: graphs");
    const filled_rows in = stored_rows<float>(random_rows(random, 2, vocabulary));
    const device_vector<float> student(placed<float>(in.student, 2, vocabulary, {})),
        teacher(placed<float>(in.teacher, 2, vocabulary, {})), gradient(2 * vocabulary);
    const device_vector<loss_result> result(1);
    const batch<float> b{.student = {student.data(), 2, vocabulary}, .teacher = {teacher.data(), 2, vocabulary}};
    const device_vector<unsigned char> memory(loss{forward_kl{}, cuda{}, token_mean{}}.workspace_bytes(b));
    cudaStream_t stream{};
    hold(cudaStreamCreate(&stream));
    const loss f{forward_kl{}, cuda{stream, {memory.data(), memory.size()}}, token_mean{}};

    hold(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    f(b, {gradient.data(), 2, vocabulary}, result.data());
    cudaGraph_t graph{};
    hold(cudaStreamEndCapture(stream, &graph));
    cudaGraphExec_t executable{};
    hold(cudaGraphInstantiate(&executable, graph, 0));

    const device_answer expected = on_device<float>(forward_kl{}, token_mean{}, in);
    for (int launch = 0; launch < 2; ++launch) {
        hold(cudaMemset(gradient.data(), 0xff, 2 * vocabulary * sizeof(float)));
        hold(cudaGraphLaunch(executable, stream));
        hold(cudaStreamSynchronize(stream));
        CHECK(result.values()[0].value == expected.result.value);
        const std::vector<float> found = gradient.values();
        CHECK(std::equal(found.begin(), found.end(), expected.gradient.begin(),
                         [](float a, double e) { return static_cast<double>(a) == e; }));
    }
    hold(cudaGraphExecDestroy(executable));
    hold(cudaGraphDestroy(graph));
    hold(cudaStreamDestroy(stream));
}

TEST_CASE("threads of the host enqueue at the same time, each on a stream and with a workspace of its own") {
    std::vector<filled_rows> rows;
    std::vector<device_answer> expected;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        rows.push_back(some_rows(("cuda: thread " + std::to_string(t)).c_str()));
        expected.push_back(on_device<float>(forward_kl{}, token_mean{}, rows.back()));
    }
    std::array<bool, 3> same{};
    for (std::size_t t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            const buffers b(rows[t]);
            const stream_of_test stream;
            const auto f = b.functor(stream.handle());
            same[t] = true;
            for (int call = 0; call < 4; ++call) {
                b.call(f);
                if (call % 2 == 0) stream.wait();
            }
            stream.wait();
            same[t] = b.has(expected[t]);
        });
    for (std::thread& t : threads) t.join();
    for (const bool s : same) CHECK(s);
}

TEST_CASE("one functor that takes its memory itself serves several threads on one stream") {
    const filled_rows in = some_rows("cuda: one functor");
    const device_answer expected = on_device<float>(forward_kl{}, token_mean{}, in);
    const stream_of_test stream;
    const auto f = on_request(stream.handle());
    const std::array<buffers, 3> of_threads{buffers(in), buffers(in), buffers(in)};
    std::vector<std::thread> threads;
    for (const buffers& b : of_threads)
        threads.emplace_back([&] {
            for (int call = 0; call < 3; ++call) b.call(f);
        });
    for (std::thread& t : threads) t.join();
    stream.wait();
    for (const buffers& b : of_threads) CHECK(b.has(expected));
}

TEST_CASE("calls on several streams of one thread keep apart") {
    const filled_rows first = some_rows("cuda: first stream"), second = some_rows("cuda: second stream");
    const buffers a(first), b(second);
    const stream_of_test one, other;
    a.call(a.functor(one.handle()));
    b.call(b.functor(other.handle()));
    other.wait();
    CHECK(b.has(on_device<float>(forward_kl{}, token_mean{}, second)));
    one.wait();
    CHECK(a.has(on_device<float>(forward_kl{}, token_mean{}, first)));
}

TEST_CASE("rows that blocks share, on several streams at the same time, keep apart") {
    std::vector<filled_rows> rows;
    std::vector<buffers> of_streams;
    for (const char* name : {"cuda: shared on one stream", "cuda: shared on another", "cuda: shared on a third"})
        of_streams.emplace_back(rows.emplace_back(some_rows(name, 1, 20000)));
    const std::array<stream_of_test, 3> streams;
    for (int call = 0; call < 3; ++call)
        for (std::size_t s = 0; s < streams.size(); ++s) of_streams[s].call(of_streams[s].functor(streams[s].handle()));
    for (std::size_t s = streams.size(); s-- > 0;) {
        streams[s].wait();
        CHECK(of_streams[s].has(on_device<float>(forward_kl{}, token_mean{}, rows[s])));
    }
}

TEST_CASE("calls of one graph run in their order, on whatever stream it is launched") {
    const filled_rows in = some_rows("cuda: several calls in a graph", 2, 20000);
    const buffers b(in);
    const stream_of_test captured, other;
    const auto f = b.functor(captured.handle());
    gradient<float> adding{b.gradient.data(), b.rows, b.vocabulary};
    adding.adds = true;
    cudaGraph_t graph{};
    cudaGraphExec_t executable{};
    hold(cudaStreamBeginCapture(captured.handle(), cudaStreamCaptureModeThreadLocal));
    f(b.batch(), {b.gradient.data(), b.rows, b.vocabulary}, b.result.data());
    f(b.batch(), adding, b.result.data());
    hold(cudaStreamEndCapture(captured.handle(), &graph));
    hold(cudaGraphInstantiate(&executable, graph, 0));
    device_answer twice = on_device<float>(forward_kl{}, token_mean{}, in);
    for (double& x : twice.gradient) x = static_cast<double>(2.0f * static_cast<float>(x));
    for (const stream_of_test* stream : {&other, &captured}) {
        hold(cudaGraphLaunch(executable, stream->handle()));
        stream->wait();
        CHECK(b.has(twice));
    }
    hold(cudaGraphExecDestroy(executable));
    hold(cudaGraphDestroy(graph));
}

// ---- CUDA functions that fail ----

template <class Call>
std::string failure(const Call& call) {
    try {
        call();
    } catch (const cuda_error& error) {
        return error.what();
    }
    return "none";
}

TEST_CASE("a function that fails is named, with CUDA's words, and is not found again by cudaGetLastError") {
    const buffers b(some_rows("cuda: failures"));
    const auto in_spoiled_capture = [&](const auto& functor) {
        const stream_of_test stream;
        cudaGraph_t graph{};
        hold(cudaStreamBeginCapture(stream.handle(), cudaStreamCaptureModeRelaxed));
        CHECK(cudaStreamSynchronize(stream.handle()) != cudaSuccess);
        static_cast<void>(cudaGetLastError());
        const std::string found = failure([&] { b.call(functor(stream.handle())); });
        CHECK(cudaGetLastError() == cudaSuccess);
        CHECK(cudaStreamEndCapture(stream.handle(), &graph) != cudaSuccess);
        static_cast<void>(cudaGetLastError());
        return found;
    };
    const std::string rest =
        " failed: cudaErrorStreamCaptureInvalidated, operation failed due to a previous error during capture";
    CHECK(in_spoiled_capture([&](cudaStream_t s) { return b.functor(s); }) == "distill: count_rows" + rest);
    CHECK(in_spoiled_capture(on_request) == "distill: cudaMallocAsync" + rest);
}

TEST_CASE("a failure of somebody else's before the call is neither reported nor forgotten") {
    const filled_rows in = some_rows("cuda: an older failure");
    const buffers b(in);
    int no_memory_of_the_device = 0;
    CHECK(cudaFree(&no_memory_of_the_device) == cudaErrorInvalidValue);
    CHECK(failure([&] { b.call(b.functor(nullptr)); }) == "none");
    CHECK(failure([&] { b.call(on_request(nullptr)); }) == "none");
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
    CHECK(b.has(on_device<float>(forward_kl{}, token_mean{}, in)));
}

#ifdef DISTILL_CUDA_EMULATION
TEST_CASE("a call that fails half-way gives back the memory that it took, and writes nothing") {
    const buffers b(some_rows("cuda: half a call", 1, 20000));
    const stream_of_test stream;
    hold(cudaMemset(b.result.data(), 0xff, sizeof(loss_result)));
    hold(cudaMemset(b.gradient.data(), 0xff, b.gradient.size() * sizeof(float)));
    const std::size_t before = bytes_given_out();
    const int threads = std::exchange(cuda_emulation::device.threads_per_multiprocessor, 32);
    CHECK(failure([&] { b.call(on_request(stream.handle())); }) ==
          "distill: run_rows failed: cudaErrorCooperativeLaunchTooLarge, too many blocks in cooperative launch");
    cuda_emulation::device.threads_per_multiprocessor = threads;
    stream.wait();
    CHECK(bytes_given_out() == before);
    CHECK(b.result.values()[0].active_rows == -1);
    const std::vector<float> gradient = b.gradient.values();
    CHECK(std::none_of(gradient.begin(), gradient.end(), [](float x) { return is_finite(static_cast<double>(x)); }));
}

TEST_CASE("memory that the device does not have is said") {
    const buffers b(some_rows("cuda: no memory"));
    const std::size_t before = bytes_given_out();
    const std::size_t all = std::exchange(cuda_emulation::device.memory_bytes, before);
    CHECK(failure([&] { b.call(on_request(nullptr)); }) ==
          "distill: cudaMallocAsync failed: cudaErrorMemoryAllocation, out of memory");
    cuda_emulation::device.memory_bytes = all;
    CHECK(bytes_given_out() == before);
}
#endif

// ---- what a call may be given ----

TEST_CASE("a workspace at a strange address is refused") {
    const buffers b(some_rows("cuda: a strange address"));
    const device_vector<unsigned char> larger(b.memory.size() + 8);
    const auto refusal_at = [&](std::size_t offset) {
        return refusal(
            [&] { b.call(loss{forward_kl{}, cuda{nullptr, {larger.data() + offset, b.memory.size()}}, token_mean{}}); });
    };
    CHECK(refusal_at(4) == "distill: the workspace's address is no multiple of 8");
    CHECK(refusal_at(8) == "accepted");
    hold(cudaDeviceSynchronize());
}

// Gradient and value of logits of three types.
template <class Student, class Teacher, class Gradient>
void agrees_in_types(double allowed, double rounding) {
    for (const std::size_t vocabulary : {33u, 1000u}) {
        filled_rows in = some_rows("cuda: mixed types", 3, vocabulary);
        in.student = stored_rows<Student>(in).student;
        in.teacher = stored_rows<Teacher>(in).teacher;
        const device_vector<Student> student(placed<Student>(in.student, 3, vocabulary, {}));
        const device_vector<Teacher> teacher(placed<Teacher>(in.teacher, 3, vocabulary, {}));
        const device_vector<Gradient> gradient(3 * vocabulary);
        const device_vector<loss_result> result(1);
        const batch<Student, Teacher> b{.student = {student.data(), 3, vocabulary},
                                        .teacher = {teacher.data(), 3, vocabulary}};
        loss{reverse_kl{}, cuda{nullptr, stream_ordered}, token_sum{}}(
            b, logits_view<Gradient>{gradient.data(), 3, vocabulary}, result.data());
        hold(cudaDeviceSynchronize());
        const device_answer expected = on_reference(reverse_kl{}, token_sum{}, in);
        std::vector<double> found;
        for (const Gradient x : gradient.values()) found.push_back(read_back(x));
        CHECK(deviation(result.values()[0].value, expected.result.value) <= allowed);
        CHECK(norm_error(found, expected.gradient) <= allowed + rounding);
    }
}

TEST_CASE("student, teacher and gradient have types of their own; one double of them is computed in double") {
    agrees_in_types<__half, __nv_bfloat16, float>(tolerance::single_loss, 0.0);
    agrees_in_types<float, float, __nv_bfloat16>(tolerance::single_loss, 0x1p-8);
    agrees_in_types<__half, float, double>(tolerance::rounding, 0.0);
    agrees_in_types<double, float, __half>(tolerance::rounding, 0x1p-11);
}

TEST_CASE("the rows' losses alone are those of the reference") {
    const filled_rows in = some_rows("cuda: row losses");
    const buffers b(in);
    const device_vector<float> losses(in.rows);
    on_request(nullptr).per_token(b.batch(), std::span(losses.data(), in.rows), b.result.data());
    hold(cudaDeviceSynchronize());
    const device_answer expected = on_reference(forward_kl{}, token_mean{}, in);
    std::vector<double> found;
    for (const float x : losses.values()) found.push_back(static_cast<double>(x));
    CHECK(deviation(found, expected.row_losses) <= tolerance::single_loss);
    CHECK(deviation(b.result.values()[0].value, expected.result.value) <= tolerance::single_loss);
}

}  // namespace
}  // namespace distill_test
