// Fifty steps of training, and the threads that they run on.
#include <hosts/libtorch/formulas.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using distill_test::mixed, distill_test::mixed_rows;

namespace {

struct run {
    std::vector<double> losses;
    at::Tensor embedding, head;
};

// A student of an embedding and a linear layer learns the next token's distribution of a teacher of the same kind.
template <class Loss>
run train(const Loss& loss_of) {
    at::manual_seed(9);
    const std::int64_t vocabulary = 211, width = 16;
    const at::Tensor of_teacher = at::randn({vocabulary, width}), head_of_teacher = 0.5 * at::randn({vocabulary, width});
    run student{{},
                at::randn({vocabulary, width}).requires_grad_(true),
                (0.5 * at::randn({vocabulary, width})).requires_grad_(true)};
    for (int step = 0; step < 50; ++step) {
        const at::Tensor tokens = at::randint(vocabulary, {8, 16}, at::kLong).flatten();
        const at::Tensor w = of_teacher.index_select(0, tokens).matmul(head_of_teacher.t()).view({8, 16, vocabulary});
        const at::Tensor z = student.embedding.index_select(0, tokens).matmul(student.head.t()).view({8, 16, vocabulary});
        const at::Tensor loss = loss_of(z, w);
        loss.backward();
        student.losses.push_back(loss.template item<double>());
        const at::NoGradGuard constant;
        for (const at::Tensor& parameter : {student.embedding, student.head}) {
            parameter.sub_(parameter.grad(), 30.0);
            parameter.mutable_grad() = at::Tensor();
        }
    }
    return student;
}

}  // namespace

DOCTEST_TEST_CASE("the loss falls over fifty steps of training as it does with LibTorch's own autograd") {
    const run ours = train([](const at::Tensor& z, const at::Tensor& w) { return distill::torch_loss(mixed, z, w); });
    const run theirs = train([](const at::Tensor& z, const at::Tensor& w) { return mixed_rows(z, w).mean(); });
    DOCTEST_MESSAGE("the loss falls from ", ours.losses.front(), " to ", ours.losses.back());
    DOCTEST_CHECK(ours.losses.front() > 2.0);
    DOCTEST_CHECK(ours.losses.back() < 0.9);
    for (std::size_t step = 0; step < ours.losses.size(); ++step)
        DOCTEST_CHECK(std::abs(ours.losses[step] - theirs.losses[step]) <= 1e-3 * theirs.losses[step]);
}

DOCTEST_TEST_CASE("one thread and two train to the same bits") {
    const auto ours = [](const at::Tensor& z, const at::Tensor& w) { return distill::torch_loss(mixed, z, w); };
    at::set_num_threads(1);
    const run one = train(ours);
    at::set_num_threads(2);
    const run two = train(ours);
    DOCTEST_CHECK(one.losses == two.losses);
    DOCTEST_CHECK(at::equal(one.embedding, two.embedding));
    DOCTEST_CHECK(at::equal(one.head, two.head));
}

DOCTEST_TEST_CASE("the executor calls every body once, on as many threads as LibTorch is set to") {
    for (const int threads : {1, 2}) {
        at::set_num_threads(threads);
        std::mutex mutex;
        std::multiset<std::ptrdiff_t> called;
        std::set<std::thread::id> on;
        distill::torch_threads{}(64, [&](std::ptrdiff_t i) {
            const std::scoped_lock lock(mutex);
            called.insert(i);
            on.insert(std::this_thread::get_id());
        });
        DOCTEST_CHECK(called.size() == 64);
        DOCTEST_CHECK(std::set(called.begin(), called.end()).size() == 64);
        DOCTEST_CHECK(on.size() == static_cast<std::size_t>(threads));
    }
    distill::torch_threads{}(0, [](std::ptrdiff_t) { DOCTEST_FAIL("there is nothing to do"); });
}
