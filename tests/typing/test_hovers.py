"""What an editor shows where the mouse rests on a public name: the text and the types, by pyright's language server."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import redouble

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = [
    name
    for name in (
        "redouble",
        "redouble.loops",
        "redouble.jitters",
        "redouble.rules",
        "redouble.testing",
        "redouble.types",
    )
    if find_spec(name) is not None and hasattr(import_module(name), "__all__")
]
SERVER = shutil.which("pyright-langserver", path=str(Path(sys.executable).parent)) or shutil.which("pyright-langserver")


class Name(NamedTuple):
    """A public name as it is written, and what it stands for."""

    written: str
    value: Any

    @property
    def sentence(self) -> str:
        """The first sentence of its text; empty where it has none of its own."""
        text = inspect.getdoc(self.value) or ""
        return re.split(r"(?<=[.:])(?:\s|$)", text.partition("\n\n")[0].replace("\n", " "))[0]


def public_names() -> Iterator[Name]:
    """Every exported function and class, and the public methods that each class has itself."""
    for module in MODULES:
        for name in import_module(module).__all__:
            value = getattr(import_module(module), name, None)
            if inspect.isfunction(value) or inspect.isclass(value):
                yield Name(f"{module}.{name}", value)
            for key, member in vars(value).items() if inspect.isclass(value) else ():
                if inspect.isfunction(member) and not key.startswith("_"):
                    yield Name(f"{module}.{name}.{key}", member)


NAMES = list(public_names())


class Server:
    """Pyright's language server, asked by JSON-RPC on its standard input."""

    def __init__(self, command: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [command, "--stdio"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.asked = 0
        self.ask("initialize", processId=None, rootUri=folder.as_uri(), capabilities=CAPABILITIES)
        self.send("initialized", {})

    def send(self, method: str | None, params: Any, **more: Any) -> None:
        message = {"jsonrpc": "2.0", **more} | ({} if method is None else {"method": method, "params": params})
        body = json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def receive(self) -> Any:
        out = self.process.stdout
        assert out is not None
        length = 0
        while line := out.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        assert length, "the language server has ended"
        return json.loads(out.read(length))

    def ask(self, method: str, **params: Any) -> Any:
        """Ask, and answer meanwhile what the server asks: it has the settings of an empty project."""
        self.asked += 1
        self.send(method, params, id=self.asked)
        while True:
            answer = self.receive()
            if "method" in answer and "id" in answer:
                items = answer["params"].get("items", []) if answer["method"] == "workspace/configuration" else None
                self.send(None, None, id=answer["id"], result=None if items is None else [SETTINGS for _ in items])
            elif answer.get("id") == self.asked:
                assert "error" not in answer, answer
                return answer["result"]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


CAPABILITIES = {
    "textDocument": {"hover": {"contentFormat": ["plaintext"]}},
    "workspace": {"configuration": True, "workspaceFolders": True},
}
SETTINGS = {
    "pythonPath": sys.executable,
    "analysis": {"extraPaths": [str(Path(redouble.__path__[0]).parent)], "diagnosticMode": "openFilesOnly"},
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is shown for each name, in a file that uses them all."""
    if SERVER is None:
        pytest.skip("pyright-langserver is not installed: install the dependency group `types`")
    lines = [f"import {module}" for module in MODULES] + [name.written for name in NAMES]
    folder = tmp_path_factory.mktemp("project")
    file = folder / "uses.py"
    file.write_text("\n".join(lines), encoding="utf-8")
    server = Server(SERVER, folder)
    try:
        uri = file.as_uri()
        document = {"uri": uri, "languageId": "python", "version": 1, "text": file.read_text(encoding="utf-8")}
        server.send("textDocument/didOpen", {"textDocument": document})
        found = {}
        for number, line in enumerate(lines[len(MODULES) :], len(MODULES)):
            at = {"line": number, "character": len(line) - 1}
            hover = server.ask("textDocument/hover", textDocument={"uri": uri}, position=at)
            found[line] = "" if hover is None else hover["contents"]["value"]
        return found
    finally:
        server.close()


def words(text: str) -> str:
    """A text without what markup, line ends and escapes make of it."""
    return " ".join(re.findall(r"\w+", text.replace("&nbsp;", " ").replace("_", " ")))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.written)
def test_an_editor_shows_the_text_and_the_types(name: Name, shown: dict[str, str]) -> None:
    """The first sentence, each parameter with its type, and no reference to a text that is not there."""
    text = shown[name.written]
    assert text, "nothing is shown"
    assert words(name.sentence) in words(text)
    assert "see below" not in text
    if inspect.isfunction(name.value):
        assert f"def {name.value.__name__}(...)" not in text
        for parameter in inspect.signature(name.value).parameters.values():
            is_one = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if is_one and parameter.name not in ("self", "cls"):
                assert re.search(rf"\b{parameter.name}: \S", text), f"{parameter.name} has no type"


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.written)
def test_python_itself_shows_the_text_and_the_types(name: Name) -> None:
    """`help` has the text, and `inspect.signature` a type for each parameter and for what is returned."""
    assert name.sentence
    if inspect.isfunction(name.value):
        found = inspect.signature(name.value)
        untyped = [
            each.name
            for each in found.parameters.values()
            if each.annotation is each.empty and each.name not in ("self", "cls")
        ]
        assert untyped == [] and found.return_annotation is not found.empty
