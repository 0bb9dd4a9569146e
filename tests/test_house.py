"""The house keeps its shape: each room imports only what stands before it, and only `commands` knows `data_prep`."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ABOVE_ALL = ("commands", "__main__")
BELOW = {  # room → the rooms that it may import, itself aside
    "files": set(),
    "processes": {"files"},
    "data": {"files"},
    "model": {"files", "processes", "data"},
    "training": {"files", "processes", "data", "model"},
    "evaluation": {"files", "processes", "data", "model"},
    "viz": {"files", "data", "model"},
    "study": {"files", "data", "model", "training", "evaluation", "viz"},
}
BELOW["experiments"] = {*BELOW, "study"}
BELOW["commands"] = {*BELOW, "data_prep"}
BELOW["__main__"] = {"files", "processes", "commands"}
BELOW["data_prep"] = {*BELOW} - {*ABOVE_ALL, "experiments", "study"} | {"study"}


def modules() -> dict[str, Path]:
    """Dotted name → file, of the library and of data_prep."""
    paths = [path for top in ("llamavid_kit", "data_prep") for path in (ROOT / top).rglob("*.py")]
    dotted = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths}
    return {name.removesuffix(".__init__"): path for path, name in dotted.items()}


MODULES = modules()


def room(module: str) -> str:
    """The room that a module lies in: data_prep is one."""
    first, *rest = module.split(".")
    return "data_prep" if first == "data_prep" else rest[0] if rest else "llamavid_kit"


def imports(module: str) -> set[str]:
    """The house's own modules that a module imports, inside functions too; not those for type checkers alone."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}:{node.lineno}: a relative import hides the room that it comes from"
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in named}
    return {name for name in names if name.split(".")[0] in ("llamavid_kit", "data_prep")} - {module}


def test_arrows_point_one_way():
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        if room(module) != "llamavid_kit"
        for name in imports(module)
        if room(name) != room(module) and room(name) not in BELOW[room(module)]
    ]
    assert not wrong, "\n".join(sorted(wrong))


def test_no_module_imports_itself_by_a_detour():
    """Raises graphlib.CycleError, which names the circle."""
    assert len(tuple(TopologicalSorter({name: imports(name) for name in MODULES}).static_order())) == len(MODULES)


def test_every_room_has_a_sign_at_its_door():
    """A package says in one paragraph what is in it, and imports nothing that a caller would have to wait for."""
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            assert (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip(), name
