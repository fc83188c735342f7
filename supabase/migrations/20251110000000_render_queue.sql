-- Workers look for the next render job several times a second; finished jobs, which are nearly all, are not in it.
create index render_jobs_live on render_jobs (status, priority desc, created_at) where status in ('queued', 'running');
