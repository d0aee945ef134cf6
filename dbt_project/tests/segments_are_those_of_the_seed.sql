-- The view names the eleven segments itself; they are those that the seed gives the
-- 125 cells.
select rfm_segment
from {{ ref("rfm_cells") }}
full join
    (select distinct rfm_segment as shown from {{ ref("rfm_segments") }}) segments
    on segments.shown = rfm_segment
where
    (rfm_segment is null or shown is null)
    and exists (select from {{ ref("rfm_segments") }})
