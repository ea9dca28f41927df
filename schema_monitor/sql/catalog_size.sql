-- About how many bytes a snapshot of this database would have to read: texts in the catalog, and columns.
SELECT (SELECT coalesce(sum(octet_length(description)), 0) FROM pg_description)
     + (SELECT coalesce(sum(octet_length(prosrc)), 0) FROM pg_proc)
     + (SELECT coalesce(sum(octet_length(adbin::text)), 0) FROM pg_attrdef)
     + (SELECT coalesce(sum(octet_length(conbin::text)), 0) FROM pg_constraint)
     + (SELECT coalesce(sum(octet_length(ev_action::text)), 0) FROM pg_rewrite)
     + (SELECT coalesce(sum(octet_length(tgqual::text)), 0) FROM pg_trigger)
     + (SELECT coalesce(sum(coalesce(octet_length(polqual::text), 0) + coalesce(octet_length(polwithcheck::text), 0)), 0) FROM pg_policy)
     + (SELECT count(*) * 200 FROM pg_attribute)
