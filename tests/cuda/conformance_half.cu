// The catalogue on half logits.
#include "conformance.hpp"

TEST_CASE("half: every term, every vocabulary, in every way, is the reference's") {
    distill_test::conforms<__half>("half", 1);
}
