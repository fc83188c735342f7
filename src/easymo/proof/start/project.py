"""What the files of a project say about how it is migrated, configured, started and asked."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from easymo.proof.start.environment import environment_of

#: Folders that hold no code of the project itself.
SKIPPED = {".venv", "venv", "node_modules", ".git", "dist", "build", "tests", "test", "migrations", "site-packages"}
MOST_FILES = 2_000
SQL_FILES = ("migrations/*.sql", "db/migrations/*.sql", "schema.sql")
_PYTHON_ROUTE = re.compile(r"""@\w+\.(get|post|put|delete|patch|route)\(\s*["'](/[^"']*)["']""")
_NODE_ROUTE = re.compile(r"""\b(?:app|router|server|fastify)\.(get|post|put|delete|patch)\(\s*["'`](/[^"'`]*)["'`]""")
_DJANGO_ROUTE = re.compile(r"""\bpath\(\s*["']([^"']*)["']""")
_PYTHON_APP = re.compile(r"^(\w+)(?:\s*:\s*\w+)?\s*=\s*(FastAPI|Flask|Starlette|Litestar|Quart|Sanic)\(", re.MULTILINE)


@dataclass
class Project:
    """What was found; `unknown` says what was not, one sentence each."""

    name: str
    kinds: list[str] = field(default_factory=list)
    migrations: list[str] = field(default_factory=list)
    prepare: list[list[str]] = field(default_factory=list)
    build: list[list[str]] = field(default_factory=list)
    start: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    ready: str = "/"
    routes: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def look(root: Path) -> Project:
    """Read the project in `root`; nothing of it is run."""
    project = Project(root.resolve().name)
    sources = list(_sources(root))
    _database(root, project)
    _python(root, project, sources)
    _node(root, project)
    _procfile(root, project)
    project.environment |= environment_of(root)
    _routes(project, sources)
    if not project.start:
        project.unknown.append(
            "how a process is started: there is no Procfile, manage.py, ASGI or WSGI app, or `npm start`"
        )
        project.start = ["{python}", "server.py", "{port}"]
    if not (project.migrations or project.prepare):
        project.unknown.append("how the database is migrated: set `migrations` (SQL files) or `prepare` (commands)")
    project.unknown.append("which data to measure on: add a command that fills the database as `data`")
    return project


def _sources(root: Path) -> Iterator[tuple[Path, str]]:
    """Source files of the project and their text, those nearest to the root first."""
    files = [
        path
        for pattern in ("*", "*/*", "*/*/*", "*/*/*/*")
        for path in sorted(root.glob(pattern))
        if path.suffix in (".py", ".js", ".ts", ".mjs") and not SKIPPED & set(path.relative_to(root).parts)
    ]
    for path in files[:MOST_FILES]:
        yield path.relative_to(root), path.read_text(encoding="utf-8", errors="replace")


def _database(root: Path, project: Project) -> None:
    if any(root.glob("supabase/migrations/*.sql")):
        project.kinds.append("Supabase")
        project.migrations.append("supabase/migrations/*.sql")
        if (root / "supabase/seed.sql").is_file():
            project.migrations.append("supabase/seed.sql")
    elif sql := next(
        (glob for glob in ("migrations/*.sql", "db/migrations/*.sql", "schema.sql") if any(root.glob(glob))), ""
    ):
        project.migrations.append(sql)
    tools = {
        "alembic.ini": ("alembic", ["alembic", "upgrade", "head"]),
        "manage.py": ("Django", ["{python}", "manage.py", "migrate", "--noinput"]),
        "prisma/schema.prisma": ("Prisma", ["npx", "prisma", "migrate", "deploy"]),
        "knexfile.*": ("knex", ["npx", "knex", "migrate:latest"]),
        "drizzle.config.*": ("Drizzle", ["npx", "drizzle-kit", "migrate"]),
    }
    for file, (kind, command) in tools.items():
        if any(root.glob(file)):
            project.kinds.append(kind)
            project.prepare.append(command)


def _python(root: Path, project: Project, sources: list[tuple[Path, str]]) -> None:
    wsgi = next((path for path, _ in sources if path.name == "wsgi.py"), None)
    if (root / "manage.py").is_file():
        serve = ["{python}", "manage.py", "runserver", "--noreload", "127.0.0.1:{port}"]
        if wsgi is not None and _requires(root, "gunicorn"):
            serve = ["gunicorn", "--bind", "127.0.0.1:{port}", f"{_module(wsgi)}:application"]
        project.start = serve
        return
    for path, text in sources:
        if path.suffix == ".py" and (app := _PYTHON_APP.search(text)):
            place = f"{_module(path)}:{app[1]}"
            folder = ["--app-dir", "src"] if path.parts[0] == "src" else []
            project.kinds.append(app[2])
            if app[2] == "Flask":
                project.start = ["flask", "--app", place, "run", "--port", "{port}"]
            else:
                project.start = ["uvicorn", *folder, place, "--port", "{port}"]
            return


def _node(root: Path, project: Project) -> None:
    try:
        package = json.loads((root / "package.json").read_text(encoding="utf-8"))
        scripts = dict(package.get("scripts", {}))
    except (OSError, ValueError, TypeError, AttributeError):
        return
    project.kinds.append("npm")
    project.build = [["npm", "ci"], *([["npm", "run", "build"]] if "build" in scripts else [])]
    if "start" in scripts and not project.start:
        project.start = ["npm", "start"]
        project.environment["PORT"] = "{port}"


def _procfile(root: Path, project: Project) -> None:
    """A Procfile's `web` line wins: it is what the project's own host runs."""
    file = root / "Procfile"
    line = re.search(r"^web:\s*(.+)$", file.read_text(encoding="utf-8"), re.MULTILINE) if file.is_file() else None
    if line is None:
        return
    project.kinds.append("Procfile")
    command = re.sub(r"\$\{?PORT(?::-\d+)?\}?", "{port}", line[1].strip())
    shell = re.search(r"[|&;<>$`]", command)
    project.start = ["sh", "-c", f"exec {command}"] if shell and "&" not in command else shlex.split(command)
    if shell and "&" in command:
        project.start = ["sh", "-c", command]
    project.environment["PORT"] = "{port}"


def _routes(project: Project, sources: list[tuple[Path, str]]) -> None:
    mounted = any(
        re.search(r"include_router\(|include\(|\.use\(\s*[\"']/|register_blueprint\(", text) for _, text in sources
    )
    for path, text in sources:
        pattern = _PYTHON_ROUTE if path.suffix == ".py" else _NODE_ROUTE
        prefix = re.search(r"""(?:APIRouter|Blueprint)\([^)]*?prefix=["']([^"']+)""", text)
        before = prefix[1] if prefix else ""
        found = [("get" if verb == "route" else verb, before + route) for verb, route in pattern.findall(text)]
        if path.name == "urls.py":
            found += [("get", f"/{route}") for route in _DJANGO_ROUTE.findall(text) if "admin" not in route]
        project.routes += [(verb.upper(), route) for verb, route in found]
    project.routes = list(dict.fromkeys(project.routes))
    plain = [route for verb, route in project.routes if verb == "GET" and not re.search(r"[{<:*]", route)]
    healthy = [route for route in plain if re.search(r"health|ready|live|ping", route)]
    project.ready = next(iter(healthy or plain), "/")
    if mounted:
        project.unknown.append("under which prefix routers are mounted: correct the paths of load.py, and `ready`")
    if not plain:
        project.unknown.append("which path answers 2xx once a process can serve: `ready` is /")


def _requires(root: Path, package: str) -> bool:
    files = [*root.glob("requirements*.txt"), *root.glob("pyproject.toml"), *root.glob("Pipfile")]
    return any(package in file.read_text(encoding="utf-8", errors="replace") for file in files)


def _module(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[1:] if parts[0] == "src" else parts)
