"""Kubernetes objects from files, each with the line of every field."""

import fnmatch
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from easymo.hpa import helm, kustomize
from easymo.hpa.decode import Decoded, DecodeError, Field, decode
from easymo.hpa.errors import ManifestError
from easymo.hpa.old_versions import as_v2

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = Path("-")
NO_OBJECTS = re.compile(r"(values.*|chart|skaffold.*|(docker-)?compose.*)\.ya?ml", re.IGNORECASE)
"""Names of files that belong to other tools."""
_NO_OBJECT = "no Kubernetes object: apiVersion or kind is missing"


class Document(Struct, frozen=True):
    """One object, the file that it stands in (or was rendered from), and its lines by field."""

    path: str
    content: dict[str, Any]
    lines: dict[Field, int]
    source: str = ""
    """The text that the object was read from, for what its comments say."""
    prefix: Field = ()
    doubled: Sequence[tuple[int, str]] = ()
    """Keys that stand twice, with the line of the last."""
    written: dict[str, Any] | None = None
    """The object as it stands in the file, where `content` is its conversion to autoscaling/v2."""
    root: str = ""
    """The kustomization or chart that was found on the way through a folder: objects of two do not meet."""

    @property
    def kind(self) -> str:
        """Its kind, or an empty text."""
        return str(self.content.get("kind") or "")

    @property
    def name(self) -> str:
        """Its name, or an empty text."""
        return self._metadata("name")

    @property
    def namespace(self) -> str:
        """Its namespace, or an empty text."""
        return self._metadata("namespace")

    def _metadata(self, key: str) -> str:
        metadata = self.content.get("metadata")
        return str(metadata.get(key) or "") if isinstance(metadata, dict) else ""

    def line(self, field: str | Field = ()) -> int:
        """The line of ``field`` (``spec.metrics[0].type`` or its parts), or of the nearest field around it."""
        parts = (*self.prefix, *(field_of(field) if isinstance(field, str) else field))
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines.get(parts, 1)


def field_of(text: str) -> Field:
    """``spec.metrics[0].type`` as its parts."""
    return tuple(
        int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)(?![^\[]*\])|\[(\d+)\]", text)
    )


class Reading:
    """What is read from paths: objects, what cannot be read, and what was passed over."""

    def __init__(self, exclude: Sequence[str] = (), helm_values: Sequence[Path] = ()) -> None:
        self.documents: list[Document] = []
        self.unreadable: list[ManifestError] = []
        self.passed_over: list[str] = []
        self._exclude, self._helm_values = exclude, helm_values

    def add(self, path: Path) -> None:
        """Read a file, a folder with its subfolders, a kustomization, a chart, or standard input (`-`).

        Raises:
            ManifestError: for a path that is not there, or a folder without a manifest.
        """
        if path == STDIN:
            self._parse("stdin", sys.stdin.read())
        elif not path.exists():
            raise ManifestError(path, 0, "there is no such file or folder. Name a manifest or a kustomization.")
        elif path.is_file() and NO_OBJECTS.fullmatch(path.name):
            self.passed_over.append(str(path))
        elif path.is_file():
            self._file(path)
        elif not self._rendered(path, ""):
            before = len(self.documents), len(self.unreadable), len(self.passed_over)
            self._folder(path)
            if before == (len(self.documents), len(self.unreadable), len(self.passed_over)):
                raise ManifestError(path, 0, f"the folder has no file ending in {', '.join(SUFFIXES)}. Name another.")

    def _folder(self, folder: Path) -> None:
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self.unreadable.append(ManifestError(folder, 0, f"it cannot be read ({error.strerror})."))
            return
        for entry in entries:
            if any(fnmatch.fnmatch(text, glob) for glob in self._exclude for text in (entry.name, str(entry))):
                continue
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
                if not self._rendered(entry, str(entry)):
                    self._folder(entry)
            elif entry.is_file() and entry.suffix in SUFFIXES:
                if NO_OBJECTS.fullmatch(entry.name):
                    self.passed_over.append(str(entry))
                else:
                    self._file(entry, walking=True)

    def _rendered(self, folder: Path, root: str) -> bool:
        """Whether `folder` is a kustomization or a chart, which then is read."""
        is_chart = helm.is_chart(folder)
        if not is_chart and not kustomize.is_kustomization(folder):
            return False
        try:
            listed = None if is_chart else kustomize.listed_resources(folder)
            for resource in listed or ():
                if resource.is_file():
                    self._file(resource, root)
                elif not self._rendered(resource, root):
                    self._folder(resource)
            if listed is None:
                text = helm.render(folder, self._helm_values) if is_chart else kustomize.render(folder)
                self._parse(f"{folder} (rendered)", text, root)
        except ManifestError as error:
            self.unreadable.append(error)
        except RecursionError:
            self.unreadable.append(ManifestError(folder, 0, "this kustomization lists itself. Remove that entry."))
        return True

    def _file(self, path: Path, root: str = "", *, walking: bool = False) -> None:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self.unreadable.append(ManifestError(path, 0, f"it cannot be read ({error}). Name another manifest."))
            return
        self._parse(str(path), text, root, walking=walking)

    def _parse(self, path: str, text: str, root: str = "", *, walking: bool = False) -> None:
        decoded = list(decode(text))
        failed = next((found for found in decoded if isinstance(found, DecodeError)), None)
        if failed is not None and "{{" in text and "}}" in text:
            reason = (
                "this is a Helm template (or another), no manifest. Render it: helm template CHART | easymo hpa check -"
            )
            self.unreadable.append(ManifestError(path, failed.line, reason))
            return
        before = len(self.documents), len(self.unreadable)
        for found in decoded:
            if isinstance(found, DecodeError):
                self.unreadable.append(ManifestError(path, found.line, found.reason))
            elif found.content is not None and walking and not _is_object(found.content):
                self.passed_over.append(path)  # a folder holds files of other tools, too
                return
            elif found.content is not None:
                self._objects(path, found, root)
        if before == (len(self.documents), len(self.unreadable)) and not walking:
            self.unreadable.append(ManifestError(path, 0, "it is empty. Name a file with an autoscaler in it."))

    def _objects(self, path: str, found: Decoded, root: str) -> None:
        content, lines, source, doubled = found
        if not _is_object(content):
            self.unreadable.append(ManifestError(path, lines.get((), 1), f"this is {_NO_OBJECT}."))
            return
        kind, items = content["kind"], content.get("items")
        if not kind.endswith("List") or not isinstance(items, list | None):
            items, prefix = [content], None
        else:
            items, prefix = items or [], "items"
        for index, entry in enumerate(items):
            place: Field = (prefix, index) if prefix else ()
            if prefix and isinstance(entry, dict) and kind != "List":
                item = {"apiVersion": content["apiVersion"], "kind": kind.removesuffix("List"), **entry}
            else:
                item = entry
            if not _is_object(item):
                line = lines.get(place, lines.get((), 1))
                self.unreadable.append(ManifestError(path, line, f"this item is {_NO_OBJECT}."))
                continue
            new = as_v2(item)
            written = None if new is item else item
            self.documents.append(Document(path, new, lines, source, place, () if index else doubled, written, root))


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """Every object in ``paths``: files, folders, kustomizations, charts, standard input.

    Raises:
        ManifestError: for a path that is not there, or the first object that cannot be read.
    """
    reading = Reading()
    for path in paths:
        reading.add(path)
    return _all(reading)


def parse(path: str, text: str) -> list[Document]:
    """The objects of a multi-document YAML (or JSON) text; a List counts as its items.

    Raises:
        ManifestError: when there is none, or the text is no YAML.
    """
    reading = Reading()
    reading._parse(path, text)
    return _all(reading)


def _all(reading: Reading) -> list[Document]:
    for error in reading.unreadable:
        raise error
    return reading.documents


def _is_object(content: Any) -> bool:
    return isinstance(content, dict) and all(isinstance(content.get(key), str) for key in ("apiVersion", "kind"))
