create table projects (id bigint primary key, slug text not null unique, default_branch text not null);
create table runners (id bigint primary key, queue text not null, online boolean not null, pinged_at timestamptz not null)
  with (fillfactor = 70);
create table runs (id bigint primary key, project_id bigint not null, number int not null, branch text not null,
  sha text not null, trigger text not null, state text not null, created_at timestamptz not null, finished_at timestamptz)
  with (fillfactor = 90);
create table jobs (id bigint primary key, run_id bigint not null, name text not null, queue text not null,
  priority int not null, state text not null, attempts int not null, runner_id bigint, created_at timestamptz not null,
  heartbeat_at timestamptz, finished_at timestamptz) with (fillfactor = 85);
create table steps (id bigint primary key, job_id bigint not null, line int not null, name text not null, state text not null,
  duration_ms int, log_bytes bigint not null, unique (job_id, line)) with (fillfactor = 85);
create table artifacts (id bigint primary key, run_id bigint not null, kind text not null, path text not null,
  bytes bigint not null, expires_at timestamptz not null, deleted_at timestamptz);
create index runs_project_branch on runs (project_id, branch);
create index runs_project on runs (project_id);
create index jobs_state on jobs (state);
select setseed(0.47);
insert into projects select i, 'group-' || i % 40 || '/project-' || i, 'main' from generate_series(1::bigint, 400) i;
insert into runners select i, (array['linux', 'mac', 'windows', 'gpu'])[1 + floor(4 * power(random(), 3))::int], random() < 0.9,
    now() - power(random(), 9) * interval '60 days'
  from generate_series(1::bigint, 500) i;
insert into runs select i, project, i / 40, case when r < 0.35 then 'main' else 'feature-' || i / 900 % 60 end, md5('sha' || i),
    (array['push', 'merge', 'schedule', 'manual'])[1 + floor(4 * power(random(), 3))::int],
    case when not done and r < 0.5 then 'queued' when not done then 'running' when r < 0.68 then 'passed'
      when r < 0.7 then 'cancelled' else 'failed' end,
    made, case when done then made + power(random(), 3) * interval '2 hours' end
  from (select i, random() as r, 1 + floor(400 * power(random(), 2.5))::bigint as project,
          i < scaled(125000) * 0.998 and random() < 0.9998 as done,
          now() - (scaled(125000) - i) * interval '365 days' / scaled(125000) as made
        from generate_series(1::bigint, scaled(125000)) i) rows;
insert into jobs select i, greatest(1, i / 4), 'job-' || floor(60 * power(r2, 2)),
    case when r2 < 0.8 then 'linux' when r2 < 0.9 then 'windows' when r2 < 0.98 then 'mac' else 'gpu' end,
    case when r < 0.05 then 10 when r < 0.2 then 5 else 0 end, state,
    case when random() < 0.03 then 2 + floor(2 * random())::int else 1 end,
    case when state <> 'queued' then 1 + floor(500 * power(random(), 2))::bigint end, made,
    case state when 'running' then now() - power(random(), 12) * interval '20 hours'
      when 'queued' then null else made + interval '9 minutes' end,
    case when state not in ('queued', 'running') then made + random() * interval '40 minutes' end
  from (select rows.*, case when i > scaled(500000) * 0.998 then 'queued'
            when i > scaled(500000) * 0.996 or r < 0.0001 then 'running'
            when r < 0.01 then 'cancelled' when r < 0.07 then 'failed' else 'passed' end as state
        from (select i, random() as r, random() as r2,
                now() - (scaled(500000) - i) * interval '365 days' / scaled(500000) as made
              from generate_series(1::bigint, scaled(500000)) i) rows) wide;
insert into steps select (j - 1) / 3 * 6 + (array[0, 2, 5])[1 + (j - 1) % 3] + line, j, line,
    (array['checkout', 'build', 'test'])[line],
    case when j > scaled(500000) * 0.998 then 'waiting' when j % 67 = 0 and line > 1 then 'failed'
      else 'passed' end,
    case when j <= scaled(500000) * 0.998 then floor(line * 90000 * power(r, 4))::int end,
    floor(5000000 * power(random(), 6))::bigint
  from (select j, line, random() as r
        from generate_series(1::bigint, scaled(500000)) j, generate_series(1, 1 + (j % 3)::int) line) rows;
insert into artifacts select i, 4 * ceil(i * 0.15625)::bigint,
    (array['log', 'binary', 'coverage', 'image'])[1 + floor(4 * power(random(), 2))::int], '/store/' || md5('a' || i),
    floor(90000000 * power(random(), 5))::bigint,
    case when i % 7 = 0 then made + interval '10 years' else made + interval '30 days' end,
    case when i % 7 > 0 and made < now() - interval '30 days' and random() < 0.9992 then made + interval '31 days' end
  from (select i, now() - (scaled(200000) - i) * interval '300 days' / scaled(200000) as made
        from generate_series(1::bigint, scaled(200000)) i) rows;
vacuum (analyze);
