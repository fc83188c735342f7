-- 18 reads and 7 writes of continuous integration: runs, their jobs and steps, with the rates they are weighted by.

-- name: claim_linux
-- calls_per_minute: 1200
select id, run_id, name from jobs where state = 'queued' and queue = 'linux' order by priority desc, created_at limit 1;
-- name: claim_gpu
-- calls_per_minute: 600
select id, run_id, name from jobs where state = 'queued' and queue = 'gpu' order by priority desc, created_at limit 1;
-- name: stalled
-- calls_per_minute: 60
select id, runner_id from jobs where state = 'running' and heartbeat_at < now() - interval '2 hours'
order by heartbeat_at limit 50;
-- name: to_retry
-- calls_per_minute: 30
select id, run_id, attempts from jobs where state = 'failed' and attempts < 3 and finished_at > now() - interval '7 days'
order by finished_at limit 100;
-- name: states_of_run
-- calls_per_minute: 700
select state, count(*) from jobs where run_id = 4000 group by state;
-- name: failures_of_run
-- calls_per_minute: 200
select j.id, j.name, s.line, s.name from jobs j join steps s on s.job_id = j.id
where j.run_id = 4237 and s.state = 'failed' order by j.id, s.line;
-- name: steps_of_job
-- calls_per_minute: 500
select line, name, state, duration_ms from steps where job_id = 15000 order by line;
-- name: job_of_runner
-- calls_per_minute: 900
select id, run_id, name from jobs where runner_id = 1 and finished_at is null;
-- name: queue_depth
-- calls_per_minute: 60
select queue, state, count(*), min(created_at) from jobs where state in ('queued', 'running') group by queue, state;
-- name: runs_of_branch
-- calls_per_minute: 300
select id, number, state, created_at from runs where project_id = 12 and branch = 'main' order by created_at desc limit 20;
-- name: last_of_feature
-- calls_per_minute: 250
select id, state, finished_at from runs where project_id = 2 and branch = 'feature-3' order by created_at desc limit 1;
-- name: by_sha
-- calls_per_minute: 400
select id, project_id, state from runs where sha = md5('sha5000') order by created_at desc;
-- name: oldest_unfinished
-- calls_per_minute: 60
select id, project_id, created_at from runs where finished_at is null order by created_at limit 25;
-- name: branches
-- calls_per_minute: 30
select distinct on (branch) branch, id, state, created_at from runs where project_id = 40 order by branch, created_at desc;
-- name: artifacts_of_run
-- calls_per_minute: 200
select id, kind, path, bytes from artifacts where run_id = 4000 and deleted_at is null;
-- name: expired_artifacts
-- calls_per_minute: 12
select id, path from artifacts where deleted_at is null and expires_at < now() order by expires_at limit 200;
-- name: flaky_jobs
-- calls_per_minute: 2
select name, count(*) filter (where state = 'failed'), count(*) from jobs where created_at > now() - interval '7 days'
group by name having count(*) filter (where attempts > 1) > 0 order by 2 desc limit 20;
-- name: step_durations
-- calls_per_minute: 1
select name, percentile_cont(0.95) within group (order by duration_ms) from steps where duration_ms is not null
group by name;

-- name: set_job_state
-- calls_per_minute: 900
update jobs set state = case state when 'passed' then 'failed' else 'passed' end, finished_at = now() where id = :id;
-- name: heartbeat
-- calls_per_minute: 3000
update jobs set heartbeat_at = now() where id = :id;
-- name: log_grew
-- calls_per_minute: 3000
update steps set log_bytes = log_bytes + 100 where id = :id;
-- name: ping
-- calls_per_minute: 1000
update runners set pinged_at = now() where id = :id;
-- name: start_run
-- calls_per_minute: 120
insert into runs (id, project_id, number, branch, sha, trigger, state, created_at)
values (1, 1, 1, 'main', '', 'push', 'queued', now());
-- name: add_job
-- calls_per_minute: 600
insert into jobs (id, run_id, name, queue, priority, state, attempts, created_at)
values (1, 1, '', 'linux', 0, 'queued', 1, now());
-- name: add_step
-- calls_per_minute: 1800
insert into steps (id, job_id, line, name, state, log_bytes) values (1, 1, 1, '', 'waiting', 0);
