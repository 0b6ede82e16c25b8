/// What the runtime API asks of the device, and which sanitizer is at work.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>

// The build may say DISTILL_THREAD_SANITIZER of a file that is compiled without that sanitizer's instrumentation.
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if __has_feature(address_sanitizer) || defined(__SANITIZE_ADDRESS__)
#define DISTILL_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef DISTILL_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace cuda_emulation {

/// Runs a grid, one block after the other, or all of them side by side; `body` runs the kernel once. One host thread at a time.
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, bool all_at_once, const std::function<void()>& body);

/// Memory that nobody has written: NaN in every floating-point type, -1 in every integer.
constexpr int unwritten = 0xff;

}  // namespace cuda_emulation
