-- 19 reads and 7 writes of a group of clinics, with the rates they are weighted by.

-- name: day_sheet
-- calls_per_minute: 300
select v.id, v.starts_at, v.state, p.family_name, p.given_name from visits v join patients p on p.id = v.patient_id
where v.practitioner_id = 3 and v.starts_at >= current_date - 1 and v.starts_at < current_date + 1 and v.state <> 'cancelled'
order by v.starts_at;
-- name: waiting_room
-- calls_per_minute: 600
select id, patient_id, starts_at from visits where clinic_id = 3 and state = 'arrived' order by starts_at;
-- name: slot_taken
-- calls_per_minute: 300
select id from visits where practitioner_id = 5 and starts_at < now() + interval '2 days' and ends_at > now() + interval '1 day'
and state in ('booked', 'arrived') limit 1;
-- name: visits_of_patient
-- calls_per_minute: 400
select id, state, starts_at, reason from visits where patient_id = 2345 order by starts_at desc limit 20;
-- name: next_visit
-- calls_per_minute: 250
select id, starts_at, practitioner_id from visits where patient_id = 2 and state = 'booked' and starts_at > now()
order by starts_at limit 1;
-- name: disputed
-- calls_per_minute: 30
select id, clinic_id, starts_at from visits where state = 'disputed' order by starts_at limit 25;
-- name: no_shows
-- calls_per_minute: 3
select patient_id, count(*) from visits where state = 'no_show' and starts_at > now() - interval '180 days'
group by patient_id having count(*) > 1 order by 2 desc limit 50;
-- name: by_record_number
-- calls_per_minute: 500
select id, family_name, born_on from patients where record_number = 'MR-000001234';
-- name: find_patient
-- calls_per_minute: 250
select id, family_name, given_name, born_on from patients
where lower(family_name) = 'tanaka-vega' and born_on between '1968-01-01' and '1975-12-31' order by born_on;
-- name: at_the_desk
-- calls_per_minute: 120
select id, family_name, given_name from patients where phone = '+250700152500' or record_number = 'MR-000002500';
-- name: latest_by_code
-- calls_per_minute: 300
select distinct on (code) code, value, abnormal, taken_at from observations where patient_id = 777 order by code, taken_at desc;
-- name: trend
-- calls_per_minute: 150
select taken_at, value from observations where patient_id = 55 and code = 'GLU' and taken_at > now() - interval '2 years'
order by taken_at;
-- name: abnormal_lately
-- calls_per_minute: 60
select id, patient_id, code, value from observations where abnormal and taken_at > now() - interval '2 days'
order by taken_at desc limit 100;
-- name: retired_test
-- calls_per_minute: 6
select id, patient_id, value, taken_at from observations where code = 'CRP-OLD' order by taken_at desc limit 20;
-- name: latest_potassium
-- calls_per_minute: 2
select p.id, o.value, o.taken_at from patients p cross join lateral
  (select value, taken_at from observations where patient_id = p.id and code = 'K' order by taken_at desc limit 1) o
where p.clinic_id = 11 and p.born_on < '1940-01-01';
-- name: active_prescriptions
-- calls_per_minute: 400
select id, drug, refills_left from prescriptions where patient_id = 12 and (ends_on is null or ends_on >= current_date)
order by starts_on desc;
-- name: running_out
-- calls_per_minute: 20
select id, patient_id, drug from prescriptions where ends_on between current_date and current_date + 3 and refills_left = 0
order by ends_on, id limit 100;
-- name: recall
-- calls_per_minute: 2
select p.record_number, p.phone, d.name from prescriptions r join patients p on p.id = r.patient_id
join practitioners d on d.id = r.practitioner_id
where r.drug = 'D377' and d.specialty in ('general', 'cardiology') and r.starts_on > current_date - 400;
-- name: ages
-- calls_per_minute: 1
select clinic_id, extract(decade from born_on), count(*) from patients group by 1, 2;

-- name: set_visit_state
-- calls_per_minute: 300
update visits set state = case state when 'done' then 'no_show' else 'done' end where id = :id;
-- name: annotate
-- calls_per_minute: 400
update visits set reason = 'changed' where id = :id;
-- name: touch_patient
-- calls_per_minute: 800
update patients set updated_at = now() where id = :id;
-- name: refill
-- calls_per_minute: 200
update prescriptions set refills_left = refills_left - 1 where id = :id;
-- name: book_visit
-- calls_per_minute: 100
insert into visits (id, patient_id, practitioner_id, clinic_id, state, starts_at, ends_at, created_at)
values (1, 1, 1, 1, 'booked', now(), now(), now());
-- name: observe
-- calls_per_minute: 600
insert into observations (id, patient_id, code, value, abnormal, taken_at) values (1, 1, 'BP', 1, false, now());
-- name: prescribe
-- calls_per_minute: 90
insert into prescriptions (id, patient_id, practitioner_id, drug, refills_left, starts_on)
values (1, 1, 1, 'D1', 1, current_date);
