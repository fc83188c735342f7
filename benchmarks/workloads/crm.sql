-- 18 reads and 6 writes of a CRM that many tenants share, most of it one tenant's, with the rates they are weighted by.

-- name: contact_by_email
-- calls_per_minute: 900
select id, full_name, stage from contacts where tenant_id = 3 and lower(email) = 'person727@example.net';
-- name: match_import
-- calls_per_minute: 60
select id, lower(email) from contacts where tenant_id = 1 and lower(email) in ('person4@example.net', 'person9@example.net',
  'person14@example.net', 'person20@example.net', 'person28@example.net', 'person33@example.net', 'person42@example.net');
-- name: contacts_of_giant
-- calls_per_minute: 300
select id, full_name, stage, updated_at from contacts where tenant_id = 1 and archived_at is null
order by updated_at desc limit 50;
-- name: contacts_of_dwarf
-- calls_per_minute: 300
select id, full_name, stage, updated_at from contacts where tenant_id = 250 and archived_at is null
order by updated_at desc limit 50;
-- name: my_leads
-- calls_per_minute: 200
select id, full_name, score from contacts
where tenant_id = 2 and owner_id = 203 and stage in ('lead', 'qualified') and archived_at is null
order by score desc, id limit 25;
-- name: type_ahead
-- calls_per_minute: 400
select id, full_name from contacts where tenant_id = 5 and lower(full_name) like 'anna b%' order by lower(full_name) limit 10;
-- name: by_external_id
-- calls_per_minute: 30
select id, email from contacts where tenant_id = 1 and custom ->> 'external_id' = 'X-100';
-- name: deal_board
-- calls_per_minute: 250
select id, contact_id, stage, amount from deals where tenant_id = 4 and stage not in ('won', 'lost')
order by expected_on limit 100;
-- name: pipeline
-- calls_per_minute: 20
select stage, count(*), sum(amount) from deals where tenant_id = 1 and stage <> 'lost' group by stage;
-- name: deals_of_contact
-- calls_per_minute: 300
select id, stage, amount, created_at from deals where tenant_id = 7 and contact_id = 233 order by created_at desc;
-- name: closing_soon
-- calls_per_minute: 40
select id, contact_id, amount from deals
where tenant_id = 12 and closed_at is null and expected_on between current_date and current_date + 14
order by expected_on, amount desc;
-- name: my_tasks
-- calls_per_minute: 500
select id, kind, contact_id, due_at from activities
where tenant_id = 2 and owner_id = 207 and done_at is null and due_at < now() + interval '1 day' order by due_at limit 50;
-- name: timeline
-- calls_per_minute: 600
select id, kind, note, created_at from activities where tenant_id = 7 and contact_id = 1019 order by created_at desc limit 30;
-- name: last_touch
-- calls_per_minute: 120
select contact_id, max(created_at) from activities where tenant_id = 1 and contact_id in
  (603, 608, 613, 618, 622, 623, 627, 632, 637, 642, 646, 647, 651, 656, 661, 666, 670, 675, 680, 685) group by contact_id;
-- name: segment_page
-- calls_per_minute: 60
select c.id, c.full_name, c.email from segment_members m join contacts c on c.id = m.contact_id
where m.segment_id = 42 and c.tenant_id = 4 and c.archived_at is null order by c.id limit 50;
-- name: neglected
-- calls_per_minute: 6
select c.id, c.full_name from contacts c where c.tenant_id = 30 and c.stage <> 'cold' and not exists
  (select from activities a where a.contact_id = c.id and a.created_at > now() - interval '90 days')
order by c.score desc limit 50;
-- name: company_by_domain
-- calls_per_minute: 80
select id, name from companies where tenant_id = 9 and domain = 'company276.example';
-- name: usage
-- calls_per_minute: 1
select tenant_id, kind, count(*) from activities group by tenant_id, kind;

-- name: add_score
-- calls_per_minute: 1500
update contacts set score = score + 1 where id = :id;
-- name: edit_contact
-- calls_per_minute: 200
update contacts set stage = case stage when 'lead' then 'cold' else 'lead' end, updated_at = now() where id = :id;
-- name: move_deal
-- calls_per_minute: 120
update deals set stage = case stage when 'offer' then 'demo' else 'offer' end, updated_at = now() where id = :id;
-- name: complete
-- calls_per_minute: 400
update activities set done_at = now() where id = :id;
-- name: log_activity
-- calls_per_minute: 900
insert into activities (id, tenant_id, contact_id, owner_id, kind, due_at, created_at)
values (1, 1, 1, 1, 'call', now(), now());
-- name: add_contact
-- calls_per_minute: 60
insert into contacts (id, tenant_id, owner_id, email, full_name, stage, score, custom, created_at, updated_at)
values (1, 1, 1, '', '', 'lead', 0, '{}', now(), now());
