// The catalogue on double logits.
#include "conformance.hpp"

TEST_CASE("double: every term, every vocabulary, in every way, is the reference's") {
    distill_test::conforms<double>("double", 3);
}
