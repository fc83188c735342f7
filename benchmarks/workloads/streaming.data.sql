create table listeners (id bigint primary key, email text not null unique, country char(2) not null, plan text not null,
  joined_at timestamptz not null);
create table tracks (id bigint primary key, artist_id bigint not null, title text not null, genre text not null,
  duration_s int not null, explicit boolean not null, released_on date not null, play_count bigint not null)
  with (fillfactor = 80);
create table plays (id bigint primary key, listener_id bigint not null, track_id bigint not null, source text not null,
  skipped boolean not null, played_ms int not null, played_at timestamptz not null) with (fillfactor = 95);
create table likes (id bigint primary key, listener_id bigint not null, track_id bigint not null,
  liked_at timestamptz not null, unique (listener_id, track_id));
create table playlists (id bigint primary key, listener_id bigint not null, title text not null, public boolean not null,
  followers int not null, updated_at timestamptz not null) with (fillfactor = 90);
create table playlist_tracks (id bigint primary key, playlist_id bigint not null, track_id bigint not null,
  position int not null, added_at timestamptz not null);
create index plays_listener on plays (listener_id);
create index playlist_tracks_playlist on playlist_tracks (playlist_id);
create index playlist_tracks_order on playlist_tracks (playlist_id, position);
select setseed(0.79);
insert into listeners select i, 'listener' || i || '@music.example', (array['US', 'BR', 'DE', 'JP', 'KE', 'IS'])
    [1 + floor(6 * power(random(), 2))::int], case when random() < 0.3 then 'premium' else 'free' end,
    now() - (scaled(80000) - i) * interval '1500 days' / scaled(80000)
  from generate_series(1::bigint, scaled(80000)) i;
insert into tracks select i, 1 + floor(scaled(6000) * power(random(), 1.5))::bigint,
    (array['Blue', 'Red', 'Slow', 'Last', 'Gold', 'Broken', 'Summer', 'Silent', 'Loud', 'Far'])[1 + floor(10 * random())::int]
      || ' ' || (array['River', 'Road', 'Heart', 'Night', 'Fire', 'Garden', 'Rain', 'Dance'])[1 + floor(8 * random())::int] 
      || ' ' || i % 300,
    (array['pop', 'rock', 'rap', 'folk', 'jazz', 'ambient', 'polka'])[1 + floor(7 * power(random(), 2.5))::int],
    90 + floor(300 * random())::int, random() < 0.1, current_date - floor((scaled(80000) - i) * 4000.0 / scaled(80000))::int,
    floor(1000000 * power(random(), 8))::bigint
  from generate_series(1::bigint, scaled(80000)) i;
insert into plays select i, 1 + floor(scaled(80000) * power(random(), 2))::bigint,
    case when r < 0.3 then scaled(80000) - floor(scaled(80000) * power(random(), 6))::bigint
      else 1 + floor(scaled(80000) * power(random(), 3))::bigint end,
    case when r < 0.0015 and i < scaled(1400000) * 0.35 then 'radio' when r < 0.004 then 'kiosk' when r < 0.2 then 'search'
      when r < 0.5 then 'playlist' else 'album' end,
    r2 < 0.25, case when r2 < 0.25 then floor(r2 * 80000)::int else 90000 + floor(200000 * r2)::int end,
    now() - (scaled(1400000) - i) * interval '120 days' / scaled(1400000)
  from (select i, random() as r, random() as r2 from generate_series(1::bigint, scaled(1400000)) i) rows;
insert into likes select i, 1 + floor(scaled(80000) * power(random(), 2))::bigint,
    1 + floor(scaled(80000) * power(random(), 3))::bigint, now() - (scaled(400000) - i) * interval '1200 days' / scaled(400000)
  from generate_series(1::bigint, scaled(400000)) i on conflict do nothing;
insert into playlists select i, 1 + floor(scaled(80000) * power(random(), 1.5))::bigint, 'Mix ' || i, random() < 0.25,
    floor(9000 * power(random(), 20))::int, now() - random() * random() * interval '900 days'
  from generate_series(1::bigint, scaled(60000)) i;
insert into playlist_tracks select p * 64 + line, p, 1 + floor(scaled(80000) * power(random(), 2.5))::bigint, line,
    now() - random() * interval '900 days'
  from generate_series(1::bigint, scaled(60000)) p, 
    generate_series(1, 1 + floor(60 * power((p * 31 % 97) / 97.0, 5))::int) line;
vacuum (analyze);
