"""Values of plain data, as their parameters' types and ranges have them."""

from typing import Any, Literal, get_args, get_origin

from rnnzoo import limits
from rnnzoo.errors import nearest
from rnnzoo.limits import described, is_union
from rnnzoo.recipe.mistakes import Mistakes, yaml_trap
from rnnzoo.recipe.nodes import COMMAND_LINE, Node
from rnnzoo.recipe.schema import Parameter, accepts, cast, quoted


class Values(Mistakes):
    """Checks values, and collects what is wrong with them."""

    def scalar(self, node: Node | None, key: str, parameter: Parameter) -> Any:
        """A parameter of plain data, of its type and in its range."""
        if node is None:
            return parameter.default
        value = node.plain
        try:
            value = cast(parameter, value)
        except ValueError:
            is_scalar = not isinstance(value, (dict, list))
            if node.where.file == COMMAND_LINE and is_scalar and accepts(parameter.hint, node.text):
                return node.text  # a shell has no types: --tracking.run_name 12
            self.wrong(node, key, self.mistyped(node, parameter))
            return parameter.default
        if wrong := limits.violation(parameter.annotated, value):
            self.wrong(node, key, f"{wrong}.")
        return value

    def mistyped(self, node: Node, parameter: Parameter) -> str:
        """The message for a value of another type than its parameter's."""
        value = node.plain
        wrong = f"must be {described(parameter.annotated)}, got {quoted(value)}"
        if trap := yaml_trap(node):
            return f"{wrong}.{trap}"
        words = self.words(parameter.hint)
        match = nearest(node.text, words) or next((w for w in words if node.text and w.startswith(node.text)), None)
        if match:
            return f"{wrong}.\n  Did you mean '{match}'?"
        if isinstance(value, (int, float)) and accepts(parameter.hint, node.text):
            return f'{wrong}.\n  A number or date that is meant as text needs quotes: "{node.text}".'
        return f"{wrong}."

    def words(self, hint: Any) -> list[str]:
        """The words that a type allows."""
        if get_origin(hint) is Literal:
            return [str(item) for item in get_args(hint)]
        return [word for arm in get_args(hint) for word in self.words(arm)] if is_union(hint) else []

    def mapping(self, node: Node | None, key: str) -> dict[str, Node]:
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.wrong(node, key, f"must be a mapping, got {quoted(node.plain)}.{yaml_trap(node)}")
            return {}
        return dict(node.value)
