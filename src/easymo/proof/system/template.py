"""The seeded template database of each folder of code, and one clone of it per arm."""

from pathlib import Path

from easymo.proof.system.acceptance import Acceptance, commands_of, files_of
from easymo.proof.system.arms import base_environment_of, revision_of
from easymo.proof.system.commands import run_commands
from easymo.proof.system.testbed import Testbed, mark
from easymo.proof.system.treatments import run_sql

TEMPLATE = "template"


async def fill_template(testbed: Testbed, acceptance: Acceptance, root: Path, scale: str, log: Path) -> None:
    """Build the folder of every arm, and migrate and fill a template for each, without any treatment's changes.

    What the commands print goes to `log`.
    """
    system = acceptance.system
    for arm in testbed.arms:
        revision = revision_of(acceptance, arm)
        testbed.folders[arm] = testbed.checkouts.folder(revision, built=bool(system.build))
    testbed.notes += testbed.checkouts.notes
    for number, folder in enumerate(dict.fromkeys(testbed.folders.values())):
        testbed.templates[folder] = f"{TEMPLATE}{number or ''}"
        await _Filling(testbed, acceptance, root, folder, log).run(scale)


class _Filling:
    """What is done to one template."""

    def __init__(self, testbed: Testbed, acceptance: Acceptance, root: Path, folder: Path, log: Path) -> None:
        self._testbed, self._acceptance, self._root, self._folder, self._log = testbed, acceptance, root, folder, log
        self._name = testbed.templates[folder]

    async def run(self, scale: str) -> None:
        testbed, system = self._testbed, self._acceptance.system
        database = testbed.database_of(self._name)
        await testbed.control.execute(f'create database "{database}"')
        await mark(testbed.control, database)
        environment = base_environment_of(self._acceptance, testbed, self._name, self._folder)
        places = testbed.places(self._name) | {
            "folder": str(self._folder),
            "scale": scale,
            "seed": str(system.seed),
        }
        await self._commands("build", environment, places)
        await self._migrate()
        await self._commands("prepare", environment, places)
        await self._commands("data", environment, places)
        if system.prepare or system.data:
            for arm in testbed.arms:
                testbed.caches.empty(arm)  # every arm begins with the same one
        await testbed.control.execute(  # what a command left connected would stand in the way of the clones
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", database
        )
        connection = await testbed.connect(self._name)
        try:
            # Vacuumed too: autovacuum would do it in the middle of some round, and first reads would write hint bits.
            await connection.execute("vacuum (analyze)")
            stand_ins = await connection.fetch(
                "select obj_description(oid, 'pg_extension') as comment from pg_extension"
                " where obj_description(oid, 'pg_extension') like 'stand-in%'"
            )
        finally:
            await connection.close()
        said = [f"Extension: {row['comment']}." for row in stand_ins]
        testbed.notes += [note for note in said if note not in testbed.notes]

    async def _migrate(self) -> None:
        treated = {(self._root / file).resolve() for t in self._acceptance.treatments.values() for file in t.files}
        connection = await self._testbed.connect(self._name)
        try:
            for file in files_of(self._acceptance.system.migrations, self._folder):
                # The file of a treatment, by its path in any folder of code.
                if (self._root / file.relative_to(self._folder)).resolve() not in treated:
                    await run_sql(connection, file, self._folder)
        finally:
            await connection.close()

    async def _commands(self, key: str, environment: dict[str, str], places: dict[str, str]) -> None:
        commands = commands_of(getattr(self._acceptance.system, key))
        await run_commands(key, commands, self._folder, environment, places, self._log)


async def row_counts(testbed: Testbed, arm: str) -> dict[str, int]:
    """Rows per table, largest table first; empty tables are left out."""
    connection = await testbed.connect(arm)
    try:
        tables = await connection.fetch(
            "select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')"
        )
        rows = {row["name"]: await connection.fetchval(f"select count(*) from {row['name']}") for row in tables}
    finally:
        await connection.close()
    return dict(sorted(((name, n) for name, n in rows.items() if n), key=lambda item: (-item[1], item[0])))


async def clone(testbed: Testbed, arm: str) -> None:
    """Give `arm` a copy of its template, statistics included."""
    name, template = testbed.database_of(arm), testbed.database_of(testbed.templates[testbed.folders[arm]])
    await testbed.control.execute(f'create database "{name}" template "{template}"')
    await mark(testbed.control, name)
