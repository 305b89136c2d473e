-- The decisions in effect.
create or replace temp table readings as

from readings
