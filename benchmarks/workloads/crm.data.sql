create table tenants (id bigint primary key, name text not null, plan text not null);
create table companies (id bigint primary key, tenant_id bigint not null, name text not null, domain text not null,
  employees int not null, unique (tenant_id, id));
create table contacts (id bigint primary key, tenant_id bigint not null, company_id bigint, owner_id bigint not null,
  email text not null, full_name text not null, stage text not null, score int not null, custom jsonb not null,
  created_at timestamptz not null, updated_at timestamptz not null, archived_at timestamptz) with (fillfactor = 85);
create table deals (id bigint primary key, tenant_id bigint not null, contact_id bigint not null, owner_id bigint not null,
  stage text not null, amount numeric(12, 2) not null, expected_on date not null, closed_at timestamptz,
  created_at timestamptz not null, updated_at timestamptz not null) with (fillfactor = 90);
create table activities (id bigint primary key, tenant_id bigint not null, contact_id bigint not null, owner_id bigint not null,
  kind text not null, note text, due_at timestamptz not null, done_at timestamptz, created_at timestamptz not null)
  with (fillfactor = 90);
create table segment_members (id bigint primary key, segment_id bigint not null, contact_id bigint not null,
  added_at timestamptz not null, unique (segment_id, contact_id));
create index contacts_tenant on contacts (tenant_id);
create index activities_tenant on activities (tenant_id);
select setseed(0.53);
insert into tenants select i, 'Tenant ' || i, (array['free', 'team', 'scale'])[1 + floor(3 * power(random(), 2))::int]
  from generate_series(1::bigint, 300) i;
insert into companies select i, 1 + floor(300 * power((i * 7919 % 10007) / 10007.0, 4))::bigint, 'Company ' || i,
    'company' || i || '.example', floor(3000 * power(random(), 6))::int
  from generate_series(1::bigint, scaled(60000)) i;
insert into contacts select i, tenant, case when r < 0.8 then 1 + i % scaled(60000) end,
    tenant * 100 + floor(20 * power(random(), 1.5))::int, 'Person' || i || '@Example.net',
    (array['Anna', 'Ben', 'Chloe', 'David', 'Esther', 'Farid', 'Grace', 'Hugo', 'Ines', 'Jean'])[1 + floor(10 * random())::int]
      || ' ' || (array['Adams', 'Bauer', 'Costa', 'Diallo', 'Evans', 'Fischer', 'Garcia', 'Habimana', 'Ito', 'Jansen', 'Keita',
        'Lopez', 'Mugisha', 'Novak', 'Otieno', 'Petit'])[1 + floor(16 * power(random(), 2))::int] || ' ' || (i % 50),
    case when r < 0.05 then 'qualified' when r < 0.3 then 'lead' when r < 0.4 then 'customer' else 'cold' end,
    floor(100 * power(random(), 2))::int,
    case when i % 10 = 0 then jsonb_build_object('external_id', 'X-' || i, 'source', 'import')
      else jsonb_build_object('source', 'web') end,
    made, made + (now() - made) * power(random(), 3),
    case when random() < 0.12 then now() - random() * interval '200 days' end
  from (select i, 1 + floor(300 * power((i * 7919 % 10007) / 10007.0, 4))::bigint as tenant, random() as r,
          now() - (scaled(300000) - i) * interval '1000 days' / scaled(300000) as made
        from generate_series(1::bigint, scaled(300000)) i) rows;
insert into deals select i, tenant, contact, tenant * 100 + floor(20 * power(random(), 1.5))::int,
    case when not done then (array['new', 'demo', 'offer'])[1 + floor(3 * power(random(), 1.5))::int]
      when r < 0.4 then 'won' else 'lost' end,
    round((50000 * power(random(), 4))::numeric, 2), (made + random() * interval '90 days')::date,
    case when done then made + random() * interval '60 days' end, made, made + random() * (now() - made)
  from (select rows.*, 1 + floor(300 * power((contact * 7919 % 10007) / 10007.0, 4))::bigint as tenant,
          random() < 1 - power(i::float8 / scaled(200000), 8) as done, random() as r
        from (select i, 1 + floor(scaled(300000) * power(random(), 1.5))::bigint as contact,
                now() - (scaled(200000) - i) * interval '800 days' / scaled(200000) as made
              from generate_series(1::bigint, scaled(200000)) i) rows) wide;
insert into activities select i, tenant, contact, tenant * 100 + floor(20 * power(random(), 1.5))::int,
    (array['email', 'call', 'meeting', 'task'])[1 + floor(4 * power(random(), 2))::int],
    case when r < 0.5 then repeat('said so ', 1 + (i % 12)::int) end, made + random() * interval '10 days',
    case when r < 0.985 - 0.6 * power(greatest(0.5, i::float8 / scaled(1200000)), 60) then made + random() * interval '10 days' end, made
  from (select rows.*, 1 + floor(300 * power((contact * 7919 % 10007) / 10007.0, 4))::bigint as tenant, random() as r
        from (select i, 1 + floor(scaled(300000) * power(random(), 2))::bigint as contact,
                now() - (scaled(1200000) - i) * interval '800 days' / scaled(1200000) as made
              from generate_series(1::bigint, scaled(1200000)) i) rows) wide;
insert into segment_members select i, tenant * 10 + floor(10 * power(random(), 2))::int, contact,
    now() - random() * interval '300 days'
  from (select rows.*, 1 + floor(300 * power((contact * 7919 % 10007) / 10007.0, 4))::bigint as tenant
        from (select i, 1 + floor(scaled(300000) * random())::bigint as contact
              from generate_series(1::bigint, scaled(500000)) i) rows) wide
  on conflict do nothing;
vacuum (analyze);
