-- Every decision of a reviewer about a region belongs to a scan of the ledger.
select
    regions.batch,
    regions.scan_id,
    regions.region

from regions
anti join scans
    on
        regions.batch = scans.batch
        and regions.scan_id = scans.scan_id
