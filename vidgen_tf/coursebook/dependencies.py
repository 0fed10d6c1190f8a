"""What code on a notebook's page needs of the statements before it, read off its syntax tree."""

import ast
import builtins
import dataclasses
import itertools
import re
import symtable

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp)
SCOPES += (ast.GeneratorExp,)
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try)  # what is bound inside may not be


@dataclasses.dataclass(frozen=True)
class Statement:
    """One statement at the top level of a cell. Names are those of the page: what is local to a function doesn't count."""

    text: str
    reads: frozenset  # names that it needs from before, for the functions that it defines too
    sets: frozenset  # names that have a new value after it, whatever they were
    changes: frozenset  # names that may have another one, or another content: `x[0] = 1`
    is_definition: bool  # an import, a function, a class, an ALL_CAPS constant or a number: nothing that is changed later

    @property
    def binds(self):
        """The names that are others, or may be, after it: frozenset of str."""
        return self.sets | self.changes


def statements(source):
    """The statements of a cell, with IPython's own lines as the Python that they stand for, and without a `%%time` above them.

    Args:
        source: str, the code of a cell.

    Returns:
        list of Statement.

    Raises:
        SyntaxError: it is no Python.
    """
    from IPython.core.inputtransformer2 import TransformerManager  # takes long

    plain = TransformerManager().transform_cell(re.sub(r"\A\s*%%.*", "", source))
    return [_statement(node) for node in ast.parse(plain).body]


def unmet(code):
    """The names that code reads and doesn't set before.

    Args:
        code: list of Statement, in order.

    Returns:
        set of str, without Python's own names.
    """
    bound, read = set(dir(builtins)) | {"get_ipython", "display", "In", "Out", "_"}, set()
    for statement in code:
        read |= statement.reads - bound
        bound |= statement.binds
    return read


def needed(code, names):
    """The statements that names rest on, found from the last to the first.

    A function reads its globals when it is called, so what it reads may stand below it. What two names share is not seen:
    `b = a` and then `b[0] = 1` is no change of `a`.

    Args:
        code: list of Statement, in order.
        names: set of str.

    Returns:
        list of Statement, in order: enough to give each of the names the value that it has after all of `code`.
    """
    wanted = set(names)
    while True:
        live, kept = set(wanted), []
        for statement in reversed(code):
            if live & statement.binds:
                kept.append(statement)
                live = (live - statement.sets) | statement.reads
        late = wanted.union(*(statement.reads for statement in kept if statement.is_definition))
        if late == wanted:
            return kept[::-1]
        wanted = late


def _statement(node):
    seen = _Names()
    seen.visit(node)
    imported = isinstance(node, (ast.Import, ast.ImportFrom))
    constant = isinstance(node, ast.Assign) and bool(seen.bound) and all(name.isupper() for name in seen.bound)
    constant = constant or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and not seen.changed)
    maybe = isinstance(node, BRANCHES)
    return Statement(
        text=ast.unparse(node),
        reads=frozenset(seen.read),
        sets=frozenset() if maybe else frozenset(seen.bound),
        changes=frozenset(seen.changed | seen.bound if maybe else seen.changed),
        is_definition=imported or constant or isinstance(node, SCOPES),
    )


class _Names(ast.NodeVisitor):
    """Goes through a statement in the order in which Python evaluates it."""

    def __init__(self):
        self.bound, self.read, self.changed = set(), set(), set()

    def visit(self, node):
        if isinstance(node, SCOPES):
            own = {node.name} if hasattr(node, "name") else set()  # which stands when a function calls itself
            self.read |= _names_of_the_page(node) - self.bound - own
            self.bound |= own
        else:
            super().visit(node)

    def visit_Name(self, node):
        if not isinstance(node.ctx, ast.Load):
            self.bound.add(node.id)
        elif node.id not in self.bound:
            self.read.add(node.id)

    def visit_Assign(self, node):
        self._in_order(node.value, *node.targets)

    def visit_AnnAssign(self, node):
        self._in_order(node.annotation, *filter(None, [node.value]), node.target)

    def visit_NamedExpr(self, node):
        self._in_order(node.value, node.target)

    def visit_AugAssign(self, node):
        before = ast.parse(ast.unparse(node.target), mode="eval").body
        self._in_order(before, node.value, node.target)

    def visit_For(self, node):
        self._in_order(node.iter, node.target, *node.body, *node.orelse)

    def visit_Subscript(self, node):
        self._change(node)
        self.generic_visit(node)

    visit_Attribute = visit_Subscript

    def visit_alias(self, node):
        names = self.changed if node.name == "*" else self.bound  # `import *` may bind anything
        names.add(node.asname or node.name.partition(".")[0])

    def visit_ExceptHandler(self, node):
        self.bound |= {node.name} if node.name else set()
        self.generic_visit(node)

    def _in_order(self, *nodes):
        for node in nodes:
            self.visit(node)

    def _change(self, node):
        if not isinstance(node.ctx, ast.Load):
            while isinstance(node, (ast.Subscript, ast.Attribute)):
                node = node.value
            self.changed |= {node.id} if isinstance(node, ast.Name) else set()


def _names_of_the_page(node):
    """The names outside it that a function, class, lambda or comprehension reads, now or when it is called."""
    page = symtable.symtable(ast.unparse(node), "cell", "exec")
    tables = list(_tables_in(page))
    inner = {symbol.get_name() for table in tables for symbol in table.get_symbols() if symbol.is_global()}
    return inner | {symbol.get_name() for symbol in page.get_symbols() if symbol.is_referenced()}


def _tables_in(table):
    return itertools.chain.from_iterable([inner, *_tables_in(inner)] for inner in table.get_children())
