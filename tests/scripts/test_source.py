"""The identity of a function: what it depends on, all of it, and nothing else."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch

from seedspread.scripts.source import describe_function
from tests.conftest import ROOT


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Write modules, by name; import the first anew, and describe its function `train`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def describe(script, function="train", **modules):
        for name, text in {"script": script, **modules}.items():
            (tmp_path / f"{name.replace('__', '/')}.py").parent.mkdir(exist_ok=True)
            (tmp_path / f"{name.replace('__', '/')}.py").write_text(textwrap.dedent(text))
        for name in [
            name
            for name in sys.modules
            if name.partition(".")[0] in {"script", *modules, *(module.partition("__")[0] for module in modules)}
        ]:
            del sys.modules[name]
        importlib.invalidate_caches()
        module = importlib.import_module("script")
        found = describe_function(getattr(module, function))
        json.dumps(found)  # as study.yaml has it
        return found

    return describe


PLAIN = """
def train(seed):
    x = seed + 1
    return {"loss": x}
"""


@pytest.mark.parametrize(
    "other",
    [
        "def train(seed):\n    x = seed+1  # more\n\n    return {\n        'loss': x,\n    }\n",
        'import math\n\ndef train(seed):\n    """It is.\n\nMuch.\n"""\n    x = (seed + 1)\n    return {"loss": x}\n',
        'unused = 3\n\ndef train(seed):\n    x = seed + 1\n    return {"loss": x}\n\n\ndef other(): ...\n',
    ],
)
def test_comments_docstrings_layout_and_what_it_does_not_name_do_not_count(typed, other):
    assert typed(PLAIN) == typed(other)


@pytest.mark.parametrize("before, after", [("+ 1", "+ 2"), ("seed):", "seed, lr=0.1):"), ("loss", "error")])
def test_its_own_source_counts(typed, before, after):
    assert typed(PLAIN) != typed(PLAIN.replace(before, after))


HELPER = """
def scale(x):
    return x * 2

def helper(x):
    return scale(x)

class Net:
    width = 4

    def __init__(self):
        self.depth = 1

    def fit(self, seed):
        return helper(seed)

    @staticmethod
    def score():
        return 1

    @property
    def size(self):
        return 5

class Deep(Net):
    def __init__(self):
        super().__init__()
"""


@pytest.mark.parametrize("before, after", [
    ("x * 2", "x * 3"), ("width = 4", "width = 5"), ("self.depth = 1", "self.depth = 2"),
    ("return helper(seed)", "return helper(seed) + 1"), ("return 1", "return 2"), ("return 5", "return 6"),
])  # fmt: skip
@pytest.mark.parametrize(
    "script",
    [
        f"{HELPER}\ndef train(seed):\n    return Deep().fit(seed)\n",
        "from helpers import Deep\n\ndef train(seed):\n    return Deep().fit(seed)\n",
        "import helpers as h\n\ndef train(seed):\n    return h.Deep().fit(seed)\n",
        "def train(seed):\n    from helpers import Deep\n    return Deep().fit(seed)\n",
        "def train(seed):\n    import helpers\n    return helpers.Deep().fit(seed)\n",
        "import helpers\nBUILD = {'deep': [helpers.Deep]}\n\ndef train(seed):\n    return BUILD['deep'][0]().fit(1)\n",
        "import helpers\nnet = helpers.Deep()\n\ndef train(seed):\n    return net.fit(seed)\n",
        "import helpers\nNETS = {helpers.Deep, helpers.Net}\n\ndef train(seed):\n    return NETS.pop()\n",
        "import helpers\nfit = helpers.Deep().fit\n\ndef train(seed):\n    return fit(seed)\n",
        "import functools, helpers\ntrain = functools.partial(lambda net, seed: net().fit(seed), helpers.Deep)\n",
    ],
    ids=["file", "from", "module", "inside", "inside2", "table", "object", "set", "method", "partial"],
)
def test_functions_and_classes_that_it_uses_count_wherever_they_are(typed, script, before, after):
    one, two = (
        typed(script, helpers=HELPER),
        typed(script.replace(before, after), helpers=HELPER.replace(before, after)),
    )
    assert one != two
    assert one == typed(script, helpers=HELPER + "\ndef unused():\n    return 3\n")


def test_modules_within_a_package_count_also_where_it_is_a_bare_folder(typed):
    script = "import models.nets\n\ndef train(seed):\n    return models.nets.build(seed)\n"
    inside = "def train(seed):\n    from models import nets\n    return nets.build(seed)\n"
    for text in (script, inside):
        one = typed(text, models__nets="def build(seed):\n    return 1\n")
        assert one == typed(text, models__nets="def build(seed):\n    return 1  # one\n")
        assert one != typed(text, models__nets="def build(seed):\n    return 2\n")


DECORATED = """
import functools

FACTOR = 2

def twice(how):
    def wrap(function):
        @functools.wraps(function)
        def wrapped(seed):
            return how * FACTOR * function(seed)
        return wrapped
    return wrap

@twice(3)
def train(seed):
    return {"loss": 1.0}
"""


@pytest.mark.parametrize("before, after", [
    ("twice(3)", "twice(4)"), ("FACTOR = 2", "FACTOR = 5"), ("how * FACTOR", "how + FACTOR"), ("1.0", "2.0"),
    ("@functools.wraps(function)", "# no wraps"),
])  # fmt: skip
def test_a_decorator_and_what_it_decorates_count(typed, before, after):
    assert typed(DECORATED) != typed(DECORATED.replace(before, after))


@pytest.mark.parametrize(
    "decorator", ["functools.lru_cache", "functools.cache", "torch.no_grad()", "torch.inference_mode()"]
)
def test_a_function_within_a_decorator_of_a_library_counts(typed, decorator):
    text = f"import functools, torch\n\n@{decorator}\ndef helper(x):\n    return x + 1\n\n"
    text += "def train(seed):\n    return helper(seed)\n"
    assert typed(text) != typed(text.replace("x + 1", "x + 2"))
    text = text.replace("helper(seed)", "1").replace("def helper(x)", "def other(x)")
    assert typed(text, "other") != typed(text.replace("x + 1", "x + 2"), "other")


VALUES = [
    ("3", "4"), ("0.1", "0.2"), ("True", "False"), ("'adam'", "'sgd'"), ("None", "0"), ("b'a'", "b'b'"), ("1", "1.5"),
    ("[1, 2]", "[2, 1]"), ("{'lr': 0.1}", "{'lr': 0.2}"), ("{'a': {'b': [1]}}", "{'a': {'b': [2]}}"),
    ("{1, 2}", "{1, 3}"), ("'x' * 200", "'x' * 199 + 'y'"), ("list(range(100))", "[*range(99), 7]"),
    ("np.arange(1000.0)", "np.arange(1000.0)[::-1]"), ("np.zeros((2, 3))", "np.zeros((3, 2))"),
    ("np.float64(0.1)", "np.float64(0.2)"), ("np.int64(3)", "np.int64(4)"), ("np.str_('a')", "np.str_('b')"),
    ("np.array(['a', None])", "np.array(['b', None])"), ("[np.zeros(3)] * 2", "[np.zeros(3), np.ones(3)]"),
    ("pd.DataFrame({'a': [1, 2]})", "pd.DataFrame({'a': [1, 3]})"),
    ("pd.DataFrame({'a': [1, 2]})", "pd.DataFrame({'b': [1, 2]})"),
    ("pd.DataFrame({'a': ['x', 1]})", "pd.DataFrame({'a': ['y', 1]})"), ("pd.Series([1, 2])", "pd.Series([1, 3])"),
    ("np.array(3.0)", "np.array(4.0)"), ("np.zeros(0)", "np.zeros((0, 2))"),
    ("np.array('2020-01-01', 'M8')", "np.array('2020-01-02', 'M8')"),
    ("torch.zeros(3)", "torch.ones(3)"), ("torch.zeros(3, requires_grad=True)", "torch.ones(3, requires_grad=True)"),
    ("torch.zeros(3, dtype=torch.bfloat16)", "torch.ones(3, dtype=torch.bfloat16)"), ("torch.float32", "torch.float64"),
    ("torch.optim.SGD", "torch.optim.Adam"), ("torch.relu", "torch.tanh"), ("np.tanh", "np.exp"), ("len", "max"),
    ("torch.nn.Linear(3, 4)", "torch.nn.Linear(3, 5)"), ("torch.nn.ReLU()", "torch.nn.Tanh()"),
    ("Ridge(alpha=1)", "Ridge(alpha=2)"), ("Ridge(alpha=1).fit", "Ridge(alpha=2).fit"),
    ("argparse.Namespace(lr=0.1)", "argparse.Namespace(lr=0.2)"), ("range(3)", "range(4)"), ("1 + 2j", "1 + 3j"),
    ("pathlib.Path('a')", "pathlib.Path('b')"), ("datetime.timedelta(1)", "datetime.timedelta(2)"),
    ("re.compile('a')", "re.compile('b')"), ("collections.deque([1])", "collections.deque([2])"),
    ("functools.partial(max, 1)", "functools.partial(max, 2)"),
    ("functools.partial(max, 1)", "functools.partial(min, 1)"),
    ("Colour.RED", "Colour.BLUE"), ("Size(1)", "Size(2)"), ("Slotted(1)", "Slotted(2)"), ("[Size(1)]", "[Size(2)]"),
    ("{Size(1), Size(3)}", "{Size(1), Size(2)}"), ("float('nan')", "float('inf')"),
]  # fmt: skip

PREFIX = """
import argparse, collections, datetime, enum, functools, pathlib, re
from dataclasses import dataclass
import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import Ridge

class Colour(enum.Enum):
    RED = 1
    BLUE = 2

@dataclass(frozen=True)
class Size:
    width: int

class Slotted:
    __slots__ = ("width",)
    def __init__(self, width):
        self.width = width
"""

PLACES = {
    "global": "VALUE = {}\ndef train(seed):\n    return VALUE\n",
    "default": "def train(seed, value={}):\n    return value\n",
    "keyword": "def train(seed, *, value={}):\n    return value\n",
    "closure": "def make(value):\n    def train(seed):\n        return value\n    return train\ntrain = make({})\n",
    "partial": "def run(value, seed):\n    return value\ntrain = functools.partial(run, {})\n",
    "named": "def run(seed, value):\n    return value\ntrain = functools.partial(run, value={})\n",
    "object": "class T:\n    def __init__(self, value):\n        self.value = value\n    def __call__(self, seed):\n"
    "        return self.value\ntrain = T({})\n",
    "method": "class T:\n    def __init__(self, value):\n        self.value = value\n    def run(self, seed):\n"
    "        return self.value\ntrain = T({}).run\n",
    "class": "class T:\n    value = {}\ndef train(seed):\n    return T.value\n",
    "helper": "VALUE = {}\ndef helper():\n    return VALUE\ndef train(seed):\n    return helper()\n",
    "inner": "VALUE = {}\ndef train(seed):\n    def inner():\n        return VALUE\n    return inner()\n",
    "module": "import settings\ndef train(seed):\n    return settings.VALUE\n",
}


@pytest.mark.parametrize("before, after", VALUES)
def test_what_it_closes_over_counts_by_value(typed, before, after):
    script = PREFIX + PLACES["global"]
    assert typed(script.format(before)) == typed(script.format(before)) != typed(script.format(after))


@pytest.mark.parametrize("place", PLACES)
def test_values_count_wherever_they_come_from(typed, place):
    def describe(value):
        return typed(f"import functools\n{PLACES[place].format(value)}", settings=f"VALUE = {value}\n")

    assert describe("[0.1, 2]") == describe("[0.1, 2]") != describe("[0.1, 3]")


def test_of_values_with_one_name_in_several_modules_all_count(typed):
    script = "import one, two\ndef train(seed):\n    return one.get(), two.get()\n"
    found = [
        typed(script, one=f"S = {a}\ndef get():\n    return S\n", two=f"S = {b}\ndef get():\n    return S\n")
        for a, b in ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3))
    ]
    assert len({json.dumps(one, sort_keys=True) for one in found}) == 5
    apart = [
        typed(script, one=f"def g():\n    return {a}\ndef get():\n    return g()\n",
              two=f"def g():\n    return {b}\ndef get():\n    return g()\n")
        for a, b in ((1, 1), (1, 2), (2, 1))
    ]  # fmt: skip
    assert len({json.dumps(one, sort_keys=True) for one in apart}) == 3


def test_a_global_of_an_attributes_name_does_not_count(typed):
    """In a notebook, `score = ss.sweep(train)` must not change what `model.score` in `train` depends on."""
    script = "score = {}\ndef train(seed):\n    return str.score(seed)\n"
    assert typed(script.format(1)) == typed(script.format(2))


@pytest.mark.parametrize(
    "around", ["train = {}", "train = [{}, 3][0]", "x = 1; train = ({})", "train = (\n    # why\n    {}\n)"]
)
def test_a_lambda_does_not_depend_on_the_line_around_it(typed, around):
    assert typed(around.format("lambda seed: seed + 1")) == typed("train = lambda seed: seed+1")
    assert typed(around.format("lambda seed: seed + 1")) != typed(around.format("lambda seed: seed + 2"))


def test_two_lambdas_in_a_line_are_two(typed):
    script = "train, other = lambda seed: seed + 1, lambda seed: seed + 2\n"
    assert typed(script)["source"] != typed(script, "other")["source"]
    assert typed(script) == typed("\n\n" + script)


def test_text_at_the_left_margin_within_a_function_is_no_obstacle(typed):
    script = (
        'def make():\n    def train(seed):\n        text = """\nleft\n"""\n        return text{}\n    return train\n'
    )
    script += "train = make()\n"
    assert typed(script.format("")) == typed(script.format("  # same")) != typed(script.format(" + 'x'"))


def test_recursion_and_circles_end(typed):
    script = """
    LIST = [1]
    LIST.append(LIST)
    TABLE = {"list": LIST}

    class Node:
        def __init__(self):
            self.me, self.all = self, {self}

    NODE = Node()

    def odd(n):
        return even(n - 1)

    def even(n):
        return odd(n - 1), train, NODE

    def outer():
        def inner(n):
            return inner(n - 1)
        return inner

    inner = outer()

    def train(seed):
        return train(seed - 1), odd(seed), inner(seed), TABLE
    """
    assert typed(script) == typed(script) != typed(script.replace("[1]", "[2]"))
    module = "import {}\nSIZE = 3\ndef get():\n    return {}.SIZE\n"
    script = "import one\ndef train(seed):\n    return one.two.one.get()\n"
    assert typed(script, one=module.format("two", "two"), two=module.format("one", "one"))["values"] == {
        "one.SIZE": 3,
        "two.SIZE": 3,
    }


def test_what_is_not_assigned_yet_is_left_out(typed):
    make = "def make():\n    def train(seed):\n        return later\n    if not train:\n"
    make += "        later = 1\n    return train\n"
    script = make + "train = make()\n"
    assert typed(script)["values"] == {}


def test_libraries_are_named_and_not_followed(typed):
    script = "from sklearn.linear_model import Ridge\nimport numpy as np\n"
    script += "def train(seed):\n    return Ridge().fit(np.ones(3))\n"
    found = typed(script)
    assert list(found["source"]) == ["train"] and found["values"] == {"Ridge": "sklearn.Ridge"}
    assert typed("import json\ntrain = json.loads")["source"] == {}


@pytest.mark.parametrize("text", [
    "np.random.default_rng(0)", "threading.Lock()", "object()", "open(__file__)", "(x for x in [1])", "iter([1])",
])  # fmt: skip
def test_what_has_no_value_is_its_class(typed, text):
    script = f"import threading\nimport numpy as np\nTHING = {text}\ndef train(seed):\n    return THING\n"
    assert typed(script) == typed(script)
    assert "0x" not in json.dumps(typed(script))


HASHED = """
import sys, json
sys.path.insert(0, {place!r})
from dataclasses import dataclass
from seedspread.scripts.source import describe_function

@dataclass(frozen=True)
class Size:
    width: int

NAMES = {{"a", "b", "c", "longer", "names"}}
MANY = {{f"name {{i}}" for i in range(50)}}
TABLE = {{name: len(name) for name in MANY}}
NESTED = [frozenset(NAMES), {{"k": MANY}}]
SIZES = {{Size(i) for i in range(9)}}
CODE = {{str, len, print, Size}}
net = type("Net", (), {{}})()

def train(seed):
    return (seed in {{"x", "y", "z", "w"}}), NAMES, MANY, TABLE, NESTED, SIZES, CODE, net, other

exec('def other(x): return x in {{"one", "two", "three", "four"}}, NAMES')
print(json.dumps(describe_function(train)))
"""


def test_processes_agree_whatever_the_order_of_hashes(tmp_path):
    (tmp_path / "script.py").write_text(HASHED.format(place=str(tmp_path)))
    found = set()
    for number in ("0", "1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run([sys.executable, tmp_path / "script.py"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


def test_a_script_and_a_module_are_one(tmp_path, typed):
    """Called from `python script.py` and imported in another place a function is the same."""
    script = f"{HELPER}\nLR = 0.1\ndef train(seed):\n    return Deep().fit(seed) * LR\n"
    imported = typed(script)
    main = "\nimport json\nfrom seedspread.scripts.source import describe_function\n"
    main += "print(json.dumps(describe_function(train)))\n"
    (tmp_path / "main.py").write_text(script + main)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert json.loads(done.stdout) == imported


def typed_in_a_shell(*lines):
    """The identity of `train` in a program that has no file, as in Python's shell."""
    text = "\n".join(lines)
    namespace = {"__name__": "__main__"}
    exec(compile(text, "<stdin>", "exec"), namespace)
    return describe_function(namespace["train"])


def test_functions_without_source_are_known_by_their_code():
    one = typed_in_a_shell("def helper(x):\n    return x + 1", "def train(seed):\n    return helper(seed)")
    assert one == typed_in_a_shell("def helper(x):\n    return x+1 # more", "def train(seed):\n  return helper(seed)")
    assert one != typed_in_a_shell("def helper(x):\n    return x + 2", "def train(seed):\n    return helper(seed)")
    net = "class Net:\n    width = 3\n    def fit(self):\n        return 1"
    train = "def train(seed):\n    return Net().fit()"
    assert typed_in_a_shell(net, train) == typed_in_a_shell(net, train)
    for before, after in (("width = 3", "width = 4"), ("return 1", "return 2")):
        assert typed_in_a_shell(net, train) != typed_in_a_shell(net.replace(before, after), train)


def test_differences_are_named(typed):
    script = "LR = 0.1\nWEIGHTS = list(range(100))\ndef train(seed):\n    return LR, WEIGHTS\n"
    found = typed(script)
    assert found["name"] == "train" and found["values"]["LR"] == 0.1
    assert found["values"]["WEIGHTS"].startswith("list of 100, ") and len(found["source"]["train"]) == 12


def test_big_arrays_are_hashed_and_not_printed():
    array, frame, tensor = np.zeros((1000, 100)), pd.DataFrame(np.zeros((1000, 100))), torch.zeros(1000, 100)

    def train(seed):
        return array, frame, tensor

    values = describe_function(train)["values"]
    assert values["array"].startswith("float64 array (1000, 100) ") and len(json.dumps(values)) < 250
