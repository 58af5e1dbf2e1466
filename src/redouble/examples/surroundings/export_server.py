"""On top of all floors: the server of a workspace: everything at once (`/export`), or page by page (`/tree`, `/file`)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from redouble.examples.surroundings.http_server import HANG_UP, Answer, HttpServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redouble.examples.surroundings.http_server import Request


class ExportServer(HttpServer):
    """Serves a number of files.

    Attributes:
        export: The behaviour of `/export`: `fine`, `empty`, `truncated`, `hang` (no answer), `hang up`, a status such
            as 502, or the code of a 429 such as `workspace_busy`.
        headers: The headers that `/export` sends with a refusal.
        listed: How many of the files `/tree` lists; `None` for all.
        pace: Seconds that each page of the tree takes.
        trouble: The statuses with which the next readings of a file are answered, by its path.
        hangs_at: The path of a file for which there is no answer; `None`: no such file.
    """

    def __init__(self, files: int = 50, *, page: int = 10, export: str | int = "fine", pace: float = 0.0) -> None:
        super().__init__()
        self.files: dict[str, str] = {f"/docs/{number:03}.md": f"text {number}" for number in range(files)}
        self.page = page
        self.export = export
        self.pace = pace
        self.headers: Mapping[str, str] = {}
        self.listed: int | None = None
        self.trouble: dict[str, list[int]] = {}
        self.hangs_at: str | None = None

    def answer(self, request: Request) -> Answer:
        if request.path == "/export":
            return self._export()
        if request.path == "/tree":
            return self._tree(int(request.parameters.get("cursor") or 0))
        path = request.parameters["path"]
        if path == self.hangs_at:
            self.closing.wait(30)
            return HANG_UP
        if self.trouble.get(path):
            return Answer(self.trouble[path].pop(0), {"code": "unavailable"})
        return Answer(200, {"content": self.files[path]})

    def _export(self) -> Answer:
        whole = {"files": self.files}
        if self.export == "hang":
            self.closing.wait(30)
        if self.export in ("hang", "hang up"):
            return HANG_UP
        if isinstance(self.export, int):
            return Answer(self.export, {"code": "internal"}, self.headers)
        if self.export not in ("fine", "empty", "truncated"):
            return Answer(429, {"code": self.export}, self.headers)
        if self.export == "truncated":
            return Answer(200, json.dumps(whole).encode()[:-10])
        return Answer(200, {"files": {}} if self.export == "empty" else whole)

    def _tree(self, begin: int) -> Answer:
        time.sleep(self.pace)
        paths = sorted(self.files)[: self.listed]
        end = begin + self.page
        return Answer(200, {"paths": paths[begin:end], "next": str(end) if end < len(paths) else None})

    def counts(self) -> tuple[int, int, int]:
        """Return the number of requests for exports, pages of the tree and files."""
        paths = self.paths()
        return paths.count("/export"), paths.count("/tree"), paths.count("/file")
