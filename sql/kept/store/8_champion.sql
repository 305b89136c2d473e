-- The newest promotion.
create or replace temp table champion as

from champion
