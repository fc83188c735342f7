-- The literals of the live statuses stay in the text, so that the partial index render_jobs_live serves them.

-- name: job_of_key(idempotency_key)^
select id, plan, priority, status from render_jobs where idempotency_key = :idempotency_key;

-- name: insert_job(job_id, plan_id, plan, priority, idempotency_key, queue_limit, scene_ids, ords, durations)^
-- No row comes back when the queue is full or the key was used before.
with job as (
  insert into render_jobs (id, plan_id, plan, priority, idempotency_key)
  select :job_id::uuid, :plan_id::text, :plan::jsonb, :priority::integer, :idempotency_key::text
  where (select count(*) from render_jobs where status = 'queued') < :queue_limit::integer
  on conflict (idempotency_key) do nothing
  returning id
), scenes as (
  insert into render_scenes (job_id, scene_id, ord, duration)
  select job.id, s.scene_id, s.ord, s.duration
  from job, unnest(:scene_ids::text[], :ords::integer[], :durations::float8[]) as s (scene_id, ord, duration)
)
select id from job;

-- name: job_by_id(job_id)^
select id, plan_id, status, priority, attempts, progress::float8, error, created_at, started_at, finished_at, output_path
from render_jobs
where id = :job_id;

-- name: scenes_of_job(job_id)
select scene_id, status, duration from render_scenes where job_id = :job_id order by ord;

-- name: newest_jobs(status, before, limit)
-- Ids sort by time. The first page begins at the largest id there is.
select id, plan_id, status, priority, attempts, progress::float8, error, created_at, started_at, finished_at
from render_jobs
where id < coalesce(:before::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') and (:status::text is null or status = :status)
order by id desc
limit :limit;

-- name: queue()^
select count(*) filter (where status = 'queued') as depth,
  coalesce(extract(epoch from now() - min(created_at) filter (where status = 'queued')), 0)::float8 as age_s,
  count(*) filter (where status = 'running') as running
from render_jobs
where status in ('queued', 'running');

-- name: claim_job(worker_id, lease)^
-- A queued job whose lease is still running failed a moment ago and waits before it is tried again.
with claimed as (
  update render_jobs
  set status = 'running', worker_id = :worker_id::text, attempts = attempts + 1, lease_until = now() + :lease::interval,
    started_at = coalesce(started_at, now()), progress = 0
  where id = (
    select id
    from render_jobs
    where status = 'queued' and (lease_until is null or lease_until < now())
    order by priority desc, created_at
    limit 1
    for update skip locked
  )
  returning id, plan, attempts, extract(epoch from now() - created_at)::float8 as waited_s
), scenes as (
  update render_scenes s set status = 'queued' from claimed where s.job_id = claimed.id
)
select id, plan, attempts, waited_s from claimed;

-- name: renew_lease(job_id, worker_id, attempt, lease, progress)^
-- No row comes back when the job was cancelled, or given to another worker.
update render_jobs
set lease_until = now() + :lease::interval, progress = greatest(progress, :progress::numeric)
where id = :job_id and worker_id = :worker_id and attempts = :attempt and status = 'running'
returning id;

-- name: finish_scene(job_id, scene_id, worker_id, attempt)!
update render_scenes s
set status = 'succeeded'
from render_jobs j
where s.job_id = :job_id and s.scene_id = :scene_id
  and j.id = s.job_id and j.worker_id = :worker_id and j.attempts = :attempt and j.status = 'running';

-- name: leave_job(job_id, worker_id, attempt, status, attempts, pause, output_path, error)^
-- The worker's last word on a job; no row comes back when it is not its job any more.
with moved as (
  update render_jobs
  set status = :status::text, attempts = :attempts::integer, lease_until = now() + :pause::interval, worker_id = null,
    output_path = :output_path::text, error = :error::text,
    progress = case :status::text when 'succeeded' then 100 else progress end,
    finished_at = case :status::text when 'queued' then null else now() end
  where id = :job_id and worker_id = :worker_id and attempts = :attempt and status = 'running'
  returning id, status
), scenes as (
  update render_scenes s set status = moved.status from moved where s.job_id = moved.id and s.status <> 'succeeded'
)
select id from moved;

-- name: requeue_expired_jobs(max_attempts)
-- Jobs whose worker has fallen silent: back into the queue, or failed when that was the last attempt.
with moved as (
  update render_jobs
  set status = case when attempts < :max_attempts::integer then 'queued' else 'failed' end,
    lease_until = null,
    error = case when attempts < :max_attempts::integer then error
      else 'The worker fell silent during the last of ' || attempts || ' attempts.' end,
    finished_at = case when attempts < :max_attempts::integer then null else now() end,
    worker_id = null
  where id in (
    select id from render_jobs where status = 'running' and lease_until < now() for update skip locked
  )
  returning id, status
), scenes as (
  update render_scenes s set status = moved.status from moved where s.job_id = moved.id and s.status <> 'succeeded'
)
select status from moved;

-- name: cancel_job(job_id)^
with moved as (
  update render_jobs
  set status = 'cancelled', finished_at = now(), lease_until = null, worker_id = null
  where id = :job_id and status in ('queued', 'running')
  returning id
), scenes as (
  update render_scenes s set status = 'cancelled' from moved where s.job_id = moved.id and s.status <> 'succeeded'
)
select id from moved;

-- name: states_of_jobs(job_ids)
select id, status, attempts from render_jobs where id = any (:job_ids::uuid[]);

-- name: outputs_to_remove(keep)
select id from render_jobs
where status = 'succeeded' and output_path is not null and finished_at < now() - :keep::interval
order by finished_at
limit 1000;

-- name: forget_outputs(job_ids)!
-- A job that succeeded and has no output is one whose output was removed.
update render_jobs set output_path = null where id = any (:job_ids::uuid[]) and status = 'succeeded';
