"""A number that stands in for a constant: it follows arithmetic, and notes at which t each comparison flips.

Flips are computed as `(c - a) / b` and may lie an ulp or so beside the flip of the plain float code (more,
where the code itself cancels digits): results right at a flip are those of the algebra, not of the code.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

_TESTS = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)
_ALGEBRA = (operator.add, operator.sub, operator.mul, operator.truediv)
_ROUNDING = (operator.floordiv, operator.mod, operator.pow, divmod)
_UFUNCS = dict(zip(("add", "subtract", "multiply", "divide"), _ALGEBRA, strict=True)) | dict(
    zip(("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"), _TESTS, strict=True)
)


class Path:
    """The values of t around t0 that take the same path, narrowed by each comparison."""

    __slots__ = ("escaped", "high", "high_closed", "low", "low_closed", "t0")

    def __init__(self, t0: float) -> None:
        self.t0 = t0
        self.low, self.high = -math.inf, math.inf
        self.low_closed = self.high_closed = True
        self.escaped = False

    def narrow(self, test: Callable[[Any, Any], Any], a: float, b: float, sign: int) -> None:
        """Note that `test(a + b*t, 0)` was asked, where at t0 the float code saw a number of this sign."""
        root, rising = -a / b, 1 if b > 0 else -1
        if math.isinf(root):
            return
        side = sign * rising
        if (root - self.t0) * side >= 0:
            # The float code and the algebra disagree: by rounding only, or the steps can't be trusted.
            self.escaped |= abs(root - self.t0) > 1e-9 * max(abs(root), abs(self.t0))
            root = self.t0
        left, here, right = test(-rising, 0), test(0, 0), test(rising, 0)
        if (side > 0 or (side == 0 and here != left)) and root >= self.low:
            closed = here == right or root == self.t0
            self.low_closed = closed and (root > self.low or self.low_closed)
            self.low = root
        if (side < 0 or (side == 0 and here != right)) and root <= self.high:
            closed = here == left or root == self.t0
            self.high_closed = closed and (root < self.high or self.high_closed)
            self.high = root


class Affine:
    """Stands in for the float `a + b*t`; `v` is its value at t0 by the very operations of the plain code.

    What can't be followed (products of two, `math.*`, `round`, numpy arrays, text, hashes, other attributes)
    gets the plain number at t0 and marks the path as escaped. `isinstance(x, float)` holds, `type(x) is
    float` does not: code that asks for the latter shows up as not reproducing its recorded result.
    """

    __slots__ = ("a", "b", "path", "v")

    def __init__(self, a: float, b: float, v: Any, path: Path) -> None:
        self.a, self.b, self.v, self.path = a, b, v, path

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return float

    def plain(self) -> Any:
        """The number at t0; from here on it is not followed."""
        self.path.escaped = True
        return self.v

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain(), name)

    def __neg__(self) -> Affine:
        return Affine(-self.a, -self.b, -self.v, self.path)

    def __abs__(self) -> Affine:
        return -self if _operate(operator.lt, self, 0) else self

    def __bool__(self) -> bool:
        return bool(_operate(operator.ne, self, 0))

    def __pos__(self) -> Affine:
        return self

    __copy__ = __pos__

    def __deepcopy__(self, _memo: dict[int, Any]) -> Affine:
        return self

    def __round__(self, *digits: int) -> Any:
        return round(self.plain(), *digits)

    def __format__(self, form: str) -> str:
        return format(self.plain(), form)

    def __index__(self) -> int:
        return operator.index(self.plain())

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return float, (float(self.plain()),)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        operation = _UFUNCS.get(ufunc.__name__)
        if operation and method == "__call__" and not kwargs:
            return _operate(operation, *inputs)
        return getattr(ufunc, method)(*(x.plain() if type(x) is Affine else x for x in inputs), **kwargs)


def _parts(x: Any) -> tuple[float, float] | None:
    """The (a, b) of an Affine or a plain real number; None for anything that rounds or acts differently."""
    kind: type = type(x)
    if kind is Affine:
        return x.a, x.b
    if kind not in (int, float, bool):
        dtype = getattr(x, "dtype", None) if kind.__module__ == "numpy" else None
        if dtype is None or x.shape != () or not (dtype.kind in "iu" or dtype.char == "d"):
            return None
    try:
        return float(x), 0.0
    except OverflowError:
        return None


def _terms(op: Any, p: tuple[float, float], q: tuple[float, float]) -> tuple[float, float] | None:
    """The (a, b) of the result (for a comparison: of the difference), or None where it is not affine in t."""
    (a, b), (c, d) = p, q
    if op is operator.add:
        return a + c, b + d
    if op is operator.sub or op in _TESTS:
        return a - c, b - d
    if op is operator.mul and not (b and d):
        terms = a * c, b * c + a * d
    elif op is operator.truediv and not d and c:
        terms = a / c, b / c
    else:
        return None
    return terms if all(map(math.isfinite, terms)) else None


def _operate(op: Callable[[Any, Any], Any], x: Any, y: Any) -> Any:
    """op(x, y) by the plain code at t0, with what it says about other t."""
    paths = [z.path for z in (x, y) if type(z) is Affine]
    path = paths[0]
    p, q = _parts(x), _parts(y)
    terms = _terms(op, p, q) if path is paths[-1] and p and q else None
    if terms is None:
        path.escaped = paths[-1].escaped = True  # two paths: a number was kept from an earlier run
    left, right = (z.v if type(z) is Affine else z for z in (x, y))
    value = op(left, right)
    if terms is None or not terms[1] or not math.isfinite(terms[0]):
        return value
    if op not in _TESTS:
        return Affine(*terms, value, path)
    path.narrow(op, *terms, int(bool(left > right)) - int(bool(left < right)))
    return value


def _method(op: Any, reflected: bool = False) -> Callable[[Any, Any], Any]:
    return (lambda x, y: _operate(op, y, x)) if reflected else (lambda x, y: _operate(op, x, y))


def _unary(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: f(x.plain())


for _op in (*_TESTS, *_ALGEBRA, *_ROUNDING):
    setattr(Affine, f"__{_op.__name__}__", _method(_op))
    if _op not in _TESTS:
        setattr(Affine, f"__r{_op.__name__}__", _method(_op, reflected=True))
for _f in (float, int, complex, hash, str, repr, math.trunc, math.floor, math.ceil):
    setattr(Affine, f"__{_f.__name__}__", _unary(_f))


def depends(outcome: Any, depth: int = 0) -> bool:
    """Whether an Affine is anywhere in the outcome, which is then no piecewise constant function of t."""
    if type(outcome) is Affine:
        return True
    if depth > 20 or isinstance(outcome, str | bytes | int | float | None):
        return False
    parts: list[Any] = list(vars(outcome).values()) if hasattr(outcome, "__dict__") else []
    if isinstance(outcome, dict):
        parts += [*outcome.keys(), *outcome.values()]
    elif isinstance(outcome, list | tuple | set | frozenset | deque):
        parts += outcome
    elif isinstance(outcome, BaseException):
        parts += outcome.args
    elif is_dataclass(outcome):
        parts += [getattr(outcome, f.name, None) for f in fields(outcome)]
    return any(depends(part, depth + 1) for part in parts)
