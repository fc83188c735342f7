drop index notes_by_user;
alter policy own_notes on notes using (auth.uid() = user_id);
