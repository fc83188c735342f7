"""`easymo init` says of a project what its files say, and nothing else."""

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from easymo.cli.main import app
from easymo.load import load_scenario
from easymo.proof.start.environment import placeholder
from easymo.proof.start.project import look
from easymo.proof.system.acceptance import read_acceptance

FASTAPI = 'from fastapi import FastAPI\napi: FastAPI = FastAPI(title="x")\n@api.get("/items")\ndef f(): ...\n'
DJANGO_URLS = 'urlpatterns = [path("", v), path("posts/<int:id>", v), path("health", v), path("admin/", v)]'
EXPRESS = 'app.get("/products", f);\nrouter.post("/orders", g);\napp.get(`/products/:id`, h);'
NPM = '{"scripts": {"start": "node x.js", "build": "tsc"}}'
FLASK = 'from flask import Flask\napp = Flask(__name__)\n@app.route("/")\ndef f(): ...\n'
PROJECTS = {
    "fastapi": {"alembic.ini": "", "src/shop/main.py": FASTAPI, ".env.example": "DB_HOST=x\nSECRET='s'\nPORT=80\n"},
    "django": {"manage.py": "", "site/wsgi.py": "", "site/urls.py": DJANGO_URLS, "requirements.txt": "gunicorn==23"},
    "django without gunicorn": {"manage.py": "", "site/wsgi.py": "", "site/urls.py": DJANGO_URLS},
    "express": {
        "package.json": '{"scripts": {"start": "node x.js", "build": "tsc"}}',
        "x.js": EXPRESS,
        "knexfile.ts": "",
    },
    "prisma": {"package.json": '{"scripts": {"start": "next start"}}', "prisma/schema.prisma": ""},
    "supabase": {"supabase/migrations/1.sql": "", "supabase/seed.sql": ""},
    "flask": {
        "app.py": 'from flask import Flask\napp = Flask(__name__)\n@app.route("/")\ndef f(): ...\n',
        "schema.sql": "",
    },
    "procfile": {"Procfile": "web: gunicorn -b 0.0.0.0:$PORT shop:app\nworker: x\n"},
    "procfile with a shell": {"Procfile": "web: bin/migrate && exec puma -p ${PORT:-3000}\n"},
    "nothing": {"README.md": "hello"},
    "broken": {"package.json": "{", "x.py": "\0\xff", "Procfile": ""},
}
STARTS = {
    "fastapi": ["uvicorn", "--app-dir", "src", "shop.main:api", "--port", "{port}"],
    "django": ["gunicorn", "--bind", "127.0.0.1:{port}", "site.wsgi:application"],
    "django without gunicorn": ["{python}", "manage.py", "runserver", "--noreload", "127.0.0.1:{port}"],
    "express": ["npm", "start"],
    "prisma": ["npm", "start"],
    "flask": ["flask", "--app", "app:app", "run", "--port", "{port}"],
    "procfile": ["gunicorn", "-b", "0.0.0.0:{port}", "shop:app"],
    "procfile with a shell": ["sh", "-c", "bin/migrate && exec puma -p {port}"],
}
PREPARED = {
    "fastapi": [["alembic", "upgrade", "head"]],
    "django": [["{python}", "manage.py", "migrate", "--noinput"]],
    "express": [["npx", "knex", "migrate:latest"]],
    "prisma": [["npx", "prisma", "migrate", "deploy"]],
}


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for name, text in PROJECTS[request.param].items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def init(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", str(folder), *arguments])


@pytest.mark.parametrize(("project", "kind"), [(name, name) for name in PROJECTS], indirect=["project"])
def test_a_project_gets_files_that_easymo_reads(project: Path, kind: str) -> None:
    done = init(project)
    assert done.exit_code == 0, done.stderr
    acceptance = read_acceptance(project / "acceptance.toml")
    assert len((project / "acceptance.toml").read_text().splitlines()) <= 40
    assert len(load_scenario(project / "load.py").requests) >= 1
    assert [promise.id for promise in acceptance.promises] == ["p95"]
    assert acceptance.system.prepare == PREPARED.get(kind, acceptance.system.prepare)
    if kind in STARTS:
        assert acceptance.system.processes[0].start == STARTS[kind]
    else:
        assert "Not known: how a process is started" in done.stderr
    assert "Next: easymo prove --check" in done.stderr


@pytest.mark.parametrize("project", ["django"], indirect=True)
def test_nothing_is_overwritten_and_a_dry_run_writes_nothing(project: Path) -> None:
    dry = init(project, "--dry-run")
    assert dry.exit_code == 0
    assert "[system]" in dry.stdout
    assert not (project / "acceptance.toml").exists()
    (project / "load.py").write_text("mine")
    refused = init(project)
    assert (refused.exit_code, (project / "load.py").read_text()) == (2, "mine")
    assert "load.py" in refused.stderr
    assert not (project / "acceptance.toml").exists()


@pytest.mark.parametrize("project", ["django", "express"], indirect=True)
def test_routes_become_requests_and_the_health_page_is_the_ready_path(project: Path) -> None:
    found = look(project)
    text = init(project, "--dry-run").stdout
    if ("GET", "/health") in found.routes:
        assert found.ready == "/health"
        assert "# GET /posts/<int:id>" in text
    else:
        assert found.ready == "/products"
        assert "# POST /orders" in text
        assert '# build = [["npm", "ci"], ["npm", "run", "build"]]' in text


@pytest.mark.parametrize(
    ("name", "example", "value"),
    [
        ("POSTGRES_SERVER", "localhost", "{database_host}"),
        ("DB_PASS", "x", "{database_password}"),
        ("PGDATABASE", "x", "{database_name}"),
        ("DATABASE_URL", "postgres://x", "{database_url}"),
        ("CELERY_BROKER_URL", "redis://x", "{redis_url}"),
        ("REDIS_PORT", "6379", "{redis_port}"),
        (
            "SQLALCHEMY_DATABASE_URI",
            "postgresql+psycopg://x",
            "postgresql+psycopg://{database_user}:{database_password}@{database_host}:{database_port}/{database_name}",
        ),
        ("SECRET_KEY", "changeme", "changeme"),
        ("PORT", "8000", "{port}"),
    ],
)
def test_a_variable_of_the_example_file_becomes_a_placeholder(name: str, example: str, value: str) -> None:
    assert placeholder(name, example) == value


def test_values_with_quotes_stay_toml(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("GREETING=say \"hi\" \\ back\nNAME='ünï'\n")
    tomllib.loads(init(tmp_path, "--dry-run").stdout.split("# --- load.py")[0])


def test_of_a_real_environment_file_only_the_servers_are_taken(tmp_path: Path) -> None:
    backend = tmp_path / "backend"
    backend.mkdir()
    (tmp_path / ".env").write_text("POSTGRES_SERVER=db\nSECRET_KEY=do-not-copy\n")
    text = init(backend, "--dry-run").stdout
    assert 'POSTGRES_SERVER = "{database_host}"' in text
    assert "do-not-copy" not in text


def test_the_prefix_of_a_router_is_part_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\napp.include_router(users)\n")
    (tmp_path / "users.py").write_text('router = APIRouter(prefix="/users", tags=["x"])\n@router.get("/me")\n')
    project = look(tmp_path)
    assert project.routes == [("GET", "/users/me")]
    assert any("prefix" in sentence for sentence in project.unknown)
