-- Drop what was kept of a batch, so that the views are of the whole store again.
drop table temp.features;
drop table temp.predictions_now;
drop table temp.repeated_places;
