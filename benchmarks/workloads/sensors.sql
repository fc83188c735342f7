-- 26 reads and 6 writes of a fleet of sensors, with the rates they are weighted by.

-- name: latest_of_device
-- calls_per_minute: 800
select metric, value, at from readings where device_id = 1717 and metric = 'power' order by at desc limit 1;
-- name: chart
-- calls_per_minute: 200
select at, value from readings where device_id = 42 and metric = 'temperature' and at > now() - interval '2 days' order by at;
-- name: chart_quiet_device
-- calls_per_minute: 200
select at, value from readings where device_id = 39990 and metric = 'temperature' and at > now() - interval '7 days'
order by at;
-- name: bad_readings
-- calls_per_minute: 12
select id, device_id, at from readings where quality = 0 and at > now() - interval '6 hours' order by at desc limit 100;
-- name: hourly_mean
-- calls_per_minute: 4
select date_trunc('hour', at), avg(value) from readings where metric = 'humidity' and at > now() - interval '12 hours'
group by 1 order by 1;
-- name: extremes
-- calls_per_minute: 2
select device_id, max(value) from readings where metric = 'battery' and at > now() - interval '1 day' and value > 99.5
group by device_id;
-- name: site_load
-- calls_per_minute: 30
select sum(r.value) from readings r join devices d on d.id = r.device_id
where d.site_id = 77 and r.metric = 'power' and r.at > now() - interval '1 hour';
-- name: by_serial
-- calls_per_minute: 1500
select id, site_id, config from devices where serial = upper(md5('s12345'));
-- name: devices_of_site
-- calls_per_minute: 300
select id, serial, online from devices where site_id = 321 order by serial;
-- name: offline
-- calls_per_minute: 30
select id, serial, heartbeat_at from devices where not online order by heartbeat_at limit 50;
-- name: silent
-- calls_per_minute: 12
select count(*) from devices where online and heartbeat_at < now() - interval '20 days';
-- name: old_firmware
-- calls_per_minute: 2
select id from devices where model = 'model-3' and firmware = '2.7' limit 100;
-- name: beta_devices
-- calls_per_minute: 6
select id, serial from devices where config @> '{"beta": true}';
-- name: serial_prefix
-- calls_per_minute: 60
select id, serial from devices where serial like 'AB12%' order by serial limit 20;
-- name: sites_of_customer
-- calls_per_minute: 200
select id, name from sites where customer_id = 17 order by name;
-- name: devices_of_customer
-- calls_per_minute: 60
select count(*) from devices d join sites s on s.id = d.site_id where s.customer_id = 17 and d.online;
-- name: open_alarms
-- calls_per_minute: 400
select id, device_id, severity, code from alarms where cleared_at is null order by severity desc, raised_at desc limit 50;
-- name: open_alarms_of_device
-- calls_per_minute: 600
select id, severity, code from alarms where device_id = 4242 and cleared_at is null;
-- name: alarm_history
-- calls_per_minute: 120
select id, code, raised_at, cleared_at from alarms where device_id = 12 order by raised_at desc limit 25;
-- name: unacknowledged
-- calls_per_minute: 60
select id, device_id from alarms where acknowledged_by is null and cleared_at is null and severity >= 3
order by raised_at limit 50;
-- name: by_code
-- calls_per_minute: 10
select count(*) from alarms where code = 'E101' and raised_at > now() - interval '30 days';
-- name: alarms_of_customer
-- calls_per_minute: 40
select a.id, a.code, s.name from alarms a join devices d on d.id = a.device_id join sites s on s.id = d.site_id
where s.customer_id = 150 and a.cleared_at is null order by a.raised_at desc limit 20;
-- name: next_jobs
-- calls_per_minute: 1200
select id, device_id, kind from jobs where state = 'queued' and run_at <= now() order by run_at limit 10;
-- name: failed_jobs
-- calls_per_minute: 12
select id, device_id, tries from jobs where state = 'failed' and tries > 3 order by run_at desc limit 50;
-- name: jobs_of_device
-- calls_per_minute: 120
select id, kind, state, run_at from jobs where device_id = 31313 order by run_at desc limit 10;
-- name: queue_length
-- calls_per_minute: 60
select kind, count(*) from jobs where state = 'queued' group by kind;

-- name: add_reading
-- calls_per_minute: 6000
insert into readings (id, device_id, metric, value, quality, at) values (1, 1, 'power', 1, 1, now());
-- name: heartbeat
-- calls_per_minute: 4000
update devices set heartbeat_at = now() where id = :id;
-- name: set_online
-- calls_per_minute: 20
update devices set online = not online where id = :id;
-- name: raise_alarm
-- calls_per_minute: 30
insert into alarms (id, device_id, severity, code, raised_at) values (1, 1, 1, 'E1', now());
-- name: clear_alarm
-- calls_per_minute: 30
update alarms set cleared_at = now() where id = :id;
-- name: finish_job
-- calls_per_minute: 900
update jobs set state = case state when 'done' then 'failed' else 'done' end, locked_by = null where id = :id;
