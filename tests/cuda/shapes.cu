// Rows on teams of shapes that the backend does not choose itself. At most 256 threads are under way at one time: so many
// ThreadSanitizer tells apart.
#include "on_device.hpp"

#include <support/launch.cuh>

namespace distill_test {

using namespace distill;

// The backend's kernels, with rows_of_block rows in a block of `threads` each, or blocks_of_row blocks for a row.
struct shaped {
    static constexpr bool runs_on_device = true;

    cudaStream_t stream = nullptr;
    workspace memory{};
    unsigned threads = 32, rows_of_block = 1, blocks_of_row = 1;

    template <class Call>
    static std::size_t workspace_bytes(const Call& call) {
        return device::layout_of(call).bytes();
    }

    template <class Call>
    void enqueue(const Call& call) const {
        auto* const space = static_cast<unsigned char*>(memory.data);
        const auto rows = static_cast<unsigned>(call.in.student.rows);
        DISTILL_LAUNCH((device::count_rows<Call>), 1, 64, 0, stream, call, space);
        cudaLaunchAttribute together{};
        together.id = cudaLaunchAttributeCooperative;
        together.val.cooperative = 1;
        cudaLaunchConfig_t launch{};
        launch.gridDim = (rows + rows_of_block - 1) / rows_of_block * blocks_of_row;
        launch.blockDim = dim3(threads, rows_of_block);
        launch.stream = stream;
        launch.attrs = &together;
        launch.numAttrs = 1;
        hold(cudaLaunchKernelEx(&launch, device::run_rows<float, 4, Call>, call, space, blocks_of_row));
        DISTILL_LAUNCH((device::write_result<Call>), 1, 64, 0, stream, call, space);
    }
};

namespace {

template <class Objective>
void agrees(const Objective& objective, std::size_t rows, const shaped& shape) {
    auto random = engine("cuda: shapes");
    CAPTURE(shape.threads);
    CAPTURE(shape.blocks_of_row);
    // Of the four tokens of two rows some are in every part of a row that blocks share.
    for (const std::size_t vocabulary : {70u, 1000u, 2502u}) {
        CAPTURE(vocabulary);
        const filled_rows in = stored_rows<float>(random_rows(random, rows, vocabulary));
        agree(on_device<float>(objective, token_mean{}, in, {.in_place = true}, no_soft_cap{}, shape),
              on_reference(objective, token_mean{}, in));
    }
}

TEST_CASE("a row's threads do not disturb one another: in a warp, a block, or several blocks") {
    const auto objective = 0.5 * reverse_kl{} + tgpo{.coefficient = 0.1};
    agrees(objective, 1, {.threads = 32});
    agrees(objective, 7, {.threads = 32, .rows_of_block = 7});
    agrees(objective, 2, {.threads = 96});
    agrees(objective, 1, {.threads = 64, .blocks_of_row = 3});
    agrees(objective, 2, {.threads = 64, .blocks_of_row = 2});
}

TEST_CASE("sums over a row as a whole, on teams of every shape") {
    const auto whole = adaptive_kl{} + where(student_entropy_above{2.0}, forward_kl{});
    agrees(whole, 7, {.threads = 32, .rows_of_block = 7});
    agrees(whole, 2, {.threads = 96});
    agrees(whole, 1, {.threads = 64, .blocks_of_row = 3});
}

}  // namespace
}  // namespace distill_test

// The device's team is one as the host's are.
static_assert(distill::row::team<distill::device::row_team<float, 4>> &&
              distill::row::team<distill::device::row_team<double, 2>>);
