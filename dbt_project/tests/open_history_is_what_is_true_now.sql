-- Where today is today, the open rows of the history are the scores.
select tenant_id, customer_id
from {{ ref("rfm_scores") }} scores
full join
    (select * from {{ ref("rfm_history") }} where valid_to is null) history using (
        tenant_id, customer_id
    )
join ops.transform_scope using (tenant_id)
where
    transform_scope.writes_history
    and (
        scores.recency_score,
        scores.frequency_score,
        scores.monetary_score
    ) is distinct from (
        history.recency_score, history.frequency_score, history.monetary_score
    )
