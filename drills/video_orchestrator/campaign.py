"""Workers are killed at random moments while jobs are rendered; then every job must have ended, once, and tidily.

`python -m drills.video_orchestrator.campaign --kills 30 --seed 1` is the full form; the suite runs a short one.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil

from easymo.embedded import Postgres
from easymo_platform.operations.migrate import migrate
from tests.operations.processes import address_of, command, end
from tests.video_orchestrator.client import left_in, plan, queued, scene, shot, until, video_orchestrator
from tests.video_orchestrator.clips import look_at, make_clips

WORKERS = 2
LEASE_S = 1
LONGEST_WAIT_S = 1.5
"""A kill comes at most so long after the one before: a few renders, so that every step of one is hit."""

NOTE_MOVES = """
create table moves (id uuid, old text, new text);
create function note_move() returns trigger language plpgsql as $$ begin
  if old.status <> new.status then insert into moves values (new.id, old.status, new.status); end if;
  return new;
end $$;
create trigger note_move after update on render_jobs for each row execute function note_move()
"""
OVER = ("succeeded", "failed", "cancelled")


@dataclass
class Outcome:
    """What became of a campaign; ``problems`` is empty when every promise held."""

    seed: int
    kills: int = 0
    jobs: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        summary = f"seed {self.seed}: {self.kills} kills, jobs {dict(self.jobs)}, attempts {dict(self.attempts)}"
        return "\n".join((summary, *(self.problems or ["every job ended once; nothing was left behind"])))


class Campaign:
    """One run against an empty database that has the schema."""

    def __init__(self, database_url: str, root: Path, seed: int) -> None:
        self._root = root
        self._random = random.Random(seed)
        self._environ = {
            "DATABASE_URL": database_url,
            "REDIS_ENABLED": "false",
            "AUTH_DISABLED": "true",
            "DATABASE_POOL_SIZE": "2",
            "RENDER_DIR": str(root),
            "RENDER_LEASE_S": str(LEASE_S),
            "RENDER_QUEUE_LIMIT": "100000",
        }
        self._workers: list[subprocess.Popen[str]] = []
        self._lengths: dict[str, float] = {}
        self.outcome = Outcome(seed)

    async def run(self, kills: int) -> Outcome:
        """Kill so many workers, let the survivors finish, look at everything."""
        database = await asyncpg.connect(self._environ["DATABASE_URL"])
        await database.execute(NOTE_MOVES)
        with ExitStack() as processes:
            async with video_orchestrator(self._environ) as client:
                for _ in range(WORKERS):
                    await self._start_worker(processes)
                for _ in range(kills):
                    while await database.fetchval("select count(*) from render_jobs where status = 'queued'") < 4:
                        document = self._plan()
                        self._lengths[await queued(client, document)] = _length_s(document)
                    await asyncio.sleep(self._random.uniform(0, LONGEST_WAIT_S))
                    await self._kill_one(processes)
                live = "select not exists (select from render_jobs where status in ('queued', 'running'))"
                await until(lambda: database.fetchval(live), within_s=120)
                await until(self._tidy, within_s=120)
            for worker in self._workers:
                code, errors = await asyncio.to_thread(end, worker)
                if code != 0 or "Traceback" in errors:
                    self.outcome.problems.append(f"a worker ended with {code}: {errors}")
        await self._judge(database)
        await database.close()
        return self.outcome

    async def _start_worker(self, processes: ExitStack) -> None:
        worker = processes.enter_context(command("serve", "video-worker", "--port", "0", **self._environ))
        await asyncio.to_thread(address_of, worker)
        self._workers.append(worker)

    async def _kill_one(self, processes: ExitStack) -> None:
        victim = self._workers.pop(self._random.randrange(len(self._workers)))
        started = psutil.Process(victim.pid).children(recursive=True)
        victim.kill()
        await asyncio.to_thread(victim.wait)
        self.outcome.kills += 1
        alive = (await asyncio.to_thread(psutil.wait_procs, started, timeout=5))[1]
        self.outcome.problems += [f"{process} outlived its worker" for process in alive]
        await self._start_worker(processes)

    def _plan(self) -> dict[str, object]:
        """One to three scenes of which no other plan has the like, some with sound and an overlay."""
        number = len(self._lengths)
        scenes = []
        for order in range(self._random.randint(1, 3)):
            length_s = self._random.randint(10, 110) / 30
            sound: dict[str, object] = {"audio": {"src": "tone.wav", "type": "music", "gain": -number / 100}}
            logo: dict[str, object] = {
                "overlays": [{"id": "logo", "type": "logo", "src": "logo.png", "startTime": number / 1e6}]
            }
            extra: dict[str, object] = self._random.choice([{}, sound, logo])
            scenes.append(scene(order, shot("test.mp4", length_s), **extra))
        return plan(*scenes, id=f"plan-{number}", width=320 + 2 * (number % 200))

    async def _tidy(self) -> bool:
        await asyncio.sleep(0)
        return not any((self._root / "tmp").iterdir())

    async def _judge(self, database: "asyncpg.Connection[asyncpg.Record]") -> None:
        problems, rows = self.outcome.problems, await database.fetch("select * from render_jobs")
        ends = Counter(row["id"] for row in await database.fetch("select id from moves where new = any($1)", OVER))
        expected = []
        for row in rows:
            job_id, status = str(row["id"]), row["status"]
            self.outcome.jobs[status] += 1
            self.outcome.attempts[row["attempts"]] += 1
            if status == "succeeded":
                expected.append(row["output_path"])
                problems += self._problems_of(job_id, self._root / row["output_path"])
            elif status != "failed" or "fell silent" not in (row["error"] or ""):
                problems.append(f"job {job_id} is {status}: {row['error']}")
            if ends[row["id"]] != 1:
                problems.append(f"job {job_id} ended {ends[row['id']]} times")
        if len(rows) != len(self._lengths):
            problems.append(f"{len(self._lengths)} jobs were accepted, {len(rows)} are there")
        if left_in(self._root) != sorted(expected):
            problems.append(f"left behind: {sorted(set(left_in(self._root)) ^ set(expected))}")
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self._root) in word for word in process.info["cmdline"] or []):
                problems.append(f"{process} is still running")

    def _problems_of(self, job_id: str, path: Path) -> list[str]:
        film, wanted_s = look_at(path), self._lengths[job_id]
        if abs(film.duration_s - wanted_s) > 1 / 30 or len(film.frames) != round(film.duration_s * 30):
            return [f"job {job_id}: {film.duration_s} s and {len(film.frames)} frames for {wanted_s} s"]
        return []


def _length_s(document: dict[str, object]) -> float:
    scenes = document["scenes"]
    assert isinstance(scenes, list)
    return sum(part["duration"] for item in scenes for part in item["shots"])


def main() -> int:
    """Run on an embedded Postgres and print what became of it; 1 when something was not as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Postgres() as server:
        root = Path(folder, "render")
        (root / "media").mkdir(parents=True)
        make_clips(root / "media")

        async def run() -> Outcome:
            await migrate(server.url)
            return await Campaign(server.url, root, options.seed).run(options.kills)

        outcome = asyncio.run(run())
    print(outcome)
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
