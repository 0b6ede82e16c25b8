"""Compiles losses ahead of their use, into the cache.

usage: python -m distill.compile OBJECTIVE [--reduction TEXT] [--temperature T] [--types STUDENT[,TEACHER]...] [--per-token]

Prints the path of each library.
"""

import argparse

from .objective import LOGITS, Objective


def main():
    parser = argparse.ArgumentParser(prog="python -m distill.compile", description="Compiles losses ahead of their use.")
    parser.add_argument("objective", help='"0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}"')
    parser.add_argument("--reduction", default="token_mean{}")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--soft-cap", type=float)
    parser.add_argument("--types", nargs="+", default=["float32"], metavar="STUDENT[,TEACHER]", help=", ".join(LOGITS))
    parser.add_argument("--per-token", action="store_true", help="one loss per row")
    given = parser.parse_args()
    objective = Objective(given.objective, given.reduction, given.temperature, given.soft_cap)
    for types in given.types:
        student, _, teacher = types.partition(",")
        if student not in LOGITS or teacher not in ("", student, "float32"):
            parser.error(f"{types}: expected one of {', '.join(LOGITS)}, and a teacher of the same type or float32")
        print(objective.compile(student, teacher or None, given.per_token))


if __name__ == "__main__":
    main()
