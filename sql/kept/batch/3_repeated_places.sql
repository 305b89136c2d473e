-- Found places of a batch that repeat another one: of its features and predictions.
create or replace temp table repeated_places as

from repeated_places
