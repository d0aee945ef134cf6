"""A data request is told from another by its customer too: Shopify's samples all bear the number 9999.

Revision: 0010
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = """
alter table ops.privacy_requests drop constraint privacy_requests_shop_domain_data_request_id_key;
alter table ops.privacy_requests add unique (shop_domain, data_request_id, customer_id);
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
