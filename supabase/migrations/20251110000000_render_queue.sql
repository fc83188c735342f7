-- Workers look for the next render job several times a second; finished jobs, which are nearly all, are not in it.
-- easymo:ignore non-concurrent-create its service is not deployed yet when this runs, so nobody writes the table.
-- easymo:ignore predicate-ends-hot a job or session changes status a handful of times in its life; finding the live ones happens all the time.
create index render_jobs_live on render_jobs (status, priority desc, created_at) where status in ('queued', 'running');
