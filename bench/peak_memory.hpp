// What a call holds beside the buffers it is given.
#pragma once

#include <functional>

namespace bench {

// The largest resident memory during the call less that before it, in MB; the call runs on a thread of its own, whose scratch is
// new. Linux counts pages in lots: a quarter of a megabyte is nothing. NaN where the system does not say.
double peak_megabytes(const std::function<void()>& call);

}  // namespace bench
