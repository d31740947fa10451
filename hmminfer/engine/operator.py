"""A kernel as a PyTensor operator with its exact gradient, compiled without calls back into Python.

``Forward`` returns (y, *state). Its gradient is ``Vjp``, which reuses the state, so a compiled value-and-gradient holds exactly one of each.
A kernel's data enter a graph packed in two vectors, one of floats and one of ints, and the operators work on views of them. The reason: the
code around a graph (nutpie's callbacks) is compiled again in every process, and each array it passes costs time. The operators are compared,
hashed and pickled by the kernel's recipe and shapes (strings and ints); the compiled functions are found again from the recipe, and the disk
cache is keyed by a fingerprint of their bytecode. This file alone defines how PyTensor sees a kernel.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pytensor
import pytensor.tensor as pt
from numba import njit
from pytensor.gradient import DisconnectedType, disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key
from pytensor.tensor.type import TensorType

from hmminfer.engine.coupling import Joint
from hmminfer.engine.kernel import Kernel, rebuild
from hmminfer.engine.native import seal
from hmminfer.engine.simulation import Simulation
from hmminfer.errors import HmmInferError


class _KernelOp(Op):
    """Base of the two operators: identity by recipe, static shapes, constants that need no gradient."""

    __props__ = ("recipe", "n_in", "shapes", "dtypes", "data_shapes", "fingerprint")

    def __init__(self, kernel: Kernel | None = None, props: tuple | None = None) -> None:
        if kernel is not None:
            data_shapes = tuple(tuple(int(n) for n in d.shape) for d in kernel.data)
            props = (kernel.code.recipe, kernel.n_in, kernel.shapes, kernel.dtypes, data_shapes, kernel.code.fingerprint)
        assert props is not None
        self.recipe, self.n_in, self.shapes, self.dtypes, self.data_shapes, self.fingerprint = props

    def __reduce__(self) -> tuple:
        return _unpickle, (type(self).__name__, tuple(getattr(self, name) for name in self.__props__))

    @property
    def code(self) -> Any:
        return rebuild(self.recipe)

    @property
    def props(self) -> tuple:
        return tuple(getattr(self, name) for name in self.__props__)

    @property
    def packed_sizes(self) -> tuple[int, int]:
        """Lengths of the vectors of floats and of ints that hold the data."""
        last = {"f": 0, "i": 0}
        for kind, _, end, _ in self._layout():
            last[kind] = end
        return last["f"], last["i"]

    def _layout(self) -> Iterator[tuple[str, int, int, tuple[int, ...]]]:
        """Kind, begin, end and shape of each data array in its vector."""
        at = {"f": 0, "i": 0}
        for spec, shape in zip(self.code.data.split(), self.data_shapes, strict=True):
            begin = at[spec[0]]
            at[spec[0]] += math.prod(shape)
            yield spec[0], begin, at[spec[0]], shape

    def views(self, floats: np.ndarray, ints: np.ndarray) -> list[np.ndarray]:
        """Data arrays, as views of the two vectors."""
        vector = {"f": np.ascontiguousarray(floats), "i": np.ascontiguousarray(ints)}
        return [vector[kind][begin:end].reshape(shape) for kind, begin, end, shape in self._layout()]

    def compiled(self, kernel: Any, name: str, arguments: str) -> tuple[Any, str]:
        """An njit function (theta, floats, ints, *rest) that calls ``kernel`` with views of the data, and its key for the disk cache."""
        data = ", ".join(f"{kind}[{begin}:{end}].reshape({shape})" for kind, begin, end, shape in self._layout())
        one = "[0]" if name == "forward" and len(self.shapes) == 1 else ""  # one output is an array to PyTensor, not a tuple
        source = f"""
def {name}(theta, f, i, *rest):
    return kernel(np.ascontiguousarray(theta), {data}, {arguments}){one}
"""
        scope: dict[str, Any] = {"np": np, "kernel": kernel}
        exec(source, scope)
        key = hashlib.sha256(f"{seal.__module__} {source}".encode()).hexdigest()[:24]
        return njit(error_model="numpy")(scope[name]), f"hmminfer-{name}-{self.fingerprint}-{key}"


class Forward(_KernelOp):
    """(theta, floats, ints) -> (y, *state)."""

    @property
    def gufunc_signature(self) -> str:
        return f"{_core(((self.n_in,), *_vectors(self)))}->{_core(self.shapes)}"

    def make_node(self, *inputs: Any) -> Apply:
        outputs = [TensorType(dtype, shape=shape)() for dtype, shape in zip(self.dtypes, self.shapes, strict=True)]
        return Apply(self, [pt.as_tensor_variable(i) for i in inputs], outputs)

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        theta, floats, ints = inputs
        out = self.code.forward(np.ascontiguousarray(theta), *self.views(floats, ints))
        for storage, value in zip(output_storage, out, strict=True):
            storage[0] = value

    def infer_shape(self, node: Apply, input_shapes: Any) -> list:
        return [tuple(pt.constant(n, dtype="int64") for n in shape) for shape in self.shapes]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[i == 0 and o == 0 for o in range(len(node.outputs))] for i in range(len(node.inputs))]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Variable]:
        y_bar = cotangents[0]
        if isinstance(y_bar.type, DisconnectedType):
            return [disconnected_type() for _ in inputs]
        theta_bar: Any = Vjp(props=self.props)(*inputs, *outputs[1:], y_bar)
        return [theta_bar, *(disconnected_type() for _ in inputs[1:])]


class Vjp(_KernelOp):
    """(theta, floats, ints, *state, y_bar) -> J^T y_bar."""

    @property
    def gufunc_signature(self) -> str:
        return f"{_core(((self.n_in,), *_vectors(self), *self.shapes[1:], self.shapes[0]))}->({self.n_in})"

    def make_node(self, *inputs: Any) -> Apply:
        return Apply(self, [pt.as_tensor_variable(i) for i in inputs], [TensorType("float64", shape=(self.n_in,))()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        theta, floats, ints, *rest = inputs
        rest = [np.ascontiguousarray(r) for r in rest]
        output_storage[0][0] = self.code.pullback(np.ascontiguousarray(theta), *self.views(floats, ints), *rest)

    def infer_shape(self, node: Apply, input_shapes: Any) -> list:
        return [(pt.constant(self.n_in, dtype="int64"),)]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Variable]:
        return [grad_not_implemented(self, i, x, "hmminfer kernels have exact first derivatives only") for i, x in enumerate(inputs)]


def _core(shapes: tuple) -> str:
    return ",".join("(" + ",".join(str(n) for n in shape) + ")" for shape in shapes)


def _vectors(op: _KernelOp) -> tuple[tuple[int], tuple[int]]:
    floats, ints = op.packed_sizes
    return (floats,), (ints,)


def _unpickle(name: str, props: tuple) -> _KernelOp:
    return {"Forward": Forward, "Vjp": Vjp}[name](props=props)


# PyTensor hands over views of any layout; kernels take contiguous vectors. Data and state are contiguous as they come.


@register_funcify_and_cache_key(Forward)
def _forward_numba(op: Forward, node: Any = None, **kwargs: Any) -> tuple[Any, str]:
    return op.compiled(op.code.calls[0], "forward", "*rest")


@register_funcify_and_cache_key(Vjp)
def _vjp_numba(op: Vjp, node: Any = None, **kwargs: Any) -> tuple[Any, str]:
    return op.compiled(op.code.calls[1], "pullback", "*rest[:-1], np.ascontiguousarray(rest[-1])")


LARGE = 20_000  # bytes; numba writes constants into the machine code, which takes minutes for the arrays of a reduced basis
_shared: WeakValueDictionary[int, Any] = WeakValueDictionary()  # a shared variable keeps its array, and so the id, alive


def data_variable(array: np.ndarray) -> Any:
    """Input of a graph that holds an array: a constant if the array is small, else a shared variable, always the same one for the same array."""
    if array.nbytes < LARGE:
        return pt.constant(array)
    variable = _shared.get(id(array))
    if variable is None or variable.get_value(borrow=True) is not array:
        variable = pytensor.shared(array, borrow=True)
        _shared[id(array)] = variable
    return variable


def apply_vector(kernel: Kernel | Joint | Simulation, theta: Any) -> Any:
    """Symbolic y of a symbolic vector theta."""
    if isinstance(kernel, Simulation):
        raise kernel.refusal()
    if pytensor.config.floatX != "float64":
        raise HmmInferError("hmminfer computes in float64; set pytensor.config.floatX = 'float64' (it is float32 here).")
    theta = pt.specify_shape(pt.cast(theta, "float64"), (kernel.n_in,))
    if isinstance(kernel, Joint):
        return pt.concatenate([apply_vector(k, theta[i]) for k, i in zip(kernel.parts, kernel.indices, strict=True)])
    # as a list: the one output of a kernel without state would be a vector, and [0] its first entry
    outputs: Any = Forward(kernel)(theta, *map(data_variable, kernel.packed), return_list=True)
    return outputs[0]


def apply(parameters: Any, fixed: Mapping[str, Any], kernel: Kernel | Joint | Simulation, variables: Mapping[str, Any]) -> Any:
    """Symbolic y of a kernel at named variables in users' units; parameters that are not among them take their ``fixed`` value.

    ``parameters`` (:class:`hmminfer.system.parameters.ParameterSet`): names and units of the entries of the kernel's vector. A parameter with
    neither a variable nor a fixed value is an error.
    """
    for name in variables:
        parameters[name]
    missing = [p.name for p in parameters if p.name not in variables and p.name not in fixed]
    if missing:
        raise HmmInferError(f"Give a variable or a number for {', '.join(missing)}.")
    parts = []
    for p in parameters:
        given: Any = variables.get(p.name)
        if isinstance(given, Variable):
            x = _shaped(p, pt.as_tensor_variable(given).astype("float64"))
            parts.append(x if p.per_unit == 1.0 else x * p.per_unit)
        else:
            x = p.to_vector(fixed[p.name] if given is None else given)
            if x.ndim != 1:
                raise HmmInferError(f"'{p.name}' has shape {np.shape(given)}; {_wanted(p)}")
            parts.append(pt.constant(x))
    return apply_vector(kernel, pt.concatenate(parts))


def _shaped(p: Any, x: Any) -> Any:
    """A variable as the entries of a parameter, its shape checked: now where it is known, else when the graph is evaluated."""
    if p.size is None:
        if x.type.ndim != 0:
            raise HmmInferError(f"'{p.name}' is a variable of {x.type.ndim} dimensions; {_wanted(p)}")
        return x[None]
    if x.type.ndim != 1 or x.type.shape[0] not in (None, p.size):
        shape = f"{x.type.ndim} dimensions" if x.type.ndim != 1 else f"length {x.type.shape[0]}"
        raise HmmInferError(f"'{p.name}' is a variable of {shape}; {_wanted(p)}")
    return pt.specify_shape(x, (p.size,))


def _wanted(p: Any) -> str:
    if p.size is None:
        return "it is one number: give a scalar, for many of them use pytensor.graph.vectorize_graph."
    return f"it has {p.size} entries: give a vector of that length (pt.full({p.size}, x) for the same in each)."
