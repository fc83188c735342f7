-- 18 reads and 6 writes of a music service, with the rates they are weighted by.

-- name: recently_played
-- calls_per_minute: 700
select id, track_id, played_at from plays where listener_id = 123 order by played_at desc limit 20;
-- name: last_play_of_track
-- calls_per_minute: 200
select played_at, played_ms from plays where listener_id = 2 and track_id = 9 order by played_at desc limit 1;
-- name: my_top_tracks
-- calls_per_minute: 60
select track_id, count(*) from plays where listener_id = 7 and played_at > now() - interval '28 days' and not skipped
group by track_id order by 2 desc, 1 limit 10;
-- name: chart
-- calls_per_minute: 6
select track_id, count(*) from plays where played_at > now() - interval '3 hours' and not skipped
group by track_id order by 2 desc limit 20;
-- name: chart_of_genre
-- calls_per_minute: 1
select t.id, t.title, count(*) from plays p join tracks t on t.id = p.track_id
where t.genre = 'polka' and p.played_at > now() - interval '7 days' group by t.id, t.title order by 3 desc limit 20;
-- name: radio_plays
-- calls_per_minute: 4
select id, listener_id, track_id, played_at from plays where source = 'radio' order by played_at desc limit 25;
-- name: kiosk_plays
-- calls_per_minute: 10
select id, listener_id, track_id, played_at from plays where source = 'kiosk' order by played_at desc limit 25;
-- name: artist_page
-- calls_per_minute: 400
select id, title, play_count from tracks where artist_id = 210 order by play_count desc limit 10;
-- name: new_releases
-- calls_per_minute: 120
select id, title, artist_id from tracks where genre = 'folk' and released_on > current_date - 14 and not explicit
order by released_on desc, id limit 20;
-- name: title_search
-- calls_per_minute: 250
select id, title from tracks where lower(title) like 'blue r%' order by play_count desc limit 10;
-- name: liked_page
-- calls_per_minute: 300
select t.id, t.title, l.liked_at from likes l join tracks t on t.id = l.track_id
where l.listener_id = 321 order by l.liked_at desc limit 50;
-- name: is_liked
-- calls_per_minute: 1500
select exists (select from likes where listener_id = 1 and track_id = 1);
-- name: like_count
-- calls_per_minute: 150
select count(*) from likes where track_id = 1500;
-- name: forgotten_likes
-- calls_per_minute: 40
select l.track_id from likes l where l.listener_id = 40 and not exists
  (select from plays p where p.listener_id = l.listener_id and p.track_id = l.track_id
    and p.played_at > now() - interval '60 days')
order by l.liked_at limit 20;
-- name: my_playlists
-- calls_per_minute: 400
select id, title, followers from playlists where listener_id = 234 order by updated_at desc;
-- name: playlist_page
-- calls_per_minute: 600
select pt.position, t.id, t.title, t.duration_s from playlist_tracks pt join tracks t on t.id = pt.track_id
where pt.playlist_id = 172 order by pt.position limit 100;
-- name: playlists_with_track
-- calls_per_minute: 30
select p.id, p.title from playlists p
where p.public and exists (select from playlist_tracks pt where pt.playlist_id = p.id and pt.track_id = 777)
order by p.followers desc limit 10;
-- name: by_country
-- calls_per_minute: 1
select l.country, count(*), sum(p.played_ms) from plays p join listeners l on l.id = p.listener_id group by l.country;

-- name: count_play
-- calls_per_minute: 4000
update tracks set play_count = play_count + 1 where id = :id;
-- name: finish_play
-- calls_per_minute: 4000
update plays set played_ms = played_ms + 1000, skipped = false where id = :id;
-- name: follow
-- calls_per_minute: 60
update playlists set followers = followers + 1 where id = :id;
-- name: edit_playlist
-- calls_per_minute: 120
update playlists set updated_at = now() where id = :id;
-- name: start_play
-- calls_per_minute: 4000
insert into plays (id, listener_id, track_id, source, skipped, played_ms, played_at)
values (1, 1, 1, 'album', false, 0, now());
-- name: like
-- calls_per_minute: 300
insert into likes (id, listener_id, track_id, liked_at) values (1, 1, 1, now());
