// What the host refuses of a call of the CUDA backend, before anything runs.
#include "on_device.hpp"

#include <string>

namespace distill_test {
namespace {

using namespace distill;

TEST_CASE("a workspace that is too small or missing, and a result that is nowhere, are refused before anything runs") {
    const device_vector<float> logits(std::vector<float>(20, 1.0f)), gradient(20);
    const device_vector<unsigned char> memory(4096);
    const device_vector<loss_result> result(1);
    const batch<float> in{.student = {logits.data(), 2, 10}, .teacher = {logits.data(), 2, 10}};
    const auto call = [&](const workspace& space, loss_result* to) {
        return refusal([&] { loss{forward_kl{}, cuda{nullptr, space}, token_mean{}}(in, {gradient.data(), 2, 10}, to); });
    };
    const std::size_t needed = loss{forward_kl{}, cuda{}, token_mean{}}.workspace_bytes(in);
    CHECK(call({memory.data(), needed}, result.data()) == "accepted");
    CHECK(call({memory.data(), needed - 1}, result.data()) ==
          "distill: the workspace has " + std::to_string(needed - 1) + " bytes, this call needs " + std::to_string(needed));
    CHECK(call({nullptr, needed}, result.data()) == "distill: the workspace is a null pointer");
    CHECK(call({memory.data(), needed}, nullptr) == "distill: the result is a null pointer");
    hold(cudaDeviceSynchronize());
}

TEST_CASE("shapes and overlaps are refused as on the host, without reading an array") {
    const device_vector<float> logits(std::vector<float>(40, 1.0f));
    const device_vector<unsigned char> memory(4096);
    const device_vector<loss_result> result(1);
    const loss f{forward_kl{}, cuda{nullptr, {memory.data(), memory.size()}}, token_mean{}};
    const batch<float> in{.student = {logits.data(), 2, 10}, .teacher = {logits.data() + 20, 2, 10}};
    CHECK(refusal([&] { f(in, {logits.data() + 20, 2, 10}, result.data()); }) == "distill: gradient overlaps batch.teacher");
    CHECK(refusal([&] { f(in, {logits.data(), 2, 9}, result.data()); }) ==
          "distill: gradient has a vocabulary of 9, batch.student has 10");
    const batch<float> alone{.student = {logits.data(), 2, 10}};
    CHECK(refusal([&] { f(alone, result.data()); }) == "distill: forward_kl needs batch.teacher, which is empty");
}

}  // namespace
}  // namespace distill_test
