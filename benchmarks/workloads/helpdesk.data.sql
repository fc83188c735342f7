create table agents (id bigint primary key, tenant_id int not null, email text not null, active boolean not null,
  last_active_at timestamptz not null) with (fillfactor = 90);
create table tickets (id bigint primary key, tenant_id int not null, number int not null, requester_id bigint not null,
  assignee_id bigint, state text not null, priority int not null, subject text not null, labels text[] not null,
  external_ref text, opened_at timestamptz not null, updated_at timestamptz not null) with (fillfactor = 90);
create table replies (id bigint primary key, ticket_id bigint not null, author_id bigint not null, public boolean not null,
  body text not null, sent_at timestamptz not null);
create table mails (id bigint primary key, tenant_id int not null, message_key text not null, sent boolean not null,
  attempts int not null, next_try_at timestamptz not null, meta jsonb not null) with (fillfactor = 90);
select setseed(0.63);
insert into agents select i, 1 + floor(400 * power(random(), 2))::int, 'Agent.' || i || '@desk.example', random() < 0.7,
    now() - power(random(), 3) * interval '300 days' from generate_series(1::bigint, scaled(8000)) i;
insert into tickets select i, tenant, i, 1 + floor(scaled(150000) * power(random(), 2))::bigint,
    case when r < 0.97 then 1 + floor(scaled(8000) * power(random(), 2))::bigint end,
    case when i > scaled(300000) * 0.97 and r < 0.5 then 'open' when r < 0.006 then 'waiting' when r < 0.02 then 'spam'
      else 'closed' end,
    1 + floor(4 * random() * random())::int, 'About ' || md5(i::text) || ' and ' || (i % 977),
    array['area-' || (i % 12)] || case when random() < 0.004 then array['escalated'] else '{}'::text[] end,
    case when random() < 0.1 then 'CRM-' || i end, opened, opened + random() * interval '6 days'
  from (select i, 1 + floor(400 * power(random(), 3))::int as tenant, random() as r,
          now() - (scaled(300000) - i) * interval '500 days' / scaled(300000) as opened
        from generate_series(1::bigint, scaled(300000)) i) rows;
insert into replies select i, 1 + (i * 7919 % scaled(300000)), 1 + floor(scaled(8000) * power(random(), 2))::bigint,
    random() < 0.85, repeat('text ', 3 + (i % 20)::int), now() - (scaled(900000) - i) * interval '500 days' / scaled(900000)
  from generate_series(1::bigint, scaled(900000)) i;
insert into mails select i, 1 + floor(400 * power(random(), 3))::int, md5('m' || i), i < scaled(250000) - 300 or r < 0.5,
    case when r < 0.01 then 3 else 1 end, now() - (scaled(250000) - i) * interval '90 days' / scaled(250000),
    jsonb_build_object('kind', (array['reply', 'digest', 'invite'])[1 + floor(3 * power(random(), 3))::int], 'bounce', r < 0.002)
  from (select i, random() as r from generate_series(1::bigint, scaled(250000)) i) rows;
vacuum (analyze);
