// The catalogue on bfloat16 logits.
#include "conformance.hpp"

TEST_CASE("bfloat16: every term, every vocabulary, in every way, is the reference's") {
    distill_test::conforms<__nv_bfloat16>("bfloat16", 2);
}
