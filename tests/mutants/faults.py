"""Faults, each a small edit of the package: a file of minigrad/compiler, or of another room, what is
there, what is put in its place, and the tests that are likely to notice first."""

from __future__ import annotations

import re
from typing import NamedTuple


class Fault(NamedTuple):
    file: str
    old: str
    new: str
    first: str = ""  # tests, before those that every fault is tried on
    room: str = "compiler"

    @property
    def path(self) -> str:
        """Its file, in the folder of the package."""
        return f"{self.room}/{self.file}".lstrip("/")

    @property
    def targets(self) -> list[str]:
        return re.split(r"\s+(?=tests/)", self.first or GRAPHS)  # names of tests may have spaces


def of(name: str) -> str:
    """The class of random programs of this name."""
    test = "tests/fuzz/test_fuzz.py::test_classes_of_faults"
    return f"{test}[{name}-first] {test}[{name}-second]"


GRAPHS = of("graphs")
ALIKE = f"{of('unrolled_loops')} tests/compiler/schedule/test_fusion.py"
PARTS = "tests/compiler/loops/test_parts.py"
WAITS = """tests/compiler/codegen/test_barriers.py::test_calls_wait_for_what_was_written_by_others
tests/compiler/codegen/test_barriers.py::test_each_shared_call_waits_once_for_what_it_needs"""

INDEX_EDGES = (
    "tests/compiler/end_to_end/test_edges.py::test_permuted_and_negative_indices_and_mixed_dtypes"
)

MATRICES = "tests/compiler/codegen/test_matrix_kernels.py"
EXPORTED = "tests/compiler/export/test_program.py"
CUMULATED = (
    "tests/compiler/codegen/test_copy_kernels.py"
    "::test_cumulative_products_and_their_gradients_are_loops"
)

PASSES = [
    Fault(
        "graph/folding.py",
        "inner[k] for k in outer",
        "outer[k] for k in inner",
        "tests/compiler/graph/test_folding.py::test_one_after_the_other_is_one",
    ),
    Fault(
        "graph/folding.py",
        "if x.shape == value.shape and x.dtype == value.dtype:",
        "if x.shape == value.shape:",
        of("promotion_of_numbers"),
    ),
    Fault(
        "graph/folding.py",
        'if name == "neg" and name_of(x) == "neg":\n        return x.inputs[0]',
        'if name == "neg" and name_of(x) == "neg":\n        return x',
        "tests/compiler/graph/test_folding.py::test_ops_that_do_nothing_are_left_out",
    ),
    Fault(
        "graph/opset/elementwise.py",
        'return apply("add", x, 0.0)',
        "return x",
        of("zeros_with_a_sign"),
    ),
    Fault(
        "graph/simplify.py",
        "(x.array == 1).all()",
        "(x.array == 1).any()",
        "tests/compiler/graph/test_simplify.py",
    ),
    Fault(
        "graph/slices.py",
        "all(new.high <= x.low for x in after)",
        "all(new.low <= x.low for x in after)",
        "tests/compiler/graph/test_slices.py",
    ),
    Fault(
        "graph/slices.py",
        "(a.rest and b.rest) or",
        "",
        "tests/compiler/graph/test_slices.py",
    ),
    Fault(
        "graph/slices.py",
        "slice(slices[0].low, end))",
        "slice(0, end - slices[0].low))",
        "tests/compiler/graph/test_slices.py",
    ),
    Fault(
        "graph/slices.py",
        "if step != 1 or high <= low:",
        "if high <= low:",
        "tests/compiler/graph/test_slices.py",
    ),
    Fault(
        "graph/slices.py",
        "if uses[many] == 1:",
        "if uses[many]:",
        "tests/compiler/graph/test_slices.py",
    ),
    Fault(
        "graph/simplify.py",
        'return apply("mul", apply("mul", x, x), x)',
        'return apply("mul", x, x)',
        of("near_overflow"),
    ),
    Fault(
        "graph/simplify.py",
        "if exponent == -1 else value",
        "if exponent < 0 else value",
        of("near_overflow"),
    ),
    Fault(
        "graph/opset/reductions.py",
        "terms = pairs + terms[len(pairs) * 2 :]",
        "terms = pairs",
        of("graphs"),
    ),
    Fault(
        "graph/opset/reductions.py",
        '"min", "minimum"',
        '"min", "maximum"',
        "tests/compiler/graph/test_simplify.py::test_a_reduction_of_a_few_slices_is_unrolled",
    ),
    Fault(
        "graph/opset/reductions.py",
        'x = apply("sub", x, apply("where", apply("equal", largest, -np.inf), 0, largest))',
        'x = apply("sub", x, largest)',
        "tests/compiler/graph/test_simplify.py::test_logsumexp_of_infinities",
    ),
    Fault(
        "graph/opset/contractions.py",
        'if depth == 1:\n            product = apply("mul", x, y)',
        'if depth <= 2:\n            product = apply("mul", x, y)',
        of("graphs"),
    ),
    Fault(
        "graph/opset/contractions.py",
        "spots.append(i + m * -at.d + at.first)",
        "spots.append(i + m * at.d)",
        "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[conv2d_input-float64]",
    ),
    Fault(
        "graph/opset/contractions.py",
        "entries.append(m * at.s + a + -at.before)",
        "entries.append(m * at.s + -at.before)",
        of("networks"),
    ),
    Fault(
        "graph/transposes.py",
        "for y in x.inputs[::-1]))",
        "for y in x.inputs))",
        "tests/compiler/graph/test_transposes.py::test_a_transposed_product_is_the_product_of_transposes",
    ),
    Fault(
        "graph/transposes.py",
        "return new[x.inputs[0]]\n",
        "return new[x]\n",
        "tests/compiler/graph/test_transposes.py",
    ),
    Fault(
        "graph/simplify.py",
        "return value.op, value.how, *inputs",
        "return value.op, *inputs",
        of("graphs"),
    ),
    Fault(
        "graph/simplify.py",
        "id(x) if type(x) is ir.Value else (type(x), repr(x)) for x in value.inputs",
        "id(x) if type(x) is ir.Value else x for x in value.inputs",
        "tests/compiler/graph/test_simplify.py::test_expressions_that_differ_are_not_merged",
    ),
    Fault(
        "graph/literals.py",
        "known.setdefault((number.dtype, number.shape, number.tobytes()), leaf)",
        "known.setdefault((number.dtype, number.shape), leaf)",
        of("unrolled_loops"),
    ),
]

INDICES = [
    Fault(
        "graph/affine.py",
        "(low + far, high) if far < 0 else",
        "(low, high) if far < 0 else",
        "tests/compiler/graph/test_affine.py::test_bounds_are_reached",
    ),
    Fault(
        "graph/affine.py",
        "if low < 0:  # C's division rounds toward 0: the rest must not be negative",
        "if low < -9999:",
        "tests/compiler/graph/test_affine.py",
    ),
    Fault(
        "graph/affine.py",
        "if low >= 0 and high < by:\n            return quotient, rest",
        "if low >= 0 and high <= by:\n            return quotient, rest",
        "tests/compiler/graph/test_affine.py",
    ),
    Fault(
        "graph/affine.py",
        "if c and terms.get(quotient) == c * atom.by:",
        "if c and quotient in terms:",
        "tests/compiler/graph/test_affine.py",
    ),
    Fault(
        "graph/affine.py",
        "return quotient if isinstance(atom, Quotient) else remainder",
        "return quotient if isinstance(atom, Quotient) else Expr({atom: 1})",
        "tests/compiler/graph/test_affine.py",
    ),
    Fault(
        "graph/affine.py",
        "if g > 1 and low >= 0 and high < g:",
        "if g > 1 and low >= 0:",
        "tests/compiler/graph/test_affine.py",
    ),
    Fault(
        "graph/affine.py",
        "if any(b % a for a, b in itertools.pairwise(steps)):",
        "if False:",
        "tests/compiler/graph/test_affine.py::test_common_factors_of_shapes",
    ),
    Fault(
        "graph/affine.py", "part is not None and part is not ... for", "part is not ... for", GRAPHS
    ),
    Fault("graph/layout.py", "-(-sizes[-1] // self.panel)", "sizes[-1] // self.panel", of("tails")),
    Fault(
        "graph/layout.py",
        "self.order.index(k) for k in range(len(self.order))",
        "self.order[k] for k in range(len(self.order))",
        of("networks"),
    ),
    Fault(
        "graph/affine.py",
        'high < self.bound if self.relation == "<"',
        'high <= self.bound if self.relation == "<"',
        "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[pad-float64]",
    ),
    Fault("graph/affine.py", "else high < self.bound", "else high <= self.bound", GRAPHS),
    Fault(
        "graph/opset/base.py",
        'conditions.append(Condition(rest, "==", 0))',
        "pass",
        "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[scatter_add-float64]",
    ),
    Fault(
        "graph/opset/indexing.py",
        "found.append(number(part % n))\n            else:",
        "found.append(number(part))\n            else:",
        INDEX_EDGES,
    ),
    Fault(
        "graph/opset/views.py",
        "o * s + p * d",
        "o * s + p",
        "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[windows-float64]",
    ),
    Fault(
        "graph/opset/views.py",
        "i + -(p * d)",
        "i + -p",
        "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[fold-float64]",
    ),
    Fault(
        "graph/opset/views.py",
        'conditions.append(Condition(shifted, ">=", 0))',
        "pass",
        "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[fold-float64]",
    ),
    Fault(
        "graph/opset/views.py",
        'Condition(i, "<", before + n)',
        'Condition(i, "<", before + n + 1)',
        GRAPHS,
    ),
    Fault(
        "graph/opset/views.py",
        'Apply("<", (index[axis], number(start + n)))',
        'Apply("<", (index[axis], number(start + n + 1)))',
        GRAPHS,
    ),
    Fault(
        "graph/opset/indexing.py",
        "i + -low if step > 0 else i * -1 + high",
        "i + -low",
        "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[scatter_add-float64]",
    ),
    Fault(
        "graph/ir.py",
        "np.array_equal(array.array.ravel(), np.arange(n))",
        "True",
        INDEX_EDGES,
    ),
    Fault(
        "loops/lowering.py",
        'if value.dtype.kind != "b" else common_dtype(inputs)',
        'if value.dtype.kind != "b" else common_dtype(inputs[:1])',
        INDEX_EDGES,
    ),
    Fault(
        "loops/lowering.py",
        "return depends | {ir.ROW} if isinstance(operand, ir.Access) and operand.own else depends",
        "return depends",
        "tests/compiler/end_to_end/test_networks.py",
    ),
    Fault("codegen/c.py", "if (i < 0) i += n;", "", of("added_where_an_index_says")),
]

FUSION = [
    Fault(
        "schedule/fusion.py",
        'if other.kind == "reduce" and other.reduction_direction(rows) != "within":\n        return False',
        "",
        "tests/compiler/schedule/test_fusion.py::test_sums_over_rows_that_are_read_by_rows",
    ),
    Fault("schedule/fusion.py", "return read_row == own_row", "return True", GRAPHS),
    Fault(
        "schedule/fusion.py",
        "return x.size == stage.value.size and ravel_index(index, x.shape) == own",
        "return x.size == stage.value.size",
        of("fused_buffers"),
    ),
    Fault(
        "schedule/fusion.py",
        "if stage.value.size != first.size or not same:",
        "if stage.value.size != first.size:",
        of("fused_buffers"),
    ),
    Fault(
        "codegen/copy_kernels.py",
        "for k in range(count)]",
        "for k in range(count - 1)]",
        "tests/compiler/codegen/test_copy_kernels.py",
    ),
    Fault(
        "schedule/fusion.py",
        "range(max(last + 1, len(kernels) - costs.FUSION_WINDOW), len(kernels))",
        "range(max(0, len(kernels) - costs.FUSION_WINDOW), len(kernels))",
        GRAPHS,
    ),
    Fault(
        "schedule/buffers.py",
        "same = base.dtype == value.dtype and",
        "same =",
        "tests/compiler/schedule/test_buffers.py::test_parts_that_have_to_be_elsewhere_are_copied",
    ),
    Fault(
        "schedule/signatures.py",
        "key += [numbers[y] for y in inline.arrays]",
        "pass",
        "tests/compiler/codegen/test_deduplicate.py::test_steps_of_a_loop_that_read_other_parts",
    ),
    Fault(
        "schedule/signatures.py",
        "parts += [numbers[part.array], part.array.dtype.char, place]",
        "parts += [numbers[part.array], part.array.dtype.char]",
        "tests/compiler/codegen/test_matmul_kernels.py::test_operands_that_are_views",
    ),
    Fault(
        "schedule/signatures.py",
        "key: list[Hashable] = [name_of(value), value.how]",
        "key: list[Hashable] = [name_of(value)]",
        "tests/compiler/codegen/test_deduplicate.py::test_steps_of_a_loop_that_read_other_parts",
    ),
    Fault("schedule/signatures.py", "key.append((type(x), repr(x)))", "key.append(type(x))", ALIKE),
    Fault(
        "graph/opset/reductions.py",
        'apply("min", places, **how)',
        'apply("max", places, **how)',
        of("largest_with_nan_and_ties"),
    ),
    Fault(
        "codegen/row_kernels.py",
        'if other.kind == "reduce" or self.loops[n].extents',
        "if self.loops[n].extents",
        "tests/compiler/schedule/test_fusion.py::test_reductions_over_every_axis_beside_what_they_reduce",
    ),
    Fault(
        "codegen/row_kernels.py",
        "return n if same else n + 1",
        "return n",
        "tests/compiler/schedule/test_fusion.py::test_values_that_are_read_at_other_entries_of_their_row",
    ),
    Fault(
        "codegen/row_kernels.py",
        "start = info.min if start < 0",
        "start = info.min + 1 if start < 0",
        "tests/compiler/end_to_end/test_edges.py::test_integers_wrap_around",
    ),
    Fault(
        "graph/opset/reductions.py",
        'Apply("|", (Apply("==", (entry, best)), Apply("!=", (entry, entry))))',
        'Apply("==", (entry, best))',
        of("largest_with_nan_and_ties"),
    ),
    Fault(
        "codegen/row_kernels.py",
        'low="1", high="threads")',
        'low="2", high="threads")',
        of("shares_of_threads"),
    ),
    Fault(
        "codegen/matmul_kernels.py",
        'names = [*(v.name for v in self.loops[: self.blocked]), f"{self.loops[self.blocked].name}b"]',
        'names = [f"{self.loops[self.blocked].name}b"]',
        "tests/compiler/codegen/test_matmul_kernels.py::test_gradients_of_convolutions_that_are_long_sums",
    ),
    Fault(
        "codegen/matmul_kernels.py",
        "(rest * -1, rest * -1 + n) if c > 0",
        "(rest * -1, rest * -1 + (n - 1)) if c > 0",
        "tests/compiler/codegen/test_matmul_kernels.py::test_convolutions_with_borders_and_their_gradients",
    ),
    Fault(
        "loops/passes.py",
        "return k, -(-loops[k].extent // count)",
        "return k, loops[k].extent",
        "tests/compiler/end_to_end/test_accuracy.py",
    ),
    Fault(
        "codegen/matmul_kernels.py",
        'minimum_of("tile", self.smaller_tiles)',
        'Expr({Var("tile", self.count): 1})',
        of("tails"),
    ),
    Fault(
        "codegen/matmul_kernels.py",
        'For(self.c, body, high="columns", simd=lanes)',
        "For(self.c, body, simd=())",
        "tests/compiler/codegen/test_matmul_kernels.py::test_tails_of_tiles_in_each_direction",
    ),
    Fault(
        "codegen/copy_kernels.py",
        'Accumulate(target, "+", name)',
        "Store(target, name)",
        of("added_where_an_index_says"),
    ),
    Fault(
        "codegen/copy_kernels.py",
        "value.inputs[0] if updates else 0, value.dtype, place",
        "value.inputs[0] if updates else 1, value.dtype, place",
        of("added_where_an_index_says"),
    ),
    Fault(
        "runtime/vector_math.h",
        "(uint64_t)by < 64 ? by : 63",
        "by & 63",
        "tests/compiler/graph/opset/test_elementwise.py::test_integers_at_their_ends",
    ),
    Fault(
        "runtime/vector_math.h",
        "GENERIC((x) + (y), float: f##_f32",
        "GENERIC((x), float: f##_f32",
        "tests/compiler/runtime/test_vector_math.py",
    ),
    Fault(
        "runtime/vector_math.h",
        "choose((x) == (x), (x) > 0, x))",
        "((x) > 0))",
        "tests/compiler/graph/opset/test_elementwise.py::test_odd_floats",
    ),
    Fault(
        "codegen/matrix_kernels.py",
        "ir.Store(m(j, c), a(c, j))",
        "ir.Store(m(j, c), a(j, c))",
        f"{MATRICES}::test_what_is_odd_is_as_numpy_has_it",
    ),
    Fault(
        "codegen/matrix_kernels.py",
        'apply(">", size, "largest")',
        'apply("<", size, "largest")',
        f"{MATRICES}::test_what_is_odd_is_as_numpy_has_it",
    ),
    Fault(
        "codegen/matrix_kernels.py",
        "elimination(dtype, n, n, [turned])",
        "elimination(dtype, n, n)",
        f"{MATRICES}::test_of_every_shape[d]",
    ),
    Fault(
        "codegen/matrix_kernels.py",
        "(i, j) if lower",
        "(i, j) if not lower",
        f"{MATRICES}::test_stacks_that_broadcast_and_views",
    ),
    Fault(
        "codegen/matrix_kernels.py",
        "i if n > 1 else ZERO for i, n in zip(own",
        "i for i, n in zip(own",
        f"{MATRICES}::test_stacks_that_broadcast_and_views",
    ),
    Fault(
        "codegen/c.py",
        "{0} <= 0, 2",
        "{0} < 0, 2",
        f"{MATRICES}::test_what_lapack_refuses_is_refused",
    ),
    Fault(
        "codegen/c.py",
        "{0} == 0, 3",
        "false, 3",
        f"{MATRICES}::test_what_lapack_refuses_is_refused",
    ),
    Fault(
        "codegen/c.py",
        "if (!*bad) *bad = why;",
        "*bad = why;",
        f"{MATRICES}::test_the_first_that_has_no_answer_is_named",
    ),
    Fault(
        "loops/verify.py",
        "and s.variable.extent >= v.extent",
        "",
        "tests/compiler/loops/test_verify.py::test_a_loop_may_end_where_one_around_it_is",
    ),
    Fault(
        "codegen/copy_kernels.py",
        "i * -1 + end if k == along",
        "i if k == along",
        CUMULATED,
    ),
    Fault("codegen/copy_kernels.py", "for x in factors),", "for x in factors[:0]),", CUMULATED),
    Fault(
        "graph/opset/reductions.py",
        'Scan(1, "*")',
        'Scan(1, "+")',
        "tests/compiler/codegen/test_copy_kernels.py::test_every_value_of_an_accumulator_is_kept",
    ),
    Fault(
        "codegen/copy_kernels.py",
        "!= in_place:",
        "is None:",
        "tests/compiler/schedule/test_buffers.py::test_a_part_that_is_joined_twice_is_copied_once",
    ),
    Fault(
        "graph/affine.py",
        "if place.terms.get(outer, 0) != place.terms.get(inner, 0) * inner.extent:\n"
        "        return False",
        "",
        GRAPHS,
    ),
    Fault(
        "runtime/vector_math.h",
        "#define relu(x) choose((x) <= 0, 0, x)",
        "#define relu(x) choose((x) < 0, 0, x)",
        of("comparisons_with_nan"),
    ),
]

EXPORT = [
    Fault(
        "export/program.py",
        'if was_none != (after == "None") or',
        "if",
        f"{EXPORTED}::test_gradients_that_begin_anew_in_python_are_refused",
    ),
    Fault(
        "export/program.py",
        "if keys[id(array)] != keys[id(other)] and",
        "if keys[id(array)] == keys[id(other)] and",
        f"{EXPORTED}::test_memory_that_is_two_states_is_refused",
    ),
    Fault(
        "export/program.py",
        "if id(array) in written and np.may_share_memory(read, array):",
        "if read is other:",
        f"{EXPORTED}::test_numbers_that_were_read_may_not_be_written",
    ),
    Fault(
        "export/program.py",
        "if isinstance(x, Array) and x.layout == plain(x.layout.shape) and not x.offset:",
        "if isinstance(x, Array) and not x.offset:",
        f"{EXPORTED}::test_results_that_are_not_computed_where_they_belong",
    ),
    Fault(
        "export/interface.py",
        "if why := found.stale():",
        'if why := "":',
        f"{EXPORTED}::test_what_has_changed_since_is_refused",
    ),
]

BUFFERS = [
    Fault("schedule/arena.py", "if last[x] == k:", "if last[x] >= k:", of("fused_buffers")),
    Fault(
        "schedule/arena.py",
        "-(-size // line) * line + line",
        "size // line * line",
        of("fused_buffers"),
    ),
    Fault(
        "schedule/arena.py",
        "bisect_left(self.sizes, (size, 0))",
        "bisect_left(self.sizes, (size // 2, 0))",
        "tests/compiler/schedule/test_arena.py",
    ),
    Fault(
        "pipeline.py",
        "offsets.append(offset + first * x.dtype.itemsize)",
        "offsets.append(offset)",
        GRAPHS,
    ),
    Fault(
        "codegen/barriers.py",
        "earlier = (*shared, *alone) if call.shared else shared",
        "earlier = shared",
        "tests/compiler/codegen/test_barriers.py::test_a_shared_call_waits_for_what_the_first_thread_wrote",
    ),
    Fault(
        "codegen/barriers.py",
        "pairs = (writes, written), (writes, read), (reads, written)",
        "pairs = (writes, written), (reads, written)",
        WAITS,
    ),
    Fault(
        "loops/parts.py",
        "pairs = (parts, other), (other, parts)",
        "pairs = ((parts, other),)",
        PARTS,
    ),
    Fault("loops/parts.py", "isinstance(array, Value) and min(", "min(", PARTS),
    Fault("loops/parts.py", "found.pop(array_of(x), None)", "pass", PARTS),
    Fault(
        "schedule/buffers.py",
        "and last.get(target, -1) <= schedule.kernel_of[x]",
        "",
        "tests/compiler/schedule/test_buffers.py::test_a_state_that_is_read_after_its_new_value_is_computed",
    ),
    Fault(
        "schedule/buffers.py",
        "other.dims == stage.dims and layout.address(index) == own",
        "True",
        of("written"),
    ),
    Fault("schedule/buffers.py", "copy_of(x) if x in targets else x for", "x for", of("written")),
    Fault(
        "schedule/buffers.py",
        "if x.op is None or x in seen:",
        "if x.op is None:",
        "tests/compiler/test_specialization.py::test_one_value_is_written_into_two_arrays",
    ),
    Fault(
        "codegen/deduplicate.py",
        "return values[x], offset - old[x] + new[values[x]]",
        "return values[x], offset",
        of("unrolled_loops"),
    ),
    Fault(
        "codegen/deduplicate.py",
        "(numbers[x], low - arrays[x]) for x, low in uses",
        "numbers[x] for x, low in uses",
        of("unrolled_loops"),
    ),
    Fault(
        "codegen/c.py",
        "((thread) == (threads) ? (n) : (int64_t)(n) * (thread) / (threads) / (grain) * (grain))",
        "((int64_t)(n) * (thread) / (threads) / (grain) * (grain))",
        of("tails"),
    ),
    Fault("runtime/program.py", "left -= {slot}", "pass", of("returned")),
    Fault(
        "runtime/program.py",
        "lines = [line for x in self.given for line in self.renewal(x, names)]",
        "lines = []",
        of("returned"),
    ),
]

KEYS = [
    Fault(
        "graph/ir.py",
        'how = value.how if value.attributes else ""',
        'how = ""',
        of("keys_of_programs"),
    ),
    Fault(
        "graph/ir.py",
        "use(numbers[x if type(x) is Value else repr(x)])",
        "use(numbers[x if type(x) is Value else type(x)])",
        of("keys_of_programs"),
    ),
    Fault(
        "graph/ir.py",
        "[(x.shape, x.dtype.str, x.kind) for x in leaves]",
        "[(x.shape, x.kind) for x in leaves]",
        of("keys_of_programs"),
    ),
    Fault(
        "graph/ir.py",
        'np.asarray(value.array).tobytes() if value.fixed else b""',
        'b""',
        of("keys_of_programs"),
    ),
    Fault(
        "graph/ir.py",
        "for x in (*self.outputs, *itertools.chain(*self.writes), *self.seeds)",
        "for x in (*itertools.chain(*self.writes), *self.seeds)",
        of("keys_of_programs"),
    ),
    Fault(
        "pipeline.py",
        "code_version(), target or machine(), graph.digest",
        "code_version(), graph.digest",
        "tests/compiler/test_pipeline.py::test_a_plan_for_another_machine_is_not_used",
    ),
    Fault(
        "target/toolchain.py",
        "*flags(cc), text]",
        "text]",
        "tests/compiler/target/test_toolchain.py::test_other_flags_are_another_library",
    ),
    Fault(
        "graph/ir.py",
        "return value.fixed, content, value.shape, value.dtype.str",
        "return value.fixed, content, value.shape",
        "tests/compiler/test_pipeline.py::test_different_graphs_have_different_digests",
    ),
    Fault(
        "graph/ir.py",
        "return value.fixed, content, value.shape, value.dtype.str",
        "return value.fixed, content, value.dtype.str",
        "tests/compiler/test_pipeline.py::test_different_graphs_have_different_digests",
    ),
    Fault(
        "pipeline.py",
        "code_version(), target or machine(), graph.digest",
        "target or machine(), graph.digest",
        "tests/compiler/test_pipeline.py::test_a_plan_of_other_code_is_not_used",
    ),
    Fault(
        "graph/ir.py",
        'sorted((op.name, op.c or "", getattr(op.forward, "__name__", "")) for op in ops)',
        "len(ops)",
        "tests/fuzz/test_fuzz.py::test_a_wrong_lowering_is_found",
    ),
    Fault(
        "graph/ir.py",
        "[(x.shape, x.dtype.str, x.kind) for x in leaves]",
        "[(x.dtype.str, x.kind) for x in leaves]",
        of("keys_of_programs"),
    ),
    Fault(
        "graph/ir.py",
        "hashlib.sha256(content).digest() if len(content) > 64",
        "content[:64] if len(content) > 64",
        "tests/compiler/test_pipeline.py::test_different_graphs_have_different_digests",
    ),
    Fault(
        "target/toolchain.py",
        "[cc, macros(cc), *flags(cc), text]",
        "[macros(cc), *flags(cc), text]",
        "tests/compiler/target/test_toolchain.py::test_another_compiler_or_machine_is_another_library",
    ),
    Fault(
        "target/toolchain.py",
        "[cc, macros(cc), *flags(cc), text]",
        "[cc, *flags(cc), text]",
        "tests/compiler/target/test_toolchain.py::test_another_compiler_or_machine_is_another_library",
    ),
]

CHANGES = of("changed_between_calls")
WATCHED = f"""tests/compiler/frontend/test_guards.py {CHANGES} tests/compiler/end_to_end/test_never_stale.py
tests/compiler/frontend/test_capture.py"""
CALLS = "tests/compiler/frontend/test_guards.py tests/compiler/test_jit.py"
BACK = "tests/compiler/frontend/test_derivative.py"

GUARDS = [
    Fault(
        "frontend/capture.py",
        '"array": ("{0}.node.value is {2}"',
        '"array": ("{0}.node.value.shape == {2}.shape"',
        "tests/compiler/test_jit.py::test_guards_are_checked_in_every_call",
    ),
    Fault(
        "frontend/capture.py",
        'found.guard("length", x, name)\n        found.guard_items(x, name, range',
        "found.guard_items(x, name, range",
        "tests/compiler/frontend/test_guards.py::test_state_that_is_changed_in_the_step_is_refused_and_put_back",
    ),
    Fault(
        "frontend/capture.py",
        'found.guard("members", x, name)',
        "pass",
        "tests/compiler/frontend/test_guards.py::test_state_that_is_changed_in_the_step_is_refused_and_put_back",
    ),
    Fault(
        "frontend/capture.py",
        '("__code__", "__defaults__", "__kwdefaults__")',
        '("__code__",)',
        "tests/compiler/end_to_end/test_never_stale.py::test_a_change_is_seen[default-captured]",
    ),
    Fault(
        "frontend/capture.py",
        'found.guard("attribute", x, name, "default_factory", x.default_factory)',
        "pass",
        "tests/compiler/end_to_end/test_never_stale.py::test_a_change_is_seen[default factory-captured]",
    ),
    Fault(
        "frontend/capture.py",
        'found.guard("absent", space, key, key)',
        "pass",
        "tests/compiler/frontend/test_guards.py::test_a_global_that_hides_what_python_has",
    ),
    Fault(
        "frontend/capture.py",
        'found.guard("empty", cell, variable)',
        "pass",
        "tests/compiler/frontend/test_guards.py::test_a_variable_that_gets_its_first_value_later",
    ),
    Fault(
        "frontend/capture.py",
        'found.guard("attribute", x, f"the class of {name}", "__class__")',
        "pass",
        "tests/compiler/end_to_end/test_never_stale.py::test_a_change_is_seen[another class-captured]",
    ),
    Fault(
        "frontend/capture.py",
        'found.places.pop(("item", id(group), "lr"), None)',
        'found.places.pop(("item", id(group), "weight_decay"), None)',
        "tests/compiler/test_jit.py::test_an_optimiser_that_was_loaded_or_set_otherwise",
    ),
    Fault("frontend/capture.py", 'found.guard("called", x, name, value=x())', "pass", WATCHED),
    Fault(
        "frontend/capture.py",
        " *texts,",
        "",
        "tests/compiler/frontend/test_guards.py"
        "::test_an_attribute_that_is_asked_for_by_name_before_it_is_there",
    ),
    Fault(
        "frontend/guards.py",
        "self.spaces = [(x, name, [*x]) for x, name in found.spaces if not has_fixed_names(x, found)]",
        "self.spaces = []",
        "tests/compiler/frontend/test_guards.py::test_of_objects_classes_and_globals",
    ),
    Fault(
        "frontend/guards.py",
        'yield f"[*h{id(x)}] == n{k}"',
        'yield f"len(h{id(x)}) == {len(known)}"',
        "tests/compiler/frontend/test_guards.py::test_a_name_instead_of_another",
    ),
    Fault(
        "frontend/guards.py",
        'named = "grad" in self.found.names',
        "named = False",
        "tests/compiler/frontend/test_guards.py::test_gradients_that_are_asked_for_and_then_set_to_none",
    ),
    Fault(
        "frontend/guards.py",
        "of_strings = {*map(type, value)} == {str}",
        "of_strings = bool(value)",
        "tests/compiler/end_to_end/test_never_stale.py::test_a_change_is_seen[key by equal key-captured]",
    ),
    Fault(
        "frontend/guards.py",
        "return isinstance(now, capture.SCALARS) and repr(now) == repr(value)",
        "return isinstance(now, capture.SCALARS) and bool(now == value)",
        "tests/compiler/frontend/test_guards.py::test_equal_is_not_the_same",
    ),
    Fault(
        "frontend/guards.py",
        'yield capture.Place("flag", t, name)',
        "yield from ()",
        "tests/compiler/test_jit.py::test_guards_are_checked_in_every_call",
    ),
    Fault(
        "frontend/guards.py",
        '"recording() is was_recording"',
        '"True"',
        "tests/compiler/test_jit.py::test_under_no_grad_and_debug",
    ),
    Fault(
        "frontend/guards.py",
        '"[*kwargs] == keywords" if kwargs',
        '"kwargs.keys() == {*keywords}" if kwargs',
        "tests/compiler/frontend/test_guards.py::test_the_order_of_keywords_counts",
    ),
    Fault(
        "frontend/guards.py",
        'checks += [f"{s} is not {t}" for s, t in combinations(names_of, 2)]',
        "pass",
        "tests/compiler/end_to_end/test_never_stale.py::test_which_arguments_are_one",
    ),
    Fault(
        "frontend/guards.py",
        'yield f"x{own}.requires_grad is {x.requires_grad}"',
        "yield from ()",
        "tests/compiler/frontend/test_guards.py::test_an_argument_that_requires_a_gradient_after_one_that_does_not",
    ),
    Fault(
        "frontend/guards.py",
        'yield f"(x{own}.grad is None) is {x.grad is None}"',
        "yield from ()",
        "tests/compiler/frontend/test_guards.py::test_gradients_that_are_asked_for_alone",
    ),
    Fault(
        "frontend/guards.py",
        "[*x{own}] == [*k{own}]",
        "x{own}.keys() == k{own}.keys()",
        "tests/compiler/end_to_end/test_never_stale.py::test_keys_of_a_dict_in_the_arguments",
    ),
    Fault(
        "frontend/guards.py",
        'if {*names[f"l{own}"]} - {str}:',
        "if False:",
        "tests/compiler/end_to_end/test_never_stale.py::test_keys_of_a_dict_in_the_arguments",
    ),
    Fault(
        "frontend/guards.py",
        " and a{own}.dtype is d{own}",
        "",
        "tests/compiler/frontend/test_guards.py::test_arrays_of_another_form_are_not_taken_for_those_before",
    ),
    Fault(
        "frontend/guards.py",
        "a{own}.shape == s{own} and",
        "a{own}.ndim == len(s{own}) and",
        "tests/compiler/frontend/test_guards.py::test_arrays_of_another_form_are_not_taken_for_those_before",
    ),
    Fault(
        "frontend/guards.py",
        "equal = kind in (bool, int, str, bytes)",
        "equal = kind in (bool, int, str, bytes, float)",
        "tests/compiler/frontend/test_guards.py::test_zeros_in_arguments_have_a_sign",
    ),
    Fault(
        "frontend/guards.py",
        'elif names["captured"]:',
        "elif False:",
        "tests/compiler/frontend/test_guards.py::test_an_argument_that_is_also_found",
    ),
    Fault(
        "specialization.py",
        "if any(array.tobytes() != contents for array, contents in traced.contents):",
        "if False:",
        "tests/compiler/end_to_end/test_never_stale.py::test_a_change_is_seen[objects-captured]",
    ),
    Fault(
        "specialization.py",
        "return all(x.tobytes() == y.tobytes() for x, y in zip(now, before, strict=True))",
        "return True",
        CHANGES,
    ),
    Fault(
        "specialization.py",
        "if self.traced.contents or self.traced.read:",
        "if self.traced.contents:",
        CHANGES,
    ),
    Fault(
        "specialization.py",
        "x is before or not {id(x), id(before)} & captured.keys()",
        "True",
        "tests/compiler/frontend/test_guards.py::test_an_argument_that_is_also_found",
    ),
    Fault(
        "specialization.py",
        "others = [*self.read, *self.guards.buffers()]",
        "others = [*self.guards.buffers()]",
        "tests/compiler/frontend/test_guards.py::test_an_argument_that_is_written_and_shares_memory_with_what_is_read",
    ),
    Fault(
        "specialization.py",
        "log.note(array for array, changed in zip(arrays, self.changed, strict=True) if changed)",
        "pass",
        "tests/test_writes.py",
    ),
    Fault(
        "specialization.py",
        'body.append("log.repeat(specialization.write)")',
        "pass",
        "tests/test_writes.py",
    ),
    Fault(
        "specialization.py",
        "== PLAIN and array.dtype == value.dtype",
        "== PLAIN",
        "tests/compiler/frontend/test_tracer.py",
    ),
    Fault(
        "jit.py",
        "key = kinds, same, recording.get()",
        "key = kinds, (), recording.get()",
        "tests/compiler/end_to_end/test_never_stale.py::test_which_arguments_are_one",
    ),
    Fault(
        "jit.py",
        "return kind, x.shape, x.dtype, x.requires_grad, x.node.op is None, x.node.grad is None",
        "return kind, x.shape, x.dtype, x.requires_grad, x.node.grad is None",
        "tests/compiler/test_jit.py::test_arguments_that_require_a_gradient",
    ),
    Fault(
        "jit.py",
        "(kind, repr(x)) if is_itself(x)",
        "(kind, x) if is_itself(x)",
        "tests/compiler/frontend/test_guards.py::test_zeros_in_arguments_have_a_sign",
    ),
    Fault(
        "jit.py",
        "keys = tuple([(type(key), key) for key in x])",
        "keys = tuple(x)",
        "tests/compiler/end_to_end/test_never_stale.py::test_keys_of_a_dict_in_the_arguments",
    ),
    Fault(
        "jit.py",
        "                    again()\n",
        "                    pass\n",
        "tests/compiler/end_to_end/test_refusals.py::test_python_values_made_of_traced_values_are_refused",
    ),
    Fault(
        "jit.py",
        "if bits_of(x) != bits]",
        "if False]",
        "tests/compiler/frontend/test_guards.py::test_random_numbers_of_every_kind_are_refused",
    ),
]

DERIVATIVES = [
    Fault(
        "transforms/calls.py",
        "self.sent[k] + g if k in self.sent else g",
        "g",
        "tests/compiler/frontend/test_derivative.py::test_several_outputs_that_meet_again",
        room="",
    ),
    Fault(
        "frontend/replay.py",
        "elif stands[x] is not recorder.value_of(source):",
        "elif False:",
        "tests/compiler/frontend/test_derivative.py::test_data_that_is_written_has_no_derivative",
    ),
    Fault(
        "frontend/derivative.py",
        "if any(value in written and node not in recorder.reached for node"
        ", value in leaves.items()):",
        "if False:",
        "tests/compiler/frontend/test_derivative.py::test_gradients_through_writes_to_captured_tensors_are_refused",
    ),
    Fault(
        "frontend/derivative.py",
        "if any(node.birth < recorder.birth for node in order):",
        "if False:",
        "tests/compiler/frontend/test_derivative.py::test_a_tensor_from_where_nobody_looks_is_refused",
    ),
    Fault(
        "frontend/derivative.py",
        "key = function.__name__, positions",
        "key = function.__name__, positions[:0]",
        "tests/compiler/frontend/test_derivative.py::test_each_of_several_outputs_alone",
    ),
    Fault(
        "frontend/replay.py",
        "return stands[node.inputs[0]], (stands[node.inputs[0]],)",
        "return node, (stands[node.inputs[0]],)",
        "tests/compiler/frontend/test_derivative.py::test_a_hook_is_called_on_the_way_back",
    ),
    Fault(
        "frontend/derivative.py",
        'if all(value.kind == "state" and node in recorder.reached for node'
        ", value in wanted.items()):",
        'if all(value.kind == "state" for value in wanted.values()):',
        "tests/compiler/frontend/test_derivative.py::test_weights_are_trained_through_a_compiled_model",
    ),
    Fault(
        "frontend/derivative.py",
        "wanted = {node: value for node, value in leaves.items() if value not in written}",
        "wanted = leaves",
        "tests/compiler/frontend/test_derivative.py::test_a_step_returns_a_loss_that_nobody_goes_back_from",
    ),
    Fault(
        "specialization.py",
        'return text if constant and value not in rates else f"np.array({text})"',
        "return text",
        BACK,
    ),
]


# What the compiler decomposes of what moves entries, and of spread

OPS = "tests/compiler/graph/opset/test_views.py"
MOVES = "tests/compiler/graph/opset/test_moves.py"
VARS = "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[var-float64]"
MOVED = [
    Fault(
        "graph/opset/views.py",
        "return max(-offset, 0), max(offset, 0)",
        "return max(offset, 0), max(-offset, 0)",
        OPS,
    ),
    Fault(
        "graph/opset/views.py", 'bound = k if self.relation == ">=" else k + 1', "bound = k", OPS
    ),
    Fault(
        "graph/opset/moves.py",
        "parts = [slice(n - by % n, n), slice(0, n - by % n)]",
        "parts = [slice(by % n, n), slice(0, by % n)]",
        MOVES,
    ),
    Fault(
        "graph/opset/moves.py",
        "flipped = ((), (b,), (a, b), (a,))[turns]",
        "flipped = ((), (a,), (a, b), (b,))[turns]",
        MOVES,
    ),
    Fault(
        "graph/opset/moves.py",
        "each = [(1, reps if k == axis else 1)",
        "each = [(reps if k == axis else 1, 1)",
        MOVES,
    ),
    Fault(
        "graph/opset/reductions.py",
        'return apply("div", squares, max(count - ddof, 0))',
        'return apply("div", squares, max(count, 0))',
        VARS,
    ),
    Fault(
        "graph/opset/contractions.py",
        'right = apply("reshape", y, shape=(depth, 1)) if len(y.shape) == 1 else y',
        'right = apply("reshape", y, shape=(depth, 1)) if x.shape == y.shape else y',
        "tests/compiler/end_to_end/test_every_op.py::test_as_the_table_has_it[dot-float64]",
    ),
]

# The engine: linear algebra, transforms, complex numbers, the rest of NumPy, and SciPy


def derivative_of(sample: str) -> str:
    return f"tests/ops/test_every_op.py::test_derivatives_to_second_order[{sample}]"


COMPLEX = "tests/ops/test_complex.py"


def engine(file: str, old: str, new: str, first: str) -> Fault:
    """A fault outside of the compiler: in a file of minigrad."""
    return Fault(file, old, new, first, room="")


ENGINE = [
    engine(
        "ops/linalg/factors.py",
        "half = np.tril(adjoint(y) @ g) * (np.ones_like(y) - np.eye(y.shape[-1], dtype=y.dtype) / 2)",
        "half = np.tril(adjoint(y) @ g) * np.ones_like(y)",
        derivative_of("cholesky [(3, 3)] f {}"),
    ),
    engine(
        "ops/linalg/factors.py",
        "core = core + adjoint(core) + ratio_op(half - adjoint(half), sums) + of_diagonal(gs)",
        "core = core + adjoint(core) + of_diagonal(gs)",
        derivative_of("svd [(3, 3)] f {'full': True}"),
    ),
    engine(
        "ops/linalg/factors.py",
        "return x - u @ overlap_op(u, x, apart)",
        "return x",
        derivative_of("svd [(4, 3)] f {'full': False}"),
    ),
    engine(
        "ops/linalg/factors.py",
        "    if m < n:\n        of_rest = q @ gr[..., m:]",
        "    if m < n:\n        of_rest = 0 * q @ gr[..., m:]",
        derivative_of("qr [(2, 3, 4)] f {'complete': False}"),
    ),
    engine(
        "ops/linalg/factors.py",
        "core = by_gaps(inner, conj(between), is_used(gv))",
        "core = by_gaps(inner, between, is_used(gv))",
        COMPLEX,
    ),
    engine(
        "ops/linalg/factors.py",
        "inner = overlap - (vh @ v) * stretching",
        "inner = overlap",
        derivative_of("eig [(3, 3)] f {}"),
    ),
    engine(
        "ops/linalg/factors.py",
        "    if are_zeros(gv):\n        return to_triangle((v * gw[..., None, :]) @ adjoint(v), lower)",
        "    if True:\n        return to_triangle((v * gw[..., None, :]) @ adjoint(v), lower)",
        derivative_of("eigh [(3, 3)] f {'lower': True}"),
    ),
    engine(
        "ops/linalg/matrix.py",
        "strict = np.tril(both, -1) if lower else np.triu(both, 1)",
        "strict = np.tril(both, -1) / 2 if lower else np.triu(both, 1)",
        derivative_of("eigh [(3, 3)] f {'lower': True}"),
    ),
    engine(
        "ops/linalg/matrix.py",
        "lost = np.where(np.logical_and(among, used[..., None, :]), np.nan, 0.0)",
        "lost = np.where(among, 0.0, 0.0)",
        "tests/ops/test_linalg.py",
    ),
    engine(
        "ops/linalg/matrix.py",
        "lambda g, y, v, apart: np.where(apart[..., None, :], g, np.nan).astype(g.dtype), None",
        "lambda g, y, v, apart: g, None",
        "tests/ops/test_linalg.py",
    ),
    engine(
        "ops/linalg/solving.py",
        "(lambda g, y, x, lower=False: -(swap(y) @ g @ swap(y)),),",
        "(lambda g, y, x, lower=False: -(y @ g @ y),),",
        derivative_of("inv [(3, 3)] f {}"),
    ),
    engine(
        "ops/linalg/solving.py",
        "rcond = max(m, n) * np.finfo(dtype).eps if rcond is None else rcond\n    x = pinv(a, rcond) @ b",
        "rcond = 0.5 if rcond is None else rcond\n    x = pinv(a, rcond) @ b",
        "tests/test_numpy_values.py::test_values_are_numpys[np.linalg.lstsq]",
    ),
    engine(
        "ops/fft.py",
        "factors[1 : (n + 1) // 2] = by",
        "factors[1 : n // 2] = by",
        "tests/ops/test_fft.py",
    ),
    engine(
        "ops/fft.py",
        '"backward": "forward", "ortho": "ortho", "forward": "backward"',
        '"backward": "backward", "ortho": "ortho", "forward": "backward"',
        "tests/ops/test_fft.py",
    ),
    engine(
        "ops/fft.py",
        "given[-1] = 2 * (a.shape[axes[-1]] - 1)",
        "given[-1] = 2 * a.shape[axes[-1]] - 1",
        "tests/test_numpy_values.py::test_values_are_numpys[np.fft.irfft2]",
    ),
    engine("ops/complex.py", "(lambda g, y, x: g * -1j,)", "(lambda g, y, x: g * 1j,)", COMPLEX),
    engine("ops/complex.py", "lambda g, y, x: np.conjugate(g)", "lambda g, y, x: g", COMPLEX),
    engine(
        "ops/unary.py",
        "return (g - np.real(g * y) * conj(y)) /",
        "return (g - np.real(g * y) * y) /",
        COMPLEX,
    ),
    engine(
        "ops/unary.py",
        "lambda g, y, x: g * conj(np.sign(x))",
        "lambda g, y, x: g * np.sign(x)",
        COMPLEX,
    ),
    engine(
        "autograd.py",
        'term if dtype.kind == "c" else term.real',
        'term if dtype.kind == "c" else abs(term)',
        COMPLEX,
    ),
    engine(
        "transforms/jacobian.py",
        "return g - 1j * h\n    one",
        "return g + 1j * h\n    one",
        COMPLEX,
    ),
    engine(
        "transforms/jacobian.py",
        "one, other = value_of(g), value_of(-1j * h)",
        "one = other = value_of(g)",
        COMPLEX,
    ),
    engine(
        "ops/reduce.py",
        "conj(x - mean_op(x, axis=axis, keepdims=True)) / count",
        "(x - mean_op(x, axis=axis, keepdims=True)) / count",
        COMPLEX,
    ),
    engine(
        "ops/movement.py",
        "lambda g, y, x, k: np.tril(g, k)",
        "lambda g, y, x, k: np.tril(g, -k)",
        derivative_of("tril [(3, 4)] f {'k': -1}"),
    ),
    engine(
        "numpy_protocol/statistics.py",
        "return np.where(even, np.floor(h), np.floor(h) + 1)",
        "return np.floor(h) + 1",
        "tests/test_numpy_protocol.py::test_derivatives[quantile by q]",
    ),
    engine(
        "numpy_protocol/statistics.py",
        '"hazen": (0.5, 0.5)',
        '"hazen": (0.5, 0.4)',
        "tests/test_numpy_values.py::test_values_are_numpys[np.quantile]",
    ),
    engine(
        "numpy_protocol/calculus.py",
        "(lambda g, y, x, w: slide_op(g, w), lambda g, y, x, w: slide_op(g, x))",
        "(lambda g, y, x, w: slide_op(g, w), lambda g, y, x, w: slide_op(g, x[::-1]))",
        derivative_of("convolve [(4,), (3,)] ff {}"),
    ),
    engine(
        "scipy/special/table.py",
        "    lambda y, a, b: y * (sc.digamma(b) - sc.digamma(a + b)),",
        "    lambda y, a, b: y * (sc.digamma(b) - sc.digamma(b + 1)),",
        "tests/scipy/special/test_table.py::test_derivatives_to_second_order[scipy.special.beta]",
    ),
    engine(
        "scipy/special/table.py",
        'special("gammaincc", lambda y, a, x: -gammainc_by_a(a, x)',
        'special("gammaincc", lambda y, a, x: gammainc_by_a(a, x)',
        "tests/scipy/special/test_table.py::test_derivatives_to_second_order[scipy.special.gammaincc]",
    ),
    engine(
        "scipy/stats/formulas.py",
        "lambda z, s: sc.ndtr(-np.log(z) / s),",
        "lambda z, s: sc.ndtr(np.log(z) / s),",
        "tests/scipy/stats/test_distributions.py::test_values_are_scipys[lognorm.sf]",
    ),
    engine(
        "scipy/linalg/equations.py",
        "of_b = -(swap(y) @ of_q)",
        "of_b = swap(y) @ of_q",
        "tests/scipy/linalg/test_linalg.py::test_derivatives[polar]",
    ),
    engine(
        "scipy/linalg/equations.py",
        "picked = ab[..., lower + upper - rows, np.clip(source, 0, n - 1)]",
        "picked = ab[..., rows, np.clip(source, 0, n - 1)]",
        "tests/scipy/linalg/test_linalg.py::test_derivatives[solve_banded]",
    ),
    engine(
        "scipy/signal.py",
        "return full_op(g, flipped(y, axes), axes=axes, method=method)",
        "return full_op(g, y, axes=axes, method=method)",
        "tests/scipy/test_signal.py",
    ),
    engine(
        "transforms/implicit.py",
        "np.linalg.solve(np.swapaxes(by_x, 0, 1), g)",
        "np.linalg.solve(by_x, g)",
        "tests/scipy/test_optimize.py",
    ),
    engine(
        "scipy/interpolate.py",
        "identity[[0, -1]] = (identity[0] + identity[-1]) / 2",
        "pass",
        "tests/scipy/test_interpolate.py",
    ),
]
FAULTS = [
    *PASSES,
    *INDICES,
    *FUSION,
    *EXPORT,
    *BUFFERS,
    *KEYS,
    *GUARDS,
    *DERIVATIVES,
    *MOVED,
    *ENGINE,
]
