"""What PromQL expressions look at."""

import promql_parser


def selected(expression):
    """Yield the metric and the labels of each selector, with the labels that its aggregations and joins name."""
    yield from _selected(promql_parser.parse(expression), frozenset())


def _selected(node, outer):
    match type(node).__name__:
        case "VectorSelector":
            matchers = [*node.matchers.matchers, *(each for group in node.matchers.or_matchers for each in group)]
            yield node.name, outer | {matcher.name for matcher in matchers}
        case "MatrixSelector":
            yield from _selected(node.vector_selector, outer)
        case "Call":
            for argument in node.args:
                yield from _selected(argument, outer)
        case "AggregateExpr":
            yield from _selected(node.expr, outer | _labels(node.modifier))
        case "BinaryExpr":
            yield from _selected(node.lhs, outer)
            yield from _selected(node.rhs, outer)
        case "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
            yield from _selected(node.expr, outer)
        case "NumberLiteral" | "StringLiteral":
            return
        case unknown:
            raise AssertionError(f"this test cannot read a {unknown}")


def _labels(modifier):
    return frozenset() if modifier is None else frozenset(modifier.labels)
