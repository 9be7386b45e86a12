"""CEL: expressions and `${CEL}` templates, compiled once and evaluated within bounds.

The language is that of Kubernetes' and Google's CEL (the library is Google's own, in C++), with these extensions of
cel-go's: *strings* (charAt, format, indexOf, join, lastIndexOf, lowerAscii, replace, reverse, split, strings.quote,
substring, trim, upperAscii), *optional* (`.?field`, `[?key]`, orValue, or, hasValue, value, optional.of and none,
optMap, optFlatMap), *math* (math.greatest, least, ceil, floor, round, abs, ...), cel.bind, base64.encode and decode.
Kubernetes' own additions (quantity, url, ip, sort, ...) are not there.

What differs from other CEL implementations, or matters where people write expressions:

- Numbers that are whole are int, also where the YAML says 7.0; `request.spec.size * 1.5` therefore needs
  `double(request.spec.size) * 1.5`. Comparison works across int and double. Whole results are int again.
- Loops over a map go by its sorted keys, so results are the same in every process.
- Bounds: 4,096 characters, 32 levels, 10,000 turns of all loops together, four of optMap and optFlatMap, 4 MiB of
  result, and an estimate of time and memory from the sizes of the data (`cost.py`), for one evaluation and for all
  over one Scope: each is an error that says so. `filter` and `map` copy their result at each step and so end at 1,900
  items; `all`, `exists` and `exists_one` take any list up to 10,000.
- `matches` is RE2: no look-around, no catastrophic backtracking.
"""

from function.cel.library import (
    DESTINATION,
    DOCUMENT,
    GATE,
    REQUEST,
    EvaluationError,
    Expression,
    Scope,
    expression,
)
from function.cel.template import fill, mentions, text, verify

__all__ = [
    "DESTINATION",
    "DOCUMENT",
    "GATE",
    "REQUEST",
    "EvaluationError",
    "Expression",
    "Scope",
    "expression",
    "fill",
    "mentions",
    "text",
    "verify",
]
