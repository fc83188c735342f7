"""Migrations as Alembic, Django and Supabase write them: silent where they are right, told where they are not."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from easymo.indexes.lint import lint

pytestmark = pytest.mark.timeout(400)

ALEMBIC_ENVIRONMENT = """
from alembic import context
context.configure(dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
"""
ALEMBIC_TABLES = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "a1", None
def upgrade():
    op.create_table(
        "parcels",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("barcode", sa.String(40), nullable=False, unique=True),
        sa.Column("depot", sa.String, index=True),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_parcels_sent_at", "parcels", ["sent_at"])
    op.create_index("ix_parcels_open", "parcels", ["depot", "sent_at"], postgresql_where=sa.text("sent_at is null"))
"""
ALEMBIC_CONCURRENT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "b2", "a1"
def upgrade():
    op.add_column("parcels", sa.Column("weight", sa.Integer))
    with op.get_context().autocommit_block():
        op.create_index("ix_parcels_weight", "parcels", ["weight"], postgresql_concurrently=True)
"""
DJANGO_MODELS = """
from django.db import models
class Depot(models.Model):
    name = models.CharField(max_length=40, unique=True)
class Parcel(models.Model):
    barcode = models.SlugField()
    depot = models.ForeignKey(Depot, on_delete=models.CASCADE)
    sent_at = models.DateTimeField(null=True)
    class Meta:
        app_label = "shop"
        indexes = [models.Index(fields=["sent_at"], name="parcel_sent")]
        constraints = [models.UniqueConstraint(fields=["barcode", "depot"], name="parcel_once")]
"""
DJANGO_CONCURRENT = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0001_initial")]
    operations = [AddIndexConcurrently("parcel", models.Index(fields=["-sent_at", "barcode"], name="parcel_find"))]
"""
SUPABASE = """
create extension if not exists "pgcrypto" with schema "extensions";
create type "public"."parcel_state" as enum ('packed', 'sent');
create table "public"."parcels" (
    "id" uuid not null default gen_random_uuid(),
    "depot" text,
    "sent_at" timestamp with time zone
);
alter table "public"."parcels" enable row level security;
CREATE UNIQUE INDEX parcels_pkey ON public.parcels USING btree (id);
CREATE INDEX parcels_sent_idx ON public.parcels USING btree (sent_at DESC);
alter table "public"."parcels" add constraint "parcels_pkey" PRIMARY KEY using index "parcels_pkey";
grant select on table "public"."parcels" to "anon";
create policy "read own" on "public"."parcels" as permissive for select to authenticated using ((depot = 'a'::text));
"""


def run(folder: Path, *command: str) -> str:
    """Standard output of one of the tools, run in `folder`."""
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def alembic(folder: Path, second: str) -> list[Path]:
    """What `alembic upgrade --sql` prints for two revisions, a file each."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = migrations\npath_separator = os\n")
    (folder / "migrations" / "env.py").write_text(ALEMBIC_ENVIRONMENT)
    (versions / "a1.py").write_text(ALEMBIC_TABLES)
    (versions / "b2.py").write_text(second)
    files = []
    for span in ("base:a1", "a1:b2"):
        files.append(folder / f"{span.replace(':', '_')}.sql")
        files[-1].write_text(run(folder, "-m", "alembic", "upgrade", span, "--sql"))
    return files


def django(folder: Path, database_url: str, concurrent: str) -> list[Path]:
    """What `manage.py sqlmigrate` prints for two migrations of an app, a file each."""
    app = folder / "shop"
    (app / "migrations").mkdir(parents=True)
    for file in (app / "__init__.py", app / "migrations" / "__init__.py"):
        file.touch()
    (app / "models.py").write_text(DJANGO_MODELS)
    place = urlsplit(database_url)
    options = parse_qs(place.query)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": place.path[1:],
        "USER": place.username,
        "HOST": options["host"][0],
        "PORT": options["port"][0],
    }
    (folder / "settings.py").write_text(
        f"INSTALLED_APPS = ['shop']\nDATABASES = {{'default': {database}}}\n"
        "DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\nUSE_TZ = True\n"
    )
    run(folder, "-m", "django", "makemigrations", "shop", "--settings=settings", "--pythonpath=.")
    (app / "migrations" / "0002_find.py").write_text(concurrent)
    files = []
    for migration in ("0001", "0002"):
        files.append(folder / f"{migration}.sql")
        files[-1].write_text(
            run(folder, "-m", "django", "sqlmigrate", "shop", migration, "--settings=settings", "--pythonpath=.")
        )
    return files


def test_alembic_output_is_silent(tmp_path: Path) -> None:
    files = alembic(tmp_path, ALEMBIC_CONCURRENT)
    assert [file.read_text().count("CREATE INDEX") for file in files] == [3, 1]
    assert lint(files) == []


def test_alembic_without_its_autocommit_block_is_told(tmp_path: Path) -> None:
    found = lint(alembic(tmp_path, ALEMBIC_CONCURRENT.replace("with op.get_context().autocommit_block():", "if True:")))
    assert [finding.rule for finding in found] == ["concurrently-in-transaction"]


def test_django_output_has_the_one_finding_that_is_true(tmp_path: Path, database_url: str) -> None:
    files = django(tmp_path, database_url, DJANGO_CONCURRENT)
    assert [file.read_text().count("CREATE INDEX") for file in files] == [5, 1]
    (finding,) = lint(files)  # a SlugField has an index of its own, and a UNIQUE constraint begins with it
    assert (finding.rule, "parcel_once" in finding.message) == ("prefix-of-another", True)


def test_django_index_that_is_not_concurrent_is_told(tmp_path: Path, database_url: str) -> None:
    plain = DJANGO_CONCURRENT.replace("AddIndexConcurrently(", "migrations.AddIndex(")
    found = [finding.rule for finding in lint(django(tmp_path, database_url, plain))]
    assert sorted(found) == ["non-concurrent-create", "prefix-of-another"]


def test_supabase_output_is_silent(tmp_path: Path) -> None:
    file = tmp_path / "20260101000000_remote_schema.sql"
    file.write_text(SUPABASE)
    assert lint([file]) == []
