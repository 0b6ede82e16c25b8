// The catalogue on float logits.
#include "conformance.hpp"

TEST_CASE("float: every term, every vocabulary, in every way, is the reference's") {
    distill_test::conforms<float>("float", 0);
}
