"""Accuracy control: layers return to float, the costliest first, until the gate passes end to end.

Networks are taken one after another, each beside those that have passed already, so that the last gate is that of the
whole bundle. How many layers return is found by bisection along the ranking. Where more than ``MOST_IN_FLOAT`` of them
would have to, the whole network stays in float: a few converted layers between many casts gain nothing, and one that
passes by luck on these images fails on others. So a bundle fails only where no network can be converted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from calibration.accuracy import (
    NOT_ASSESSED,
    UNLIMITED,
    Answer,
    Budget,
    Figures,
    answers,
    compared,
    explanation_agreement,
    faults,
    network_faults,
    probability_pairs,
)
from calibration.concatenation import concatenated_as_integers
from calibration.fusion import OwnFile, own_file
from calibration.graph import EXPLANATION, Array, head_nodes, outputs_of, prepared, quantisable_nodes
from calibration.guard_band import GuardBandMeasurement, measurement_from_pairs
from calibration.half import half_from_float
from calibration.quantise import qdq_from_float
from calibration.ranges import METHODS, Observation, observe
from calibration.reader import Reading
from calibration.sensitivity import Convert, LayerError, sensitivity
from edge_sacro.bundle import Bundle
from edge_sacro.errors import BudgetBroken, UsageError
from edge_sacro.manifest import Precision

RANKING_INPUTS = 16
"""Inputs that layers are ranked on; the ranking costs a run of the network over them for every layer."""


MOST_IN_FLOAT = 0.5
"""Part of a network's layers that may return to float before the whole of it does."""


RESERVE = 0.25
"""Part of the budget of |dp| that the search leaves unused where a task says nothing else: layers are chosen on the
very images that the gate is held on, and other images ask for more; how much more, only other images can tell."""


@dataclass(frozen=True)
class Task:
    """What is given.

    Attributes:
        bundle: with FP32 networks.
        calibration: inputs that ranges are measured on.
        validation: inputs and files that the gate is held on; none of its images is in ``calibration``.
        truths: by a file's SHA-256; empty where none is known.
        budget: of the gate. With ``UNLIMITED`` there is none, and no image is assessed: for networks whose weights
            mean nothing.
        backend: that the gate runs on.
        whole: networks that stay in float without a search.
        unstable: validation images, by SHA-256, that are told apart; empty where all are gated.
        tell: is given a line for each step.
        reserve: part of the budget of |dp| that the search leaves unused, 0 to below 1.
    """

    bundle: Bundle
    calibration: Reading
    validation: Reading
    truths: Mapping[str, bool]
    budget: Budget
    backend: str
    whole: frozenset[str]
    unstable: frozenset[str]
    tell: Callable[[str], None]
    reserve: float = RESERVE


@dataclass(frozen=True)
class Converted:
    """One network's outcome.

    Attributes:
        network: its name.
        model: the graph for every backend; None where the whole network stays in float.
        method: how ranges were chosen.
        kept: layers in float, in the ranking's order.
        head: nodes in float whatever they cost.
        layers: the ranking.
        limits: largest magnitude by tensor that level 127 stands for.
        unconstrained: end-to-end figures with no layer in float, this network alone being converted.
        explanation: least cosine and peak part on the validation inputs, where there is an explanation.
        own: ONNX Runtime's own file, in INT8.
    """

    network: str
    model: Any
    method: str
    kept: tuple[str, ...]
    head: tuple[str, ...]
    layers: tuple[LayerError, ...]
    limits: Mapping[str, float]
    unconstrained: Figures | None
    explanation: tuple[float, float] | None
    own: OwnFile | None = None


@dataclass(frozen=True)
class Outcome:
    """What passed the gate.

    Attributes:
        networks: in the order in which they were taken.
        figures: of the whole bundle, end to end.
        figures_own: the same with ONNX Runtime's own files, where there are such.
        pairs: what the two precisions' differences ask of the guard band.
    """

    networks: tuple[Converted, ...]
    figures: Figures
    figures_own: Figures | None
    pairs: GuardBandMeasurement


def controlled(task: Task, precision: Precision) -> Outcome:
    """Convert every network of a bundle as far as the budget lets.

    Raises:
        BudgetBroken: no network can be converted, or the file for ONNX Runtime alone breaks the budget.
        UsageError: calibration and validation share an image.
    """
    shared = set(task.calibration.images) & set(task.validation.images)
    if shared:
        raise UsageError(f"{len(shared)} images are both in the calibration and in the validation set")
    gate = _Gate(task)
    networks = [_converted(task, gate, name, precision) for name in _order(task.bundle)]
    if all(each.model is None for each in networks):
        raise BudgetBroken(f"no network can be {precision} within the budget; last figures: {gate.last}")
    found = gate.answers({})
    figures = gate.compared(found)
    threshold = task.bundle.manifest.operating_point(None).threshold
    pairs = measurement_from_pairs(probability_pairs(gate.reference, found), threshold)
    return Outcome(tuple(networks), figures, _own_figures(gate, networks), pairs)


class _Gate:
    """The end-to-end gate with the networks that have passed it so far. Without a budget nothing is assessed at all."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.passed: dict[str, bytes] = {}
        self.last: Figures | None = None
        self.reference: list[Answer] = self.answers({})

    def answers(self, models: Mapping[str, bytes]) -> list[Answer]:
        if self.task.budget == UNLIMITED:
            return []
        return answers(self.task.bundle, self.task.validation.files, {**self.passed, **models}, self.task.backend)

    def compared(self, found: Sequence[Answer]) -> Figures:
        task = self.task
        if task.budget == UNLIMITED:
            return NOT_ASSESSED
        self.last = compared(self.reference, found, task.truths, task.bundle.manifest, task.unstable)
        return self.last


def _order(bundle: Bundle) -> list[str]:
    """The classifier first: what stands before it moves its input and would use up its share."""
    return sorted(bundle.manifest.networks, key=lambda name: (name != "classifier", name))


def _converted(task: Task, gate: _Gate, name: str, precision: Precision) -> Converted:
    model = prepared(task.bundle.model(name, "fp32", task.backend))  # type: ignore[arg-type]
    in_head = head_nodes(model)
    head = tuple(node.name for node in model.graph.node if node.name in in_head)
    observation = observe(model, task.calibration.inputs[name])
    search = _Search(task, gate, name, model)
    best: Converted | None = None
    for method, limits, convert in _ways(model, observation, precision):
        if name in task.whole:
            break
        most = int(MOST_IN_FLOAT * len(search.operators)) if best is None else len(best.kept) - 1
        found = search.found(convert, method, most)
        if found is not None:
            kept, layers = found
            best = Converted(name, convert(kept), method, kept, head, layers, limits, search.unconstrained, None)
        if best is not None and not best.kept:
            break
    if best is None:
        task.tell(f"{name}: stays in float whole")
        layers = search.layers
        limits = observation.limits("minmax")
        return Converted(name, None, "none", tuple(search.operators), head, layers, limits, search.unconstrained, None)
    gate.passed[name] = best.model.SerializeToString()
    task.tell(f"{name}: {best.method}, {len(best.kept)} of {len(search.operators)} layers in float")
    explanation = None
    if EXPLANATION in search.reference[0]:
        explanation = explanation_agreement(search.reference, outputs_of(best.model, task.validation.inputs[name]))
    own = own_file(best.model, model) if precision == "int8" else None
    if own is not None:
        task.tell(f"{name}: ONNX Runtime computes {len(own.integer)} layers on integers, {len(own.in_float)} in float")
        if own.unlike:
            task.tell(f"{name}: this version of ONNX Runtime does otherwise with {', '.join(own.unlike)}")
    made = concatenated_as_integers(best.model) if precision == "int8" else best.model
    return replace(best, model=made, explanation=explanation, unconstrained=search.unconstrained, own=own)


def _ways(model: Any, observation: Observation, precision: Precision) -> list[tuple[str, Mapping[str, float], Convert]]:
    """Every way of converting that is tried: a name, the limits and the conversion."""
    if precision == "fp16":
        largest = observation.limits("minmax")
        return [("half", largest, lambda kept: half_from_float(model, largest, kept))]

    def way(limits: Mapping[str, float]) -> Convert:
        return lambda kept: qdq_from_float(model, limits, kept)

    found = [(method, observation.limits(method)) for method in METHODS]
    return [(method, limits, way(limits)) for method, limits in found]


class _Search:
    """The search for the fewest layers of one network that must be in float."""

    def __init__(self, task: Task, gate: _Gate, name: str, model: Any) -> None:
        self.task, self.gate, self.name = task, gate, name
        types = {node.name: node.op_type for node in model.graph.node}
        self.operators = {node: types[node] for node in quantisable_nodes(model)}
        self.reference = outputs_of(model, task.validation.inputs[name])
        self.ranked_on = task.calibration.inputs[name][:RANKING_INPUTS]
        self.ranked_reference: list[dict[str, Array]] = outputs_of(model, self.ranked_on)
        self.unconstrained: Figures | None = None
        self.layers: tuple[LayerError, ...] = ()

    def found(self, convert: Convert, method: str, most: int) -> tuple[tuple[str, ...], tuple[LayerError, ...]] | None:
        """The layers to keep, at most ``most``, and the ranking; None where more would be needed."""
        if self.unconstrained is None:
            self.unconstrained = self.gate.compared(self._alone(convert(())))
        if self._passes(convert(()), method, 0):
            return (), ()  # a ranking would cost a run for every layer and choose none
        self.layers = sensitivity(self.operators, convert, self.ranked_reference, self.ranked_on)
        order = [layer.node for layer in self.layers]
        if most < 1 or not self._passes(convert(order[:most]), method, most):
            return None
        fails, passes = 0, most
        while passes - fails > 1:
            middle = (fails + passes) // 2
            if self._passes(convert(order[:middle]), method, middle):
                passes = middle
            else:
                fails = middle
        return tuple(order[:passes]), self.layers

    def _passes(self, model: Any, method: str, kept: int) -> bool:
        inputs = self.task.validation.inputs[self.name]
        budget = replace(self.task.budget, probability=(1 - self.task.reserve) * self.task.budget.probability)
        broken = network_faults(self.reference, outputs_of(model, inputs), budget)
        if not broken:
            found = self.gate.answers({self.name: model.SerializeToString()})
            broken = faults(self.gate.compared(found), budget)
        self.task.tell(f"{self.name}: {method}, {kept} layers in float: {'; '.join(broken) or 'passes'}")
        return not broken

    def _alone(self, model: Any) -> list[Answer]:
        if self.task.budget == UNLIMITED:
            return []
        models = {self.name: model.SerializeToString()}
        return answers(self.task.bundle, self.task.validation.files, models, self.task.backend)


def _own_figures(gate: _Gate, networks: Sequence[Converted]) -> Figures | None:
    """The gate again, with ONNX Runtime's own files in the place of those that have one."""
    own = {each.network: each.own for each in networks if each.own is not None}
    if not own:
        return None
    fp32 = {name: gate.task.bundle.model(name, "fp32", "onnxruntime") for name in own}  # type: ignore[arg-type]
    figures = gate.compared(gate.answers({name: each.content() or fp32[name] for name, each in own.items()}))
    broken = faults(figures, gate.task.budget)
    if broken:
        raise BudgetBroken(f"with ONNX Runtime's own file: {'; '.join(broken)}")
    return figures
