"""Kubernetes objects from files, each with the line of every field."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from easymo.hpa import kustomize
from easymo.hpa.errors import ManifestError

Field = tuple[str | int, ...]
SUFFIXES = (".yaml", ".yml", ".json")
_OLD_VERSIONS = {
    "autoscaling/v1": "it knows a CPU target only, all else hides in annotations. Write autoscaling/v2; "
    "`kubectl get hpa.v2.autoscaling NAME -o yaml` shows it converted",
    "autoscaling/v2beta1": "Kubernetes removed it in 1.25. Write autoscaling/v2, where targets stand under `target`",
    "autoscaling/v2beta2": "Kubernetes removed it in 1.26. Change it to autoscaling/v2; the fields are the same",
}


class Document(Struct, frozen=True):
    """One object, the file that it stands in (or was rendered from), and its lines by field."""

    path: str
    content: dict[str, Any]
    lines: dict[Field, int]
    source: str = ""
    """The text that the object was read from, for what its comments say."""
    prefix: Field = ()

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
        while parts not in self.lines:
            parts = parts[:-1]
        return self.lines[parts]


def field_of(text: str) -> Field:
    """``spec.metrics[0].type`` as its parts."""
    return tuple(
        int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)(?![^\[]*\])|\[(\d+)\]", text)
    )


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """Every object in ``paths``: files, folders of files (not of folders), and kustomizations.

    Raises:
        ManifestError: for a path that is not there, or a file that is empty or no YAML.
    """
    return [document for path in paths for document in _read(path)]


def _read(path: Path) -> Iterator[Document]:
    if not path.exists():
        raise ManifestError(path, 0, "there is no such file or folder. Name a manifest or a kustomization.")
    if path.is_file():
        yield from parse(str(path), _text(path))
        return
    if kustomize.is_kustomization(path):
        listed = kustomize.listed_resources(path)
        if listed is None:
            yield from parse(f"{path} (rendered)", kustomize.render(path))
        for resource in listed or ():
            yield from _read(resource)
        return
    files = [file for file in sorted(path.iterdir()) if file.suffix in SUFFIXES]
    if not files:
        raise ManifestError(path, 0, f"the folder has no file ending in {', '.join(SUFFIXES)}. Name another.")
    for file in files:
        yield from parse(str(file), _text(file))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(path, 0, f"it cannot be read ({error}). Name another manifest.") from error


def parse(path: str, text: str) -> list[Document]:
    """The objects of a multi-document YAML (or JSON) text; a List counts as its items.

    Raises:
        ManifestError: when there is none, or the text is no YAML, or a key stands twice.
    """
    found: list[Document] = []
    loader = yaml.SafeLoader(text)
    begins = 0
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None  # check_node() said so
            content = loader.construct_document(node)
            lines = dict(_lines(path, node, ()))
            source = text[begins : node.end_mark.index]
            begins = node.end_mark.index
            if content is not None:
                found.extend(_objects(path, content, lines, source))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ManifestError(path, line, f"not valid YAML: {error.problem}. Mend it first.") from error
    finally:
        loader.dispose()
    if not found:
        raise ManifestError(path, 0, "it is empty. Name a file with a HorizontalPodAutoscaler in it.")
    return found


def _objects(path: str, content: Any, lines: dict[Field, int], source: str) -> Iterator[Document]:
    if not _is_object(content):
        raise ManifestError(path, lines[()], "this is no Kubernetes object: apiVersion or kind is missing.")
    if content["kind"] != "List":
        yield Document(path, content, lines, source)
        return
    for index, item in enumerate(content.get("items") or []):
        if not _is_object(item):
            line = lines["items", index]
            raise ManifestError(path, line, "this item is no Kubernetes object: apiVersion or kind is missing.")
        yield Document(path, item, lines, source, ("items", index))


def _is_object(content: Any) -> bool:
    return isinstance(content, dict) and all(isinstance(content.get(key), str) for key in ("apiVersion", "kind"))


def _lines(path: str, node: Any, field: Field) -> Iterator[tuple[Field, int]]:
    yield field, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                raise ManifestError(path, key.start_mark.line + 1, f"the key {key.value!r} stands twice. Remove one.")
            seen.add(key.value)
            yield from _lines(path, value, (*field, key.value))
            yield (*field, key.value), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(path, value, (*field, index))


def autoscalers(documents: Sequence[Document]) -> list[Document]:
    """The autoscaling/v2 HorizontalPodAutoscalers among ``documents``.

    Raises:
        ManifestError: when there is none, or one of an API version that is gone or too poor to be judged.
    """
    found = [document for document in documents if document.kind == "HorizontalPodAutoscaler"]
    if not found:
        path = documents[0].path if documents else "-"
        kinds = ", ".join(sorted({document.kind for document in documents}))
        raise ManifestError(path, 0, f"there is no HorizontalPodAutoscaler here, only {kinds}. Name its manifest too.")
    for document in found:
        version = document.content["apiVersion"]
        if version != "autoscaling/v2":
            why = _OLD_VERSIONS.get(str(version), "no Kubernetes has it. Write autoscaling/v2")
            raise ManifestError(document.path, document.line("apiVersion"), f"apiVersion {version}: {why}.")
    return found
