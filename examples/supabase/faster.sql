-- The policy asks who it is once a statement, not once a row; and the index finds that user's notes.
alter policy own_notes on notes using ((select auth.uid()) = user_id);
create index notes_by_user on notes (user_id, id desc);
