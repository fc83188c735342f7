create table practitioners (id bigint primary key, clinic_id bigint not null, specialty text not null, name text not null);
create table patients (id bigint primary key, clinic_id bigint not null, record_number text not null unique,
  family_name text not null, given_name text not null, born_on date not null, phone text, updated_at timestamptz not null)
  with (fillfactor = 90);
create table visits (id bigint primary key, patient_id bigint not null, practitioner_id bigint not null, clinic_id bigint not null,
  state text not null, starts_at timestamptz not null, ends_at timestamptz not null,
  reason text, created_at timestamptz not null)
  with (fillfactor = 90);
create table observations (id bigint primary key, patient_id bigint not null, visit_id bigint, code text not null,
  value float8 not null, abnormal boolean not null, taken_at timestamptz not null);
create table prescriptions (id bigint primary key, patient_id bigint not null, practitioner_id bigint not null,
  drug text not null, refills_left int not null, starts_on date not null, ends_on date) with (fillfactor = 90);
create index visits_patient on visits (patient_id);
create index observations_taken on observations (taken_at);
select setseed(0.93);
insert into practitioners select i, 1 + i % 12, (array['general', 'dental', 'cardiology', 'eyes', 'oncology'])
    [1 + floor(5 * power(random(), 2))::int], 'Dr ' || i
  from generate_series(1::bigint, 80) i;
insert into patients select i, 1 + floor(12 * power(random(), 1.5))::bigint, 'MR-' || lpad(i::text, 9, '0'),
    (array['Abe', 'Bakker', 'Cohen', 'Duarte', 'Eze', 'Fontaine', 'Gatera', 'Hassan', 'Ivanova', 'Jonas', 'Kamau', 'Lindqvist',
      'Moreau', 'Nkusi', 'Okafor', 'Park', 'Quist', 'Rossi', 'Santos', 'Tanaka'])[1 + floor(20 * power(random(), 1.5))::int]
      || coalesce('-' || (array['Smith', 'Uwase', 'Vega', 'Wong', 'Yilmaz'])[1 + floor(7 * random())::int], ''),
    'Given' || i % 211, date '1935-01-01' + floor(32000 * power(random(), 0.8))::int,
    case when random() < 0.9 then '+2507' || lpad((i * 61)::text, 8, '0') end, now() - random() * interval '900 days'
  from generate_series(1::bigint, scaled(120000)) i;
insert into visits select i, 1 + floor(scaled(120000) * power(random(), 1.7))::bigint, doctor, 1 + doctor % 12,
    case when r < 0.07 then 'cancelled' when starts > now() + interval '10 minutes' then 'booked'
      when starts > now() - interval '8 hours' then 'arrived' when r < 0.12 then 'no_show'
      when r < 0.1205 then 'disputed' else 'done' end,
    starts, starts + (array[15, 20, 30, 60])[1 + floor(4 * power(random(), 2))::int] * interval '1 minute',
    case when r < 0.6 then 'complaint ' || i % 40 end, starts - random() * interval '40 days'
  from (select i, random() as r, 1 + floor(80 * power(random(), 1.3))::bigint as doctor,
          now() + (i - 0.93 * scaled(600000)) * interval '600 days' / scaled(600000) + random() * interval '3 days' as starts
        from generate_series(1::bigint, scaled(600000)) i) rows;
insert into observations select i, patient, case when r < 0.7 then 1 + (i * 104729 % (scaled(600000) * 9 / 10)) end,
    case when r2 < 0.0015 and i < scaled(1200000) * 0.3 then 'CRP-OLD' when r2 < 0.004 then 'TOX'
      else (array['BP', 'GLU', 'K', 'NA', 'HB', 'CHOL', 'TSH', 'CRP', 'BMI', 'O2'])[1 + floor(10 * power(r2, 1.7))::int] end,
    20 + 200 * random(), random() < 0.02, now() - (scaled(1200000) - i) * interval '900 days' / scaled(1200000)
  from (select i, random() as r, random() as r2, 1 + floor(scaled(120000) * power(random(), 2))::bigint as patient
        from generate_series(1::bigint, scaled(1200000)) i) rows;
insert into prescriptions select i, 1 + floor(scaled(120000) * power(random(), 1.5))::bigint,
    1 + floor(80 * power(random(), 1.3))::bigint, 'D' || floor(400 * power(random(), 3)), floor(6 * power(random(), 2))::int, starts,
    case when random() < 0.93 then starts + (array[7, 14, 30, 90])[1 + floor(4 * random())::int] end
  from (select i, (now() - (scaled(350000) - i) * interval '1200 days' / scaled(350000))::date as starts
        from generate_series(1::bigint, scaled(350000)) i) rows;
vacuum (analyze);
